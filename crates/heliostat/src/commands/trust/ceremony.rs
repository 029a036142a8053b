//! The steps that people carry out, each from files to a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Document, Draft, DraftSignatures, Existing, RootWish};
use heliostat_trust::keys::{PublicKey, SigningKey};
use heliostat_trust::metadata::{Authority, RoleName, Root, Targets, Version};

use super::files::{self, Readers};
use super::{expiry, passphrase, trusted_root};
use crate::cli::{RootDraftArgs, RootSignArgs, ShowArgs, SignArgs};
use crate::commands::UsageError;
use crate::reporter;

/// What a step has to tell.
pub(super) struct Said {
    /// For stdout.
    data: String,
    /// For stderr.
    talk: String,
}

impl Said {
    /// Tells it.
    pub(super) fn aloud(&self) {
        reporter::print(&self.data);
        reporter::talk(&self.talk);
    }
}

/// What `targets` and `bins` are to be.
pub(super) struct DelegationWish<'a> {
    pub(super) root: &'a Path,
    pub(super) projects: u64,
    pub(super) previous: &'a [PathBuf],
    pub(super) expires: &'a str,
    pub(super) trusted_root: Option<&'a Path>,
}

pub(super) fn draft_root(args: &RootDraftArgs) -> anyhow::Result<Said> {
    let previous = args.previous.as_deref().map(root).transpose()?;
    let wish = RootWish {
        people: authority("--signers", &args.signers, args.threshold)?,
        online: authority("--online", &args.online, 1)?,
        expires: expiry::read(&args.expires, expiry::now()?)?,
    };
    let both = wish
        .online
        .keys()
        .any(|key| wish.people.key(key.id()).is_some());
    let draft = ceremony::root(previous.as_ref(), &wish);
    let mut said = write_draft(&draft, previous.as_ref(), &args.output)?;
    if both {
        said.talk
            .push_str("\nan online key signs root too: whoever takes the machine takes everything");
    }
    Ok(said)
}

pub(super) fn draft_delegations(wish: &DelegationWish<'_>, output: &Path) -> anyhow::Result<Said> {
    let mut versions: (Option<Version>, Option<Version>) = (None, None);
    let mut named = BTreeMap::new();
    for path in wish.previous {
        let targets = files::metadata::<Targets>(path)?.value;
        if targets.role == RoleName::targets() {
            versions.0 = Some(targets.version);
            named = targets.targets;
        } else if targets.role == RoleName::bins() {
            versions.1 = Some(targets.version);
        } else {
            let text = format!("`{}` is neither `targets` nor `bins`", path.display());
            return Err(UsageError(text).into());
        }
    }
    let root = root(wish.root)?;
    let count = BinCount::for_projects(wish.projects);
    let expires = expiry::read(wish.expires, expiry::now()?)?;
    if wish.trusted_root.is_some() {
        named = trusted_root::named(&trusted_root::read(wish.trusted_root)?);
    }
    let draft = ceremony::delegations(&root, count, expires, versions, named);
    write_draft(&draft, None, output)
}

pub(super) fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let draft = files::read(&args.draft, Draft::from_file)?;
    let against = args.against.as_deref().map(root).transpose()?;
    reporter::print(&ceremony::describe(&draft, against.as_ref()));
    Ok(())
}

pub(super) fn sign(args: &SignArgs) -> anyhow::Result<Said> {
    sign_if(args, |_, _| Ok(()))
}

/// Signs a draft of a root, with a key that has a say in it or in the root before: the one that was named, else the one
/// that `rotate` and `revoke` put beside their drafts.
pub(super) fn sign_root(args: &RootSignArgs) -> anyhow::Result<Said> {
    sign_if(&args.sign, |draft, key| {
        let previous = match &args.previous {
            Some(path) => Some(root(path)?),
            None => root_beside(&args.sign.draft, draft)?,
        };
        for document in draft.documents() {
            let Document::Root(next) = document else {
                continue;
            };
            let before = previous.as_ref().map(|root| &root.root);
            let mut sayers = [&next.root].into_iter().chain(before);
            if !sayers.any(|authority| authority.key(key.id()).is_some()) {
                return Err(without_say(next, previous.as_ref(), key).into());
            }
        }
        Ok(())
    })
}

/// The root before that of a draft, where it lies beside it.
fn root_beside(path: &Path, draft: &Draft) -> anyhow::Result<Option<Root>> {
    let next = draft
        .documents()
        .iter()
        .find_map(|document| match document {
            Document::Root(root) => Some(root.version.get()),
            Document::Targets(_) => None,
        });
    let before = next.map(|next| path.with_file_name(format!("{}.root.json", next - 1)));
    before
        .filter(|path| path.exists())
        .as_deref()
        .map(root)
        .transpose()
}

fn without_say(next: &Root, previous: Option<&Root>, key: &SigningKey) -> UsageError {
    let names = |root: &Root| {
        let names: Vec<String> = root.root.keys().map(PublicKey::shown).collect();
        names.join(", ")
    };
    let (id, file, may) = (key.id().short(), next.file(), names(next));
    let before = match previous {
        Some(before) => format!("; of {}: {}", before.file(), names(before)),
        None if next.version == Version::FIRST => String::new(),
        None => {
            "; give the root before it with `--previous` to sign as one of those who signed that"
                .to_owned()
        }
    };
    UsageError(format!(
        "the key {id} has no say in {file}. Of {file} may sign: {may}{before}"
    ))
}

fn sign_if(
    args: &SignArgs,
    may: impl FnOnce(&Draft, &SigningKey) -> anyhow::Result<()>,
) -> anyhow::Result<Said> {
    let draft = files::read(&args.draft, Draft::from_file)?;
    let text = zeroize::Zeroizing::new(files::text(&args.key)?);
    let key = SigningKey::from_file(&text, || -> anyhow::Result<_> {
        passphrase::existing(&args.passphrase)
    })
    .with_context(|| format!("the key `{}` cannot be used", args.key.display()))?;
    may(&draft, &key)?;
    let signatures = ceremony::sign(&draft, &key);
    files::write_new(
        &args.output,
        signatures.to_file().as_bytes(),
        Readers::Everybody,
    )?;
    let (output, keyid) = (args.output.display(), key.id());
    Ok(Said {
        data: ceremony::describe(&draft, None),
        talk: format!("signed by {keyid}; wrote {output}"),
    })
}

pub(super) fn assemble_root(
    draft: &Path,
    signatures: &[PathBuf],
    previous: Option<&Path>,
    output: &Path,
) -> anyhow::Result<Said> {
    let existing = Existing {
        root: previous.map(root).transpose()?,
    };
    let made = assemble(draft, signatures, &existing)?;
    let [made] = made.as_slice() else {
        let text = "this draft holds more than a root; `trust delegate assemble` is for it";
        return Err(UsageError(text.to_owned()).into());
    };
    if previous.is_none() && made.file != "1.root.json" {
        let text = format!(
            "this is {}: give the root before it with `--previous`, whose keys must have signed it too",
            made.file
        );
        return Err(UsageError(text).into());
    }
    files::write_new(output, &made.bytes, Readers::Everybody)?;
    Ok(Said {
        data: String::new(),
        talk: format!("wrote {} ({})", output.display(), made.file),
    })
}

pub(super) fn assemble_delegations(
    draft: &Path,
    signatures: &[PathBuf],
    of_root: &Path,
    output: &Path,
) -> anyhow::Result<Said> {
    let existing = Existing {
        root: Some(root(of_root)?),
    };
    let made = assemble(draft, signatures, &existing)?;
    files::directory(output)?;
    let mut wrote = Vec::new();
    for one in made {
        let path = output.join(&one.file);
        files::write_new(&path, &one.bytes, Readers::Everybody)?;
        wrote.push(format!("wrote {}", path.display()));
    }
    Ok(Said {
        data: String::new(),
        talk: wrote.join("\n"),
    })
}

/// Keys that together are one role.
pub(super) fn authority(
    option: &str,
    paths: &[PathBuf],
    threshold: u32,
) -> anyhow::Result<Authority> {
    let keys: Vec<PublicKey> = paths
        .iter()
        .map(|path| files::public_key(path))
        .collect::<Result<_, _>>()?;
    Authority::new(keys, threshold)
        .map_err(|error| UsageError(format!("`{option}`: {error}")).into())
}

/// Writes a draft, and shows what it does.
pub(super) fn write_draft(
    draft: &Draft,
    against: Option<&Root>,
    output: &Path,
) -> anyhow::Result<Said> {
    files::write_new(output, draft.to_file().as_bytes(), Readers::Everybody)?;
    Ok(Said {
        data: ceremony::describe(draft, against),
        talk: format!("wrote {}", output.display()),
    })
}

fn assemble(
    draft: &Path,
    signatures: &[PathBuf],
    existing: &Existing,
) -> anyhow::Result<Vec<ceremony::Assembled>> {
    let place = draft;
    let draft = files::read(place, Draft::from_file)?;
    let mut that_count = Vec::new();
    for path in signatures {
        let one = files::read(path, DraftSignatures::from_file)?;
        // Who is to lose all power is among those who were asked to sign, and may have signed what it has no say in.
        if ceremony::has_say(&draft, one.keyid, existing)? {
            that_count.push(one);
        } else {
            reporter::talk(&format!(
                "left `{}` out: the key {} has no say in what `{}` holds",
                path.display(),
                one.keyid,
                place.display()
            ));
        }
    }
    Ok(ceremony::assemble(&draft, &that_count, existing)?)
}

fn root(path: &Path) -> anyhow::Result<Root> {
    Ok(files::metadata::<Root>(path)?.value)
}
