//! The smallest wheels that pip and uv install: what the attacks fight over.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::answer::Shared;
use crate::error::AttackError;

/// A wheel and its metadata.
#[derive(Debug, Clone)]
pub(crate) struct Wheel {
    /// `<name>-<version>-py3-none-any.whl`
    pub(crate) filename: String,
    /// The archive.
    pub(crate) bytes: Shared,
    /// Its `METADATA` (PEP 658).
    pub(crate) metadata: Shared,
}

/// A pure Python wheel with one module that says `word`. `name` is normalised and has no dash.
pub(crate) fn wheel(
    name: &str,
    version: &str,
    requires: &[&str],
    word: &str,
) -> Result<Wheel, AttackError> {
    let info = format!("{name}-{version}.dist-info");
    let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    for requirement in requires {
        metadata.push_str(&["Requires-Dist: ", requirement, "\n"].concat());
    }
    let members = [
        (
            format!("{name}/__init__.py"),
            format!("word = {word:?}\n{}", "# \n".repeat(2_000)),
        ),
        (format!("{info}/METADATA"), metadata.clone()),
        (
            format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: heliostat\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ),
    ];
    let record_path = format!("{info}/RECORD");
    let mut record = String::new();
    for (path, content) in &members {
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(content.as_bytes()));
        let size = content.len().to_string();
        record.push_str(&[path, ",sha256=", &digest, ",", &size, "\n"].concat());
    }
    record.push_str(&[&record_path, ",,\n"].concat());
    let bytes = zipped(members.iter().chain([&(record_path, record)]))
        .map_err(|error| AttackError::MakeTree(error.to_string()))?;
    Ok(Wheel {
        filename: format!("{name}-{version}-py3-none-any.whl"),
        bytes: Shared::from(bytes),
        metadata: Shared::from(metadata.into_bytes()),
    })
}

fn zipped<'m>(
    members: impl Iterator<Item = &'m (String, String)>,
) -> Result<Vec<u8>, zip::result::ZipError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in members {
        writer.start_file(path.as_str(), options)?;
        writer.write_all(content.as_bytes())?;
    }
    Ok(writer.finish()?.into_inner())
}
