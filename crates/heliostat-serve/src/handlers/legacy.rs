//! The legacy JSON documents, made from the catalog's record for the very host that was asked.
//!
//! The tree's own `pypi/<project>/json` has relative addresses, for plain web servers; clients of this API expect
//! absolute ones, which only a server that knows its name can give.

use std::io::Read as _;
use std::sync::Arc;

use heliostat_pypi::ProjectName;
use heliostat_pypi::metadata::{Described, METADATA_BYTES_MAX};
use heliostat_pypi::page::{ProjectPage, legacy_sources, render_legacy};
use heliostat_store::{Part, ProjectRecord, Store, StoreError};
use http::header::VARY;
use http::{HeaderValue, StatusCode};

use super::{Label, blocking, document_reply, failed};
use crate::documents::Document;
use crate::host::base_url;
use crate::on_demand::no_such_project;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::service::Asked;
use crate::site::Site;

/// Files of a release whose metadata is looked for.
const SOURCES_MAX: usize = 16;

/// `/pypi/<project>/json` and `/pypi/<project>/<version>/json`
pub(crate) async fn legacy(
    site: &Arc<Site>,
    name: ProjectName,
    version: Option<String>,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let base = base_url(asked)?;
    site.demand.recorded_page(&name).await?;
    let (store, project) = (site.tree.store.clone(), name);
    let make = move || -> Result<_, StoreError> {
        let Some(page) = store.project(&project)?.map(published) else {
            return Ok(Err(no_such_project(&project)));
        };
        let described = described(&store, &page, version.as_deref())?;
        let body = render_legacy(&page, version.as_deref(), &base, described.as_ref());
        Ok(body
            .map(|body| (body, page.serial))
            .ok_or_else(|| no_such_version(&project, version.as_deref())))
    };
    let rendered = blocking(make).await?.map_err(|error| failed(&error))?;
    // bandersnatch takes a document without its serial for a stale one.
    let (body, serial) = rendered?;
    let label = Label {
        content_type: "application/json",
        cache_control: site.page_cache_control.clone(),
        vary: "Host, X-Forwarded-Proto",
    };
    let reply = document_reply(&Document::passing(body.into(), serial), asked, &label)?;
    Ok(reply.with(VARY, HeaderValue::from_static(label.vary)))
}

/// What the release says of itself, where the metadata of any of its files is held. Nothing is fetched for it.
fn described(
    store: &Store,
    page: &ProjectPage,
    version: Option<&str>,
) -> Result<Option<Described>, StoreError> {
    for path in legacy_sources(page, version).iter().take(SOURCES_MAX) {
        let Some(open) = store.open_file(path, Part::Metadata)? else {
            continue;
        };
        let mut document = Vec::new();
        let read = open
            .file
            .take(METADATA_BYTES_MAX)
            .read_to_end(&mut document);
        // What cannot be read tells nothing; `verify` looks for such files.
        if read.is_ok()
            && let Ok(described) = Described::parse(&document)
        {
            return Ok(Some(described));
        }
    }
    Ok(None)
}

/// The project has no such version, or none at all.
fn no_such_version(name: &ProjectName, version: Option<&str>) -> Problem {
    let version = version.unwrap_or("any");
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("There is no version `{version}` of `{name}` here."),
    )
}

/// The page as it stands in the tree: what is hidden stays hidden.
fn published(record: ProjectRecord) -> ProjectPage {
    let ProjectRecord {
        mut page,
        hidden,
        published_serial,
        ..
    } = record;
    if !hidden.is_empty() {
        page.files.retain(|file| !hidden.contains(file.filename()));
    }
    page.serial = published_serial;
    page
}
