//! `sync` from several sources of files, and through a proxy: the hash judges, whoever carries.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use heliostat_testkit::pypi::{FakePyPi, Fault, Kind, Logged, Rule};

use crate::sync_world::{digests, small};
use crate::world::{World, assert_says, heliostat};

/// A name that nobody but our HTTP proxy finds: it leads to loopback.
const ELSEWHERE: &str = "index.invalid";

#[test]
fn files_come_from_a_nearer_mirror() {
    let world = World::new(small());
    let near = FakePyPi::serve(small());
    world
        .sync(&["--all", "--file-mirror", &near.files_url()])
        .assert_code(0);
    world.assert_in_step();
    assert_eq!(world.pypi.count(Kind::File), 0);
    assert!(near.count(Kind::File) > 0);
    assert_eq!(near.count(Kind::Page) + near.count(Kind::List), 0);
}

#[test]
fn a_mirror_that_lies_is_passed_over_and_does_no_harm() {
    let world = World::new(small());
    let liar = FakePyPi::serve(small());
    liar.misbehave(Rule::new(Fault::Corrupt).on(Kind::File));
    world
        .sync(&["--all", "--file-mirror", &liar.files_url()])
        .assert_code(0);
    world.assert_in_step();
    assert!(liar.count(Kind::File) > 0);
    assert!(world.pypi.count(Kind::File) > 0);
}

#[test]
fn a_mirror_that_lacks_files_or_is_down_is_passed_over() {
    let world = World::new(small());
    let empty = FakePyPi::serve(heliostat_testkit::universe::Universe::new());
    world
        .sync(&["alpha", "--file-mirror", &empty.files_url()])
        .assert_code(0);
    let down = empty.files_url();
    empty.stop();
    world
        .sync(&["--all", "--file-mirror", &down])
        .assert_code(0);
    world.assert_in_step();
}

#[test]
fn every_request_names_this_mirror_as_it_was_told_to() {
    let world = World::new(small());
    let named = "campus-mirror/1 (+mailto:mirror@example.org)";
    world.sync(&["--all", "--user-agent", named]).assert_code(0);
    let agents = |world: &World| -> BTreeSet<String> {
        let requests = world.pypi.requests();
        let agent = |request: &Logged| request.header("user-agent").unwrap_or("").to_owned();
        requests.iter().map(agent).collect()
    };
    assert_eq!(agents(&world), BTreeSet::from([named.to_owned()]));
    world.pypi.clear_log();
    world.sync(&["--user-agent", "two\nlines"]).assert_code(2);
    assert_eq!(world.pypi.count_all(), 0);
    let contact = "mailto:mirror@example.org";
    world.sync(&["--contact", contact]).assert_code(0);
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    let own = format!("heliostat/{} (+{contact})", env!("CARGO_PKG_VERSION"));
    assert_eq!(agents(&world), BTreeSet::from([own]));
}

#[test]
fn everything_goes_through_the_proxy_that_is_named() {
    let world = World::new(small());
    let proxy = Proxy::start(carry);
    world
        .sync(&["--all", "--proxy", &proxy.url("http")])
        .assert_code(0);
    world.assert_in_step();
    let carried = proxy.carried.load(Ordering::Relaxed);
    assert_eq!(carried, world.pypi.requests().len() as u64);
    assert!(carried > 0);
}

#[test]
fn the_proxy_of_the_environment_is_used_but_for_the_hosts_it_leaves_out() {
    let world = World::new(small());
    let proxy = Proxy::start(carry);
    // An upstream on loopback is never asked for through a proxy that only the environment names.
    let upstream = world.pypi.index_url().replace("127.0.0.1", ELSEWHERE);
    let sync = |exceptions: &str| {
        world
            .heliostat
            .command("sync")
            .args(["--upstream", &upstream, "--all", "--tries", "1"])
            .env("http_proxy", proxy.url("http"))
            .env("no_proxy", exceptions)
            .run()
    };
    sync(ELSEWHERE).assert_code(3);
    assert_eq!(proxy.carried.load(Ordering::Relaxed), 0);
    sync("another.example").assert_code(0);
    world.assert_in_step();
    let carried = proxy.carried.load(Ordering::Relaxed);
    assert_eq!(carried, world.pypi.requests().len() as u64);
    assert!(carried > 0);
}

#[test]
fn everything_goes_through_the_socks_proxy_that_is_named() {
    for scheme in ["socks5", "socks5h"] {
        let world = World::new(small());
        let proxy = Proxy::start(carry_socks);
        world
            .sync(&["--all", "--proxy", &proxy.url(scheme)])
            .assert_code(0);
        world.assert_in_step();
        let carried = proxy.carried.load(Ordering::Relaxed);
        assert_eq!(carried, world.pypi.connections(), "{scheme}");
        assert!(carried > 0, "{scheme}");
    }
}

#[test]
fn a_socks_proxy_that_is_not_there_is_named_in_the_error() {
    let world = World::new(small());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let run = world.sync(&["--all", "--proxy", &format!("socks5://{address}")]);
    run.assert_code(3);
    assert_eq!(world.pypi.connections(), 0);
    assert_says(&run.stderr, &["hint"]);
}

#[test]
fn a_server_and_an_upstream_on_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    }
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let mut server = world
        .heliostat
        .command("serve")
        .args(["--offline", "--listen", "[::1]:0"])
        .start();
    let url = server.wait_for_line("listening on ");
    assert!(url.starts_with("http://[::1]:"), "{url}");
    let copy = heliostat(&world.place("copy"));
    copy.sync(&format!("{url}/simple/"), &["--all"])
        .assert_code(0);
    assert_eq!(
        digests(&copy.web().join("packages")),
        digests(&world.heliostat.web().join("packages"))
    );
    server.terminate().assert_code(0);
}

/// A proxy on loopback.
struct Proxy {
    address: SocketAddr,
    carried: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy that serves each connection with `carry`, which counts what it carried.
    fn start(carry: fn(TcpStream, &AtomicU64) -> std::io::Result<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (carried, stopped) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, stop) = (Arc::clone(&carried), Arc::clone(&stopped));
        let accepting = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for client in listener.incoming().map_while(Result::ok) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let count = &count;
                    // A client that goes away is its own affair.
                    scope.spawn(move || drop(carry(client, count)));
                }
            });
        });
        Self {
            address,
            carried,
            stopped,
            accepting: Some(accepting),
        }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

/// A plain HTTP proxy's work: carries one request, written with its whole address as clients of proxies do, and its answer.
fn carry(client: TcpStream, carried: &AtomicU64) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(client.try_clone()?);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let bad = || std::io::Error::other("not a request to a proxy");
    let rest = head.strip_prefix("GET http://").ok_or_else(bad)?;
    let (host, rest) = rest.split_once('/').ok_or_else(bad)?;
    let mut upstream = TcpStream::connect(host.replace(ELSEWHERE, "127.0.0.1"))?;
    write!(
        upstream,
        "GET /{}",
        rest.replacen("\r\n", "\r\nConnection: close\r\n", 1)
    )?;
    carried.fetch_add(1, Ordering::Relaxed);
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    let mut client = client;
    client.write_all(&answer)?;
    client.shutdown(std::net::Shutdown::Both)
}

/// A SOCKS 5 proxy's work (RFC 1928, without authentication): makes one connection and carries it both ways.
fn carry_socks(mut client: TcpStream, carried: &AtomicU64) -> std::io::Result<()> {
    let mut hello = [0; 2];
    client.read_exact(&mut hello)?;
    let mut methods = vec![0; usize::from(hello[1])];
    client.read_exact(&mut methods)?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 4];
    client.read_exact(&mut request)?;
    let host = match request[3] {
        1 => {
            let mut octets = [0; 4];
            client.read_exact(&mut octets)?;
            std::net::Ipv4Addr::from(octets).to_string()
        }
        3 => {
            let mut length = [0];
            client.read_exact(&mut length)?;
            let mut name = vec![0; usize::from(length[0])];
            client.read_exact(&mut name)?;
            String::from_utf8_lossy(&name).into_owned()
        }
        kind => return Err(std::io::Error::other(format!("address of kind {kind}"))),
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    let upstream = TcpStream::connect((host, u16::from_be_bytes(port)))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    carried.fetch_add(1, Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| pour(&client, &upstream));
        pour(&upstream, &client);
    });
    Ok(())
}

/// Pours one direction until it ends, then ends both: who stops speaking here has nothing more to hear.
fn pour(mut from: &TcpStream, mut to: &TcpStream) {
    drop(std::io::copy(&mut from, &mut to));
    for stream in [from, to] {
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
}
