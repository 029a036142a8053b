//! The Simple API: the root list, project pages, and the provenance documents that pages point at.

use std::sync::Arc;

use heliostat_pypi::ProjectName;
use heliostat_pypi::page::Format;
use heliostat_store::Part;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};
use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

use super::{Label, document, document_reply, texts};
use crate::documents::Document;
use crate::negotiate::{NotAcceptable, SimpleType, negotiate};
use crate::on_demand::{FileSource, PageSource, no_such_project};
use crate::problem::Problem;
use crate::reply::{NO_STORE, Reply};
use crate::route::Provenance;
use crate::service::Asked;
use crate::site::Site;
use crate::tree::Item;

pub(crate) const VARY_PAGE: &str = "Accept, Accept-Encoding";

/// `/simple/<project>/`
pub(crate) async fn page(
    site: &Arc<Site>,
    name: ProjectName,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    match choose(asked) {
        Ok(simple_type) => page_as(site, name, simple_type, asked).await,
        Err(NotAcceptable) => Ok(not_acceptable()),
    }
}

/// The same in a shape that the address has chosen.
pub(crate) async fn page_as(
    site: &Arc<Site>,
    name: ProjectName,
    simple_type: SimpleType,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let label = label(site, simple_type);
    if let PageSource::Passing(passing) = site.demand.page(&name).await? {
        let body = passing.document(simple_type.format());
        let document = Document::passing(body, passing.serial());
        return Ok(guard_html(
            document_reply(&document, asked, &label)?,
            simple_type,
        ));
    }
    let item = Item::Page(name.clone(), simple_type.format());
    match document(site, item, asked, &label).await? {
        Some(reply) => Ok(guard_html(reply, simple_type)),
        None => Err(no_such_project(&name)),
    }
}

/// `/simple/`
pub(crate) async fn list(site: &Arc<Site>, asked: &Asked<'_>) -> Result<Reply, Problem> {
    match choose(asked) {
        Ok(simple_type) => list_as(site, simple_type, asked).await,
        Err(NotAcceptable) => Ok(not_acceptable()),
    }
}

/// The same in a shape that the address has chosen.
pub(crate) async fn list_as(
    site: &Arc<Site>,
    simple_type: SimpleType,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let label = label(site, simple_type);
    if let Some(reply) = document(site, Item::List(simple_type.format()), asked, &label).await? {
        return Ok(guard_html(reply, simple_type));
    }
    // Nothing was committed yet: the list of nothing is a list.
    let body = heliostat_pypi::page::render_list(std::iter::empty(), None, simple_type.format());
    let mut reply =
        Reply::bytes(simple_type.content_type(), body).with(CACHE_CONTROL, label.cache_control);
    reply
        .headers
        .insert(VARY, HeaderValue::from_static(VARY_PAGE));
    Ok(guard_html(reply, simple_type))
}

/// `/integrity/<project>/<version>/<file>/provenance` (PEP 740)
pub(crate) async fn provenance(
    site: &Arc<Site>,
    provenance: Provenance,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let label = Label {
        content_type: "application/vnd.pypi.integrity.v1+json",
        cache_control: site.page_cache_control.clone(),
        vary: "Accept-Encoding",
    };
    let path = provenance.tree_path().ok_or_else(Problem::not_found)?;
    if let Some(reply) = document(site, Item::Public(path.clone()), asked, &label).await? {
        return Ok(reply);
    }
    if site.demand.is_offline() {
        return Err(Problem::not_found());
    }
    let file = site
        .demand
        .path_of(&provenance.project, provenance.filename)
        .await?;
    match site
        .demand
        .file(&file.ok_or_else(Problem::not_found)?, Part::Provenance)
        .await?
    {
        FileSource::Passing(body) => document_reply(&Document::passing(body, None), asked, &label),
        FileSource::Redirect(target) => {
            Ok(Reply::redirect(StatusCode::FOUND, &target)?.with(CACHE_CONTROL, NO_STORE))
        }
        FileSource::Held | FileSource::Live(_) => document(site, Item::Public(path), asked, &label)
            .await?
            .ok_or_else(Problem::not_found),
    }
}

pub(crate) fn choose(asked: &Asked<'_>) -> Result<SimpleType, NotAcceptable> {
    let format = asked.query.and_then(format_parameter);
    negotiate(texts(asked.headers, &ACCEPT), format.as_deref())
}

/// The decoded value of `format` in a query (PEP 691, "URL Parameter").
fn format_parameter(query: &str) -> Option<String> {
    let encoded = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("format="))?;
    Some(percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

/// Pages are asked for again after a short while: pip since 26.2 and uv both keep a page for its `max-age` without
/// asking, so PyPI's ten minutes would hide a release that this mirror already has; a revalidation costs us a
/// `stat`. Without `max-age` uv would ask for every page of every run, also within one lock.
fn label(site: &Site, simple_type: SimpleType) -> Label {
    Label {
        content_type: simple_type.content_type(),
        cache_control: site.page_cache_control.clone(),
        vary: VARY_PAGE,
    }
}

/// A page is data: were a name in it ever read as markup, nothing may come of it.
pub(crate) fn guard_html(reply: Reply, simple_type: SimpleType) -> Reply {
    if simple_type.format() == Format::Json {
        return reply;
    }
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    reply.with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
}

pub(crate) fn not_acceptable() -> Reply {
    let problem = Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "This address can be had as application/vnd.pypi.simple.v1+json, \
         application/vnd.pypi.simple.v1+html or text/html.",
    );
    Reply::problem(&problem)
        .with(VARY, HeaderValue::from_static(VARY_PAGE))
        .with(CACHE_CONTROL, NO_STORE)
}
