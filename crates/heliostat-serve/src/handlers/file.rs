//! Files and their metadata: exact bytes, exact length, ranges, never a content coding.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use heliostat_client::Spool;
use heliostat_engine::on_demand::LiveDownload;
use heliostat_pypi::TreePath;
use heliostat_store::{OpenFile, Part};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::elsewhere::elsewhere;
use super::{blocking, failed, precondition_failed};
use crate::account::Download;
use crate::body::{BodyError, FilePiece, Payload, read_cached};
use crate::conditional::{self, Validators, Verdict};
use crate::documents::{SMALL_FILE_BYTES_MAX, SmallFileState, date_header};
use crate::on_demand::FileSource;
use crate::problem::Problem;
use crate::range::{Selection, Span, select};
use crate::reply::{IMMUTABLE, NO_STORE, Reply};
use crate::service::Asked;
use crate::site::Site;
use crate::tree::{Item, modified_at};

/// Files up to this size are read whole in one go; larger ones are read as the client takes them.
const WHOLE_FILE_BYTES_MAX: u64 = 256 << 10;

/// `/packages/aa/bb/<60 hex>/<file>` and `<file>.metadata`
pub(crate) async fn file(
    site: &Arc<Site>,
    path: TreePath,
    part: Part,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    if part != Part::Provenance {
        site.demand.may_be_given(&path).await?;
    }
    if let (Some(redirector), Part::File) = (&site.redirector, part)
        && let Some(reply) = elsewhere(site, redirector, &path, asked).await?
    {
        return Ok(reply);
    }
    let item = Item::File(path, part);
    let source = match held(site, &item).await? {
        Some(source) => source,
        None => match missing(site, &item).await? {
            Missing::Redirect(target) => {
                return Ok(
                    Reply::redirect(StatusCode::FOUND, &target)?.with(CACHE_CONTROL, NO_STORE)
                );
            }
            Missing::Source(source) => source,
        },
    };
    let Item::File(path, _) = item else {
        return Err(Problem::not_found());
    };
    let (mut reply, plan, size_bytes) = planned(source, (&path, part), asked)?;
    if part == Part::File && plan.counts_as_download(asked.headers, size_bytes) {
        reply.download = Some(Download::new(&site.downloads, path, asked.headers));
    }
    Ok(reply)
}

/// Answers with a file that is there or on its way, as the request's preconditions and range ask.
pub(crate) fn reply(
    source: Source,
    named: (&TreePath, Part),
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    planned(source, named, asked).map(|(reply, _, _)| reply)
}

fn planned(
    source: Source,
    (path, part): (&TreePath, Part),
    asked: &Asked<'_>,
) -> Result<(Reply, Plan, Option<u64>), Problem> {
    let etag = entity_tag(path, part);
    let size_bytes = source.size_bytes();
    let validators = Validators {
        etag: &etag,
        last_modified: source.last_modified(),
    };
    let plan = match (plan(asked.headers, &validators, size_bytes)?, &source) {
        // Somebody goes on where wrong bytes broke off.
        (Plan::Part(_), Source::Spool(spool)) if spool.is_given_from_its_beginning() => Plan::Whole,
        (plan, _) => plan,
    };
    let mut reply = Reply::empty(plan.status())
        .with(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        )
        .with(CACHE_CONTROL, IMMUTABLE)
        .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(last_modified) = source.last_modified() {
        reply
            .headers
            .insert(LAST_MODIFIED, date_header(last_modified));
    }
    reply.headers.insert(
        ETAG,
        HeaderValue::try_from(etag).map_err(|error| failed(&error))?,
    );
    if let Some(content_range) = plan.content_range(size_bytes) {
        let value = HeaderValue::try_from(content_range).map_err(|error| failed(&error))?;
        reply.headers.insert(CONTENT_RANGE, value);
    }
    reply.payload = match plan {
        Plan::Whole => source.whole(),
        Plan::Part(span) => source.part(span),
        Plan::NotModified | Plan::Unsatisfiable => Payload::Empty,
    };
    Ok((reply, plan, size_bytes))
}

/// What there is to be sent.
pub(crate) enum Source {
    /// A small file, with when it was written.
    Memory(Bytes, Option<SystemTime>),
    /// A large one, open.
    Disk(OpenFile),
    /// One that is arriving.
    Live(LiveDownload),
    /// One that is arriving from mirrors that are not trusted.
    Spool(Spool),
}

/// Where the bytes of a file that is not in the tree are.
enum Missing {
    Source(Source),
    Redirect(String),
}

/// What to send of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Whole,
    Part(Span),
    NotModified,
    Unsatisfiable,
}

impl Source {
    fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Memory(bytes, _) => Some(bytes.len() as u64),
            Self::Disk(opened) => Some(opened.stamp.len_bytes),
            Self::Live(live) => live.size_bytes(),
            Self::Spool(spool) => Some(spool.size_bytes()),
        }
    }

    fn last_modified(&self) -> Option<SystemTime> {
        match self {
            Self::Memory(_, last_modified) => *last_modified,
            Self::Disk(opened) => Some(modified_at(&opened.stamp)),
            Self::Live(_) | Self::Spool(_) => None,
        }
    }

    fn whole(self) -> Payload {
        match self.size_bytes() {
            Some(0) => Payload::Empty,
            Some(size_bytes) => self.part(Span {
                first: 0,
                last: size_bytes - 1,
            }),
            None => match self {
                Self::Live(live) => live_payload(live.stream(0), None),
                Self::Memory(..) | Self::Disk(_) | Self::Spool(_) => Payload::Empty,
            },
        }
    }

    fn part(self, span: Span) -> Payload {
        match self {
            Self::Memory(bytes, _) => {
                let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Payload::Bytes(bytes.slice(offset(span.first)..offset(span.last + 1)))
            }
            Self::Disk(opened) => Payload::File(FilePiece::new(opened.file, span)),
            Self::Live(live) => live_payload(live.stream(span.first), Some(span.size_bytes())),
            Self::Spool(spool) => live_payload(spool.stream(span.first), Some(span.size_bytes())),
        }
    }
}

impl Plan {
    const fn status(self) -> StatusCode {
        match self {
            Self::Whole => StatusCode::OK,
            Self::Part(_) => StatusCode::PARTIAL_CONTENT,
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    fn content_range(self, size_bytes: Option<u64>) -> Option<String> {
        let size_bytes = size_bytes?;
        match self {
            Self::Part(Span { first, last }) => Some(format!("bytes {first}-{last}/{size_bytes}")),
            Self::Unsatisfiable => Some(format!("bytes */{size_bytes}")),
            Self::Whole | Self::NotModified => None,
        }
    }

    /// A whole file counts, and so does the resumed rest of one, which pip asks for with `If-Range`. A tail that is
    /// read to find a wheel's metadata does not.
    fn counts_as_download(self, headers: &HeaderMap, size_bytes: Option<u64>) -> bool {
        match self {
            Self::Whole => true,
            Self::Part(span) => size_bytes == Some(span.last + 1) && headers.contains_key(IF_RANGE),
            Self::NotModified | Self::Unsatisfiable => false,
        }
    }
}

fn plan(
    headers: &HeaderMap,
    validators: &Validators<'_>,
    size_bytes: Option<u64>,
) -> Result<Plan, Problem> {
    match conditional::evaluate(headers, validators) {
        Verdict::NotModified => return Ok(Plan::NotModified),
        Verdict::PreconditionFailed => return Err(precondition_failed()),
        Verdict::Proceed => {}
    }
    // Of a file whose size is not known yet no range can be named.
    let Some(size_bytes) = size_bytes else {
        return Ok(Plan::Whole);
    };
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Ok(
        match select(text(&RANGE), text(&IF_RANGE), validators, size_bytes) {
            Selection::Whole => Plan::Whole,
            Selection::Part(span) => Plan::Part(span),
            Selection::Unsatisfiable => Plan::Unsatisfiable,
        },
    )
}

/// The path names the content, so its digits are a strong tag, and the same one on every node.
fn entity_tag(path: &TreePath, part: Part) -> String {
    let suffix = match part {
        Part::File => "",
        Part::Metadata => "-metadata",
        Part::Provenance => "-provenance",
    };
    format!("\"{}{suffix}\"", path.id_hex())
}

/// A file of the tree: from memory, read whole when it is small, or open.
///
/// Looking at the file has brought its names into the system's memory, so opening it here does not wait for the
/// disk; reading it might, and then happens elsewhere.
async fn held(site: &Arc<Site>, item: &Item) -> Result<Option<Source>, Problem> {
    let look = |error| failed(&error);
    match site
        .documents
        .small_file(item, || site.tree.stamp(item))
        .map_err(look)?
    {
        SmallFileState::Held(file) => {
            let modified_at = modified_at(&file.stamp);
            return Ok(Some(Source::Memory(file.bytes.clone(), Some(modified_at))));
        }
        SmallFileState::OnDisk => {}
        SmallFileState::Gone => return Ok(None),
    }
    let Some(opened) = site.tree.open(item).map_err(look)? else {
        return Ok(None);
    };
    let stamp = opened.stamp;
    if WHOLE_FILE_BYTES_MAX < stamp.len_bytes {
        return Ok(Some(Source::Disk(opened)));
    }
    let bytes = read_whole(opened.file, stamp.len_bytes)
        .await?
        .map_err(|error| failed(&error))?;
    if stamp.len_bytes <= SMALL_FILE_BYTES_MAX {
        site.documents
            .keep_small_file(item.clone(), stamp, bytes.clone());
    }
    Ok(Some(Source::Memory(bytes, Some(modified_at(&stamp)))))
}

async fn read_whole(mut file: File, size_bytes: u64) -> Result<io::Result<Bytes>, Problem> {
    let wanted = usize::try_from(size_bytes).unwrap_or(usize::MAX);
    if let Some(bytes) = read_cached(&file, 0, wanted).filter(|bytes| bytes.len() == wanted) {
        return Ok(Ok(bytes));
    }
    blocking(move || {
        let mut bytes = Vec::with_capacity(wanted + 1);
        file.read_to_end(&mut bytes).map(|_| bytes.into())
    })
    .await
}

/// Asks for a file that is not in the tree.
async fn missing(site: &Arc<Site>, item: &Item) -> Result<Missing, Problem> {
    let Item::File(path, part) = item else {
        return Err(Problem::not_found());
    };
    Ok(match site.demand.file(path, *part).await? {
        FileSource::Redirect(target) => Missing::Redirect(target),
        FileSource::Live(live) => Missing::Source(Source::Live(live)),
        FileSource::Passing(bytes) => Missing::Source(Source::Memory(bytes, None)),
        // It was committed between our look and the question.
        FileSource::Held => {
            Missing::Source(held(site, item).await?.ok_or_else(Problem::not_found)?)
        }
    })
}

fn live_payload<E: Into<BodyError>>(
    stream: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    left_bytes: Option<u64>,
) -> Payload {
    let stream = stream.map(|piece| piece.map_err(Into::into));
    Payload::Live {
        stream: Box::pin(stream),
        left_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_files_and_resumed_rests_are_downloads() {
        let (first, last) = (10, 99);
        let mut headers = HeaderMap::new();
        assert!(Plan::Whole.counts_as_download(&headers, Some(100)));
        assert!(!Plan::Part(Span { first, last }).counts_as_download(&headers, Some(100)));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"x\""));
        assert!(Plan::Part(Span { first, last }).counts_as_download(&headers, Some(100)));
        assert!(!Plan::Part(Span { first, last }).counts_as_download(&headers, Some(101)));
        assert!(!Plan::NotModified.counts_as_download(&headers, Some(100)));
    }
}
