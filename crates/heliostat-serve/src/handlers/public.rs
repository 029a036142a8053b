//! Small public files that are sent as they stand in the tree: PEP 381's two, and `/.well-known/`.

use std::sync::Arc;

use heliostat_pypi::RelPath;

use super::{Label, document};
use crate::problem::Problem;
use crate::reply::{IMMUTABLE, NO_CACHE, Reply};
use crate::route::Route;
use crate::service::Asked;
use crate::site::Site;
use crate::tree::Item;

/// `/last-modified`, `/local-stats/days/<day>.bz2`, `/.well-known/…`
pub(crate) async fn public(
    site: &Arc<Site>,
    route: Route,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let (path, content_type) = match route {
        Route::LastModified => (
            last_modified_path().ok_or_else(Problem::not_found)?,
            "text/plain; charset=utf-8",
        ),
        Route::LocalStats(path) => (path, "application/x-bzip2"),
        Route::Signed(path) => return signed(site, path, asked).await,
        Route::WellKnown(path) => {
            let content_type = media_type(path.as_str());
            (path, content_type)
        }
        _ => return Err(Problem::not_found()),
    };
    let label = Label {
        content_type,
        cache_control: NO_CACHE,
        vary: "Accept-Encoding",
    };
    document(site, Item::Public(path), asked, &label)
        .await?
        .ok_or_else(Problem::not_found)
}

/// `/tuf/…`, `/simple/<project>/<sha256>.index.v1_json` and `/heliostat/…`: what other clients check us by. All but the
/// timestamp and the plain trusted root never change under their name.
async fn signed(site: &Arc<Site>, path: RelPath, asked: &Asked<'_>) -> Result<Reply, Problem> {
    let is_page = path.as_str().starts_with("simple/");
    let is_mutable = ["tuf/timestamp.json", "heliostat/trusted_root.json"].contains(&path.as_str());
    let is_immutable = !is_mutable;
    let label = Label {
        content_type: if is_page {
            "application/vnd.pypi.simple.v1+json"
        } else {
            "application/json"
        },
        cache_control: if is_immutable { IMMUTABLE } else { NO_CACHE },
        vary: "Accept-Encoding",
    };
    document(site, Item::Public(path), asked, &label)
        .await?
        .ok_or_else(Problem::not_found)
}

fn last_modified_path() -> Option<RelPath> {
    "last-modified".parse().ok()
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
