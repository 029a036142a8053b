//! `heliostat setup`: makes the verifying proxy what pip and uv ask on this machine, and takes that back.
//!
//! What was changed is noted beside the copy of the notary's root, so that `--undo` finds it. One place of each file
//! changes; whatever else its owner writes there, before or since, stays.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
#[cfg(feature = "directory")]
use heliostat_client::{ListOptions, Listing};
use heliostat_pypi::Sha256;
use heliostat_pypi::client_config::{
    Edited, IndexEdit, Judged, ProxyPlace, Severity, judge, pip_conf_with_index, uv_toml_with_index,
};
use heliostat_trust::check::{Check, Limits as CheckLimits};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{UsageError, doctor};
use crate::cli::SetupArgs;
use crate::outcome::Outcome;
use crate::{files, reporter, settings, wire};

/// What an earlier setup did, beside the root.
const NOTES: &str = "setup.json";
/// The copy of the notary's root.
const ROOT: &str = "root.json";
/// The copy of the root of the list of mirrors.
const LIST_ROOT: &str = "list-root.json";
/// What to say where it is not clear where the proxy takes from.
#[cfg(feature = "directory")]
const MISSING: &str = "`--root` and `--mirror` (or a list, `--directory`) are missing: what the proxy checks and where it takes from; or \
     `--index`, where somebody else runs one";
#[cfg(not(feature = "directory"))]
const MISSING: &str = "`--root` and `--mirror` are missing: what the proxy checks and where it takes from; or `--index`, where somebody \
     else runs one";
/// The unit's name for systemd.
const UNIT: &str = "heliostat-proxy.service";

/// What a setup did.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    /// Files of others, with the one place that was changed.
    edited: Vec<EditedFile>,
    /// Files of ours, with their digests.
    written: Vec<WrittenFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EditedFile {
    path: PathBuf,
    /// Whether the file was not there before.
    is_new: bool,
    edit: IndexEdit,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    path: PathBuf,
    sha256: Sha256,
}

impl Notes {
    fn is_empty(&self) -> bool {
        self.edited.is_empty() && self.written.is_empty()
    }
}

/// Where everything goes.
struct Places {
    pip: PathBuf,
    uv: PathBuf,
    /// `heliostat` in the configuration directory.
    own: PathBuf,
    /// systemd's unit, where there is systemd.
    unit: Option<PathBuf>,
}

pub(super) fn run(args: &SetupArgs) -> anyhow::Result<Outcome> {
    let places = places(args)?;
    let before = read_notes(&places)?;
    if args.undo {
        return undo(args, before, &places);
    }
    let index = match (&args.index, &args.root) {
        (Some(index), _) => index.to_string(),
        (None, Some(_)) if has_mirrors(args) => format!("http://{}/simple/", args.listen),
        (None, _) => return Err(UsageError(MISSING.to_owned()).into()),
    };
    // Read first: they may be the very copies that an earlier setup made, which are taken back now.
    let roots = roots(args)?;
    would_start(args, &roots)?;
    // A setup over a setup starts from what was there before the first.
    take_back(before, &mut Vec::new())?;
    let mut notes = Notes::default();
    let done = write_all(args, &places, (&index, &roots), &mut notes);
    // What was done is noted also where the rest failed, so that it can be taken back.
    if !notes.is_empty() {
        write_notes(&places, &notes)?;
    }
    done?;
    tell(args, &places, &index, &notes);
    if args.into.is_some() {
        // What this machine's own files say is nothing to the image of another.
        return Ok(Outcome::Done);
    }
    what_bypasses(&places, &index)
}

fn write_all(
    args: &SetupArgs,
    places: &Places,
    (index, roots): (&str, &Roots),
    notes: &mut Notes,
) -> anyhow::Result<()> {
    // Both are read and judged before either is written.
    let pip = read(&places.pip)?;
    let uv = read(&places.uv)?;
    let pip_edited = pip_conf_with_index(pip.as_deref().unwrap_or(""), index);
    let uv_edited = uv_toml_with_index(uv.as_deref().unwrap_or(""), index)
        .map_err(|error| UsageError(format!("`{}`: {error}", places.uv.display())))?;
    if let Some(root) = &roots.notary {
        let copy = places.own.join(ROOT);
        write_own(&copy, root, notes)?;
        if let Some(root) = &roots.list {
            write_own(&places.own.join(LIST_ROOT), root, notes)?;
        }
        if let Some(unit) = &places.unit {
            write_own(unit, unit_text(args, &places.own)?.as_bytes(), notes)?;
        }
    }
    write_edit(&places.pip, pip.is_none(), pip_edited, notes)?;
    write_edit(&places.uv, uv.is_none(), uv_edited, notes)
}

fn write_own(path: &Path, bytes: &[u8], notes: &mut Notes) -> anyhow::Result<()> {
    write(path, bytes)?;
    notes.written.push(WrittenFile {
        path: path.to_owned(),
        sha256: Sha256::of(bytes),
    });
    Ok(())
}

fn write_edit(path: &Path, is_new: bool, edited: Edited, notes: &mut Notes) -> anyhow::Result<()> {
    write(path, edited.text.as_bytes())?;
    notes.edited.push(EditedFile {
        path: path.to_owned(),
        is_new,
        edit: edited.edit,
    });
    Ok(())
}

fn undo(args: &SetupArgs, notes: Option<Notes>, places: &Places) -> anyhow::Result<Outcome> {
    if notes.is_none() {
        reporter::talk(&format!(
            "there is nothing to take back: no setup is noted in `{}`",
            places.own.join(NOTES).display()
        ));
        return Ok(Outcome::Findings);
    }
    let mut left = Vec::new();
    take_back(notes, &mut left)?;
    remove(&places.own.join(NOTES))?;
    for line in &left {
        reporter::print(&format!("left: {line}\n"));
    }
    if left.is_empty() {
        let scope = scope(args);
        reporter::talk(&format!(
            "taken back; stop the proxy where it runs: `systemctl {scope}disable --now heliostat-proxy`"
        ));
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Findings)
}

/// Takes back what is noted, and says in `left` what somebody changed so that it stays.
fn take_back(notes: Option<Notes>, left: &mut Vec<String>) -> anyhow::Result<()> {
    let notes = notes.unwrap_or_default();
    for file in &notes.edited {
        let Some(text) = read(&file.path)? else {
            continue;
        };
        match file.edit.undo(&text) {
            Ok(before) if before.is_empty() && file.is_new => remove(&file.path)?,
            Ok(before) => write(&file.path, before.as_bytes())?,
            Err(error) => left.push(format!("`{}`: {error}", file.path.display())),
        }
    }
    for file in &notes.written {
        match read_bytes(&file.path)? {
            Some(bytes) if Sha256::of(&bytes) == file.sha256 => remove(&file.path)?,
            Some(_) => left.push(format!(
                "`{}`: somebody has changed it since",
                file.path.display()
            )),
            None => {}
        }
    }
    Ok(())
}

/// What else the installers are told on this machine, and what of it would bypass the index.
fn what_bypasses(places: &Places, index: &str) -> anyhow::Result<Outcome> {
    let directory = places.own.clone();
    let judged = Judged {
        proxy: ProxyPlace::At(index.parse().context("the index is no address")?),
        allowed: Vec::new(),
        installers: Vec::new(),
    };
    let sources = doctor::files(&directory)?;
    let found = judge(&doctor::all_settings(&sources)?, &judged);
    let mut outcome = Outcome::Done;
    for bypass in found
        .iter()
        .filter(|bypass| bypass.severity == Severity::Bypass)
    {
        doctor::tell(bypass, false);
        outcome = Outcome::Findings;
    }
    Ok(outcome)
}

fn tell(args: &SetupArgs, places: &Places, index: &str, notes: &Notes) {
    let mut said = format!("pip and uv ask {index} from now on:\n");
    let written = notes.written.iter().map(|file| &file.path);
    for path in written.chain(notes.edited.iter().map(|file| &file.path)) {
        let _always_fits = writeln!(said, "    {}", path.display());
    }
    let scope = scope(args);
    match (&args.root, &places.unit) {
        (Some(_), Some(_)) => {
            let _always_fits = write!(
                said,
                "Start the proxy: `systemctl {scope}daemon-reload && systemctl {scope}enable --now heliostat-proxy`. "
            );
        }
        (Some(_), None) => said.push_str("Have `heliostat proxy` started with the machine. "),
        _ => {}
    }
    said.push_str(
        "poetry and pdm have no index for everything: see docs/proxy.md. `heliostat setup --undo` takes it back.",
    );
    reporter::talk(&said);
}

/// Which of systemd's managers has the unit.
fn scope(args: &SetupArgs) -> &'static str {
    if args.system { "" } else { "--user " }
}

/// Whether the proxy is told where to take from.
fn has_mirrors(args: &SetupArgs) -> bool {
    #[cfg(feature = "directory")]
    if !args.list.directory.is_empty() {
        return true;
    }
    !args.mirror.is_empty()
}

/// What the proxy checks against.
struct Roots {
    notary: Option<Vec<u8>>,
    list: Option<Vec<u8>>,
}

#[cfg(feature = "directory")]
fn roots(args: &SetupArgs) -> anyhow::Result<Roots> {
    if !args.list.directory.is_empty() && args.list.directory_root.is_none() {
        return Err(UsageError(
            "`--directory-root` is missing: the root that the keepers of the list gave you"
                .to_owned(),
        )
        .into());
    }
    Ok(Roots {
        notary: root(args.root.as_deref(), "--root")?,
        list: root(args.list.directory_root.as_deref(), "--directory-root")?,
    })
}

#[cfg(not(feature = "directory"))]
fn roots(args: &SetupArgs) -> anyhow::Result<Roots> {
    Ok(Roots {
        notary: root(args.root.as_deref(), "--root")?,
        list: None,
    })
}

fn root(path: Option<&Path>, option: &str) -> anyhow::Result<Option<Vec<u8>>> {
    path.map(|path| {
        wire::read_small(path)
            .with_context(|| format!("cannot read `{option}` `{}`", path.display()))
    })
    .transpose()
}

/// Refuses what the proxy would refuse at every start, while pip and uv still ask what they asked before.
fn would_start(args: &SetupArgs, roots: &Roots) -> anyhow::Result<()> {
    let web = |url: &&Url| matches!(url.scheme(), "http" | "https");
    let addresses = args.mirror.iter().chain(&args.index);
    if let Some(url) = addresses.clone().find(|url| !web(url)) {
        return Err(UsageError(format!("`{url}` is neither http nor https")).into());
    }
    let (Some(path), Some(root)) = (&args.root, &roots.notary) else {
        return Ok(());
    };
    Check::begin(root, Timestamp::UNIX_EPOCH, CheckLimits::default()).map_err(|error| {
        UsageError(format!(
            "`--root` `{}` is no notary's root: {error}",
            path.display()
        ))
    })?;
    list_would_be_taken(args, roots)
}

#[cfg(feature = "directory")]
fn list_would_be_taken(args: &SetupArgs, roots: &Roots) -> anyhow::Result<()> {
    let (Some(path), Some(list), Some(notary)) =
        (&args.list.directory_root, &roots.list, &roots.notary)
    else {
        return Ok(());
    };
    let options = ListOptions {
        root: list.clone(),
        root_name: path.display().to_string(),
        notary_root: notary.clone(),
        places: Vec::new(),
        transport: wire::transport(None, None)?,
        directory: PathBuf::new(),
        limits: heliostat_client::Limits::default(),
    };
    Listing::open(options, wire::clock())?;
    Ok(())
}

#[cfg(not(feature = "directory"))]
#[expect(clippy::unnecessary_wraps, reason = "as with lists")]
fn list_would_be_taken(_args: &SetupArgs, _roots: &Roots) -> anyhow::Result<()> {
    Ok(())
}

/// What the proxy is told of its list of mirrors. The unit runs elsewhere than here, so paths are whole.
#[cfg(feature = "directory")]
fn list_words(args: &SetupArgs, root: PathBuf) -> anyhow::Result<Vec<String>> {
    let mut list = args.list.clone();
    list.directory_root = list.directory_root.map(|_| root);
    for place in &mut list.directory {
        if let crate::cli::TreePlace::Directory(folder) = place {
            *folder = std::path::absolute(&*folder).context("there is no current directory")?;
        }
    }
    let words = crate::mirror_list::words(&list);
    Ok(words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect())
}

#[cfg(not(feature = "directory"))]
#[expect(clippy::unnecessary_wraps, reason = "as with lists")]
fn list_words(_args: &SetupArgs, _root: PathBuf) -> anyhow::Result<Vec<String>> {
    Ok(Vec::new())
}

/// systemd's unit for the proxy. A user's runs as that user; the system's as one that exists while it runs.
fn unit_text(args: &SetupArgs, own: &Path) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let own = match &args.into {
        Some(into) => Path::new("/").join(own.strip_prefix(into).unwrap_or(own)),
        None => own.to_owned(),
    };
    let mut words = vec![
        program.display().to_string(),
        "proxy".to_owned(),
        "--root".to_owned(),
        own.join(ROOT).display().to_string(),
        "--listen".to_owned(),
        args.listen.to_string(),
    ];
    for mirror in &args.mirror {
        words.extend(["--mirror".to_owned(), mirror.to_string()]);
    }
    words.extend(list_words(args, own.join(LIST_ROOT))?);
    let command: Vec<String> = words.iter().map(|word| unit_word(word)).collect();
    let (service, target) = if args.system {
        (
            "DynamicUser=yes\nStateDirectory=heliostat-proxy\nEnvironment=HELIOSTAT_DATA=%S/heliostat-proxy\n",
            "multi-user.target",
        )
    } else {
        ("", "default.target")
    };
    Ok(format!(
        "# Written by `heliostat setup`; `heliostat setup --undo` takes it back.\n\
         [Unit]\n\
         Description=heliostat proxy, a verified index for installers on this machine\n\n\
         [Service]\n\
         Type=exec\n\
         ExecStart={}\n\
         {service}Restart=on-failure\n\
         RestartSec=2\n\
         NoNewPrivileges=yes\n\n\
         [Install]\n\
         WantedBy={target}\n",
        command.join(" ")
    ))
}

/// One word of a command line as systemd reads it (systemd.service, "Command lines").
fn unit_word(word: &str) -> String {
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    if escaped.contains([' ', '\t', '\'', ';']) || escaped != word {
        format!("\"{escaped}\"")
    } else {
        escaped
    }
}

fn places(args: &SetupArgs) -> anyhow::Result<Places> {
    let within = |path: &str| match &args.into {
        Some(into) => into.join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    };
    let has_systemd = cfg!(target_os = "linux");
    if args.system {
        return Ok(Places {
            pip: within("/etc/pip.conf"),
            uv: within("/etc/uv/uv.toml"),
            own: within("/etc/heliostat"),
            unit: has_systemd.then(|| within("/etc/systemd/system").join(UNIT)),
        });
    }
    let home = match &args.into {
        Some(into) => into.join(".config"),
        None => doctor::config_homes().into_iter().next().ok_or_else(|| {
            UsageError("nobody says where your configuration is: set HOME".to_owned())
        })?,
    };
    // pip has a place of its own on some systems, where it is there already.
    let mac = settings::home().map(|home| home.join("Library/Application Support/pip"));
    let pip = match mac {
        Some(directory) if cfg!(target_os = "macos") && directory.is_dir() => directory,
        _ => home.join("pip"),
    };
    let file = if cfg!(windows) { "pip.ini" } else { "pip.conf" };
    Ok(Places {
        pip: pip.join(file),
        uv: home.join("uv/uv.toml"),
        own: home.join("heliostat"),
        unit: has_systemd.then(|| home.join("systemd/user").join(UNIT)),
    })
}

fn read_notes(places: &Places) -> anyhow::Result<Option<Notes>> {
    let path = places.own.join(NOTES);
    let Some(bytes) = read_bytes(&path)? else {
        return Ok(None);
    };
    let notes = serde_json::from_slice(&bytes).map_err(|error| {
        UsageError(format!(
            "`{}` is not what an earlier setup wrote ({error}); put pip.conf and uv.toml in order by hand, and remove it",
            path.display()
        ))
    })?;
    Ok(Some(notes))
}

fn write_notes(places: &Places, notes: &Notes) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(notes)?;
    bytes.push(b'\n');
    let path = places.own.join(NOTES);
    // An address that stood in pip.conf may hold a password.
    files::replace_private(&path, &bytes)
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| UsageError(format!("`{}` is not UTF-8", path.display())))?;
    Ok(Some(text))
}

fn read_bytes(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = wire::read_small(path);
    bytes
        .map(Some)
        .with_context(|| format!("cannot read `{}`", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    files::replace_or_make(path, bytes)
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    files::remove(path).with_context(|| format!("cannot remove `{}`", path.display()))
}
