//! Several hosts on one machine: network namespaces with a cable each. A cable is pulled and a server killed in the middle
//! of an installation, which goes on at the mirror that is left.

use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Uv, or_skip};
use heliostat_testkit::process::{Invocation, Running, Serving, find_program};
use heliostat_testkit::pypi::Authority;
use serde_json::Value;

use crate::proxy_install::forty;
use crate::published_list::{PublishedList, entry};
use crate::signed_world::SignedWorld;
use crate::world::{heliostat, until};

/// Mirrors, each a host of its own.
const MIRRORS: usize = 3;
/// What a mirror has sent when it is taken away: some of the forty files and not all.
const SENT_BYTES: u64 = 2_000_000;

/// A client's host, and as many others, each at the other end of a cable.
#[derive(Debug)]
struct Network {
    ip: PathBuf,
    prefix: String,
}

impl Network {
    /// The hosts; or why this machine cannot have them.
    fn new() -> Result<Self, String> {
        let ip = find_program(&["ip"]).ok_or("`ip` is not there (Debian: iproute2)")?;
        let prefix = format!("heliostat-{}", std::process::id());
        let network = Self { ip, prefix };
        let client = network.client();
        network.ip(&format!("netns add {client}"))?;
        network.ip(&format!("-n {client} link set lo up"))?;
        for at in 0..MIRRORS {
            network.lay_cable(at)?;
        }
        Ok(network)
    }

    fn lay_cable(&self, at: usize) -> Result<(), String> {
        let (client, host) = (self.client(), self.host(at));
        for words in [
            format!("netns add {host}"),
            format!("link add m{at} netns {client} type veth peer name net netns {host}"),
            format!("-n {client} addr add 10.77.{at}.1/30 dev m{at}"),
            format!("-n {host} addr add 10.77.{at}.2/30 dev net"),
            format!("-n {client} link set m{at} up"),
            format!("-n {host} link set net up"),
        ] {
            self.ip(&words)?;
        }
        // So that an installation takes long enough to be caught in its middle; where the kernel has no such brake it may
        // be over before.
        if let Some(tc) = find_program(&["tc"]) {
            let words = "qdisc add dev net root tbf rate 100mbit burst 512kb latency 400ms";
            let brake = Invocation::new(tc).args(["-n", &host]);
            brake.args(words.split(' ')).run();
        }
        Ok(())
    }

    fn ip(&self, words: &str) -> Result<String, String> {
        let done = Invocation::new(&self.ip).args(words.split(' ')).run();
        match done.code() {
            Some(0) => Ok(done.stdout),
            _ => Err(format!("`ip {words}`: {}", done.stderr.trim())),
        }
    }

    fn client(&self) -> String {
        format!("{}-c", self.prefix)
    }

    fn host(&self, at: usize) -> String {
        format!("{}-{at}", self.prefix)
    }

    /// A program on a host.
    fn on(&self, host: &str, program: Invocation) -> Invocation {
        program.started_by(&self.ip, ["netns", "exec", host])
    }

    /// What has come to the client through a cable.
    fn received_bytes(&self, at: usize) -> u64 {
        let words = format!("-n {} -s -j link show dev m{at}", self.client());
        let shown: Value = serde_json::from_str(&self.ip(&words).unwrap()).unwrap();
        shown[0]["stats64"]["rx"]["bytes"].as_u64().unwrap()
    }

    fn pull(&self, at: usize) {
        let words = format!("-n {} link set net down", self.host(at));
        self.ip(&words).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in (0..MIRRORS).map(|at| self.host(at)).chain([self.client()]) {
            // One that was never made cannot be taken away.
            let _gone = self.ip(&format!("netns del {host}"));
        }
    }
}

/// Everything of forty packages below a directory.
fn installed(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = (0..40).map(|number| {
        let place = directory.join(format!("part{number}"));
        let names = std::fs::read_dir(&place)
            .unwrap_or_else(|error| panic!("`{}`: {error}", place.display()));
        let mut files: Vec<PathBuf> = names.map(|name| name.unwrap().path()).collect();
        files.sort();
        files
    });
    let files = files.flatten().filter(|path| path.is_file());
    files
        .map(|path| {
            let name = path.strip_prefix(directory).unwrap();
            (name.display().to_string(), std::fs::read(&path).unwrap())
        })
        .collect()
}

/// The longest that a request to the proxy took, as its log says.
fn longest_milliseconds(log: &str) -> f64 {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["target"] == "access")
        .filter_map(|line| line["ms"].as_f64())
        .fold(0.0, f64::max)
}

/// A server on each host, with the same tree.
fn serve(network: &Network, signed: &SignedWorld) -> Vec<Option<Running>> {
    let server = heliostat(signed.world.heliostat.data());
    let path = |name: &str| signed.world.place(name).display().to_string();
    let servers = (0..MIRRORS).map(|at| {
        let serve = server
            .command("serve")
            .args(["--offline", "--listen", &format!("10.77.{at}.2:8443")])
            .args(["--tls-cert", &path("certificate.pem")])
            .args(["--tls-key", &path("key.pem")]);
        Serving::wait(network.on(&network.host(at), serve).start()).process
    });
    servers.map(Some).collect()
}

/// Takes two mirrors away while an installation takes from them: the cable of one, which goes on and is heard of no more,
/// and the process of the other.
fn take_away(
    network: &Network,
    servers: &mut [Option<Running>],
    is_over: impl Fn() -> bool,
) -> Option<Running> {
    let mut unheard = None;
    for death in 0..2 {
        let before: Vec<u64> = (0..MIRRORS).map(|at| network.received_bytes(at)).collect();
        let busiest = || {
            let grown = (0..MIRRORS).filter(|at| servers[*at].is_some());
            let grown = grown.map(|at| (network.received_bytes(at) - before[at], at));
            grown.max().unwrap_or_default()
        };
        until("files come in", || is_over() || busiest().0 >= SENT_BYTES);
        let (_, at) = busiest();
        let server = servers[at].take().unwrap();
        if death == 0 {
            network.pull(at);
            unheard = Some(server);
        } else {
            server.kill();
        }
    }
    unheard
}

#[test]
fn an_installation_outlives_a_pulled_cable_and_a_killed_server() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let network = match Network::new() {
        Ok(network) => network,
        Err(reason) => {
            eprintln!(
                "SKIPPED: no hosts of their own can be made here, which takes root on Linux: {reason}"
            );
            return;
        }
    };
    let signed = SignedWorld::new(forty(400_000), 4);
    let addresses: Vec<String> = (0..MIRRORS).map(|at| format!("10.77.{at}.2")).collect();
    let names: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let authority = Authority::for_names(&names);
    for (name, text) in [
        ("certificate.pem", &authority.certificate_pem),
        ("key.pem", &authority.key_pem),
        ("ca.pem", &authority.ca_pem),
    ] {
        std::fs::write(signed.world.place(name), text).unwrap();
    }
    let entries = addresses.iter().enumerate().map(|(at, address)| {
        let url = format!("https://{address}:8443/");
        entry(&format!("m{at}"), &format!("Operator {at}"), &url)
    });
    let list = PublishedList::new(signed.world.place("list"), entries.collect());
    let mut servers = serve(&network, &signed);
    let client = network.client();
    let proxy = signed
        .client("proxy")
        .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--root"])
        .arg(signed.notary.root_file())
        .arg("--directory")
        .arg(&list.folder)
        .arg("--directory-root")
        .arg(list.root_file())
        .arg("--cacert")
        .arg(signed.world.place("ca.pem"));
    let proxy = Serving::wait(network.on(&client, proxy).start());
    let install = |index: &str, name: &str| {
        let directory = signed.world.place(name);
        let install = uv.command("pip install").args(["--no-cache", "--target"]);
        let install = install.arg(&directory).args(["--default-index", index]);
        let install = install.env("SSL_CERT_FILE", signed.world.place("ca.pem"));
        let done = network.on(&client, install.arg("whole")).run();
        done.assert_code(0);
        directory
    };
    let index = proxy.index_url();
    let (_unheard, through) = std::thread::scope(|scope| {
        let installing = scope.spawn(|| install(&index, "through"));
        let unheard = take_away(&network, &mut servers, || installing.is_finished());
        (unheard, installing.join().unwrap())
    });
    let left = servers.iter().position(Option::is_some).unwrap();
    let plain = format!("https://{}:8443/simple/", addresses[left]);
    let expected = installed(&install(&plain, "plain"));
    assert_eq!(expected.len(), installed(&through).len());
    assert!(expected == installed(&through), "some bytes differ");
    // And anew, with both gone from the beginning.
    assert!(
        expected == installed(&install(&index, "anew")),
        "some bytes differ"
    );
    let log = proxy.stop();
    println!(
        "a cable pulled and a server killed in the middle of forty files: nobody waited longer than {} ms",
        longest_milliseconds(&log.stderr)
    );
}
