//! `cargo xtask bench directory`: a list's mirrors on loopback, looked at, beside a loop of curl that asks each for one
//! small file, which is all that lists of old did; and a long history scored and published.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::dataset::{Dataset, Set, State};
use super::measure::{self, Cost};
use super::nginx::Nginx;
use super::table::{Better, Table, median, short};
use super::{Ground, serve};
use crate::python::empty_directory;
use crate::server::free_port;
use crate::workspace::Profile;

/// The goals: a round of the most frequent class over [`GOAL_MIRRORS`] mirrors.
const GOAL_SECONDS: f64 = 30.0;
const GOAL_MEMORY_MB: f64 = 64.0;
const GOAL_MIRRORS: u8 = 100;
/// What every mirror's name ends in.
const DOMAIN: &str = "mirror.example";
/// What a mirror says about its age (PEP 381), and all that the peer asks for.
const AGE_FILE: &str = "last-modified";

/// Arguments of `cargo xtask bench directory`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Mirrors that are looked at, each at an address of its own.
    #[arg(long, default_value_t = GOAL_MIRRORS, value_parser = clap::value_parser!(u8).range(1..=250))]
    mirrors: u8,
    /// How often each is done, in turn; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Mirrors of the list that is published.
    #[arg(long, default_value_t = 1000)]
    listed: usize,
    /// Days of its history, seen from two places.
    #[arg(long, default_value_t = 92)]
    days: u32,
    /// Seconds from one round of it to the next.
    #[arg(long, default_value_t = 7200)]
    every: u32,
    /// Measure this program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// The mirrors, and how to reach them.
struct Fleet {
    nginx: Nginx,
    names: Vec<(String, String)>,
    port: u16,
    certificate: String,
    list: PathBuf,
}

/// Builds what it needs and prints both tables.
pub(super) fn run(ground: &mut Ground<'_>, arguments: &Arguments) -> Result<()> {
    match &arguments.program {
        None => ground.prepare(&["heliostat", "heliostat-testkit"])?,
        Some(program) => {
            ground.prepare(&["heliostat-testkit"])?;
            ground.heliostat.clone_from(program);
        }
    }
    probe(ground, arguments)?;
    publish(ground, arguments)
}

fn probe(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let set = Dataset::ensure(ground, Set::R)?;
    let data = ground.directory.join("directory-data");
    serve::mirror(ground, &set, &data)?;
    let upstream = set.serve(State::Before)?;
    let fleet = Fleet::start(ground, &data.join("web"), arguments.mirrors)?;
    let mut taken: [Vec<Cost>; 4] = [const { Vec::new() }; 4];
    for round in 1..=arguments.rounds {
        ground.console.step(&format!(
            "{} mirrors looked at, round {round}",
            arguments.mirrors
        ));
        for (class, taken) in ["m", "h"].into_iter().zip(&mut taken) {
            let mut probe = fleet.probe(ground, &set, class);
            let (cost, said) = measure::run_heard(&mut probe)?;
            check(&said, arguments.mirrors)?;
            taken.push(cost);
        }
        for (at_once, taken) in ["1", "16"].into_iter().zip(&mut taken[2..]) {
            taken.push(measure::run(&mut fleet.curl(at_once)?)?);
        }
    }
    fleet.nginx.stop()?;
    upstream.stop()?;
    let titles = [
        "probe --class m",
        "probe --class h",
        "curl, one by one",
        "curl, 16 at once",
    ];
    let mut table = Table::new(&titles.map(str::to_owned));
    let mut row = |what: &str, of: fn(&Cost) -> f64| {
        let rounds: Vec<Vec<f64>> = taken
            .iter()
            .map(|taken| taken.iter().map(of).collect())
            .collect();
        table.row(what, Better::Lower, &rounds);
        median(&rounds[0]).unwrap_or_default()
    };
    let wall_seconds = row("wall, s", |cost| cost.wall_seconds);
    row("processor, s", |cost| cost.processor_seconds);
    let memory_mb = row("memory, MB", |cost| cost.memory_mb);
    println!("{}", table.to_markdown());
    if arguments.mirrors == GOAL_MIRRORS {
        told("wall, s", wall_seconds, GOAL_SECONDS);
        told("memory, MB", memory_mb, GOAL_MEMORY_MB);
    }
    Ok(())
}

/// One goal beside what came of it.
fn told(what: &str, value: f64, goal: f64) {
    let verdict = if value < goal { "met" } else { "missed" };
    println!("{what}: {} of {}, {verdict}", short(value), short(goal));
}

/// Every mirror must have been found good, or the numbers would mean nothing.
fn check(said: &str, mirrors: u8) -> Result<()> {
    let good = said
        .lines()
        .filter(|line| line.contains("\"outcome\":\"alive\"") && line.contains("\"gates\":[]"))
        .count();
    if good != usize::from(mirrors) {
        bail!("{good} of {mirrors} mirrors were found good:\n{said}");
    }
    Ok(())
}

impl Fleet {
    /// nginx at an address of its own for each mirror, all with the same tree, and a list that names them.
    fn start(ground: &Ground<'_>, tree: &Path, mirrors: u8) -> Result<Self> {
        let (certificate, key) =
            serve::make_certificate(ground, &format!("DNS:*.{DOMAIN}"), "directory")?;
        let port = free_port()?;
        let names: Vec<(String, String)> = (1..=mirrors)
            .map(|number| {
                (
                    format!("m{number:03}.{DOMAIN}"),
                    format!("127.0.1.{number}"),
                )
            })
            .collect();
        let contrib = ground.workspace.root.join("contrib/nginx");
        let home = serve::directory(ground, "directory-nginx")?;
        let mut site = format!(
            "    include {}/heliostat-maps.conf;\n    server {{\n",
            contrib.display()
        );
        for (_, address) in &names {
            let _infallible = writeln!(site, "        listen {address}:{port} ssl;");
        }
        let _infallible = write!(
            site,
            "        root {}; ssl_certificate {certificate}; ssl_certificate_key {key};\n        \
             ssl_protocols TLSv1.3; set $heliostat_files_upstream \"\"; include {}/heliostat-tree.conf;\n    }}",
            tree.display(),
            contrib.display()
        );
        // The port is waited for at the loopback address that nobody lists.
        let waiting = format!("{site}\n    server {{ listen 127.0.0.1:{port}; return 204; }}");
        let nginx = Nginx::start(&home, port, &waiting)?;
        let list = ground.directory.join("directory-list");
        empty_directory(&list)?;
        let mut init = Command::new(&ground.heliostat);
        measure::run(init.args(["directory", "init"]).arg(&list))?;
        for (number, (name, _)) in names.iter().enumerate() {
            let entry = format!(
                "id = \"m{number:03}\"\ninception = \"2026-11-01\"\nadmitted = \"2026-11-01T00:00:00Z\"\n\
                 operator = {{ name = \"Mirror {number}\" }}\n\n[[endpoints]]\nid = \"m{number:03}-main\"\n\
                 base = \"https://{name}:{port}/\"\n"
            );
            let path = list.join(format!("mirrors.d/m{number:03}.toml"));
            fs::write(&path, entry)
                .with_context(|| format!("failed to write `{}`", path.display()))?;
        }
        Ok(Self {
            nginx,
            names,
            port,
            certificate,
            list,
        })
    }

    /// One round of everybody.
    fn probe(&self, ground: &Ground<'_>, set: &Dataset, class: &str) -> Command {
        let mut probe = Command::new(&ground.heliostat);
        probe.args([
            "directory",
            "probe",
            "--json",
            "--seed",
            "7",
            "--class",
            class,
        ]);
        probe.args(["--upstream", &format!("{}/simple/", set.address())]);
        probe.arg("--registry").arg(&self.list);
        probe.args(["--cacert", &self.certificate]);
        for (name, address) in &self.names {
            probe.args(["--resolve", &format!("{name}={address}")]);
        }
        probe
    }

    /// A process of curl for each mirror, so many at once.
    fn curl(&self, at_once: &str) -> Result<Command> {
        let asked = self.list.join("curl.txt");
        let mut text = String::new();
        for (name, address) in &self.names {
            let port = self.port;
            let _infallible = writeln!(
                text,
                "--resolve {name}:{port}:{address} https://{name}:{port}/{AGE_FILE}"
            );
        }
        fs::write(&asked, text)
            .with_context(|| format!("failed to write `{}`", asked.display()))?;
        let mut curl = Command::new(Ground::tool("xargs")?);
        curl.arg("-a").arg(&asked).args(["-L", "1", "-P", at_once]);
        curl.arg(Ground::tool("curl")?)
            .args(["--silent", "--show-error", "--fail", "--output"])
            .args(["/dev/null", "--cacert", &self.certificate]);
        Ok(curl)
    }
}

/// Scores and publishes a list with a long history.
fn publish(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let list = ground.directory.join("directory-long");
    let out = ground.directory.join("directory-published");
    ground.console.step(&format!(
        "a list of {} mirrors with {} days",
        arguments.listed, arguments.days
    ));
    empty_directory(&list)?;
    let testkit = ground
        .workspace
        .program("heliostat-testkit", Profile::Release);
    let mut make = Command::new(testkit);
    make.arg("directory").arg(&list).args([
        "--days",
        &arguments.days.to_string(),
        "--every",
        &arguments.every.to_string(),
        "--mirrors",
        &arguments.listed.to_string(),
    ]);
    let (_, ends) = measure::run_heard(&mut make)?;
    let history = files(&list.join("history"))?;
    let mut score = Command::new(&ground.heliostat);
    score.args(["directory", "score", "--registry"]);
    score.arg(&list).arg("--explain").arg("alpenglow-main");
    for file in &history {
        score.arg("--replay").arg(file);
    }
    let mut publish = Command::new(&ground.heliostat);
    publish.args(["directory", "publish"]).arg(&out);
    publish.arg("--registry").arg(&list);
    publish.args(["--at", ends.trim()]);
    let mut taken: [Vec<Cost>; 2] = [const { Vec::new() }; 2];
    for round in 1..=arguments.rounds {
        ground
            .console
            .step(&format!("scored and published, round {round}"));
        taken[0].push(measure::run(&mut score)?);
        empty_directory(&out)?;
        taken[1].push(measure::run(&mut publish)?);
    }
    let mut table = Table::new(&["score --replay", "publish"].map(str::to_owned));
    for (what, of) in [
        ("wall, s", (|cost| cost.wall_seconds) as fn(&Cost) -> f64),
        ("processor, s", |cost| cost.processor_seconds),
        ("memory, MB", |cost| cost.memory_mb),
    ] {
        let rounds: Vec<Vec<f64>> = taken
            .iter()
            .map(|taken| taken.iter().map(of).collect())
            .collect();
        table.row(what, Better::Lower, &rounds);
    }
    println!("{}", table.to_markdown());
    let history_bytes: u64 = history
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    println!("history: {} MB of JSON lines", history_bytes / 1_000_000);
    fs::remove_dir_all(&list).with_context(|| format!("failed to remove `{}`", list.display()))
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = || format!("failed to list `{}`", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(listing)? {
        files.push(entry.with_context(listing)?.path());
    }
    files.sort();
    Ok(files)
}
