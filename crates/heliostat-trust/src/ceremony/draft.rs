//! Drafts: documents that nobody has signed yet, and their file.

use std::collections::BTreeMap;

use heliostat_pypi::Sha256;
use serde_json::Value;

use crate::bins::BinCount;
use crate::error::TrustError;
use crate::metadata::{
    Authority, Delegation, Expiry, Metadata, RoleName, Root, Scope, Signed, TargetFile, Targets,
    Unsigned, Version,
};

/// The version of the draft file.
const FORMAT: u64 = 1;
/// Largest draft file: the delegation to 65,536 bins takes 14 MB.
const FILE_MAX_BYTES: usize = 32_000_000;
/// What the bins may say, at every depth that is used.
const BINS_SCOPE: [&str; 2] = ["simple/*/*", "heliostat/*"];

/// One document of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A root.
    Root(Root),
    /// A targets role: `targets` or `bins`.
    Targets(Targets),
}

/// Documents to be signed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    documents: Vec<Document>,
}

/// What a root is to be.
#[derive(Debug, Clone)]
pub struct RootWish {
    /// Who signs root, targets and bins, and how many of them.
    pub people: Authority,
    /// Who signs snapshot, timestamp and the bins: the notary's online key.
    pub online: Authority,
    /// When it expires.
    pub expires: Expiry,
}

/// Drafts the root after `before`, or the first.
pub fn root(before: Option<&Root>, wish: &RootWish) -> Draft {
    let root = Root {
        version: before.map_or(Version::FIRST, |before| before.version.next()),
        expires: wish.expires,
        root: wish.people.clone(),
        targets: wish.people.clone(),
        snapshot: wish.online.clone(),
        timestamp: wish.online.clone(),
    };
    Draft {
        documents: vec![Document::Root(root)],
    }
}

/// Drafts `targets` and `bins` as a root has it: the same people sign both, the root's online keys sign so many bins.
/// `before` are the versions that there are; `named` are the targets that `targets` itself names, by path.
pub fn delegations(
    root: &Root,
    count: BinCount,
    expires: Expiry,
    before: (Option<Version>, Option<Version>),
    named: BTreeMap<String, TargetFile>,
) -> Draft {
    let top = targets(root, expires, before.0, named).documents;
    let below = bins(root, count, expires, before.1).documents;
    Draft {
        documents: [top, below].concat(),
    }
}

/// Drafts `targets` alone: the same people, perhaps other files that it names. `before` is the version that there is.
pub fn targets(
    root: &Root,
    expires: Expiry,
    before: Option<Version>,
    named: BTreeMap<String, TargetFile>,
) -> Draft {
    let to_bins = Delegation {
        name: RoleName::bins(),
        authority: root.targets.clone(),
        scope: Scope::Paths(BINS_SCOPE.map(str::to_owned).into()),
        terminating: false,
    };
    let targets = Targets {
        role: RoleName::targets(),
        version: next_version(before),
        expires,
        targets: named,
        delegations: vec![to_bins],
    };
    Draft {
        documents: vec![Document::Targets(targets)],
    }
}

/// Drafts `bins` alone: the same keys, perhaps another number of bins. `before` is the version that there is.
pub fn bins(root: &Root, count: BinCount, expires: Expiry, before: Option<Version>) -> Draft {
    let bins = Targets {
        role: RoleName::bins(),
        version: next_version(before),
        expires,
        targets: BTreeMap::new(),
        delegations: count.delegations(&root.snapshot),
    };
    Draft {
        documents: vec![Document::Targets(bins)],
    }
}

fn next_version(before: Option<Version>) -> Version {
    before.map_or(Version::FIRST, Version::next)
}

impl Document {
    /// The name of the file that it becomes: `3.root.json`.
    pub fn file(&self) -> String {
        match self {
            Self::Root(root) => root.file(),
            Self::Targets(targets) => targets.file(),
        }
    }

    /// Ready to be signed.
    pub fn unsigned(&self) -> Unsigned {
        match self {
            Self::Root(root) => root.unsigned(),
            Self::Targets(targets) => targets.unsigned(),
        }
    }
}

impl Draft {
    /// Its documents.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The digest of its file: what people compare.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.to_file().as_bytes())
    }

    /// Its file: JSON, one document a line.
    pub fn to_file(&self) -> String {
        let documents: Vec<_> = self
            .documents
            .iter()
            .map(|document| {
                let bytes = document.unsigned().to_file();
                String::from_utf8(bytes).expect("JSON is UTF-8")
            })
            .collect();
        format!(
            "{{\"heliostat-draft\":{FORMAT},\"documents\":[\n{}\n]}}\n",
            documents.join(",\n")
        )
    }

    /// Reads a draft's file.
    ///
    /// # Errors
    /// [`TrustError::ReadDraft`] unless it is, byte for byte, what [`Draft::to_file`] writes: nobody is to sign what
    /// is not shown to them.
    pub fn from_file(text: &str) -> Result<Self, TrustError> {
        let fault = |reason: &str| TrustError::ReadDraft(reason.to_owned());
        if text.len() > FILE_MAX_BYTES {
            return Err(fault("it is larger than 32 MB"));
        }
        let file: Value =
            serde_json::from_str(text).map_err(|error| fault(&format!("not JSON: {error}")))?;
        if file.get("heliostat-draft").and_then(Value::as_u64) != Some(FORMAT) {
            return Err(fault("it is not a draft of this version of heliostat"));
        }
        let documents = file
            .get("documents")
            .and_then(Value::as_array)
            .ok_or_else(|| fault("it has no documents"))?;
        let documents = documents.iter().map(document).collect::<Result<_, _>>()?;
        let draft = Self { documents };
        if draft.to_file() != text {
            return Err(fault(
                "it holds something that would not be shown, or is written in another way",
            ));
        }
        Ok(draft)
    }
}

fn document(value: &Value) -> Result<Document, TrustError> {
    let bytes = value.to_string().into_bytes();
    match value.pointer("/signed/_type").and_then(Value::as_str) {
        Some("root") => Ok(Document::Root(Signed::read(&bytes)?.value)),
        Some("targets") => Ok(Document::Targets(Signed::read(&bytes)?.value)),
        _ => Err(TrustError::ReadDraft(
            "people sign roots and targets roles only".to_owned(),
        )),
    }
}
