//! A stranger beside the proxy: what an installer does that is told of both, and what keeps it from that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::attacks::Setting;
use crate::error::AttackError;
use crate::process::{Finished, Index, Installer, InstallerKind, run};
use crate::round::{Installed, REQUIREMENT, installed, make_directory};
use crate::script::Script;
use crate::server::Mirror;
use crate::upstream;

/// A person whose installer is told of the proxy and of a stranger.
pub(crate) struct Beside {
    setting: Setting,
    stranger: Mirror,
    home: PathBuf,
    index: String,
}

impl Beside {
    /// Starts the stranger, and writes what installers read below `place`.
    pub(crate) fn start(setting: Setting, place: &Path, index: &str) -> Result<Self, AttackError> {
        let stranger = Mirror::start(Script::honest(Arc::new(upstream::stranger()?)))?;
        let home = place.join("home");
        let (extra, links) = match setting {
            Setting::ExtraIndex | Setting::SecondIndex => {
                (Some(format!("{}simple/", stranger.url())), None)
            }
            Setting::FindLinks => (None, Some(format!("{}links.html", stranger.url()))),
        };
        let is_first = setting != Setting::SecondIndex;
        let line = |name: &str, value: Option<&String>| {
            value.map_or_else(String::new, |value| format!("{name} = {value}\n"))
        };
        let pip = [
            format!("[global]\nindex-url = {index}\n"),
            line("extra-index-url", extra.as_ref()),
            line("find-links", links.as_ref()),
        ];
        let quoted = |value: &String| format!("{value:?}");
        let uv = [
            line(
                "find-links",
                links.map(|links| format!("[{links:?}]")).as_ref(),
            ),
            extra.map_or_else(String::new, |extra| {
                let default = if is_first { "" } else { "default = true\n" };
                format!("[[index]]\nurl = {}\n{default}", quoted(&extra))
            }),
        ];
        let proxy = format!("[[index]]\nurl = {index:?}\ndefault = {is_first}\n");
        let uv = if is_first {
            uv.concat() + &proxy
        } else {
            proxy + &uv.concat()
        };
        for (file, text) in [("pip/pip.conf", pip.concat()), ("uv/uv.toml", uv)] {
            let path = home.join(".config").join(file);
            make_directory(path.parent().unwrap_or(&home))?;
            fs::write(&path, text).map_err(|source| AttackError::Write { path, source })?;
        }
        Ok(Self {
            setting,
            stranger,
            home,
            index: index.to_owned(),
        })
    }

    /// The stranger's address, as messages name it.
    pub(crate) fn authority(&self) -> String {
        self.stranger.authority()
    }

    /// Lets the installer run as it is told, in a place where it does no harm; asks `heliostat doctor` about it; and
    /// lets the installer run through `heliostat exec`. Gives what came of the last, and what is wrong with the first
    /// two.
    pub(crate) fn run(
        &self,
        heliostat: &Path,
        installer: &Installer,
        target: &Path,
    ) -> Result<(Finished, Vec<String>), AttackError> {
        let mut seen = Vec::new();
        // uv and pip each have a file of their own; the other one's would only be told of twice.
        let other = match installer.kind {
            InstallerKind::Pip => "uv/uv.toml",
            InstallerKind::Uv => "pip/pip.conf",
        };
        let other = self.home.join(".config").join(other);
        fs::remove_file(&other).map_err(|source| AttackError::Write {
            path: other,
            source,
        })?;
        let harm = target.with_extension("unguarded");
        let unguarded = installer.install(Index::Configured(&self.home), REQUIREMENT, &harm)?;
        // uv asks indexes in their order, and goes on to the next one only where the first has no such project; a
        // refusal ends the install. pip asks all of them, and passes over one that refuses.
        let in_order = (self.setting, installer.kind) == (Setting::SecondIndex, InstallerKind::Uv);
        let is_believed = installed(&harm, &unguarded) == Installed::Wrong;
        if is_believed == in_order {
            seen.push(format!(
                "whether the stranger is believed by {} itself: {is_believed}: {}",
                installer.kind.name(),
                unguarded.said
            ));
        }
        let mut doctor = Command::new(heliostat);
        doctor.args(["doctor", "--index", &self.index]);
        let doctor = run(self.at_home(doctor), DOCTOR_MAX)?;
        if doctor.code() != Some(1) || !doctor.said.contains(&self.authority()) {
            seen.push(format!(
                "`heliostat doctor` says nothing of it: {}",
                doctor.said
            ));
        }
        let mut guarded = Command::new(heliostat);
        guarded.args(["exec", "--index", &self.index, "--"]);
        let install = installer.command(Index::Configured(&self.home), REQUIREMENT, target);
        guarded.arg(install.get_program()).args(install.get_args());
        let mut finished = run(self.at_home(guarded), crate::process::INSTALL_MAX)?;
        finished.said.push_str(&doctor.said);
        Ok((finished, seen))
    }

    fn at_home(&self, mut command: Command) -> Command {
        crate::process::in_home(&mut command, &self.home);
        command
    }
}

/// How long `heliostat doctor` may take.
const DOCTOR_MAX: std::time::Duration = std::time::Duration::from_secs(20);
