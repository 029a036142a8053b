//! PEP 691 JSON. Unknown keys are passed over; wrong types are judged where they stand, not by failing the document.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use url::Url;

use super::check::{PageCheck, PageHead, project_status};
use super::raw::{Loose, RawFile};
use super::{
    LIST_PROJECTS_MAX, ListRead, PAGE_FILES_MAX, PAGE_VERSIONS_MAX, PageError, PageRead, Rejected,
    check_api_version,
};
use crate::page::ProjectStatus;
use crate::{ProjectName, Serial};

#[derive(Deserialize)]
struct PageDocument<'a> {
    #[serde(borrow, default)]
    meta: Loose<'a>,
    #[serde(borrow, default)]
    name: Loose<'a>,
    #[serde(borrow, default, rename = "project-status")]
    status: Loose<'a>,
    #[serde(borrow)]
    files: Bounded<Loose<'a>, PAGE_FILES_MAX>,
    #[serde(borrow, default)]
    versions: Option<Bounded<Loose<'a>, PAGE_VERSIONS_MAX>>,
}

#[derive(Deserialize)]
struct ListDocument<'a> {
    #[serde(borrow, default)]
    meta: Loose<'a>,
    projects: Projects,
}

/// One project of a root list.
#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow, default)]
    name: Loose<'a>,
    #[serde(borrow, default, rename = "_last-serial")]
    serial: Loose<'a>,
}

/// A list of at most `MAX` elements.
struct Bounded<T, const MAX: usize>(Vec<T>);

/// The projects of a root list, read one by one: nothing of the document is held but the names.
#[derive(Default)]
struct Projects {
    accepted: Vec<(ProjectName, Option<Serial>)>,
    rejected: Vec<Rejected>,
}

pub(super) fn read_page(
    name: &ProjectName,
    body: &[u8],
    base: &Url,
) -> Result<PageRead, PageError> {
    let document: PageDocument<'_> = parse(body)?;
    check_api_version(api_version(&document.meta)?)?;
    check_name(name, &document.name)?;
    let mut check = PageCheck::new(name, base);
    let mut seen = HashSet::new();
    let mut versions = Vec::new();
    for version in document.versions.iter().flat_map(|versions| &versions.0) {
        if let Some(version) = check.version(version)
            && seen.insert(version.clone())
        {
            versions.push(version);
        }
    }
    for element in document.files.0 {
        match RawFile::from_json(element) {
            Some(raw) => check.take(&raw),
            None => check.reject("an element of `files`", "it is not an object"),
        }
    }
    let status = if document.status.is_null() {
        document.meta.get("project-status")
    } else {
        Some(&document.status)
    };
    let serial = document
        .meta
        .get("_last-serial")
        .and_then(Loose::as_number)
        .map(Serial);
    Ok(check.finish(PageHead {
        serial,
        status: read_status(status),
        versions,
    }))
}

pub(super) fn read_list(body: &[u8]) -> Result<ListRead, PageError> {
    let document: ListDocument<'_> = parse(body)?;
    check_api_version(api_version(&document.meta)?)?;
    Ok(ListRead {
        serial: document
            .meta
            .get("_last-serial")
            .and_then(Loose::as_number)
            .map(Serial),
        projects: document.projects.accepted,
        rejected: document.projects.rejected,
    })
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, PageError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| PageError::Json(error.to_string()))
}

fn api_version<'m>(meta: &'m Loose<'_>) -> Result<Option<&'m str>, PageError> {
    match meta.get("api-version") {
        None | Some(Loose::Null) => Ok(None),
        Some(Loose::Text(text)) => Ok(Some(text)),
        Some(other) => Err(PageError::Version(format!("{other:?}"))),
    }
}

pub(super) fn names_its_project(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        name: Loose<'a>,
    }
    parse::<Named<'_>>(body).is_ok_and(|document| document.name.as_text().is_some())
}

/// Some indexes leave the name out or do not normalise it; another project's name is never taken.
fn check_name(wanted: &ProjectName, found: &Loose<'_>) -> Result<(), PageError> {
    let found = match found {
        Loose::Null => return Ok(()),
        Loose::Text(text)
            if text
                .parse()
                .is_ok_and(|found: ProjectName| found == *wanted) =>
        {
            return Ok(());
        }
        Loose::Text(text) => Rejected::new(text, "").item,
        _ => "something that is not a text".to_owned(),
    };
    Err(PageError::OtherProject {
        wanted: wanted.clone(),
        found,
    })
}

fn read_status(value: Option<&Loose<'_>>) -> ProjectStatus {
    match value {
        Some(Loose::Text(status)) => project_status(Some(status), None),
        Some(object) => {
            let text = |key| object.get(key).and_then(Loose::as_text);
            project_status(text("status"), text("reason"))
        }
        None => ProjectStatus::default(),
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
            type Value = Bounded<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() == MAX {
                        return Err(A::Error::custom(format_args!(
                            "a list of more than {MAX} elements"
                        )));
                    }
                    elements.push(element);
                }
                Ok(Bounded(elements))
            }
        }
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Projects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ProjectsVisitor;

        impl<'de> Visitor<'de> for ProjectsVisitor {
            type Value = Projects;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of projects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut projects = Projects::default();
                while let Some(project) = seq.next_element::<Project<'de>>()? {
                    if projects.accepted.len() + projects.rejected.len() == LIST_PROJECTS_MAX {
                        return Err(A::Error::custom(format_args!(
                            "more than {LIST_PROJECTS_MAX} projects"
                        )));
                    }
                    projects.take(&project);
                }
                Ok(projects)
            }
        }
        deserializer.deserialize_seq(ProjectsVisitor)
    }
}

impl Projects {
    fn take(&mut self, project: &Project<'_>) {
        let Some(text) = project.name.as_text() else {
            self.rejected
                .push(Rejected::new("a project", "it has no name"));
            return;
        };
        match text.parse::<ProjectName>() {
            Ok(name) => self
                .accepted
                .push((name, project.serial.as_number().map(Serial))),
            Err(error) => self.rejected.push(Rejected::new(text, error.reason)),
        }
    }
}
