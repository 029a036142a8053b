//! What the proxy answers at each address.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use heliostat_client::{
    Carries, Circuit, Client, ClientError, ErrorKind, FileAnswer, FilePart, PageAnswer, Standing,
};
use heliostat_pypi::page::{Format, render_page, render_passing};
use heliostat_pypi::{ProjectName, TreePath};
use heliostat_store::Part;
use http::header::CACHE_CONTROL;

use super::{ProxySite, answer};
use crate::documents::Document;
use crate::handlers::file::{self, Source};
use crate::handlers::simple::{VARY_PAGE, choose, guard_html, not_acceptable};
use crate::handlers::{Label, blocking, document_reply};
use crate::problem::Problem;
use crate::reply::{NO_STORE, Reply};
use crate::route::{Provenance, Route};
use crate::service::Asked;

/// Answers a route.
pub(crate) async fn dispatch(
    site: &Arc<ProxySite>,
    route: Route,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    match route {
        Route::SimplePage(name) => page(site, name, asked).await,
        Route::File(path, part) => file(site, path, part, asked).await,
        Route::Provenance(wanted) => provenance(site, wanted, asked).await,
        Route::SimpleList => Err(Problem::new(
            http::StatusCode::NOT_FOUND,
            "The signed state has no list of all projects; ask for a project.",
        )),
        Route::Home => Ok(home(site)),
        Route::Readiness => readiness(site),
        _ => Err(Problem::not_found()),
    }
}

/// `/simple/<project>/`
async fn page(site: &ProxySite, name: ProjectName, asked: &Asked<'_>) -> Result<Reply, Problem> {
    let Ok(simple_type) = choose(asked) else {
        return Ok(not_acceptable());
    };
    let wanted = name.clone();
    let answer = site
        .run(|client| async move { client.page(&wanted).await })
        .await;
    let (body, serial) = match (settled(site, answer)?, simple_type.format()) {
        (PageAnswer::Signed(signed), Format::Json) => (signed.body.clone(), signed.page.serial),
        (PageAnswer::Signed(signed), format) => {
            let serial = signed.page.serial;
            (
                rendered(move || render_page(&signed.page, format)).await?,
                serial,
            )
        }
        (PageAnswer::Origin(page), format) => {
            let serial = page.serial;
            let render = move || render_passing(&page, format);
            (rendered(render).await?, serial)
        }
        (PageAnswer::Absent, _) => return Err(answer::absent(&name)),
        (PageAnswer::Unknown, _) => return Err(answer::unknown(&format!("`{name}`"))),
    };
    let label = Label {
        content_type: simple_type.content_type(),
        cache_control: site.page_cache_control.clone(),
        vary: VARY_PAGE,
    };
    let document = Document::passing(body, serial);
    Ok(guard_html(
        document_reply(&document, asked, &label)?,
        simple_type,
    ))
}

/// HTML is made from the verified JSON: mirrors' own HTML is never looked at.
async fn rendered(render: impl FnOnce() -> Vec<u8> + Send + 'static) -> Result<Bytes, Problem> {
    blocking(move || render().into()).await
}

/// `/packages/…` and `….metadata`
async fn file(
    site: &ProxySite,
    path: TreePath,
    part: Part,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let (wanted, wanted_part) = (
        path.clone(),
        match part {
            Part::File => FilePart::File,
            Part::Metadata => FilePart::Metadata,
            Part::Provenance => FilePart::Provenance,
        },
    );
    let answer = site
        .run(|client| async move { client.file(&wanted, wanted_part).await })
        .await;
    let source = match settled(site, answer)? {
        FileAnswer::Stream(spool) => Source::Spool(spool),
        FileAnswer::Document(body) => Source::Memory(body, None),
        FileAnswer::Redirect(target) => return to_origin(&target),
        FileAnswer::Absent => {
            return Err(Problem::new(
                http::StatusCode::NOT_FOUND,
                format!(
                    "No signed page lists `{}` at this address.",
                    path.filename()
                ),
            ));
        }
        FileAnswer::Unknown => {
            return Err(answer::unknown(&format!("`{}`", path.filename())));
        }
    };
    file::reply(source, (&path, part), asked)
}

/// `/integrity/<project>/<version>/<file>/provenance`
async fn provenance(
    site: &ProxySite,
    wanted: Provenance,
    asked: &Asked<'_>,
) -> Result<Reply, Problem> {
    let find = |client: Client| async move {
        let path = client.file_named(&wanted.project, &wanted.filename).await?;
        match path {
            Some(path) => client.file(&path, FilePart::Provenance).await,
            None => Ok(FileAnswer::Absent),
        }
    };
    let answer = site.run(find).await;
    let body = match settled(site, answer)? {
        FileAnswer::Document(body) => body,
        FileAnswer::Redirect(target) => return to_origin(&target),
        _ => return Err(Problem::not_found()),
    };
    let label = Label {
        content_type: "application/vnd.pypi.integrity.v1+json",
        cache_control: site.page_cache_control.clone(),
        vary: "Accept-Encoding",
    };
    document_reply(&Document::passing(body, None), asked, &label)
}

/// What the origin has comes from there.
fn to_origin(target: &str) -> Result<Reply, Problem> {
    let reply = Reply::redirect(http::StatusCode::FOUND, target)?;
    Ok(reply.with(CACHE_CONTROL, NO_STORE))
}

/// Mirrors shown on the proxy's page; a list may have thousands.
const SHOWN_MAX: usize = 40;

/// `/`: how the mirrors stand, as text.
fn home(site: &ProxySite) -> Reply {
    use std::fmt::Write as _;
    let mut text = String::from(
        "heliostat proxy: a verified Simple API at /simple/\n\nmirrors, in the order in which they are asked:\n",
    );
    let standings = site.client.standings();
    for standing in standings.iter().take(SHOWN_MAX) {
        let name = &standing.mirror;
        let _infallible = writeln!(text, "  {name}  {}", state_of(standing));
    }
    if standings.len() > SHOWN_MAX {
        let more = standings.len() - SHOWN_MAX;
        let _infallible = writeln!(
            text,
            "  and {more} more: `heliostat mirrors rank` tells all"
        );
    }
    for line in site.client.list_notes() {
        let _infallible = writeln!(text, "\n{line}");
    }
    if let Some(warning) = site.client.clock_warning() {
        let _infallible = writeln!(text, "\n{warning}");
    }
    Reply::bytes("text/plain; charset=utf-8", text).with(CACHE_CONTROL, NO_STORE)
}

/// How a mirror stands, in a few words.
fn state_of(standing: &Standing) -> String {
    if standing.banned {
        return "not asked, because you banned it".to_owned();
    }
    if let Some((_, why)) = &standing.dropped {
        return format!("not asked, because it lied: {why}");
    }
    let words = match standing.circuit {
        Circuit::Closed => "in use",
        Circuit::HalfOpen => "failed often, about to be tried again",
        Circuit::Cooling => "failed just now",
        Circuit::Open => "left alone, because it failed often",
    };
    let pinned = if standing.pinned { "pinned, " } else { "" };
    match standing.carries {
        Carries::SignedTree => format!("{pinned}{words}, timestamp {}", standing.timestamp),
        Carries::Files => format!("{pinned}{words}, files only"),
    }
}

/// `/readyz`
fn readiness(site: &ProxySite) -> Result<Reply, Problem> {
    if site.draining.load(Ordering::Relaxed) {
        return Err(answer::stopping());
    }
    Ok(Reply::bytes("text/plain; charset=utf-8", &b"ready\n"[..]).with(CACHE_CONTROL, NO_STORE))
}

/// The client's answer, or the problem that it makes.
fn settled<T>(site: &ProxySite, answer: Option<Result<T, ClientError>>) -> Result<T, Problem> {
    answer.ok_or_else(answer::stopping)?.map_err(|error| {
        let warning = site.client.clock_warning();
        if error.kind() != ErrorKind::Absent {
            // pip shows no more than the status: the reason must be found where the proxy runs.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                clock = warning.as_deref(),
                "an installer was refused"
            );
        }
        answer::problem_of(&error, warning.as_deref())
    })
}
