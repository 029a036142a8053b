//! What can be wrong with a map, a timeline or a file to be rewritten.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The map is not TOML, or has unknown keys.
    #[error("cannot read the map `{name}`")]
    ReadMap {
        /// Which map.
        name: String,
        /// What the parser says, with the line.
        source: Box<toml::de::Error>,
    },
    /// The map's words make no sense together.
    #[error("the map `{name}`, entry `{entry}`: {fault}")]
    JudgeMap {
        /// Which map.
        name: String,
        /// Which entry.
        entry: String,
        /// What is wrong, and what to write.
        fault: String,
    },
    /// An edit would change more than what the map says.
    #[error("`{file}` would not mean the same after the edit: {fault}")]
    CheckEdit {
        /// Which file.
        file: String,
        /// What would differ.
        fault: String,
    },
}
