//! The closure of requirements over their dependencies, for every target: pages and `.metadata` are asked for. Files are
//! looked into only where an index offers no metadata.

use futures_util::{StreamExt as _, stream};
use heliostat_pypi::Requirement;
use heliostat_pypi::page::{CoreMetadata, PageFile};
use heliostat_pypi::resolve::{
    Known, MetadataRequest, Need, Question, Resolver, SdistPolicy, Step,
};
use heliostat_pypi::select::Selection;
use heliostat_pypi::tags::Target;
use heliostat_store::Part;
use heliostat_upstream::{Answer, Caches, Validators};

use crate::context::{Context, blocking};
use crate::error::EngineError;
use crate::events::Event;
use crate::look_inside::wheel_metadata;

/// What must be mirrored so that the requirements install on every target without an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// The files, by project.
    pub selection: Selection,
    /// What may make it incomplete, for people.
    pub notes: Vec<String>,
}

/// What is to be closed over its dependencies.
#[derive(Debug, Clone, Copy)]
pub struct ClosureRequest<'a> {
    /// What must install.
    pub requirements: &'a [Requirement],
    /// What narrows versions, wherever they come in.
    pub constraints: &'a [Requirement],
    /// Where it must install.
    pub targets: &'a [Target],
    /// Whether source distributions may be used.
    pub sdists: SdistPolicy,
    /// Requests under way at once.
    pub jobs: usize,
}

/// Resolves the requirements on every target and joins what they need.
pub async fn closure(
    context: &Context,
    request: &ClosureRequest<'_>,
) -> Result<Closure, EngineError> {
    let mut known = Known::new();
    let mut closure = Closure::default();
    for target in request.targets {
        let question = Question {
            requirements: request.requirements.to_vec(),
            constraints: request.constraints.to_vec(),
            target: target.clone(),
            sdists: request.sdists,
        };
        let mut resolver = Resolver::new(question);
        let mut looked_at = 0;
        let solution = loop {
            match resolver.step(&known) {
                Step::Done(solution) => break solution,
                Step::Conflict(report) => {
                    return Err(EngineError::Unresolvable {
                        target: target_text(target),
                        report,
                    });
                }
                Step::Need(need) => {
                    looked_at += need.pages.len() as u64;
                    context.events.tell(Event::Resolving {
                        target: target_text(target),
                        projects: looked_at,
                    });
                    fetch(context, need, &mut known, request.jobs).await?;
                }
            }
        };
        for package in &solution.packages {
            closure
                .selection
                .add_resolved(&package.name, package.files.iter().cloned());
        }
        closure.notes.extend(
            solution
                .notes
                .iter()
                .map(|note| format!("{}: {note}", target_text(target))),
        );
    }
    Ok(closure)
}

fn target_text(target: &Target) -> String {
    format!("Python {} on {}", target.python, target.platform)
}

async fn fetch(
    context: &Context,
    need: Need,
    known: &mut Known,
    jobs: usize,
) -> Result<(), EngineError> {
    let mut pages = std::pin::pin!(
        stream::iter(need.pages)
            .map(|name| async move {
                let answer = context
                    .upstream
                    .page(&name, &Validators::default(), Caches::Allow)
                    .await;
                (name, answer)
            })
            .buffer_unordered(jobs)
    );
    while let Some((name, answer)) = pages.next().await {
        match answer? {
            Answer::Fresh(fetched) => known.add_page(fetched.read.page),
            Answer::Gone | Answer::Unchanged => known.add_missing_page(name),
        }
    }
    let mut documents = std::pin::pin!(
        stream::iter(need.metadata)
            .map(|request| async move {
                let document = document(context, &request).await;
                (request, document)
            })
            .buffer_unordered(jobs)
    );
    while let Some((request, document)) = documents.next().await {
        let filename = request.file.filename();
        match document? {
            Ok(bytes) => known.add_metadata(&request.project, filename, &bytes),
            Err(reason) => known.add_unavailable_metadata(&request.project, filename, reason),
        }
    }
    Ok(())
}

/// A file's metadata: ours where we hold it, else the upstream's.
async fn document(
    context: &Context,
    request: &MetadataRequest,
) -> Result<Result<Vec<u8>, String>, EngineError> {
    if let Some(bytes) = held(context, &request.file).await? {
        return Ok(Ok(bytes));
    }
    let promised = match request.file.core_metadata {
        CoreMetadata::Absent => {
            return wheel_metadata(context, &request.project, &request.file).await;
        }
        CoreMetadata::Offered => None,
        CoreMetadata::Sha256(digest) => Some(digest),
    };
    let Ok(url) = format!("{}.metadata", request.file.url).parse() else {
        return Ok(Err("its address is no address".to_owned()));
    };
    let limit = context.upstream.limits().document_bytes_max;
    match context.upstream.document(&url, limit).await {
        Ok(Answer::Fresh(bytes))
            if promised.is_none_or(|digest| digest == heliostat_pypi::Sha256::of(&bytes)) =>
        {
            Ok(Ok(bytes.to_vec()))
        }
        Ok(Answer::Fresh(_)) => Err(EngineError::ResolveMetadata {
            project: request.project.clone(),
            reason: format!(
                "`{}.metadata` is not what its page promises",
                request.file.filename()
            ),
        }),
        Ok(Answer::Gone | Answer::Unchanged) => Ok(Err(
            "the index does not have the metadata it offers".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

async fn held(context: &Context, file: &PageFile) -> Result<Option<Vec<u8>>, EngineError> {
    let path = file.path.clone();
    let open = context
        .on_disk(move |store| store.open_file(&path, Part::Metadata))
        .await?;
    let Some(open) = open else { return Ok(None) };
    let read = blocking(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut { open.file }, &mut bytes).map(|_| bytes)
    });
    Ok(read.await?.ok())
}
