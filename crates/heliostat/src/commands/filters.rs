//! Filters as typed, as the engine understands them. Pure.

use std::num::NonZeroU32;

use heliostat_pypi::filter::{Choice, FileFilter, Kinds};
use heliostat_pypi::tags::{Platform, PlatformRule, Python};
use heliostat_pypi::{Requirement, Specifiers};

use super::UsageError;
use crate::cli::FilterArgs;

const DAY_SECONDS: u64 = 86_400;

/// The filter that was typed; `None` where none was, so that the one before stays.
pub(super) fn filter(args: &FilterArgs) -> anyhow::Result<Option<FileFilter>> {
    let mut filter = FileFilter {
        latest: args.latest.and_then(NonZeroU32::new),
        prereleases: choice(args.no_prereleases),
        yanked: choice(args.no_yanked),
        kinds: if args.wheels_only {
            Kinds::Wheels
        } else {
            Kinds::All
        },
        age_max_seconds: args.newer_than.map(days),
        age_min_seconds: args.older_than.map(days),
        size_max_bytes: args.max_file_size,
        platforms: args
            .platform
            .iter()
            .map(|text| rule(text))
            .collect::<anyhow::Result<_>>()?,
        exclude_platforms: args
            .exclude_platform
            .iter()
            .map(|text| rule(text))
            .collect::<anyhow::Result<_>>()?,
        pythons: args
            .python
            .iter()
            .map(|text| python(text))
            .collect::<anyhow::Result<_>>()?,
        ..FileFilter::default()
    };
    for text in &args.versions {
        versions(&mut filter, text)?;
    }
    Ok((!filter.keeps_everything()).then_some(filter))
}

/// A Python as typed: `3.12`.
pub(super) fn python(text: &str) -> anyhow::Result<Python> {
    text.parse()
        .map_err(|error| UsageError(format!("`--python {text}`: {error}")).into())
}

/// A platform as typed: `manylinux_2_28_x86_64`, `win_amd64`.
pub(super) fn platform(text: &str) -> anyhow::Result<Platform> {
    text.parse()
        .map_err(|error| UsageError(format!("`--platform {text}`: {error}")).into())
}

/// The platform this program runs on, as a wheel's tag would name it.
pub(super) fn this_platform() -> anyhow::Result<Platform> {
    let machine = std::env::consts::ARCH;
    let text = match std::env::consts::OS {
        "macos" if machine == "aarch64" => "macosx_14_0_arm64".to_owned(),
        "macos" => format!("macosx_14_0_{machine}"),
        "windows" if machine == "aarch64" => "win_arm64".to_owned(),
        "windows" => "win_amd64".to_owned(),
        _ => format!("manylinux_2_28_{machine}"),
    };
    platform(&text)
}

fn rule(text: &str) -> anyhow::Result<PlatformRule> {
    text.parse()
        .map_err(|error| UsageError(format!("`{text}` is not a platform: {error}")).into())
}

/// `>=2` for every project, `numpy>=1.26,<3` for one.
fn versions(filter: &mut FileFilter, text: &str) -> anyhow::Result<()> {
    if let Ok(specifiers) = text.parse::<Specifiers>() {
        filter.versions = filter.versions.and(&specifiers);
        return Ok(());
    }
    let requirement: Requirement = text
        .parse()
        .map_err(|error| UsageError(format!("`--versions {text}`: {error}")))?;
    let Some(specifiers) = requirement.specifiers() else {
        return Err(UsageError(format!(
            "`--versions {text}` names an address, not versions"
        ))
        .into());
    };
    filter
        .project_versions
        .insert(requirement.name.clone(), specifiers.clone());
    Ok(())
}

const fn choice(drop: bool) -> Choice {
    if drop { Choice::Drop } else { Choice::Keep }
}

fn days(count: u32) -> u64 {
    u64::from(count) * DAY_SECONDS
}
