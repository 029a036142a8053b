//! nginx over a tree: proof that the layout needs no server of ours, and the peer to measure serving against.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{DebianPackage, Skip};
use crate::process::{Invocation, Running, free_port};

/// A running nginx on loopback.
#[derive(Debug)]
pub struct Nginx {
    process: Running,
    port: u16,
    /// Its prefix: configuration, logs and temporary files. Removed when it is dropped.
    prefix: TempDir,
}

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

impl Nginx {
    /// Serves a folder; `directives` stand inside its `server { … }` block, after `root`.
    ///
    /// # Errors
    /// [`Skip`] where there is no nginx.
    pub fn serve(root: &Path, directives: &str) -> Result<Self, Skip> {
        let root = std::path::absolute(root).expect("a folder has a path");
        Self::with_http(|port| {
            format!(
                "server {{\n  listen 127.0.0.1:{port};\n  root {};\n  {directives}\n}}\n",
                root.display()
            )
        })
    }

    /// Runs with what `http` returns for the chosen port inside its `http { … }` block.
    ///
    /// # Errors
    /// [`Skip`] where there is no nginx.
    pub fn with_http(http: impl FnOnce(u16) -> String) -> Result<Self, Skip> {
        let program = DebianPackage::Nginx.find()?;
        let prefix = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let configuration = prefix.path().join("nginx.conf");
        std::fs::write(&configuration, whole_configuration(&http(port)))
            .expect("the configuration can be written");
        let process = Invocation::new(program)
            .arg("-p")
            .arg(prefix.path())
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(configuration)
            .start();
        let mut nginx = Self {
            process,
            port,
            prefix,
        };
        nginx.wait();
        Ok(nginx)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The process of the master.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Its private folder.
    pub fn prefix(&self) -> &Path {
        self.prefix.path()
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            assert!(
                self.process.is_running() && Instant::now() < deadline,
                "nginx does not listen: {}",
                self.process.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers on SIGTERM; a kill would leave them.
        self.process.stop_within(Duration::from_secs(5));
    }
}

fn whole_configuration(http: &str) -> String {
    // Workers of a root master become `nobody`, who may not read temporary folders.
    let user = if rustix::process::geteuid().is_root() {
        "user root;\n"
    } else {
        ""
    };
    format!(
        "daemon off;\nworker_processes auto;\npid nginx.pid;\n{user}error_log stderr warn;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000;\n\
         client_body_temp_path temp_body;\n  proxy_temp_path temp_proxy;\n  fastcgi_temp_path temp_fastcgi;\n\
         uwsgi_temp_path temp_uwsgi;\n  scgi_temp_path temp_scgi;\n  default_type application/octet-stream;\n\
         types {{ text/html html; application/json json; }}\n  {http}\n}}\n"
    )
}
