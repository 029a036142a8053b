//! Takes over a tree that somebody else made: bandersnatch, shadowmire, or by hand. What is right is linked or taken
//! where it stands, and never downloaded; what is wrong or missing is left for the next sync.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use heliostat_pypi::metadata::extract_wheel_metadata;
use heliostat_pypi::page::{CoreMetadata, MediaType, PageFile, PageRead, read_page};
use heliostat_pypi::select::Selection;
use heliostat_pypi::{FileName, ProjectName, RelPath, Sha256};
use heliostat_store::{
    Admission, Change, CommitPolicy, Expected, Foreign, Keeper, Part, ProjectRecord, Put, Store,
    StoreError, Validators, VerifiedBlob,
};
use serde::Serialize;
use url::Url;

use crate::sync::Wishes;

/// The largest page read from a foreign tree, in bytes.
const PAGE_BYTES_MAX: u64 = 64_000_000;
/// The largest metadata document read from a foreign tree, in bytes.
const METADATA_BYTES_MAX: u64 = 32_000_000;
/// Stands for the host in addresses of adopted pages, which are relative; the next sync replaces it.
const PLACE: &str = "http://adopted.invalid/";
/// The source under which adopted projects stay selected.
const SOURCE: &str = "adopted";

/// What an adoption came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AdoptReport {
    /// Projects with a page.
    pub projects: u64,
    /// Files that are right.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Files that pages list and the tree does not have.
    pub missing: u64,
    /// What was not taken: pages and files that are wrong.
    pub problems: Vec<AdoptProblem>,
    /// Whether the tree stays where it is.
    pub in_place: bool,
}

/// Something that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptProblem {
    /// Where, relative to the tree.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A foreign tree, and where we are with it.
struct Adoption<'a> {
    tree: Foreign,
    /// Where to; nowhere when it is only told.
    target: Option<&'a Store>,
    report: AdoptReport,
    adopted: Selection,
}

/// A file of the tree that is right.
struct Right {
    sha256: Sha256,
    size_bytes: u64,
    /// Where it is to be taken.
    blob: Option<VerifiedBlob>,
}

/// Takes over the tree at `root`. Blocking; the caller holds the sync lock. `now` is in seconds since 1970.
pub fn adopt(store: &Store, root: &Path, now: i64) -> Result<AdoptReport, StoreError> {
    let mut adoption = Adoption::new(root, &store.web(), Some(store));
    adoption.projects(now)?;
    if !adoption.adopted.names.is_empty() {
        let mut wishes = Wishes::load(store)?;
        wishes
            .sources
            .entry(SOURCE.to_owned())
            .or_default()
            .merge(adoption.adopted);
        wishes.save(store)?;
        store.publish_root(None, now)?;
        crate::about::describe(store)?;
    }
    Ok(adoption.report)
}

/// Tells what `adopt` would do for a store whose tree is, or would be, at `web`. Blocking; changes nothing.
pub fn look(root: &Path, web: &Path) -> Result<AdoptReport, StoreError> {
    let mut adoption = Adoption::new(root, web, None);
    adoption.projects(0)?;
    Ok(adoption.report)
}

/// The public part of a tree: bandersnatch's home has it in `web`.
pub fn web_of(root: &Path) -> PathBuf {
    let web = root.join("web");
    if web.join("simple").is_dir() {
        web
    } else {
        root.to_owned()
    }
}

impl<'a> Adoption<'a> {
    fn new(root: &Path, ours: &Path, target: Option<&'a Store>) -> Self {
        let theirs = web_of(root);
        let in_place = std::path::absolute(&theirs).ok() == std::path::absolute(ours).ok();
        Self {
            tree: Foreign::new(&theirs),
            target,
            report: AdoptReport {
                in_place,
                ..AdoptReport::default()
            },
            adopted: Selection::default(),
        }
    }

    fn projects(&mut self, now: i64) -> Result<(), StoreError> {
        for directory in self.names("simple")? {
            // Files beside the projects are the root list.
            let Ok(name) = directory.parse::<ProjectName>() else {
                continue;
            };
            if self.project(&directory, &name, now)? || directory.len() > 1 {
                continue;
            }
            // bandersnatch's `hash-index` has a folder more for each first letter.
            for inner in self.names(&format!("simple/{directory}"))? {
                if let Ok(name) = inner.parse::<ProjectName>() {
                    self.project(&format!("{directory}/{inner}"), &name, now)?;
                }
            }
        }
        Ok(())
    }

    fn names(&self, directory: &str) -> Result<Vec<String>, StoreError> {
        match directory.parse::<RelPath>() {
            Ok(directory) => self.tree.names(Some(&directory)),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Takes one project over; tells whether it had a page.
    fn project(
        &mut self,
        directory: &str,
        name: &ProjectName,
        now: i64,
    ) -> Result<bool, StoreError> {
        let Some(read) = self.page(directory, name) else {
            return Ok(false);
        };
        self.report.projects += 1;
        self.adopted.names.insert(name.clone());
        for rejected in &read.rejected {
            self.problem(
                &format!("simple/{directory}"),
                format!("{}: {}", rejected.item, rejected.reason),
            );
        }
        let ours = match self.target {
            Some(store) => store.project(name)?,
            None => None,
        };
        if ours.is_some_and(|record| record.keeper == Keeper::Mirror) {
            // Ours already, and newer than what stands beside it.
            return Ok(true);
        }
        let mut page = read.page;
        let mut hidden = BTreeSet::new();
        let mut blobs = Vec::new();
        for file in &mut page.files {
            match self.file(name, file)? {
                Some(mut admissions) => blobs.append(&mut admissions),
                None => drop(hidden.insert(file.filename().to_owned())),
            }
        }
        let Some(store) = self.target else {
            return Ok(true);
        };
        let published_serial = page.serial.filter(|_| hidden.is_empty());
        let record = ProjectRecord {
            page,
            hidden,
            keeper: Keeper::Mirror,
            published_serial,
            validators: Validators::default(),
            confirmed_at: now,
            upstream: PLACE.to_owned(),
        };
        let put = Put {
            record,
            blobs,
            failures: Vec::new(),
        };
        let committed = store.commit(vec![Change::Put(Box::new(put))], &CommitPolicy::at(now))?;
        for refusal in committed.refused {
            self.problem(&format!("simple/{directory}"), refusal.error.to_string());
        }
        Ok(true)
    }

    fn page(&mut self, directory: &str, name: &ProjectName) -> Option<PageRead> {
        for (file, media) in [
            ("index.v1_json", MediaType::Json),
            ("index.v1_html", MediaType::Html),
            ("index.html", MediaType::Html),
        ] {
            let path = format!("simple/{directory}/{file}");
            let (Ok(place), Ok(base)) = (
                path.parse::<RelPath>(),
                Url::parse(&format!("{PLACE}simple/{directory}/")),
            ) else {
                continue;
            };
            let body = match self.tree.read(&place, PAGE_BYTES_MAX) {
                Ok(Some(body)) => body,
                Ok(None) => continue,
                Err(error) => {
                    self.problem(&path, error.to_string());
                    continue;
                }
            };
            match read_page(name, &body, media, &base) {
                Ok(read) => return Some(read),
                Err(error) => self.problem(&path, error.to_string()),
            }
        }
        None
    }

    /// One file with its metadata, where the tree has it and it is right.
    fn file(
        &mut self,
        project: &ProjectName,
        file: &mut PageFile,
    ) -> Result<Option<Vec<Admission>>, StoreError> {
        let place = self.tree.root().join(file.path.to_string());
        if !place.is_file() {
            self.report.missing += 1;
            return Ok(None);
        }
        let right = match self.check(&place, file) {
            Ok(right) => right,
            Err(error) if error.is_general() => return Err(error),
            Err(error) => {
                self.problem(&file.path.to_string(), error.to_string());
                return Ok(None);
            }
        };
        self.report.files += 1;
        self.report.size_bytes += right.size_bytes;
        let metadata = self.metadata(project, file, &right)?;
        file.sha256 = Some(right.sha256);
        file.size_bytes = Some(right.size_bytes);
        file.provenance = None;
        file.provenance_sha256 = None;
        file.core_metadata = CoreMetadata::Absent;
        let mut admissions = Vec::new();
        if let (Some(store), Some(bytes)) = (self.target, metadata) {
            let blob = store.blob_from_bytes(&bytes, &Expected::default())?;
            file.core_metadata = CoreMetadata::Sha256(blob.sha256());
            admissions.push(Admission {
                path: file.path.clone(),
                part: Part::Metadata,
                blob,
            });
        }
        admissions.extend(right.blob.map(|blob| Admission {
            path: file.path.clone(),
            part: Part::File,
            blob,
        }));
        Ok(Some(admissions))
    }

    fn check(&self, place: &Path, file: &PageFile) -> Result<Right, StoreError> {
        let expected = Expected {
            sha256: file.sha256,
            size_bytes: file.size_bytes,
        };
        if let Some(store) = self.target {
            let blob = store.link_in(place, &expected)?;
            return Ok(Right {
                sha256: blob.sha256(),
                size_bytes: blob.size_bytes(),
                blob: Some(blob),
            });
        }
        let digest = heliostat_store::check(place, &expected)?;
        Ok(Right {
            sha256: digest.sha256,
            size_bytes: digest.size_bytes,
            blob: None,
        })
    }

    /// The metadata beside a file where it is what the page promises, else what the wheel itself holds.
    fn metadata(
        &mut self,
        project: &ProjectName,
        file: &PageFile,
        right: &Right,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = format!("{}.metadata", file.path);
        let beside = match path.parse::<RelPath>() {
            Ok(place) => self.tree.read(&place, METADATA_BYTES_MAX)?,
            Err(_) => None,
        };
        if let (Some(bytes), CoreMetadata::Sha256(promised)) = (beside, file.core_metadata) {
            if Sha256::of(&bytes) == promised {
                return Ok(Some(bytes));
            }
            self.problem(
                &path,
                format!("it is not what the page promises (sha256 {promised})"),
            );
        }
        let Ok(FileName::Wheel(name)) = FileName::parse(file.filename(), project) else {
            return Ok(None);
        };
        let wheel = match (&right.blob, file.path.to_string().parse::<RelPath>()) {
            (Some(blob), _) => Some(blob.open()?),
            (None, Ok(place)) => self.tree.open(&place)?,
            (None, Err(_)) => None,
        };
        let Some(wheel) = wheel else { return Ok(None) };
        match extract_wheel_metadata(wheel, project, &name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                self.problem(&file.path.to_string(), error.to_string());
                Ok(None)
            }
        }
    }

    fn problem(&mut self, path: &str, reason: String) {
        self.report.problems.push(AdoptProblem {
            path: path.to_owned(),
            reason,
        });
    }
}
