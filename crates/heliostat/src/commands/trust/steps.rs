//! What people do with drafts, as commands that run as they are printed, in the folder in which they were printed. What
//! is to be signed, and by whose keys, is the drafts' business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use heliostat_store::Store;
use heliostat_trust::keys::{KeyId, PublicKey};
use heliostat_trust::metadata::Root;

use super::{files, init};
use crate::render::word;
use crate::signing;

/// Drafts that wait for signatures.
pub(super) struct Steps<'a> {
    pub(super) store: &'a Store,
    /// Where the drafts are, and where everything else goes.
    pub(super) directory: &'a Path,
    /// The root that is in force.
    pub(super) present: &'a Root,
    /// The root that is drafted, where one is.
    pub(super) next: Option<&'a Root>,
    /// The draft of what is below the root: `delegate` for `delegate.draft.json`.
    pub(super) below: &'a str,
    /// What is put together of it, and whatever else is to be installed with it.
    pub(super) installed: Vec<PathBuf>,
    /// Public keys that come in, as they were given: of a person, and of machines.
    pub(super) person: Option<&'a Path>,
    pub(super) machines: &'a [PathBuf],
    /// The key from which all power is taken.
    pub(super) gone: Option<KeyId>,
}

/// Somebody who signs.
struct Signer {
    name: String,
    /// The private key, as a word of a shell.
    key: String,
    of_root: bool,
    of_below: bool,
}

impl Steps<'_> {
    /// All of them, as text.
    pub(super) fn told(&self) -> String {
        let mut steps = vec![self.drafts(), self.signatures(), self.assembly()];
        steps.push(self.installation());
        steps.extend(self.keys_in_place());
        steps.push(self.end());
        let mut text = "\nwhat to do:".to_owned();
        for (number, step) in steps.iter().enumerate() {
            let _infallible = write!(text, "\n{}. {step}", number + 1);
        }
        text
    }

    fn in_directory(&self, name: impl AsRef<Path>) -> String {
        word(&self.directory.join(name))
    }

    fn below_draft(&self) -> String {
        self.in_directory(format!("{}.draft.json", self.below))
    }

    fn drafts(&self) -> String {
        let below = self.below_draft();
        let which = match self.next {
            Some(_) => format!("`{}` and `{below}`", self.in_directory("root.draft.json")),
            None => format!("`{below}`"),
        };
        format!("Send {which} to everybody who signs; compare the words of each draft aloud.")
    }

    fn signatures(&self) -> String {
        let mut text = String::new();
        let last = self.next.unwrap_or(self.present);
        if let Some(next) = self.next {
            let (old, new) = (&self.present.root, &next.root);
            let _infallible = write!(
                text,
                "Root {} needs {} of the {} keys of root {}, and {} of its own {}. What is below it needs {} of {}.",
                next.version,
                old.threshold(),
                old.keys().len(),
                self.present.version,
                new.threshold(),
                new.keys().len(),
                last.targets.threshold(),
                last.targets.keys().len(),
            );
        } else {
            let (needed, keys) = (last.targets.threshold(), last.targets.keys().len());
            let _infallible = write!(text, "It needs {needed} of {keys} keys.");
        }
        text.push_str(&self.without());
        text.push_str(
            " Each of them, with the own private key (here NAME.key), or as many as that takes:",
        );
        let below = self.below_draft();
        for Signer {
            name,
            key,
            of_root,
            of_below,
        } in self.signers()
        {
            let mut line = |step: &str, draft: &str, signed: &str| {
                let signature = self.in_directory(format!("{signed}.{name}.sig"));
                let _infallible = write!(
                    text,
                    "\n   heliostat trust {step} sign {draft} --key {key} -o {signature}"
                );
            };
            if of_root {
                line("root", &self.in_directory("root.draft.json"), "root");
            }
            if of_below {
                line("delegate", &below, self.below);
            }
        }
        text
    }

    /// What is said of the key that goes.
    fn without(&self) -> String {
        let Some(key) = self.gone.and_then(|gone| self.present.root.key(gone)) else {
            return String::new();
        };
        let name = key.label().map_or_else(|| key.id().short(), str::to_owned);
        if self.needs_gone() {
            format!(" That takes {name} once more, for the root alone.")
        } else {
            format!(" {name} does not sign: that signature is not needed, and counts for nothing.")
        }
    }

    /// Whether the old root needs even the key that goes.
    fn needs_gone(&self) -> bool {
        let old = &self.present.root;
        let rest = old.keys().filter(|key| Some(key.id()) != self.gone);
        rest.count() < old.threshold() as usize
    }

    fn signers(&self) -> Vec<Signer> {
        let last = self.next.unwrap_or(self.present);
        let mut keys: BTreeMap<KeyId, &PublicKey> = BTreeMap::new();
        if let Some(next) = self.next {
            let both = self.present.root.keys().chain(next.root.keys());
            keys.extend(both.map(|key| (key.id(), key)));
        }
        keys.extend(last.targets.keys().map(|key| (key.id(), key)));
        if !self.needs_gone() {
            keys.retain(|id, _| Some(*id) != self.gone);
        }
        let mut taken = BTreeSet::new();
        let mut signers: Vec<_> = (keys.into_iter())
            .map(|(id, key)| {
                let mut name = key.label().map_or_else(|| id.short(), simple);
                if !taken.insert(name.clone()) {
                    name = format!("{name}-{}", id.short());
                }
                let new = |root: &Root| root.root.key(id).is_some();
                Signer {
                    key: self.private(key).unwrap_or_else(|| format!("{name}.key")),
                    of_root: self.next.is_some_and(|next| new(next) || new(self.present)),
                    of_below: last.targets.key(id).is_some(),
                    name,
                }
            })
            .collect();
        signers.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        signers
    }

    /// Where a private key is, where that is known: in this data directory, or beside the public one that was given.
    fn private(&self, key: &PublicKey) -> Option<String> {
        let kept = self.store.keys().join(init::OFFLINE_KEY);
        let is_it = |public: &Path| files::public_key(public).is_ok_and(|it| it.id() == key.id());
        if kept.exists() && is_it(&kept.with_extension("pub")) {
            return Some(word(&kept));
        }
        let given = self.person.filter(|given| is_it(given))?;
        Some(word(&given.with_extension("key")))
    }

    fn assembly(&self) -> String {
        let mut text = "Put together what came back:".to_owned();
        let root = match self.next {
            Some(next) => {
                let made = self.in_directory(next.file());
                let _infallible = write!(
                    text,
                    "\n   heliostat trust root assemble {} {}.*.sig --previous {} -o {made}",
                    self.in_directory("root.draft.json"),
                    self.in_directory("root"),
                    self.present_root(),
                );
                made
            }
            None => self.present_root(),
        };
        let _infallible = write!(
            text,
            "\n   heliostat trust delegate assemble {} {}.*.sig --root {root} -o {}",
            self.below_draft(),
            self.in_directory(self.below),
            word(self.directory),
        );
        text
    }

    /// The root in force, which stands beside the drafts.
    fn present_root(&self) -> String {
        self.in_directory(self.present.file())
    }

    /// New keys go where they are looked for once what names them waits there: what runs has the old one still, and
    /// signs with both.
    fn keys_in_place(&self) -> Option<String> {
        let keys = self.store.keys();
        let kept = keys.join(init::OFFLINE_KEY);
        let was_kept = files::public_key(&kept.with_extension("pub"));
        let was_kept = was_kept.is_ok_and(|key| Some(key.id()) == self.gone);
        let online = self.machines.first().map(PathBuf::as_path);
        let offline = self.person.filter(|_| was_kept);
        let moves = [
            online.map(|public| (public, keys.join(signing::ONLINE_KEY))),
            offline.map(|public| (public, kept)),
        ];
        let mut text = "Put what is new in its place".to_owned();
        if online.is_some() {
            text.push_str(
                "; where the online key is elsewhere (`--online-key`), put it there. A `serve` or `sync --watch` that \
                 runs finds it within seconds and signs with both keys; where none runs, installing once more signs",
            );
        }
        text.push(':');
        let length = text.len();
        for (public, place) in moves.into_iter().flatten() {
            for (ending, mode) in [("key", "600"), ("pub", "644")] {
                let _infallible = write!(
                    text,
                    "\n   install -m {mode} {} {}",
                    word(&public.with_extension(ending)),
                    word(&place.with_extension(ending)),
                );
            }
        }
        if online.is_some() {
            let _infallible = write!(text, "\n   {}", self.install());
        }
        (text.len() > length).then_some(text)
    }

    fn install(&self) -> String {
        let mut files = Vec::new();
        files.extend(self.next.map(|next| self.in_directory(next.file())));
        files.extend(self.installed.iter().map(|name| self.in_directory(name)));
        let data = word(self.store.data());
        format!("heliostat trust install --data {data} {}", files.join(" "))
    }

    fn installation(&self) -> String {
        let when = if self.machines.is_empty() {
            "Clients see it once the online key has signed: here and now where that is in its usual place, else with the \
             next `sync`, or by what runs"
        } else {
            "It waits for the new online key; until that has signed, clients see what was before"
        };
        format!("Install it. {when}:\n   {}", self.install())
    }

    fn end(&self) -> String {
        let mut text = "When this ends with 0, all is done".to_owned();
        if !self.machines.is_empty() {
            text.push_str("; then destroy the old online key, wherever else it is");
        } else if self.gone.is_some() {
            text.push_str("; then destroy the key that went, wherever it is");
        }
        let _infallible = write!(text, ":\n   {}", signing::status_command(self.store.data()));
        text
    }
}

/// A label as a part of a file's name.
fn simple(label: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    label.chars().map(plain).collect()
}
