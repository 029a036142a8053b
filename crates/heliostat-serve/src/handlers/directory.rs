//! `/directory/`: the published list of mirrors, where this mirror carries one, as it stands in the tree.

use std::sync::Arc;

use heliostat_pypi::RelPath;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};

use super::{Label, document};
use crate::problem::Problem;
use crate::reply::{IMMUTABLE, Reply};
use crate::service::Asked;
use crate::site::Site;
use crate::tree::Item;

/// What pages of the list may do: show themselves, their style sheet and their badges. They say so themselves, for
/// servers that send no headers; only a header can forbid frames.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The list is published every few minutes.
const SHORTLY: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// `/directory/…`
pub(crate) async fn directory(
    site: &Arc<Site>,
    path: RelPath,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let label = Label {
        content_type: media_type(path.as_str()),
        cache_control: if is_immutable(path.as_str()) {
            IMMUTABLE
        } else {
            SHORTLY
        },
        vary: "Accept-Encoding",
    };
    let reply = document(site, Item::Public(path), asked, &label)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(reply
        .with(CONTENT_SECURITY_POLICY, POLICY)
        .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

/// Whether a file never changes under its name: evidence and what is named with its digest, and signed versions.
fn is_immutable(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let first = name.split('.').next().unwrap_or_default();
    let is_digest = first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_version = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    is_digest || (folder == "directory/tuf" && is_version)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "atom" => "application/atom+xml",
        "meta4" => "application/metalink4+xml",
        "toml" => "application/toml",
        "txt" | "conf" => "text/plain; charset=utf-8",
        "zst" => "application/zstd",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_by_its_content_stays() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (path, stays) in [
            (format!("directory/v1/evidence/{digest}.json"), true),
            (format!("directory/v1/{digest}.mirrors.json"), true),
            ("directory/tuf/12.snapshot.json".to_owned(), true),
            ("directory/tuf/timestamp.json".to_owned(), false),
            ("directory/v1/status.json".to_owned(), false),
            ("directory/2026.html".to_owned(), false),
            ("directory/index.html".to_owned(), false),
        ] {
            assert_eq!(is_immutable(&path), stays, "{path}");
        }
    }
}
