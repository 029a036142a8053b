//! Packages of a lock file that a plain index beside the signed tree gave: their files are elsewhere, and their index is
//! named as that on the way, since that is whom the installer asked.
//!
//! `uv.lock` and `pylock.toml` only: the others name no file of a package by its address.

use std::collections::HashMap;

use super::LockFormat;
use super::map::{Beside, Moved, UrlMap, has_slash};
use super::spans::Text;
use crate::select::LockKind;

/// The names of such packages, each with the address of one of its files.
#[derive(Debug, Default)]
pub(super) struct BesideOnes<'t> {
    names: HashMap<&'t str, &'t str>,
    files: HashMap<&'t str, &'t str>,
}

impl<'t> BesideOnes<'t> {
    /// Finds them among a lock file's texts.
    pub(super) fn of(format: LockFormat, texts: &'t [Text], map: &UrlMap) -> Self {
        let list = match format {
            LockFormat::Toml(LockKind::Uv) => "package",
            LockFormat::Toml(LockKind::Pylock) => "packages",
            _ => return Self::default(),
        };
        let names: HashMap<&str, &str> = texts
            .iter()
            .filter_map(|text| Some((text.place.strip_suffix("/name")?, text.value.as_str())))
            .collect();
        let mut files = HashMap::new();
        for text in texts {
            let mut place = text.place.split('/').skip(1);
            let of_list = place.next() == Some(list);
            let package = place.next().filter(|_| of_list);
            let is_file = match (place.next(), place.next(), place.next()) {
                (Some("sdist"), Some("url"), None) => true,
                (Some("wheels"), Some(_), Some("url")) => place.next().is_none(),
                _ => false,
            };
            let Some(package) =
                package.filter(|_| is_file && map.is_elsewhere(&text.value, format))
            else {
                continue;
            };
            let owner = format!("/{list}/{package}");
            if let Some(name) = names.get(owner.as_str()) {
                files.insert(*name, text.value.as_str());
            }
        }
        Self { names, files }
    }

    /// What becomes of the text that says which index such a package is from, and one of its files.
    pub(super) fn index_of(
        &self,
        text: &Text,
        format: LockFormat,
        map: &UrlMap,
    ) -> Option<(Moved, &'t str)> {
        let owner = (text.place.strip_suffix("/source/registry"))
            .or_else(|| text.place.strip_suffix("/index"))?;
        let file = self.files.get(self.names.get(owner)?)?;
        let moved = match &map.beside {
            Beside::Hidden(_) => return None,
            Beside::Unknown => Moved::Nowhere,
            Beside::Named(index) => {
                let root = index.as_str().trim_end_matches('/');
                let slash = if has_slash(format) { "/" } else { "" };
                Moved::To(format!("{root}{slash}"))
            }
        };
        Some((moved, file))
    }
}
