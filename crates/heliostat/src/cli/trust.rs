//! Words of `heliostat trust`: keys, the ceremony, and the state of what was signed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use heliostat_trust::keys::KeyId;
use url::Url;

/// What `heliostat trust` can do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum TrustCommand {
    /// Begin to sign this mirror with a single key that is made and kept here (for several people, see `trust root`)
    Init(TrustInitArgs),
    /// Make and show keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Draft, look at, sign and put together the root: who may sign what
    #[command(subcommand)]
    Root(RootCommand),
    /// Draft, look at, sign and put together the roles below the root that people sign
    #[command(subcommand)]
    Delegate(DelegateCommand),
    /// Put what people signed into the tree of this data directory, and sign its pages from now on
    Install {
        /// Roots, targets and bins roles, as `assemble` wrote them, and the trusted root that `targets` names
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Count down to every expiry; ends with 1 when something is due
    Status {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check a signed tree or a running mirror against a root: metadata, every page, files
    Verify(TrustVerifyArgs),
    /// Compare what several mirrors, trees or proxies' states show: ends with 4 where the notary's key says different
    /// things, and writes the proof down
    Compare(TrustCompareArgs),
    /// Draft what people sign anew with the keys that they have, before it expires, and say what to do
    Renew(DraftsArgs),
    /// Draft what gives the online role to other keys, and say what to do
    #[command(subcommand)]
    Rotate(RotateCommand),
    /// Draft what takes all power from a key, and say what to do
    Revoke(RevokeArgs),
    /// Spread the pages over another number of bins: at once where the single key is kept here, else as a draft to sign
    Rebin(RebinArgs),
    /// Sign another trusted root of Sigstore's, against which attestations are verified, where the single key is kept
    /// here; else write the draft that people sign
    TrustedRoot(TrustedRootArgs),
    /// Go through a whole ceremony, a theft and the recovery in a temporary directory
    Rehearse,
}

/// Where a passphrase comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from this file [default: the variable `HELIOSTAT_PASSPHRASE`, else a question on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Options of `trust verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustVerifyArgs {
    /// The tree: the directory in which `simple/` and `tuf/` are, or the address of a mirror
    #[arg(value_name = "DIR|URL")]
    pub(crate) tree: TreePlace,
    /// The root that everything is checked against
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
    /// Which of the files that signed pages name are hashed [default: all of a directory's, a sample of a mirror's]
    #[arg(long, value_name = "WHICH")]
    pub(crate) files: Option<FilesWanted>,
    /// How many files a sample has; another one each time
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sample: u32,
    /// Requests to a mirror under way at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Tries of one request to a mirror
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) tries: u32,
    /// Give up on a mirror's connection that sends nothing for so long
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) read_timeout: u64,
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Reach the mirror through this proxy [default: what the environment's usual variables say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Url>,
    /// One JSON object a line: findings, then what was seen
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `trust compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustCompareArgs {
    /// Mirrors by their address; trees, and what a proxy trusts (`DATA/proxy`), by the directory in which `tuf/` is
    #[arg(value_name = "DIR|URL", num_args = 2.., required = true)]
    pub(crate) places: Vec<TreePlace>,
    /// The root that everything is checked against
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
    /// Where the documents go that contradict each other
    #[arg(long, value_name = "DIR", default_value = "heliostat-proof")]
    pub(crate) proof: PathBuf,
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Reach the mirrors through this proxy [default: what the environment's usual variables say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Url>,
    /// One JSON object a line: what each showed, then contradictions
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a tree is.
#[derive(Debug, Clone)]
pub(crate) enum TreePlace {
    /// On disk.
    Directory(PathBuf),
    /// Behind an address.
    Mirror(Url),
}

impl FromStr for TreePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_address = ["http://", "https://"].iter().any(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if !is_address {
            return Ok(Self::Directory(text.into()));
        }
        text.parse()
            .map(Self::Mirror)
            .map_err(|error: url::ParseError| error.to_string())
    }
}

/// Which files are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilesWanted {
    /// Metadata and pages only.
    None,
    /// Some, drawn by chance.
    Sample,
    /// Every one.
    All,
}

/// Options of `trust init`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustInitArgs {
    /// Spread the pages over so many bins, a power of two [default: about a hundred projects a bin, of those held now]
    #[arg(long, value_name = "N")]
    pub(crate) bins: Option<u64>,
    /// Spread the pages over as many bins as so many projects want; 900000 for all of PyPI
    #[arg(long, value_name = "N", conflicts_with = "bins")]
    pub(crate) projects: Option<u64>,
    /// Protect the key that signs root, targets and bins by a passphrase; `sync` and `serve` do not need that one
    #[arg(long)]
    pub(crate) protect: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// How long root, targets and bins hold: days as in `365d`, to the end of the day, or a time
    #[arg(long, value_name = "EXPIRY", default_value = "365d")]
    pub(crate) expires: String,
    /// Sign this file of Sigstore's as its trusted root, against which attestations are verified [default: the one this
    /// program was built with]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Sign no trusted root of Sigstore's; `trust trusted-root` signs one later
    #[arg(long, conflicts_with = "trusted_root")]
    pub(crate) no_trusted_root: bool,
}

/// What can be done with keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make an ed25519 key, protected by a passphrase
    New {
        /// Who holds it, or what it is for
        #[arg(long)]
        label: String,
        /// Where it goes; its public part goes beside it, with the ending `.pub`
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Do not protect it: for the key of a machine that must sign on its own
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Show a public key's id, in digits and in words
    Show {
        /// The public key
        file: PathBuf,
    },
}

/// Signing a draft.
#[derive(Debug, Clone, Args)]
pub(crate) struct SignArgs {
    /// The draft
    pub(crate) draft: PathBuf,
    /// The private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Where the signatures go
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// Signing the draft of a root.
#[derive(Debug, Clone, Args)]
pub(crate) struct RootSignArgs {
    #[command(flatten)]
    pub(crate) sign: SignArgs,
    /// The root before it, for somebody who has a say in that one and not in the draft [default: the one beside the draft]
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
}

/// Looking at a draft.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The draft
    pub(crate) draft: PathBuf,
    /// The root before it: tells who gains and who loses power
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// The steps of a root.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RootCommand {
    /// Write down what the next root is to be; nobody has signed it yet
    Draft(RootDraftArgs),
    /// Show what a draft does
    Show(ShowArgs),
    /// Sign a draft: one small file for whoever puts it together
    Sign(RootSignArgs),
    /// Put a draft and its signatures together, if enough of the old and of the new keys have signed
    Assemble {
        /// The draft
        draft: PathBuf,
        /// The signatures
        #[arg(required = true, value_name = "SIGNATURES")]
        signatures: Vec<PathBuf>,
        /// The root before it; not for the first
        #[arg(long, value_name = "FILE")]
        previous: Option<PathBuf>,
        /// Where the root goes
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// What a root is to be.
#[derive(Debug, Clone, Args)]
pub(crate) struct RootDraftArgs {
    /// Public keys of the people who sign
    #[arg(long, value_name = "FILE", value_delimiter = ',', required = true)]
    pub(crate) signers: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "N")]
    pub(crate) threshold: u32,
    /// Public key of the notary's machine
    #[arg(long, value_name = "FILE", value_delimiter = ',', required = true)]
    pub(crate) online: Vec<PathBuf>,
    /// The root before it; not for the first
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// How long it holds: days as in `365d`, to the end of the day, or a time
    #[arg(long, value_name = "EXPIRY", default_value = "365d")]
    pub(crate) expires: String,
    /// Where the draft goes
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// The steps of the roles below the root.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DelegateCommand {
    /// Write down `targets` and `bins` as a root has it; nobody has signed them yet
    Draft {
        /// The root
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
        /// How many projects the tree is to hold; decides on the number of bins
        #[arg(long, value_name = "N")]
        projects: u64,
        /// `targets` and `bins` before, where there are any
        #[arg(long, value_name = "FILE")]
        previous: Vec<PathBuf>,
        /// How long they hold: days as in `365d`, to the end of the day, or a time
        #[arg(long, value_name = "EXPIRY", default_value = "365d")]
        expires: String,
        /// Have this file of Sigstore's as its trusted root, against which attestations are verified [default: the one
        /// that `targets` before names]
        #[arg(long, value_name = "FILE")]
        trusted_root: Option<PathBuf>,
        /// Where the draft goes
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show what a draft does
    Show(ShowArgs),
    /// Sign a draft: one small file for whoever puts it together
    Sign(SignArgs),
    /// Put a draft and its signatures together, if enough of the root's keys have signed
    Assemble {
        /// The draft
        draft: PathBuf,
        /// The signatures
        #[arg(required = true, value_name = "SIGNATURES")]
        signatures: Vec<PathBuf>,
        /// The root
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
        /// The directory where the roles go
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// What can be given to other keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RotateCommand {
    /// The notary's online key
    Online {
        /// Its public key from now on
        #[arg(long, value_name = "FILE", value_delimiter = ',', required = true)]
        new: Vec<PathBuf>,
        #[command(flatten)]
        drafts: DraftsArgs,
    },
}

/// Options of `trust revoke`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeArgs {
    /// The key's id
    pub(crate) keyid: KeyId,
    /// A public key to put in its place
    #[arg(long, value_name = "FILE")]
    pub(crate) replace_by: Option<PathBuf>,
    /// How many people must sign from now on [default: as many as before]
    #[arg(long, value_name = "N")]
    pub(crate) threshold: Option<u32>,
    #[command(flatten)]
    pub(crate) drafts: DraftsArgs,
}

/// Drafts that change what the tree of this data directory has.
#[derive(Debug, Clone, Args)]
pub(crate) struct DraftsArgs {
    /// How long they hold: days as in `365d`, to the end of the day, or a time
    #[arg(long, value_name = "EXPIRY", default_value = "365d")]
    pub(crate) expires: String,
    /// The directory where the drafts go
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}

/// Options of `trust rebin`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RebinArgs {
    /// So many bins, a power of two [default: about a hundred projects a bin, of those held now]
    #[arg(long, value_name = "N")]
    pub(crate) bins: Option<u64>,
    /// As many bins as so many projects want; 900000 for all of PyPI
    #[arg(long, value_name = "N", conflicts_with = "bins")]
    pub(crate) projects: Option<u64>,
    /// How long `bins` holds: days as in `365d`, to the end of the day, or a time
    #[arg(long, value_name = "EXPIRY", default_value = "365d")]
    pub(crate) expires: String,
    /// Sign nothing; write a draft for the people who sign into this directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// Options of `trust trusted-root`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustedRootArgs {
    /// The `trusted_root.json` [default: the one this program was built with]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How long `targets` holds: days as in `365d`, to the end of the day, or a time
    #[arg(long, value_name = "EXPIRY", default_value = "365d")]
    pub(crate) expires: String,
    /// Sign nothing; write a draft for the people who sign into this directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}
