//! Options of `heliostat mirrors`.

use clap::{Args, Subcommand};

use super::SourceArgs;

/// `heliostat mirrors …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MirrorsCommand {
    /// Tell in which order the proxy would ask its mirrors now, and why; asks nobody
    Rank {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Ask the proxy's mirrors for the newest state now, and measure them
    Test(Box<MirrorsTestArgs>),
    /// Ask this mirror before all others, for as long as it works
    Pin(MirrorChoiceArgs),
    /// Never ask this mirror
    Ban(MirrorChoiceArgs),
    /// Tell what each mirror answered about a file or a project, and which one's answer was used
    Why {
        /// The file's or the project's name
        file: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// Options of `heliostat mirrors pin` and `ban`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MirrorChoiceArgs {
    /// Its address, or its endpoint's id on the list
    #[arg(required_unless_present = "json")]
    pub(crate) mirror: Vec<String>,
    /// Take it back
    #[arg(long, requires = "mirror")]
    pub(crate) undo: bool,
    /// Print what was decided so far as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat mirrors test`; what is not given is as `heliostat proxy` has it.
#[derive(Debug, Clone, Args)]
pub(crate) struct MirrorsTestArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Test no more than the best so many
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) most: u16,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
