//! How a file of a signed page is handed out: fetched once however many wait for it, and held against its provenance
//! where that is asked for.

use std::sync::Arc;

use bytes::Bytes;
use heliostat_pypi::page::PageFile;
use heliostat_pypi::{ProjectName, Sha256, TreePath};
use heliostat_trust::attest::TRUSTED_ROOT_TARGET;

use super::Client;
use crate::ClientError;
use crate::answer::FileAnswer;
use crate::download::{Download, Given, SignedFile};
use crate::mirrors::{Base, Wanted};
use crate::plain_client::check_digest;
use crate::proof::{Judgement, Prover, Question};
use crate::spool::{Spool, spool};
use crate::tuf::encoded;

impl Client {
    /// A file, once its provenance is as the policy wants it; it comes in meanwhile.
    pub(super) async fn hand_out(
        &self,
        name: &ProjectName,
        file: &PageFile,
    ) -> Result<Spool, ClientError> {
        let Some(prover) = &self.inner.prover else {
            return self.stream(file).await;
        };
        let session = self.session().await?;
        let named = session.trusted().named_by_targets(TRUSTED_ROOT_TARGET);
        let question = prover.question(name, file, named.as_ref())?;
        if let Some(Judgement::Doubted(doubt)) = prover.known(&question) {
            self.doubted(prover, &question, &doubt)?;
            return self.stream(file).await;
        }
        let proving = async {
            let document = provenance_address(name, file);
            let mirrors = &self.inner.mirrors;
            let judging = prover.judge(mirrors, &question, document.as_deref(), named.as_ref());
            match judging.await {
                Ok(Judgement::Fine) => Ok(()),
                Ok(Judgement::Doubted(doubt)) => self.doubted(prover, &question, &doubt),
                Err(error) if prover.only_warns() => {
                    tracing::warn!(file = file.filename(), %error, "a file was handed out whose provenance could not be looked at");
                    Ok(())
                }
                Err(error) => Err(error),
            }
        };
        let (spool, ()) = tokio::try_join!(self.stream(file), proving)?;
        Ok(spool)
    }

    /// Tells about a file that is doubted, and refuses it where the policy says so.
    fn doubted(
        &self,
        prover: &Prover,
        question: &Question,
        doubt: &str,
    ) -> Result<(), ClientError> {
        let file = question.path.filename();
        self.inner.mirrors.tell(file, "attestations", doubt);
        if prover.only_warns() {
            tracing::warn!(file, project = %question.project, doubt, "a file was handed out whose provenance is doubted");
            return Ok(());
        }
        Err(ClientError::Unproved {
            file: file.to_owned(),
            project: question.project.clone(),
            reason: doubt.to_owned(),
        })
    }

    async fn stream(&self, file: &PageFile) -> Result<Spool, ClientError> {
        let known = self.inner.files().get(&file.path).cloned();
        let spool = match known {
            Some(spool) => spool,
            None => self.begin(file)?,
        };
        spool.ready().await.map_err(ClientError::Shared)?;
        Ok(spool)
    }

    fn begin(&self, file: &PageFile) -> Result<Spool, ClientError> {
        let (Some(sha256), Some(size_bytes)) = (file.sha256, file.size_bytes) else {
            return Err(ClientError::Refused {
                what: format!("`{}`", file.path),
                reason: "its page signs no sha256 and size for it".to_owned(),
            });
        };
        let signed = SignedFile {
            path: address(&file.path),
            size_bytes,
            sha256,
        };
        let (writer, mut reader) =
            spool(&self.inner.incoming, size_bytes, &self.inner.options.limits);
        if self.inner.spoilt.has(&file.path) {
            reader.give_from_its_beginning();
        }
        self.inner.files().insert(file.path.clone(), reader.clone());
        let (work, path) = (Arc::clone(&self.inner), file.path.clone());
        self.inner.tasks.spawn(async move {
            let limits = &work.options.limits;
            let download = Download::new(&work.mirrors, &work.turns, limits, signed, writer);
            let running = download.after(work.spoilt.suspects(&path)).run();
            if let Some((given, suspects)) = work.cancel.run_until_cancelled(running).await
                && (given == Given::Wrong || !suspects.is_empty())
            {
                work.spoilt.add(&path, suspects);
            }
            work.files().remove(&path);
        });
        Ok(reader)
    }

    pub(super) async fn document(
        &self,
        path: &str,
        sha256: Sha256,
    ) -> Result<FileAnswer, ClientError> {
        let wanted = Wanted {
            base: Base::Target,
            path,
            limit_bytes: self.inner.options.limits.target_bytes_max,
        };
        let check = |body: &Bytes| check_digest(sha256, body).map(|()| body.clone());
        let body = self.inner.mirrors.anywhere(wanted, check).await?;
        Ok(FileAnswer::Document(body))
    }
}

/// Where a mirror has a file's provenance, if the page says that there is one.
pub(super) fn provenance_address(name: &ProjectName, file: &PageFile) -> Option<String> {
    let path = file.provenance_path(name)?;
    let segments: Vec<_> = path.as_str().split('/').map(encoded).collect();
    Some(segments.join("/"))
}

/// A file's address below a mirror's.
pub(super) fn address(path: &TreePath) -> String {
    format!("{}/{}", path.directory(), encoded(path.filename()))
}
