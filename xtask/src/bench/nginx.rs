//! nginx as the upstream of benches, so that the upstream is never what limits, and as the yardstick for serving.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Ground, cores};
use crate::server::Server;

/// nginx with a configuration and a log of its own, in a directory of its own.
#[derive(Debug)]
pub(super) struct Nginx {
    server: Option<Server>,
    access_log: PathBuf,
}

impl Nginx {
    /// Starts nginx on a port; `http` is what stands inside `http { … }`.
    pub(super) fn start(directory: &Path, port: u16, http: &str) -> Result<Self> {
        for name in ["body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let path = directory.join(name);
            fs::create_dir_all(&path)
                .with_context(|| format!("failed to make `{}`", path.display()))?;
        }
        let access_log = directory.join("access.log");
        let configuration = directory.join("nginx.conf");
        fs::write(&access_log, "")
            .with_context(|| format!("failed to write `{}`", access_log.display()))?;
        fs::write(&configuration, main_part(http, cores::count()?))
            .with_context(|| format!("failed to write `{}`", configuration.display()))?;
        let mut nginx = Command::new(Ground::tool("nginx")?);
        nginx.arg("-p").arg(directory).args([
            "-e",
            "error.log",
            "-c",
            "nginx.conf",
            "-g",
            "daemon off;",
        ]);
        let server = Server::start_on(port, &directory.join("output.log"), &mut nginx)?;
        Ok(Self {
            server: Some(server),
            access_log,
        })
    }

    /// The master process.
    pub(super) fn process_id(&self) -> u32 {
        self.server.as_ref().map_or(0, Server::process_id)
    }

    /// Stops it, which writes out its log, and tells how many requests it answered.
    pub(super) fn stop(mut self) -> Result<usize> {
        self.server = None;
        let log = fs::read(&self.access_log)
            .with_context(|| format!("failed to read `{}`", self.access_log.display()))?;
        Ok(log.split(|byte| *byte == b'\n').count() - 1)
    }
}

/// Workers stay the user who started them, so that they can read where only that user may. There is one for each
/// processor, as heliostat has threads; the log is buffered, as busy hosts have it.
fn main_part(http: &str, workers: usize) -> String {
    format!(
        "user root;
worker_processes {workers};
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log access.log combined buffer=256k flush=1s;
{http}
}}
"
    )
}
