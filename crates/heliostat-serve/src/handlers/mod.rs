//! What is answered at each address. One module for each family; all are found from `service::dispatch`.

pub(crate) mod directory;
pub(crate) mod elsewhere;
pub(crate) mod file;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod legacy;
pub(crate) mod public;
pub(crate) mod server_signature;
pub(crate) mod simple;

use std::sync::Arc;

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::body::{FilePiece, Payload};
use crate::conditional::{self, Validators, Verdict};
use crate::documents::{Content, Document};
use crate::encoding;
use crate::problem::Problem;
use crate::range::Span;
use crate::reply::Reply;
use crate::service::Asked;
use crate::site::Site;
use crate::tree::Item;

const LAST_SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

/// How a document is labelled; the rest follows from the document.
pub(crate) struct Label {
    pub(crate) content_type: &'static str,
    pub(crate) cache_control: HeaderValue,
    pub(crate) vary: &'static str,
}

/// Answers with a document of the tree, negotiated for coding and preconditions; `None` where there is none.
async fn document(
    site: &Arc<Site>,
    item: Item,
    asked: &Asked<'_>,
    label: &Label,
) -> Result<Option<Reply>, Problem> {
    let encoding = encoding::choose(texts(asked.headers, &ACCEPT_ENCODING));
    let found = site
        .documents
        .document(&site.tree, item.clone(), encoding)
        .await
        .map_err(|error| failed(&error))?;
    let Some(document) = found else {
        return Ok(None);
    };
    let mut reply = document_reply(&document, asked, label)?;
    if let Content::OnDisk(stamp) = &document.content
        && reply.status == StatusCode::OK
    {
        let (tree, stamp) = (site.tree.clone(), *stamp);
        let opened = blocking(move || tree.open(&item))
            .await?
            .map_err(|error| failed(&error))?;
        // Between looking and opening, a new state was committed: the client asks again, at once.
        let opened = opened
            .filter(|opened| opened.stamp == stamp)
            .ok_or_else(busy)?;
        let last = opened.stamp.len_bytes.saturating_sub(1);
        reply.payload = Payload::File(FilePiece::new(opened.file, Span { first: 0, last }));
    }
    Ok(Some(reply))
}

/// Answers with a document that is at hand; what is on disk is for the caller to add.
pub(crate) fn document_reply(
    document: &Document,
    asked: &Asked<'_>,
    label: &Label,
) -> Result<Reply, Problem> {
    let mut reply = describe(document, label);
    match weigh(asked.headers, document) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            reply.status = StatusCode::NOT_MODIFIED;
            return Ok(reply);
        }
        Verdict::PreconditionFailed => return Err(precondition_failed()),
    }
    reply
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(label.content_type));
    if let Some(token) = document.encoding.token() {
        reply
            .headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static(token));
    }
    if let Content::Held(bytes) = &document.content {
        reply.payload = Payload::Bytes(bytes.clone());
    }
    Ok(reply)
}

fn describe(document: &Document, label: &Label) -> Reply {
    let mut reply = Reply::empty(StatusCode::OK)
        .with(ETAG, document.etag.clone())
        .with(CACHE_CONTROL, label.cache_control.clone())
        .with(VARY, HeaderValue::from_static(label.vary));
    if let Some(last_modified) = &document.last_modified_header {
        reply.headers.insert(LAST_MODIFIED, last_modified.clone());
    }
    if let Some(serial) = document.serial {
        reply
            .headers
            .insert(LAST_SERIAL, HeaderValue::from(serial.0));
    }
    reply
}

fn weigh(headers: &HeaderMap, document: &Document) -> Verdict {
    let etag = document.etag.to_str().unwrap_or_default();
    conditional::evaluate(
        headers,
        &Validators {
            etag,
            last_modified: document.last_modified,
        },
    )
}

fn precondition_failed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "What is here is not what the request is about.",
    )
}

fn busy() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The document was replaced just now; ask again.",
    )
}

/// Logs a failure of ours with its causes, and makes the problem that tells the client nothing of them.
pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "a request failed");
    Problem::internal()
}

/// Runs what waits for the disk or the catalog on a thread made for waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed(&error))
}

/// The values of a header that may come several times.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
}
