//! bandersnatch, as a client of ours and as the peer to measure against.

use std::path::{Path, PathBuf};

use super::{Skip, Tool};
use crate::process::{Finished, Invocation};

/// The installed bandersnatch.
#[derive(Debug)]
pub struct Bandersnatch {
    program: PathBuf,
}

/// What it is to mirror.
#[derive(Debug)]
pub struct MirrorJob<'a> {
    /// The upstream's host, e.g. `http://127.0.0.1:9000`.
    pub master: &'a str,
    /// Where to; its tree is `<directory>/web`.
    pub directory: &'a Path,
    /// Workers, at most 10.
    pub workers: u32,
    /// Lines for the end of its configuration, such as further sections.
    pub further_configuration: &'a str,
}

impl Bandersnatch {
    /// The installed one.
    ///
    /// # Errors
    /// [`Skip`] where it has not been installed.
    pub fn find() -> Result<Self, Skip> {
        Ok(Self {
            program: Tool::Bandersnatch.find()?,
        })
    }

    /// `bandersnatch mirror`, by the Simple API. Remember that it exits with 0 whatever failed.
    pub fn mirror(&self, job: &MirrorJob<'_>) -> Finished {
        self.command(job, "mirror").run()
    }

    /// `bandersnatch verify`, which wants a master that speaks HTTPS; `ca` is whom to trust for that.
    pub fn verify(&self, job: &MirrorJob<'_>, ca: &Path) -> Finished {
        self.command(job, "verify").env("SSL_CERT_FILE", ca).run()
    }

    fn command(&self, job: &MirrorJob<'_>, subcommand: &str) -> Invocation {
        std::fs::create_dir_all(job.directory).expect("the mirror's folder can be made");
        let path = job.directory.join("bandersnatch.conf");
        std::fs::write(&path, configuration(job)).expect("the configuration can be written");
        Invocation::new(&self.program)
            .arg("--config")
            .arg(path)
            .arg(subcommand)
    }
}

fn configuration(job: &MirrorJob<'_>) -> String {
    let MirrorJob {
        master,
        directory,
        workers,
        further_configuration,
    } = job;
    format!(
        "[mirror]\ndirectory = {}\nmaster = {}\nallow-non-https = true\napi-method = simple\njson = true\n\
         timeout = 20\nglobal-timeout = 600\nworkers = {workers}\nverifiers = {workers}\nhash-index = false\n\
         stop-on-error = false\nstorage-backend = filesystem\n{further_configuration}\n",
        directory.display(),
        master.trim_end_matches('/'),
    )
}
