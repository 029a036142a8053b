//! Hashes in a lock file over addresses that move, which only the lock's own tool can make again.

use super::finding::Finding;
use super::setting::position;
use super::settle::Place;
use crate::kind::{Action, Kind};

/// The most platforms that a conda-lock.yml is for.
const PLATFORMS_MAX: usize = 64;

/// conda-lock's hashes, one a platform, over what it locked: the channels, every dependency as it understood them and its
/// own list of virtual packages. Only conda-lock can make them again.
pub(super) fn stale_hashes(place: &Place<'_>, findings: &[Finding]) -> Vec<Finding> {
    let moved = findings
        .iter()
        .find(|one| one.kind == Kind::LockSource && one.action == Action::Rewrite);
    let Some(moved) = moved.filter(|_| place.file.contains("conda-lock")) else {
        return Vec::new();
    };
    let lines = place.lines;
    let of_hash = |number: &usize| {
        let line = lines.line(*number);
        let (key, digits) = line.trim().split_once(": ").unwrap_or_default();
        let mut above = (number.saturating_sub(PLATFORMS_MAX)..*number)
            .rev()
            .map(|above| lines.line(above).trim());
        !key.is_empty()
            && digits.len() == 64
            && digits.is_ascii()
            && above.find(|line| line.ends_with(':')) == Some("content_hash:")
    };
    (0..lines.count())
        .filter(of_hash)
        .map(|number| {
            let span = lines.span(number);
            let line = lines.line(number).trim_end();
            let start = span.start + line.len() - 64;
            let (number, column) = position(lines, start);
            Finding {
                line: number,
                column,
                start: place.text.byte(start),
                end: place.text.byte(start + 64),
                text: lines.text[start..start + 64].to_owned(),
                kind: Kind::LockContentHash,
                action: Action::Report,
                replacement: None,
                has_credentials: false,
                severity: Kind::LockContentHash.severity(),
                reason: Some(
                    "covers the channels: after the move run `conda-lock lock`, which makes it anew"
                        .to_owned(),
                ),
                ..moved.clone()
            }
        })
        .collect()
}
