//! A PyPI on loopback, well-behaved until told otherwise.
//!
//! Owns the HTTP side: pages in every format, files with ranges, conditional requests, a log of what was asked, and
//! every fault a mirror has to survive. What the index holds is a [`Universe`], which can change while it is served.

mod answer;
mod body;
mod fault;
mod log;
mod negotiate;
mod options;
mod orders;
mod render;
mod reply;
mod route;
mod server;
mod spoil;
mod state;
mod tls;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use tokio::net::TcpSocket;

use crate::fixture::Artifact;
use crate::universe::{Quarantine, Release, Universe};
use fault::ActiveRule;
use log::RequestLog;
use server::Running;
use state::{Bases, State};

pub use fault::{Fault, Gzip, Rule, Truncation};
pub use log::{LogDepth, Logged};
pub use options::{FilesHost, Lack, Options, PageCoding, Scheme, UrlStyle};
pub use orders::HELP as ORDERS;
pub use route::Kind;
pub use tls::Authority;

/// An index on loopback, on a thread of its own. It can be used from blocking and async tests alike; dropping it stops it.
#[derive(Debug)]
pub struct FakePyPi {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    service: Mutex<Service>,
    authority: Option<Authority>,
}

#[derive(Debug)]
struct Service {
    running: Option<Running>,
    /// While stopped, the ports stay bound without listening, so that nobody else gets them: clients are refused.
    reserved: Vec<TcpSocket>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    options: Options,
    bases: Bases,
    state: Mutex<State>,
    log: Arc<RequestLog>,
    tls: Option<Arc<ServerConfig>>,
}

/// A rule that was put in force, for asking how often it struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(usize);

impl FakePyPi {
    /// Serves a universe in the ordinary way: HTTP, `/simple/`, files on the same port, everything PyPI offers.
    pub fn serve(universe: Universe) -> Self {
        Options::default().serve(universe)
    }

    fn with_options(options: Options, universe: Universe) -> Self {
        let ports = match options.files_host {
            FilesHost::Same => vec![options.port],
            FilesHost::OtherPort => vec![options.port, 0],
        };
        let sockets: Vec<_> = ports
            .into_iter()
            .map(|port| bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
            .collect();
        let addresses: Vec<_> = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("it is bound"))
            .collect();
        let authority = (options.scheme == Scheme::Https).then(Authority::new);
        let base = |address: &SocketAddr| format!("{}://{address}/", options.scheme.as_str());
        let bases = Bases {
            index: base(&addresses[0]),
            files: base(&addresses[addresses.len() - 1]),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(universe, options.lacks.clone())),
            log: Arc::new(RequestLog::new(options.log_depth)),
            tls: authority.as_ref().map(Authority::server_config),
            bases,
            options,
        });
        let running = Running::start(Arc::clone(&shared), sockets);
        Self {
            shared,
            addresses,
            service: Mutex::new(Service {
                running: Some(running),
                reserved: Vec::new(),
            }),
            authority,
        }
    }

    /// The Simple API root, ending in a slash: what `--upstream` and `--index-url` take.
    pub fn index_url(&self) -> String {
        format!(
            "{}{}",
            self.shared.bases.index.trim_end_matches('/'),
            self.shared.options.root
        )
    }

    /// The index host, ending in a slash.
    pub fn base_url(&self) -> String {
        self.shared.bases.index.clone()
    }

    /// The files host, ending in a slash. The same as the index host unless asked for otherwise.
    pub fn files_url(&self) -> String {
        self.shared.bases.files.clone()
    }

    /// The address of a project's page.
    pub fn page_url(&self, name: &str) -> String {
        format!("{}{}/", self.index_url(), crate::fixture::normalise(name))
    }

    /// The index host's address.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The certificate authority, where the scheme is HTTPS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Refuses connections and closes every open one: an outage. The content and the log stay.
    pub fn stop(&self) {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = service.running.take() {
            // The old listeners have to be gone before their ports can be bound again.
            drop(running);
            service.reserved = self.addresses.iter().copied().map(bind).collect();
        }
    }

    /// Ends an outage, on the same ports. Does nothing when it is running.
    pub fn start(&self) {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        if service.running.is_none() {
            let sockets = std::mem::take(&mut service.reserved);
            service.running = Some(Running::start(Arc::clone(&self.shared), sockets));
        }
    }

    // ── content ──

    /// A copy of what the index holds now. Cheap: files are shared.
    pub fn universe(&self) -> Universe {
        self.state().universe.clone()
    }

    /// Changes what the index holds; requests see it before or after, never in between.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut Universe) -> R) -> R {
        edit(&mut self.state().universe)
    }

    /// Adds one release.
    pub fn add_release(&self, name: &str, release: &Release) {
        self.edit(|universe| universe.add_release(name, release));
    }

    /// Adds one file to a release, new or not.
    pub fn add_file(&self, name: &str, version: &str, artifact: Artifact) {
        self.edit(|universe| universe.add_file(name, version, artifact));
    }

    /// Yanks a release.
    pub fn yank(&self, name: &str, version: &str, reason: &str) {
        self.edit(|universe| universe.yank(name, version, reason));
    }

    /// Takes the yank of a release back.
    pub fn unyank(&self, name: &str, version: &str) {
        self.edit(|universe| universe.unyank(name, version));
    }

    /// Deletes one file.
    pub fn delete_file(&self, name: &str, filename: &str) {
        self.edit(|universe| universe.delete_file(name, filename));
    }

    /// Deletes a release.
    pub fn delete_release(&self, name: &str, version: &str) {
        self.edit(|universe| universe.delete_release(name, version));
    }

    /// Deletes a project.
    pub fn delete_project(&self, name: &str) {
        self.edit(|universe| universe.delete_project(name));
    }

    /// Quarantines a project.
    pub fn quarantine(&self, name: &str, how: Quarantine) {
        self.edit(|universe| universe.quarantine(name, how));
    }

    /// Ends a quarantine.
    pub fn restore(&self, name: &str) {
        self.edit(|universe| universe.restore(name));
    }

    /// Gives a project another name; the old page redirects.
    pub fn rename(&self, old: &str, new: &str) {
        self.edit(|universe| universe.rename(old, new));
    }

    /// Sets the PEP 792 status.
    pub fn set_status(&self, name: &str, status: &str, reason: Option<&str>) {
        self.edit(|universe| universe.set_status(name, status, reason));
    }

    // ── behaviour ──

    /// Puts a rule in force, after those that are.
    pub fn misbehave(&self, rule: Rule) -> RuleId {
        let mut state = self.state();
        state.rules.push(ActiveRule::new(rule));
        RuleId(state.rules.len() - 1)
    }

    /// Takes every rule away. Earlier ids are void.
    pub fn behave(&self) {
        self.state().rules.clear();
    }

    /// How often a rule struck.
    pub fn strikes(&self, rule: RuleId) -> u64 {
        self.state().rules.get(rule.0).map_or(0, |rule| rule.hits)
    }

    /// Replaces the list of what this index does not offer.
    pub fn set_lacks(&self, lacks: impl IntoIterator<Item = Lack>) {
        self.state().set_lacks(lacks.into_iter().collect());
    }

    // ── the log ──

    /// Every request so far, in the order they were answered.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.log.entries()
    }

    /// Requests of one kind.
    pub fn requests_of(&self, kind: Kind) -> Vec<Logged> {
        let mut requests = self.requests();
        requests.retain(|request| request.kind == kind);
        requests
    }

    /// Number of requests of one kind. Works at every log depth.
    pub fn count(&self, kind: Kind) -> u64 {
        self.shared.log.count(kind)
    }

    /// Number of requests of all kinds.
    pub fn count_all(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.count(*kind)).sum()
    }

    /// Number of requests whose decoded path is this.
    pub fn count_path(&self, path: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.path == path)
            .count()
    }

    /// Body bytes handed to connections.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.log.bytes_sent()
    }

    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.shared.log.connections()
    }

    /// The most requests that were under way at once.
    pub fn in_flight_max(&self) -> usize {
        self.shared.log.in_flight_max()
    }

    /// Forgets every request and counter.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds without listening. `SO_REUSEADDR` is what starting again on the same port needs.
fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.set_reuseaddr(true).expect("addresses can be reused");
    socket
        .bind(address)
        .unwrap_or_else(|error| panic!("cannot bind {address}: {error}"));
    socket
}
