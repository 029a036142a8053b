//! Options of the verbs of `heliostat directory` that change or show who is on the list.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use heliostat_directory::{CountryCode, Layout, ListForm};
use jiff::Timestamp;
use url::Url;

use super::{ProberArgs, RegistryArgs};

/// Options of `heliostat directory add`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryAddArgs {
    /// The tree's root
    #[arg(value_name = "URL")]
    pub(crate) base: Url,
    /// What it is called on the list [default: made from its host]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Who runs it [default: whom its own description names, where that names this address; else its host]
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Option<String>,
    /// The country that it stands in, as two capital letters
    #[arg(long, value_name = "CODE")]
    pub(crate) country: Option<String>,
    /// The Simple API's root below the tree's
    #[arg(long, value_name = "FOLDER", default_value = "simple/")]
    pub(crate) simple: String,
    /// How the tree is laid out
    #[arg(long, value_name = "LAYOUT", default_value = "heliostat")]
    pub(crate) layout: LayoutWord,
    /// It holds a part of the reference index, so that what is missing is no fault
    #[arg(long)]
    pub(crate) subset: bool,
    /// Only tell what the audit finds, and what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) prober: ProberArgs,
}

/// Options of `heliostat directory remove`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryRemoveArgs {
    /// The mirror's id
    #[arg(value_name = "ID")]
    pub(crate) mirror: String,
    /// Why, for its operator and for everybody
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// At once, instead of in 14 days
    #[arg(long)]
    pub(crate) now: bool,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}

/// Options of `heliostat directory maintenance`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryMaintenanceArgs {
    /// The mirror's id
    #[arg(value_name = "ID")]
    pub(crate) mirror: String,
    /// When it begins, as `2026-12-01T08:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Timestamp,
    /// When it ends, at most seven days later
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Timestamp,
    /// What is done, for everybody
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}

/// Options of `heliostat directory lift`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryLiftArgs {
    /// The mirror's id
    #[arg(value_name = "ID")]
    pub(crate) mirror: String,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}

/// Options of `heliostat directory diff`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryDiffArgs {
    /// The list as it was: its folder, or a published one
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The list as it is to be, likewise
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// One JSON object for each difference
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat directory show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryShowArgs {
    /// The id of a mirror or of one of its endpoints
    #[arg(value_name = "ID")]
    pub(crate) mirror: String,
    /// One JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}

/// Options of `heliostat directory import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryImportArgs {
    /// The form of the other list
    #[arg(value_name = "FORM")]
    pub(crate) form: FormWord,
    /// The other list
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only tell what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}

/// Options of `heliostat directory export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryExportArgs {
    /// CSV that `import csv` reads, or JSON with everything that the entries say
    #[arg(long, value_name = "FORM", default_value = "csv")]
    pub(crate) format: ExportWord,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}

/// How a tree is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutWord {
    /// A heliostat's tree
    Heliostat,
    /// bandersnatch's or shadowmire's
    Bandersnatch,
    /// Only the Simple API
    Pep503,
}

/// The form of another list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormWord {
    /// CPAN's mirrors.json
    Cpan,
    /// A site's mirrorz.json, of which the mirror of PyPI is taken
    Mirrorz,
    /// Lines below a heading that names base and, where known, id, operator, country, simple
    Csv,
    /// Text in which addresses stand, as in bandersnatch's documentation
    Bandersnatch,
}

/// The form of what is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportWord {
    Csv,
    Json,
}

impl From<LayoutWord> for Layout {
    fn from(word: LayoutWord) -> Self {
        match word {
            LayoutWord::Heliostat => Self::Heliostat,
            LayoutWord::Bandersnatch => Self::Bandersnatch,
            LayoutWord::Pep503 => Self::Pep503,
        }
    }
}

impl From<FormWord> for ListForm {
    fn from(word: FormWord) -> Self {
        match word {
            FormWord::Cpan => Self::Cpan,
            FormWord::Mirrorz => Self::Mirrorz,
            FormWord::Csv => Self::Csv,
            FormWord::Bandersnatch => Self::Bandersnatch,
        }
    }
}

impl DirectoryAddArgs {
    /// The country, where one was given.
    pub(crate) fn country(&self) -> Result<Option<CountryCode>, String> {
        self.country.clone().map(CountryCode::try_from).transpose()
    }
}
