//! The test tools by hand: starts the fake PyPI, installs the real clients.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to a person"
)]

use std::convert::Infallible;
use std::error::Error as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use heliostat_testkit::clients::{DebianPackage, install_all, install_debian};
use heliostat_testkit::directory::{ENDS_TEXT, Extent, write_sample};
use heliostat_testkit::pypi::{FilesHost, LogDepth, Options, Scheme};
use heliostat_testkit::universe::BenchSet;

#[derive(Debug, Parser)]
#[command(about = "heliostat's test tools, by hand")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a made-up PyPI on loopback until interrupted; prints its Simple API root first. Lines on standard input
    /// have it misbehave and change: `help` tells which.
    Pypi(PypiArguments),
    /// Write a made-up list of mirrors with a month of history, in which every state occurs.
    Directory {
        /// The folder.
        folder: std::path::PathBuf,
        /// Days of history.
        #[arg(long, default_value_t = 30)]
        days: i64,
        /// Seconds between two rounds.
        #[arg(long, default_value_t = 1800)]
        every: i64,
        /// Mirrors on the list; more than eleven are the same ones again under numbered names.
        #[arg(long, default_value_t = 11)]
        mirrors: usize,
    },
    /// Install the real clients that tests run: Python tools below target/clients, nginx from Debian when root.
    InstallClients {
        /// Also chromium, which is large.
        #[arg(long)]
        chromium: bool,
        /// Also wrk, for measurements.
        #[arg(long)]
        wrk: bool,
    },
}

#[derive(Debug, clap::Args)]
struct PypiArguments {
    /// Number of projects.
    #[arg(long, default_value_t = 2000)]
    projects: usize,
    /// Files of each project: three fifths wheels (at most 4), the rest sdists.
    #[arg(long, default_value_t = 5)]
    files: usize,
    /// The size of each file in bytes, roughly.
    #[arg(long, default_value_t = 20_000)]
    size: usize,
    /// Names in the root list that have no files.
    #[arg(long, default_value_t = 0)]
    bulk_names: usize,
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serve files on a second port, as PyPI has a second host.
    #[arg(long)]
    files_on_other_port: bool,
    /// Serve HTTPS and write the authority's certificate to this file.
    #[arg(long)]
    tls_ca: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Pypi(arguments) => match pypi(&arguments) {
            Ok(never) => match never {},
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Command::Directory {
            folder,
            days,
            every,
            mirrors,
        } => match write_sample(
            &folder,
            Extent {
                days,
                every_seconds: every,
                mirrors,
            },
        ) {
            Ok(()) => {
                println!("{ENDS_TEXT}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Command::InstallClients { chromium, wrk } => {
            let mut packages = vec![DebianPackage::Nginx];
            packages.extend(chromium.then_some(DebianPackage::Chromium));
            packages.extend(wrk.then_some(DebianPackage::Wrk));
            install(&packages)
        }
    }
}

/// Installs what can be had; what cannot is told, and its tests will skip aloud.
fn install(packages: &[DebianPackage]) -> ExitCode {
    let tools = install_all()
        .into_iter()
        .map(|(tool, result)| (tool.name().to_owned(), result));
    let debian = packages.iter().map(|package| {
        (
            format!("{package:?}").to_lowercase(),
            install_debian(*package),
        )
    });
    let mut code = ExitCode::SUCCESS;
    for (name, result) in tools.chain(debian) {
        match result {
            Ok(()) => println!("{name}: ready"),
            Err(error) => {
                let cause = error
                    .source()
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                eprintln!("{name}: {error}{cause}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn pypi(arguments: &PypiArguments) -> std::io::Result<Infallible> {
    let wheels = (arguments.files * 3).div_ceil(5).min(4);
    let set = BenchSet {
        projects: arguments.projects,
        wheels,
        sdists: arguments.files - wheels,
        file_bytes: arguments.size,
    };
    let mut universe = set.universe();
    universe.add_bulk_names(arguments.bulk_names);
    let mut options = Options::default()
        .port(arguments.port)
        .log_depth(LogDepth::CountsOnly);
    if arguments.files_on_other_port {
        options = options.files_host(FilesHost::OtherPort);
    }
    if arguments.tls_ca.is_some() {
        options = options.scheme(Scheme::Https);
    }
    let pypi = options.serve(universe);
    if let (Some(path), Some(authority)) = (&arguments.tls_ca, pypi.authority()) {
        #[expect(clippy::disallowed_methods, reason = "a test tool, by hand")]
        std::fs::write(path, &authority.ca_pem)?;
    }
    println!("listening on {}", pypi.index_url());
    for line in std::io::stdin().lines() {
        match pypi.order(&line?) {
            Ok(answer) => println!("{answer}"),
            Err(error) => eprintln!("{error}"),
        }
    }
    loop {
        std::thread::park();
    }
}
