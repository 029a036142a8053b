//! Who published a file: its provenance (PEP 740), held against it before it is handed out.
//!
//! Owns which trusted root of Sigstore's is in force, what has been judged already, and how much is judged at once.
//! What a document proves is `heliostat_trust::attest`'s business, who may publish what `heliostat_trust::publishers`'.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use heliostat_pypi::page::PageFile;
use heliostat_pypi::{ProjectName, Sha256, TreePath};
use heliostat_trust::attest::{
    ATTEST_LIMITS, AttestVerifier, AttestationPolicy, Attestations, Publisher, Subject,
    TRUSTED_ROOT_TARGET, embedded_trusted_root,
};
use heliostat_trust::publishers::Memory;
use moka::sync::Cache;
use sigstore_tuf::TargetFile;
use tokio::sync::Semaphore;

use crate::mirrors::{Base, Mirrors, Wanted};
use crate::plain_client::{check, check_digest};
use crate::{ClientError, Limits};

/// What is asked of a file before it is handed out.
#[derive(Debug, Clone)]
pub struct ProofOptions {
    /// What follows where provenance does not hold, and what it is held against.
    pub attestations: Attestations,
    /// Who published before.
    pub memory: Memory,
}

/// Judges files by their provenance.
#[derive(Debug)]
pub(crate) struct Prover {
    options: ProofOptions,
    /// The trusted root that a notary signed, where it is not the built-in one, by its digest.
    signed: Mutex<Option<(Sha256, Attestations)>>,
    judged: Cache<Question, Judgement>,
    /// Documents that are fetched and judged at once.
    room: Semaphore,
}

/// What was found about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Its provenance holds and is by whom it was before, or nothing says that it should have one.
    Fine,
    /// It does not, or is not; this is why.
    Doubted(Arc<str>),
}

/// One thing to be judged: a file, its provenance, and what that is held against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) project: ProjectName,
    pub(crate) path: TreePath,
    pub(crate) sha256: Sha256,
    /// The digest of its provenance; `None` where the signed page names none.
    pub(crate) provenance: Option<Sha256>,
    /// The digest of the trusted root that the notary signed; `None` where that is not asked.
    trusted_root: Option<Sha256>,
}

impl Prover {
    /// Judges by these options.
    pub(crate) fn new(options: ProofOptions, limits: &Limits) -> Self {
        Self {
            options,
            signed: Mutex::default(),
            judged: Cache::new(limits.judged_max),
            room: Semaphore::new(limits.judging_max),
        }
    }

    /// The question about a file. `named` is what the signed role `targets` names as the trusted root.
    pub(crate) fn question(
        &self,
        project: &ProjectName,
        file: &PageFile,
        named: Option<&TargetFile>,
    ) -> Result<Question, ClientError> {
        let unsigned = |what: &str| ClientError::Refused {
            what: format!("`{what}`"),
            reason: "no sha256 is signed for it".to_owned(),
        };
        let named = named.filter(|_| self.options.attestations.asks_the_notary());
        let trusted_root = named
            .map(|named| digest_of(named).ok_or_else(|| unsigned(TRUSTED_ROOT_TARGET)))
            .transpose()?;
        Ok(Question {
            project: project.clone(),
            path: file.path.clone(),
            sha256: (file.sha256).ok_or_else(|| unsigned(file.filename()))?,
            provenance: file.provenance_sha256,
            trusted_root,
        })
    }

    /// What was found before.
    pub(crate) fn known(&self, question: &Question) -> Option<Judgement> {
        self.judged.get(question)
    }

    /// Whether a file that is doubted is handed out all the same.
    pub(crate) fn only_warns(&self) -> bool {
        self.options.attestations.policy() != AttestationPolicy::Refuse
    }

    /// Judges a file. `document` is where its provenance is.
    pub(crate) async fn judge(
        &self,
        mirrors: &Mirrors,
        question: &Question,
        document: Option<&str>,
        named: Option<&TargetFile>,
    ) -> Result<Judgement, ClientError> {
        let _room = (self.room.acquire().await).map_err(|_closed| ClientError::Stopping)?;
        if let Some(known) = self.known(question) {
            return Ok(known);
        }
        let found = match (document, question.provenance) {
            (Some(path), Some(digest)) => {
                let attestations = self.in_force(mirrors, question, named).await?;
                let document = fetch(mirrors, path, digest).await?;
                verify(&attestations, question, document).await?
            }
            (None, Some(_)) => Err("its page names a provenance that has no address".to_owned()),
            (_, None) => Ok(BTreeSet::new()),
        };
        let doubt = match found {
            Err(reason) => Some(reason),
            Ok(publishers) => {
                let change = (self.options.memory).change_of_file(&question.project, &publishers);
                change.map(|change| format!("`{}` is {change}", question.project))
            }
        };
        let judgement = doubt.map_or(Judgement::Fine, |doubt| Judgement::Doubted(doubt.into()));
        self.judged.insert(question.clone(), judgement.clone());
        Ok(judgement)
    }

    /// What provenance is held against: what whoever runs this chose, else what the notary signed, else what was built
    /// in.
    async fn in_force(
        &self,
        mirrors: &Mirrors,
        question: &Question,
        named: Option<&TargetFile>,
    ) -> Result<Attestations, ClientError> {
        let (Some(digest), Some(named)) = (question.trusted_root, named) else {
            return Ok(self.options.attestations.clone());
        };
        if digest == Sha256::of(embedded_trusted_root()) {
            return Ok(self.options.attestations.clone());
        }
        if let Some((held, attestations)) = &*self.signed()
            && *held == digest
        {
            return Ok(attestations.clone());
        }
        let (directory, file) = TRUSTED_ROOT_TARGET
            .rsplit_once('/')
            .unwrap_or(("", TRUSTED_ROOT_TARGET));
        let path = format!("{directory}/{digest}.{file}");
        let wanted = Wanted {
            base: Base::Target,
            path: &path,
            limit_bytes: (named.length).min(ATTEST_LIMITS.trusted_root_bytes_max as u64),
        };
        let body = mirrors
            .anywhere(wanted, |body| check(named, body).map(|()| body.clone()))
            .await?;
        // The bytes are the notary's, so what is wrong with them is not the mirror's fault.
        let attestations = self.options.attestations.as_signed(Some(&body));
        let attestations = attestations.map_err(|error| ClientError::Refused {
            what: format!("`{TRUSTED_ROOT_TARGET}`"),
            reason: error.to_string(),
        })?;
        *self.signed() = Some((digest, attestations.clone()));
        Ok(attestations)
    }

    fn signed(&self) -> std::sync::MutexGuard<'_, Option<(Sha256, Attestations)>> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A provenance document, where it is the one that the signed page names.
async fn fetch(mirrors: &Mirrors, path: &str, sha256: Sha256) -> Result<Bytes, ClientError> {
    let wanted = Wanted {
        base: Base::Target,
        path,
        limit_bytes: ATTEST_LIMITS.document_bytes_max as u64,
    };
    let check = |body: &Bytes| check_digest(sha256, body).map(|()| body.clone());
    mirrors.anywhere(wanted, check).await
}

/// The publishers whom a document proves, or why it proves none.
async fn verify(
    attestations: &Attestations,
    question: &Question,
    document: Bytes,
) -> Result<Result<BTreeSet<Publisher>, String>, ClientError> {
    let Some(verifier) = attestations.verifier().cloned() else {
        return Ok(Ok(BTreeSet::new()));
    };
    let (path, sha256) = (question.path.clone(), question.sha256);
    let judging = tokio::task::spawn_blocking(move || {
        let subject = Subject {
            filename: path.filename(),
            sha256,
        };
        let proved = verifier.verify(&subject, &document).map_err(|error| {
            let named = AttestVerifier::named(&document);
            let named: Vec<String> = named.iter().map(ToString::to_string).collect();
            if named.is_empty() {
                format!("its provenance does not hold: {error}")
            } else {
                let named = named.join(", ");
                format!("its provenance, which names {named}, does not hold: {error}")
            }
        })?;
        Ok(proved.into_iter().map(|one| one.publisher).collect())
    });
    match judging.await {
        Ok(found) => Ok(found),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_cancelled) => Err(ClientError::Stopping),
    }
}

fn digest_of(target: &TargetFile) -> Option<Sha256> {
    target.hashes.get("sha256")?.parse().ok()
}
