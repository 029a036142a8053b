//! A synthetic PyPI: names, pages and a root list of about the shapes and lengths of the real ones, from numbers
//! alone. The same numbers give the same world.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage, ProjectStatus, Yanked};
use heliostat_pypi::{ProjectName, Serial, Sha256, TreePath};
use heliostat_store::{Keeper, ProjectRecord, Validators};

use crate::Fault;

/// One project in so many changed since the catalog was filled.
pub(crate) const CHANGED_ONE_IN: u64 = 100;

const WORDS: [&str; 32] = [
    "async",
    "auth",
    "aws",
    "bot",
    "cli",
    "client",
    "core",
    "data",
    "django",
    "fast",
    "flask",
    "geo",
    "graph",
    "http",
    "json",
    "kit",
    "lib",
    "ml",
    "mini",
    "net",
    "odoo-addon",
    "parser",
    "plot",
    "py",
    "pytest",
    "sdk",
    "simple",
    "sql",
    "test",
    "tools",
    "utils",
    "web",
];

/// The tags of one wheel in eight, by turns.
const TAGS: [&str; 8] = [
    "py3-none-any",
    "py3-none-any",
    "py3-none-any",
    "py2.py3-none-any",
    "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp313-cp313-macosx_11_0_arm64",
    "cp313-cp313-win_amd64",
    "cp314-cp314-musllinux_1_2_aarch64",
];

/// How many files each project has, and everything else from its number.
#[derive(Debug)]
pub(crate) struct World {
    counts: Vec<u32>,
}

impl World {
    /// Deals files to projects as unequally as on PyPI: most have a few, some have thousands.
    pub(crate) fn new(projects: u32, files: u32) -> Self {
        let total: f64 = (0..projects).map(weight).sum();
        let (mut dealt, mut sum) = (0, 0.0);
        let counts = (0..projects)
            .map(|index| {
                sum += weight(index);
                let until = to_count(sum / total * f64::from(files)).min(files);
                let count = until.saturating_sub(dealt);
                dealt += count;
                count
            })
            .collect();
        Self { counts }
    }

    /// The numbers of `wanted` projects of ordinary size, spread over all of them.
    pub(crate) fn ordinary(&self, wanted: usize) -> Vec<u32> {
        let stride = (self.counts.len() / wanted).max(1);
        let near = |start: usize| {
            let until = (start + stride).min(self.counts.len());
            let is_ordinary = |index: &usize| (12..=24).contains(&self.counts[*index]);
            (start..until).find(is_ordinary).unwrap_or(start)
        };
        (0..wanted.min(self.counts.len()))
            .filter_map(|sample| u32::try_from(near(sample * stride)).ok())
            .collect()
    }

    /// Every project as a mirror holds it.
    pub(crate) fn records(&self) -> impl Iterator<Item = Result<ProjectRecord, Fault>> {
        (0..)
            .zip(&self.counts)
            .map(|(index, count)| record(index, *count))
    }

    /// The root list as PyPI writes it, with some projects changed since.
    pub(crate) fn list(&self) -> Result<String, Fault> {
        let mut projects = (0..)
            .zip(&self.counts)
            .map(|(index, _)| Ok((name(index)?, index)))
            .collect::<Result<Vec<(ProjectName, u32)>, Fault>>()?;
        projects.sort_unstable();
        let mut list = String::from(
            "{\"meta\":{\"_last-serial\":99000000,\"api-version\":\"1.4\"},\"projects\":[",
        );
        for (place, (name, index)) in projects.iter().enumerate() {
            let serial = serial(*index) + u64::from(is_changed(*index));
            let comma = if place == 0 { "" } else { "," };
            write!(
                list,
                "{comma}{{\"_last-serial\":{serial},\"name\":\"{name}\"}}"
            )?;
        }
        list.push_str("]}\n");
        Ok(list)
    }
}

/// The name of a project.
pub(crate) fn name(index: u32) -> Result<ProjectName, Fault> {
    let noise = mix(index.into());
    let word = |shift: u32| WORDS[usize::from((noise >> shift).to_le_bytes()[0] % 32)];
    Ok(format!("{}-{}-{index:x}", word(0), word(8)).parse()?)
}

/// One more file of a project, with these bytes.
pub(crate) fn new_file(project: &ProjectName, round: u32, bytes: &[u8]) -> Result<PageFile, Fault> {
    let stem = project.as_str().replace('-', "_");
    let filename = format!("{stem}-99.{round}-py3-none-any.whl");
    let sha256 = Sha256::of(bytes);
    let url = format!("https://files.example/{filename}");
    Ok(PageFile {
        path: TreePath::for_upstream(&url, &filename, Some(&sha256))?,
        url,
        sha256: Some(sha256),
        other_hashes: BTreeMap::new(),
        size_bytes: Some(bytes.len() as u64),
        upload_time: Some("2026-11-23T08:00:00.000000Z".to_owned()),
        requires_python: Some(">=3.8".to_owned()),
        core_metadata: CoreMetadata::Absent,
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    })
}

fn record(index: u32, count: u32) -> Result<ProjectRecord, Fault> {
    let name = name(index)?;
    let stem = name.as_str().replace('-', "_");
    let mut versions = Vec::new();
    let mut files = Vec::with_capacity(usize::try_from(count)?);
    for number in 0..count {
        // An sdist and a wheel for each release.
        let version = format!("{}.{}.{}", number / 120, number / 12 % 10, number / 2 % 6);
        files.push(file(&stem, &version, (index, number))?);
        if number % 2 == 0 {
            versions.push(version);
        }
    }
    let serial = Some(Serial(serial(index)));
    Ok(ProjectRecord {
        page: ProjectPage {
            name,
            serial,
            status: ProjectStatus::default(),
            versions,
            files,
        },
        hidden: BTreeSet::new(),
        keeper: Keeper::Mirror,
        published_serial: serial,
        validators: Validators {
            etag: Some(format!("\"{:016x}\"", mix(u64::from(index) << 20))),
            last_modified: None,
        },
        confirmed_at: 1_790_000_000,
        upstream: "https://index.example/simple/".to_owned(),
    })
}

fn file(stem: &str, version: &str, (index, number): (u32, u32)) -> Result<PageFile, Fault> {
    let seed = (u64::from(index) << 32 | u64::from(number)) << 4;
    let noise = mix(seed);
    let is_wheel = number % 2 == 1;
    let filename = if is_wheel {
        let tags = TAGS[usize::from(noise.to_le_bytes()[0] % 8)];
        format!("{stem}-{version}-{tags}.whl")
    } else {
        format!("{stem}-{version}.tar.gz")
    };
    let path = TreePath::new(digest(seed + 1), &filename)?;
    let core_metadata = if is_wheel {
        CoreMetadata::Sha256(sha256(seed + 6)?)
    } else {
        CoreMetadata::Absent
    };
    let second = noise % 60;
    Ok(PageFile {
        url: format!("https://files.example/{path}"),
        path,
        sha256: Some(sha256(seed + 11)?),
        other_hashes: BTreeMap::new(),
        size_bytes: Some(5_000 + noise % 2_000_000),
        upload_time: Some(format!(
            "20{:02}-{:02}-{:02}T{:02}:{:02}:{second:02}.{:06}Z",
            12 + number / 24 % 14,
            1 + number / 2 % 12,
            1 + noise % 28,
            noise % 24,
            noise % 59,
            noise % 1_000_000
        )),
        requires_python: Some(">=3.8".to_owned()),
        core_metadata,
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    })
}

fn sha256(seed: u64) -> Result<Sha256, Fault> {
    let mut hex = String::with_capacity(64);
    for byte in digest(seed) {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex.parse()?)
}

/// Thirty-two bytes that look like a digest.
fn digest(seed: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    for (part, number) in digest.chunks_exact_mut(8).zip(0_u64..) {
        part.copy_from_slice(&mix(mix(seed) ^ number).to_le_bytes());
    }
    digest
}

fn serial(index: u32) -> u64 {
    1_000_000 + mix(u64::from(index) + 77) % 30_000_000
}

fn is_changed(index: u32) -> bool {
    u64::from(index) % CHANGED_ONE_IN == 7
}

/// A long tail: the middle project has a third of the mean, one in a thousand a hundred times as much.
fn weight(index: u32) -> f64 {
    let uniform = f64::from(u32::try_from(mix(u64::from(index) + 5) >> 32).unwrap_or(0))
        / f64::from(u32::MAX);
    (uniform + 1e-4).powf(-0.75)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count that fits"
)]
fn to_count(number: f64) -> u32 {
    number.round() as u32
}

/// splitmix64.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
