//! One round: mirrors, the real proxy, a real installer, and what was seen of it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heliostat_pypi::Sha256;

use crate::ask;
use crate::attacks::{Attack, Before, Goal};
use crate::beside;
use crate::error::AttackError;
use crate::process::{Finished, Index, Installer, Proxy};
use crate::script::Script;
use crate::server::Mirror;
use crate::upstream::{TRUE_WORD, provenance_path};
use crate::world::{World, file_of};

/// What is asked for in every round.
pub(crate) const REQUIREMENT: &str = "victim";

/// Longer than a proxy takes the requests of one resolution for one, so that the next request asks for a new state.
const SETTLED: Duration = Duration::from_millis(3_500);

/// What came of one round.
#[derive(Debug, Clone)]
pub struct Round {
    /// What is on the disk afterwards.
    pub installed: Installed,
    /// What came of asking for attestations, where they were asked for.
    pub attestations: Option<Attestations>,
    /// How long the installer took.
    pub elapsed: Duration,
    /// What the evil mirror got rid of.
    pub evil_bytes: u64,
    /// The most memory that the proxy took, where the system tells.
    pub memory_max_bytes: Option<u64>,
    /// Files that the proxy keeps and that the notary never published.
    pub unsigned_files: Vec<String>,
    /// What the installer and the proxy wrote.
    pub said: String,
    /// What was seen to be wrong while it ran.
    pub seen: Vec<String>,
    /// What is wrong with it; empty for a round that is as it should be.
    pub faults: Vec<String>,
}

/// What an installation left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// Nothing at all, and the installer said so with its exit code.
    Nothing,
    /// The newest, byte for byte.
    Newest,
    /// The older state's, byte for byte.
    Old,
    /// Anything else: bytes that were never signed, or files beside a failure.
    Wrong,
}

/// What came of asking for attestations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attestations {
    /// They were refused with 422.
    Refused,
    /// They came, byte for byte.
    Right,
    /// Anything else came.
    Wrong,
}

/// Whether the evil mirror is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    Alone,
    WithHonest,
}

/// What a round is made of.
pub(crate) struct Setup<'l> {
    pub(crate) world: &'l World,
    /// Digests of everything that the notary ever published.
    pub(crate) published: &'l HashSet<Sha256>,
    pub(crate) heliostat: &'l Path,
    /// Where the round gets a directory of its own.
    pub(crate) directory: &'l Path,
    pub(crate) attack: &'l Attack,
    pub(crate) installer: &'l Installer,
    pub(crate) company: Company,
}

/// The mirrors of a round.
struct Mirrors {
    evil: Mirror,
    honest: Option<Mirror>,
}

impl Company {
    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::WithHonest => "with-honest",
        }
    }
}

impl Mirrors {
    fn all(&self) -> impl Iterator<Item = &Mirror> {
        [Some(&self.evil), self.honest.as_ref()]
            .into_iter()
            .flatten()
    }
}

impl Setup<'_> {
    /// Runs it; judging comes later.
    pub(crate) fn run(&self) -> Result<Round, AttackError> {
        let place = self.directory.join(format!(
            "{}-{}-{}",
            self.attack.name,
            self.installer.kind.name(),
            self.company.name()
        ));
        make_directory(&place)?;
        let start = || Mirror::start(self.world.honest());
        let honest = (self.company == Company::WithHonest).then(start);
        let mirrors = Mirrors {
            evil: start()?,
            honest: honest.transpose()?,
        };
        let mut proxy = self.prepare(&place, &mirrors)?;
        let round = self.attend(&place, &mirrors, &mut proxy)?;
        fs::remove_dir_all(&place).map_err(|source| AttackError::Write {
            path: place.clone(),
            source,
        })?;
        Ok(round)
    }

    /// The attack itself: lets the installer go at the proxy, and looks at what is left.
    fn attend(
        &self,
        place: &Path,
        mirrors: &Mirrors,
        proxy: &mut Proxy,
    ) -> Result<Round, AttackError> {
        let evil = &mirrors.evil;
        let sent_before = evil.sent_bytes();
        let index = format!("{}/simple/", proxy.url);
        let target = place.join("target");
        let mut seen = Vec::new();
        let mut attestations = None;
        let mut stranger = None;
        let finished = match self.attack.goal {
            Goal::Install => self.install(&index, &target)?,
            Goal::Attestations => {
                let mut finished = self.install(&index, &target)?;
                let (answer, said) = self.attestations(&proxy.url)?;
                attestations = Some(answer);
                finished.said.push_str(&said);
                finished
            }
            Goal::Beside(setting) => {
                let beside = beside::Beside::start(setting, place, &index)?;
                let finished = beside.run(self.heliostat, self.installer, &target)?;
                seen = finished.1;
                stranger = Some(beside.authority());
                finished.0
            }
        };
        let evil_bytes = evil.sent_bytes() - sent_before;
        let memory_max_bytes = proxy.memory_max_bytes();
        let mut said = finished.said.clone();
        said.push_str(&proxy.stop());
        // The port says nothing to whoever reads the board later.
        for authority in [Some(evil.authority()), stranger].into_iter().flatten() {
            said = said.replace(&authority, "EVIL-MIRROR");
        }
        Ok(Round {
            installed: installed(&target, &finished),
            attestations,
            elapsed: finished.elapsed,
            evil_bytes,
            memory_max_bytes,
            unsigned_files: self.unsigned(&client(place))?,
            said,
            seen,
            faults: Vec::new(),
        })
    }

    fn install(&self, index: &str, target: &Path) -> Result<Finished, AttackError> {
        self.installer
            .install(Index::Only(index), REQUIREMENT, target)
    }

    /// Asks for the attestations of the newest file.
    fn attestations(&self, url: &str) -> Result<(Attestations, String), AttackError> {
        let path = provenance_path(REQUIREMENT, "2.0", "victim-2.0-py3-none-any.whl");
        let right = file_of(&self.world.new, &path)?;
        let answered = ask::get(url, &path).map_err(AttackError::AskProxy)?;
        let answer = match answered.status {
            422 => Attestations::Refused,
            200 if *answered.body == **right => Attestations::Right,
            _ => Attestations::Wrong,
        };
        let said = String::from_utf8_lossy(&answered.body).into_owned();
        Ok((answer, said))
    }

    /// Brings the client into the state in which the attack begins, and lets the mirrors turn.
    fn prepare(&self, place: &Path, mirrors: &Mirrors) -> Result<Proxy, AttackError> {
        let turn = || -> Result<(), AttackError> {
            mirrors.evil.play((self.attack.evil)(self.world)?);
            if let Some(honest) = &mirrors.honest {
                honest.play((self.attack.honest)(self.world)?);
            }
            Ok(())
        };
        let seen = match self.attack.before {
            Before::Nothing => Vec::new(),
            Before::Seen(seen) => seen(self.world)?,
            Before::Newest | Before::NewestThenRestart | Before::NewestThenTampered(_) => {
                vec![self.world.honest()]
            }
        };
        let mut proxy = None;
        for script in seen {
            // The one before is gone before the next one looks at the same directory.
            drop(proxy.take());
            proxy = Some(self.show(place, mirrors, &script)?);
        }
        let running = proxy.filter(|_| matches!(self.attack.before, Before::Newest));
        if let Some(proxy) = running {
            std::thread::sleep(SETTLED);
            turn()?;
            return Ok(proxy);
        }
        if let Before::NewestThenTampered(tamper) = self.attack.before {
            let client = client(place);
            tamper(&client).map_err(|source| AttackError::Write {
                path: client,
                source,
            })?;
        }
        turn()?;
        self.start(place, mirrors)
    }

    /// Lets a client take what all mirrors show.
    fn show(&self, place: &Path, mirrors: &Mirrors, script: &Script) -> Result<Proxy, AttackError> {
        mirrors.all().for_each(|mirror| mirror.play(script.clone()));
        let mut proxy = self.start(place, mirrors)?;
        for project in ["victim", "helper"] {
            let path = format!("simple/{project}/");
            let answered = ask::get(&proxy.url, &path).map_err(AttackError::AskProxy)?;
            let page = file_of(&self.world.new, &format!("{path}index.v1_json"))?;
            if answered.status != 200 || *answered.body != **page {
                let body = String::from_utf8_lossy(&answered.body).into_owned();
                return Err(AttackError::StartProxy(body + &proxy.stop()));
            }
        }
        Ok(proxy)
    }

    fn start(&self, place: &Path, mirrors: &Mirrors) -> Result<Proxy, AttackError> {
        let mut arguments: Vec<OsString> = ["--data".into(), client(place).into()].into();
        arguments.extend(["--root".into(), self.world.root_file.clone().into()]);
        for mirror in mirrors.all() {
            arguments.extend(["--mirror".into(), mirror.url().into()]);
        }
        Proxy::start(self.heliostat, &arguments)
    }

    /// The files among what the proxy trusts or would serve that the notary never published.
    fn unsigned(&self, client: &Path) -> Result<Vec<String>, AttackError> {
        let mut found = Vec::new();
        for kept in ["proxy/tuf", "proxy/pages"] {
            let below = client.join(kept);
            each_file(&below, &mut |path, bytes| {
                // What was first seen when: numbers of our own.
                let is_ours = path.file_name().is_some_and(|name| name == "seen");
                if !is_ours && !self.published.contains(&Sha256::of(bytes)) {
                    let relative = path.strip_prefix(client).unwrap_or(path);
                    found.push(relative.display().to_string());
                }
                Ok(())
            })
            .map_err(|source| AttackError::Write {
                path: below,
                source,
            })?;
        }
        Ok(found)
    }
}

/// The client's data directory.
fn client(place: &Path) -> PathBuf {
    place.join("client")
}

/// What stands in an installation's directory.
pub(crate) fn installed(target: &Path, finished: &Finished) -> Installed {
    let module = fs::read_to_string(target.join("victim/__init__.py")).ok();
    let word = module
        .as_deref()
        .and_then(|text| text.lines().next())
        .and_then(|line| line.strip_prefix("word = "));
    let helper = target.join("helper/__init__.py").is_file();
    let stranger = target.join("requestz").exists();
    let quoted = format!("{TRUE_WORD:?}");
    match (finished.succeeded(), word) {
        (false, None) if !helper && !stranger => Installed::Nothing,
        (true, Some(word)) if word == quoted && helper && !stranger => Installed::Newest,
        (true, Some("\"old\"")) if !helper && !stranger => Installed::Old,
        _ => Installed::Wrong,
    }
}

/// Flips a byte in the middle of every file below a directory.
pub(crate) fn flip_a_byte_in_each(directory: &Path) -> io::Result<()> {
    each_file(directory, &mut |path, bytes| {
        if bytes.is_empty() {
            return Ok(());
        }
        fs::write(path, &*crate::script::flipped(&bytes.into()))
    })
}

fn each_file(
    directory: &Path,
    look: &mut dyn FnMut(&Path, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let metadata = path.symlink_metadata()?;
        if metadata.is_dir() {
            each_file(&path, look)?;
        } else if metadata.is_file() {
            look(&path, &fs::read(&path)?)?;
        }
    }
    Ok(())
}

pub(crate) fn make_directory(path: &Path) -> Result<(), AttackError> {
    fs::create_dir_all(path).map_err(|source| AttackError::Write {
        path: path.to_owned(),
        source,
    })
}
