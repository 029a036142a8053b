//! `cargo xtask bench serve`: pages and files, warm and cold, plain and over TLS; beside nginx, devpi and proxpi.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::cores::Apart;
use super::dataset::{self, Dataset, Set, State};
use super::load::{self, Answered, Load};
use super::nginx::Nginx;
use super::table::{Better, Table};
use super::{Ground, measure, peers};
use crate::command;
use crate::python::empty_directory;
use crate::server::{Server, free_port};

const JSON: &str = "application/vnd.pypi.simple.v1+json";
/// Projects whose pages and files are asked for in turn.
const PROJECTS: usize = 200;
/// The large file.
const LARGE_BYTES: usize = 50_000_000;
const LARGE_PATH: &str = "large/file-1.0.tar.gz";

/// Arguments of `cargo xtask bench serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often everything is done, in turn; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load for each number.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Leave devpi and proxpi out.
    #[arg(long)]
    no_caches: bool,
}

/// Something that serves the same projects.
#[derive(Debug)]
struct Contender {
    title: String,
    process: u32,
    address: String,
    pages: Vec<String>,
    files: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Page,
    File,
}

/// What holds the servers while they are measured.
#[derive(Debug)]
struct Field {
    contenders: Vec<Contender>,
    _servers: Vec<Server>,
    _yardstick: Nginx,
    _upstream: Nginx,
}

/// Mirrors set R, starts everybody and prints the tables.
pub(super) fn run(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let set = Dataset::ensure(ground, Set::R)?;
    let data = ground.directory.join("serve-data");
    mirror(ground, &set, &data)?;
    let apart = Apart::begin()?;
    let field = start(ground, &set, &data, arguments)?;
    let titles: Vec<String> = field
        .contenders
        .iter()
        .map(|contender| contender.title.clone())
        .collect();
    let mut table = Table::new(&titles);
    let load = Load {
        connections: 64,
        seconds: arguments.seconds,
        accept: JSON,
    };
    for kind in [Kind::Page, Kind::File] {
        add_rows(
            &mut table,
            kind,
            &field.measure(ground, arguments.rounds, load, kind)?,
        );
    }
    println!("{}", table.to_markdown());
    drop(field);
    measure_large_over_tls(ground, &data, arguments)?;
    apart.end()?;
    measure_cold(ground, &set, arguments.rounds)
}

/// Makes a data directory equal to a set.
pub(super) fn mirror(ground: &Ground<'_>, set: &Dataset, data: &Path) -> Result<()> {
    ground.console.step("mirroring the set");
    let upstream = set.serve(State::Before)?;
    let mut sync = Command::new(&ground.heliostat);
    sync.args([
        "sync",
        "--all",
        "--upstream",
        &format!("{}/simple/", set.address()),
        "--data",
    ])
    .arg(data);
    measure::run(&mut sync)?;
    upstream.stop().map(drop)
}

fn start(ground: &Ground<'_>, set: &Dataset, data: &Path, arguments: &Arguments) -> Result<Field> {
    ground.console.step("starting servers");
    let upstream = set.serve(State::Before)?;
    let projects: Vec<&str> = set
        .projects
        .iter()
        .take(PROJECTS)
        .map(String::as_str)
        .collect();
    let ours = start_heliostat(ground, data, &["--offline"])?;
    let port = free_port()?;
    let yardstick = Nginx::start(
        &directory(ground, "serve-nginx")?,
        port,
        &yardstick_part(ground, data, port),
    )?;
    let mut contenders = vec![
        Contender::find(
            "heliostat",
            ours.process_id(),
            &format!("{}/simple/", ours.address),
            &projects,
        )?,
        Contender::find(
            "nginx",
            yardstick.process_id(),
            &format!("http://127.0.0.1:{port}/simple/"),
            &projects,
        )?,
    ];
    let mut servers = vec![ours];
    if !arguments.no_caches {
        let root = format!("{}/simple/", set.address());
        let devpi = peers::start_devpi(ground, &ground.directory.join("serve-devpi"), &root)?;
        let proxpi = peers::start_proxpi(ground, &ground.directory.join("serve-proxpi"), &root)?;
        for cache in [devpi, proxpi] {
            contenders.push(Contender::find(
                &cache.title,
                cache.server.process_id(),
                &cache.simple_root,
                &projects,
            )?);
            servers.push(cache.server);
        }
    }
    Ok(Field {
        contenders,
        _servers: servers,
        _yardstick: yardstick,
        _upstream: upstream,
    })
}

impl Contender {
    /// Fetches every page and one file of each, which warms a cache and tells the addresses.
    fn find(title: &str, process: u32, simple_root: &str, projects: &[&str]) -> Result<Self> {
        let agent = dataset::agent();
        let (address, _) = split_address(simple_root)?;
        let mut contender = Self {
            title: title.to_owned(),
            process,
            address,
            pages: Vec::new(),
            files: Vec::new(),
        };
        for project in projects {
            let page_url = format!("{simple_root}{project}/");
            let page = dataset::get_json(&agent, &page_url)?;
            let file = page["files"][0]["url"]
                .as_str()
                .with_context(|| format!("`{page_url}` lists no file"))?;
            let file_url = absolute(&page_url, file)?;
            dataset::get(&agent, &file_url)?;
            contender.pages.push(split_address(&page_url)?.1);
            contender.files.push(split_address(&file_url)?.1);
        }
        Ok(contender)
    }
}

impl Field {
    /// Puts the load on everybody in turn, round after round, and gives what each answered.
    fn measure(
        &self,
        ground: &Ground<'_>,
        rounds: u32,
        load: Load,
        kind: Kind,
    ) -> Result<Vec<Vec<Answered>>> {
        let mut taken: Vec<Vec<Answered>> = vec![Vec::new(); self.contenders.len()];
        for round in 1..=rounds {
            ground.console.step(&format!(
                "{}, {} connections, round {round}",
                kind.title(),
                load.connections
            ));
            for (contender, taken) in self.contenders.iter().zip(&mut taken) {
                let paths = match kind {
                    Kind::Page => &contender.pages,
                    Kind::File => &contender.files,
                };
                let answered =
                    load::put(ground, contender.process, &contender.address, paths, load)?;
                ground.console.note(&format!(
                    "{}: {:.0}/s",
                    contender.title, answered.requests_per_second
                ));
                taken.push(answered);
            }
        }
        Ok(taken)
    }
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Page => "JSON page",
            Self::File => "20 kB file",
        }
    }
}

fn add_rows(table: &mut Table, kind: Kind, taken: &[Vec<Answered>]) {
    let mut row = |unit: &str, better, number: fn(&Answered) -> f64| {
        let rounds: Vec<Vec<f64>> = taken
            .iter()
            .map(|taken| taken.iter().map(number).collect())
            .collect();
        table.row(&format!("{}: {unit}", kind.title()), better, &rounds);
    };
    row("requests/s", Better::Higher, |answered| {
        answered.requests_per_second
    });
    row("p99, ms", Better::Lower, |answered| answered.p99_ms);
    row("processor, µs a request", Better::Lower, |answered| {
        answered.processor_us
    });
}

/// One connection, TLS, us and nginx on the same file of the same tree.
fn measure_large_over_tls(ground: &Ground<'_>, data: &Path, arguments: &Arguments) -> Result<()> {
    let (certificate, key) = make_certificate(ground, "DNS:localhost,IP:127.0.0.1", "tls")?;
    let large = data.join("web/.well-known").join(LARGE_PATH);
    fs::create_dir_all(large.parent().unwrap_or(data))
        .context("failed to make a place for the large file")?;
    fs::write(&large, vec![b'x'; LARGE_BYTES])
        .with_context(|| format!("failed to write `{}`", large.display()))?;
    let tls = ["--offline", "--tls-cert", &certificate, "--tls-key", &key];
    let ours = start_heliostat(ground, data, &tls)?;
    let port = free_port()?;
    let web = data.join("web");
    let site = format!(
        "    server {{ listen 127.0.0.1:{port} ssl; root {}; ssl_certificate {certificate}; ssl_certificate_key {key}; }}",
        web.display()
    );
    let nginx = Nginx::start(&directory(ground, "serve-tls")?, port, &site)?;
    let contenders = [
        (ours.process_id(), ours.address.clone()),
        (nginx.process_id(), format!("https://127.0.0.1:{port}")),
    ];
    let path = [format!("/.well-known/{LARGE_PATH}")];
    let load = Load {
        connections: 1,
        seconds: arguments.seconds,
        accept: "*/*",
    };
    let mut taken: Vec<Vec<Answered>> = vec![Vec::new(); contenders.len()];
    for round in 1..=arguments.rounds {
        ground
            .console
            .step(&format!("50 MB over TLS, round {round}"));
        for ((process, address), taken) in contenders.iter().zip(&mut taken) {
            taken.push(load::put(ground, *process, address, &path, load)?);
        }
    }
    let mut table = Table::new(&["heliostat".to_owned(), "nginx".to_owned()]);
    let mut row = |what: &str, better, number: fn(&Answered) -> f64| {
        let rounds: Vec<Vec<f64>> = taken
            .iter()
            .map(|taken| taken.iter().map(number).collect())
            .collect();
        table.row(what, better, &rounds);
    };
    row("50 MB file, TLS: MB/s", Better::Higher, |answered| {
        answered.bytes_per_second / 1e6
    });
    row(
        "50 MB file, TLS: processor, s/GB",
        Better::Lower,
        |answered| {
            answered.processor_us * 1e3 * answered.requests_per_second / answered.bytes_per_second
        },
    );
    println!("{}", table.to_markdown());
    Ok(())
}

/// Every page once through an empty cache, and once straight from the upstream.
fn measure_cold(ground: &Ground<'_>, set: &Dataset, rounds: u32) -> Result<()> {
    let upstream = set.serve(State::Before)?;
    let root = format!("{}/simple/", set.address());
    let (mut through, mut straight) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        ground.console.step(&format!("cold pages, round {round}"));
        let data = ground.directory.join("serve-cold");
        empty_directory(&data)?;
        let ours = start_heliostat(ground, &data, &["--upstream", &root])?;
        through.push(median_ms(
            &format!("{}/simple/", ours.address),
            &set.projects,
        )?);
        straight.push(median_ms(&root, &set.projects)?);
    }
    upstream.stop()?;
    let mut table = Table::new(&["through heliostat".to_owned(), "straight".to_owned()]);
    table.row("cold page, p50, ms", Better::Lower, &[through, straight]);
    println!("{}", table.to_markdown());
    Ok(())
}

fn median_ms(simple_root: &str, projects: &[String]) -> Result<f64> {
    let agent = dataset::agent();
    let mut times = Vec::with_capacity(projects.len());
    for project in projects {
        let started = Instant::now();
        dataset::get_json(&agent, &format!("{simple_root}{project}/"))?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().context("no projects")
}

fn start_heliostat(ground: &Ground<'_>, data: &Path, more: &[&str]) -> Result<Server> {
    let mut serve = Command::new(&ground.heliostat);
    serve
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "warn",
            "--data",
        ])
        .arg(data)
        .args(more);
    Server::start("heliostat", serve.stderr(Stdio::null()))
}

/// The configuration that we hand to operators, on this tree and port.
fn yardstick_part(ground: &Ground<'_>, data: &Path, port: u16) -> String {
    let contrib = ground.workspace.root.join("contrib/nginx");
    let (contrib, web) = (contrib.display(), data.join("web"));
    format!(
        "    include {contrib}/heliostat-maps.conf;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {}; set $heliostat_files_upstream \"\"; include {contrib}/heliostat-tree.conf; }}",
        web.display()
    )
}

/// A certificate for these names that signs itself, and its key, in files that begin with `stem`.
pub(super) fn make_certificate(
    ground: &Ground<'_>,
    names: &str,
    stem: &str,
) -> Result<(String, String)> {
    let [certificate, key]: [PathBuf; 2] =
        ["crt", "key"].map(|ending| ground.directory.join(format!("{stem}.{ending}")));
    let mut openssl = Command::new(Ground::tool("openssl")?);
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "90",
    ]);
    openssl.args([
        "-subj",
        "/CN=localhost",
        "-addext",
        &format!("subjectAltName={names}"),
    ]);
    // A certificate that may sign others is refused as a server's own.
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null());
    command::run(&mut openssl)?;
    Ok((certificate.display().to_string(), key.display().to_string()))
}

/// A folder of that name.
pub(super) fn directory(ground: &Ground<'_>, name: &str) -> Result<PathBuf> {
    let path = ground.directory.join(name);
    fs::create_dir_all(&path).with_context(|| format!("failed to make `{}`", path.display()))?;
    Ok(path)
}

/// Scheme, host and port, and the path with its slash; a fragment is left out.
fn split_address(url: &str) -> Result<(String, String)> {
    let authority = url
        .find("://")
        .map(|at| at + 3)
        .with_context(|| format!("`{url}` is no URL"))?;
    let path = url[authority..]
        .find('/')
        .map_or(url.len(), |at| authority + at);
    let end = url.find('#').unwrap_or(url.len());
    Ok((url[..path].to_owned(), url[path..end].to_owned()))
}

/// A file's address as a page gives it: absolute, from the host's root, or relative to the page.
fn absolute(page: &str, url: &str) -> Result<String> {
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    let (address, path) = split_address(page)?;
    if url.starts_with('/') {
        return Ok(format!("{address}{url}"));
    }
    let mut segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let mut rest = url;
    while let Some(higher) = rest.strip_prefix("../") {
        segments.pop();
        rest = higher;
    }
    Ok(format!("{address}{}/{rest}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_addresses_are_resolved_as_installers_do() {
        let page = "http://h:1/root/up/+simple/a/";
        assert_eq!(absolute(page, "http://f/x").unwrap(), "http://f/x");
        assert_eq!(
            absolute(page, "/packages/x").unwrap(),
            "http://h:1/packages/x"
        );
        assert_eq!(
            absolute(page, "../../+f/x").unwrap(),
            "http://h:1/root/up/+f/x"
        );
        assert_eq!(
            absolute("http://h:1/simple/a/", "../../packages/x").unwrap(),
            "http://h:1/packages/x"
        );
    }

    #[test]
    fn an_address_splits_before_its_path() {
        assert_eq!(
            split_address("http://h:1/a/b#c").unwrap(),
            ("http://h:1".to_owned(), "/a/b".to_owned())
        );
        assert!(split_address("a/b").is_err());
    }
}
