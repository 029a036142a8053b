//! Files at other mirrors, where this server is a redirector: 302, with the digest and the alternates.

use std::sync::Arc;

use base64::Engine as _;
use heliostat_pypi::{Sha256, TreePath};
use heliostat_store::{Store, StoreError};
use http::header::{CACHE_CONTROL, HeaderName, LINK, VARY};
use http::{HeaderValue, StatusCode};

use super::{blocking, failed};
use crate::problem::Problem;
use crate::redirector::{self, Redirector, Wanted};
use crate::reply::{NO_STORE, Reply};
use crate::service::Asked;
use crate::site::Site;

/// RFC 9530: the digest of what will be got.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Where a file is to be had elsewhere, or the decisions where `?trace=1` asks for them; nothing where this server
/// answers itself: no mirror is known to be far enough, or the catalog does not know the file.
pub(crate) async fn elsewhere(
    site: &Arc<Site>,
    redirector: &Arc<Redirector>,
    path: &TreePath,
    asked: &Asked<'_>,
) -> Result<Option<Reply>, Problem> {
    let (store, redirector) = (site.tree.store.clone(), Arc::clone(redirector));
    let (text, of) = (path.to_string(), path.clone());
    let look = move || (known(&store, &of), redirector.list());
    let (known, list) = blocking(look).await?;
    let Some((serial, sha256)) = known.map_err(|error| failed(&error))? else {
        return Ok(None);
    };
    let wanted = Wanted {
        path: &text,
        serial,
        avoid: &redirector::avoided(asked.query, asked.headers),
    };
    let choices = redirector::choose(&list, &wanted);
    let vary = HeaderValue::from_static("X-Heliostat-Avoid");
    if redirector::is_traced(asked.query) {
        let trace = redirector::trace(&choices, &wanted);
        return Ok(Some(
            Reply::bytes("text/plain; charset=utf-8", trace)
                .with(CACHE_CONTROL, NO_STORE)
                .with(VARY, vary),
        ));
    }
    let targets = redirector::targets(&choices, &text);
    let Some((first, _)) = targets.first() else {
        return Ok(None);
    };
    let links =
        HeaderValue::try_from(redirector::links(&targets)).map_err(|error| failed(&error))?;
    let mut reply = Reply::redirect(StatusCode::FOUND, first)?
        .with(LINK, links)
        .with(CACHE_CONTROL, NO_STORE)
        .with(VARY, vary);
    if let Some(sha256) = sha256 {
        let digest = base64::engine::general_purpose::STANDARD.encode(sha256.as_bytes());
        let digest =
            HeaderValue::try_from(format!("sha-256=:{digest}:")).map_err(|error| failed(&error))?;
        reply.headers.insert(REPR_DIGEST, digest);
    }
    Ok(Some(reply))
}

/// The serial of a file's project, and the file's digest.
fn known(store: &Store, path: &TreePath) -> Result<Option<(u64, Option<Sha256>)>, StoreError> {
    let Some(row) = store.file(path)? else {
        return Ok(None);
    };
    let Some(record) = store.project(&row.project)? else {
        return Ok(None);
    };
    let Some(serial) = record.published_serial.or(record.page.serial) else {
        return Ok(None);
    };
    let file = record.listed().find(|file| file.path == *path);
    Ok(file.map(|file| (serial.0, file.sha256)))
}
