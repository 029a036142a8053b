//! From a request to a reply: authentication, routing, content. Knows which faults change the content itself.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, header};

use super::fault::Fault;
use super::negotiate::Format;
use super::render::BULK_SERIAL;
use super::reply::{LAST_SERIAL, Ranges, Reply, Validators, header as header_of, wanted_format};
use super::route::{Asked, Kind};
use super::state::{Rendered, State, Variant};
use super::{Lack, Shared};
use crate::fixture::{normalise, sha256_hex};
use crate::universe::Project;

/// The reply to a request, before transport faults.
pub(super) fn answer(
    shared: &Shared,
    state: &mut State,
    request: &Parts,
    asked: &Asked,
    fault: Option<&Fault>,
) -> Reply {
    if let Some(reply) = refuse(shared, request) {
        return reply;
    }
    let context = Context {
        shared,
        request,
        fault,
    };
    match asked.kind {
        Kind::List if !asked.path.ends_with('/') => Reply::redirect(301, &shared.options.root),
        Kind::List => context.list(state),
        Kind::Page => context.page(state, asked),
        Kind::Legacy => context.legacy(state, asked),
        Kind::File | Kind::Metadata => context.file(state, asked),
        Kind::Provenance => provenance(state, asked),
        Kind::Other => Reply::text(404, "no such path"),
    }
}

fn refuse(shared: &Shared, request: &Parts) -> Option<Reply> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return Some(Reply::text(405, "only GET and HEAD").with(header::ALLOW, "GET, HEAD"));
    }
    let expected = shared.options.authorization.as_deref()?;
    (header_of(&request.headers, &header::AUTHORIZATION) != Some(expected)).then(|| {
        Reply::text(401, "who are you?").with(header::WWW_AUTHENTICATE, "Basic realm=\"fake\"")
    })
}

struct Context<'a> {
    shared: &'a Shared,
    request: &'a Parts,
    fault: Option<&'a Fault>,
}

impl Context<'_> {
    fn list(&self, state: &mut State) -> Reply {
        let Some(format) = self.format(state) else {
            return Reply::text(406, "no such format");
        };
        let serial = self.shifted(state.universe.serial());
        let rendered = if matches!(self.fault, Some(Fault::SerialOffset(_))) {
            state.list_under(serial, format, &self.shared.bases, &self.shared.options)
        } else {
            state.list(format, &self.shared.bases, &self.shared.options)
        };
        self.document(state, &rendered, format.media_type(), serial)
    }

    fn page(&self, state: &mut State, asked: &Asked) -> Reply {
        let Some(format) = self.format(state) else {
            return Reply::text(406, "no such format");
        };
        let spelt = asked.project.as_deref().unwrap_or_default();
        let name = normalise(spelt);
        if spelt != name || !asked.path.ends_with('/') {
            return Reply::redirect(301, &self.page_address(&name));
        }
        if let Some(new_name) = state.universe.renamed(&name) {
            return Reply::redirect(301, &self.page_address(new_name));
        }
        let variant = Variant::Simple(format);
        self.project_document(state, &name, variant, format.media_type())
    }

    fn legacy(&self, state: &mut State, asked: &Asked) -> Reply {
        let name = normalise(asked.project.as_deref().unwrap_or_default());
        self.project_document(state, &name, Variant::Legacy, "application/json")
    }

    fn project_document(
        &self,
        state: &mut State,
        name: &str,
        variant: Variant,
        media_type: &str,
    ) -> Reply {
        let around = (&self.shared.bases, &self.shared.options);
        if state.universe.is_bulk_name(name) {
            let empty = Project {
                serial: BULK_SERIAL,
                ..Project::named(name)
            };
            let rendered = state.render_project(name, &empty, variant, around);
            return self.document(state, &rendered, media_type, BULK_SERIAL);
        }
        let Some(project) = state
            .universe
            .project(name)
            .filter(|project| project.has_page())
        else {
            return Reply::text(404, "no such project");
        };
        let shown = match self.fault {
            Some(Fault::Stale) => Some((name, stale(project))),
            Some(Fault::SerialOffset(_)) => Some((
                name,
                Project {
                    serial: self.shifted(project.serial),
                    ..project.clone()
                },
            )),
            Some(Fault::PageOf(other)) => state
                .universe
                .project(other)
                .map(|project| (other.as_str(), project.clone())),
            _ => None,
        };
        if let Some((shown_name, project)) = shown {
            let rendered = state.render_project(shown_name, &project, variant, around);
            return self.document(state, &rendered, media_type, project.serial);
        }
        let serial = project.serial;
        match state.project(name, variant, around.0, around.1) {
            Some(rendered) => self.document(state, &rendered, media_type, serial),
            None => Reply::text(404, "no such project"),
        }
    }

    fn file(&self, state: &State, asked: &Asked) -> Reply {
        let path = asked
            .path
            .trim_start_matches('/')
            .trim_end_matches(".metadata");
        let stored = if self.shared.options.flat_files.is_some() {
            state
                .universe
                .stored_by_filename(asked.filename.as_deref().unwrap_or_default())
        } else {
            state.universe.stored(path)
        };
        let Some(file) = stored else {
            return Reply::text(404, "no such file");
        };
        let body = match asked.kind {
            Kind::Metadata if state.lacks.contains(&Lack::Metadata) => None,
            Kind::Metadata => file
                .offered_metadata()
                .map(|metadata| (metadata, sha256_hex(metadata))),
            _ => Some((&file.bytes, file.blake2b_256.clone())),
        };
        let Some((body, digest)) = body else {
            return Reply::text(404, "no metadata");
        };
        let ranges =
            if state.lacks.contains(&Lack::Ranges) || self.fault == Some(&Fault::IgnoreRange) {
                Ranges::Refused
            } else {
                Ranges::Served
            };
        Reply::file(&self.request.headers, (body, &digest), file, ranges)
    }

    fn document(&self, state: &State, rendered: &Rendered, media_type: &str, serial: u64) -> Reply {
        let validators = if state.lacks.contains(&Lack::Etags) {
            Validators::Absent
        } else {
            Validators::Sent
        };
        let reply = Reply::document(&self.request.headers, rendered, media_type, validators);
        if state.lacks.contains(&Lack::Serials) {
            reply
        } else {
            reply.with(LAST_SERIAL, &serial.to_string())
        }
    }

    fn format(&self, state: &State) -> Option<Format> {
        if state.lacks.contains(&Lack::Json) || self.fault == Some(&Fault::Html) {
            return Some(Format::Html);
        }
        wanted_format(&self.request.headers)
    }

    fn shifted(&self, serial: u64) -> u64 {
        match self.fault {
            Some(Fault::SerialOffset(offset)) => serial.saturating_add_signed(*offset),
            _ => serial,
        }
    }

    fn page_address(&self, name: &str) -> String {
        let query = self
            .request
            .uri
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        format!("{}{name}/{query}", self.shared.options.root)
    }
}

/// A page as a cache kept it.
fn stale(project: &Project) -> Project {
    project
        .previous
        .as_deref()
        .cloned()
        .unwrap_or_else(|| Project {
            serial: project.serial.saturating_sub(1),
            versions: Vec::new(),
            files: Vec::new(),
            ..project.clone()
        })
}

fn provenance(state: &State, asked: &Asked) -> Reply {
    let name = normalise(asked.project.as_deref().unwrap_or_default());
    let project = state.universe.project(&name);
    let file = project
        .and_then(|project| project.file(asked.filename.as_deref()?))
        .map(Arc::clone);
    let document = file
        .and_then(|file| file.provenance.clone())
        .filter(|_| !state.lacks.contains(&Lack::Provenance));
    match document {
        None => Reply::text(404, "no provenance"),
        Some(body) => {
            let mut reply = Reply::text(200, "");
            reply.body = body;
            reply.with(
                header::CONTENT_TYPE,
                "application/vnd.pypi.integrity.v1+json",
            )
        }
    }
}
