//! Who is on the list: one TOML file for each mirror, read strictly, judged together.

mod entry;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use entry::{
    AdminState, Contact, CountryCode, Coverage, Endpoint, EndpointId, Layout, Maintenance, Mirror,
    MirrorId, Operator, Retirement,
};
pub use names::forbidden_name;

use crate::error::{DirectoryError, Problem};

/// Mirrors in one registry.
const MIRRORS_MAX: usize = 10_000;
/// Bytes of one entry.
const ENTRY_BYTES_MAX: usize = 64 * 1024;

/// Every mirror on the list, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    mirrors: BTreeMap<MirrorId, Mirror>,
}

impl Registry {
    /// Reads entries, each a file's name and its bytes. `own_domain` is the directory's own registrable domain, under
    /// which no mirror may stand. All that is wrong with well-written entries is told at once.
    pub fn read<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
        own_domain: Option<&str>,
    ) -> Result<Self, DirectoryError> {
        let mut registry = Self::default();
        let mut problems = Vec::new();
        for (name, text) in entries {
            let mut problem = |fault: String| {
                problems.push(Problem {
                    name: name.to_owned(),
                    fault,
                });
            };
            if text.len() > ENTRY_BYTES_MAX {
                problem(format!("is larger than {ENTRY_BYTES_MAX} bytes"));
                continue;
            }
            if registry.mirrors.len() >= MIRRORS_MAX {
                problem(format!(
                    "is one more than the {MIRRORS_MAX} mirrors that a registry holds"
                ));
                break;
            }
            let mirror: Mirror =
                toml::from_str(text).map_err(|source| DirectoryError::ReadEntry {
                    name: name.to_owned(),
                    source: Box::new(source),
                })?;
            if name.strip_suffix(".toml") != Some(mirror.id.as_str()) {
                problem(format!(
                    "is the entry of `{0}`, so call it `{0}.toml`",
                    mirror.id
                ));
            }
            mirror.faults(own_domain).into_iter().for_each(problem);
            registry.mirrors.insert(mirror.id.clone(), mirror);
        }
        problems.extend(registry.shared_endpoints());
        problems.extend(registry.lost_upstreams());
        if problems.is_empty() {
            Ok(registry)
        } else {
            Err(DirectoryError::JudgeRegistry(problems))
        }
    }

    /// Every mirror, in the order of ids.
    pub fn mirrors(&self) -> impl Iterator<Item = &Mirror> {
        self.mirrors.values()
    }

    /// One mirror.
    pub fn get(&self, id: &MirrorId) -> Option<&Mirror> {
        self.mirrors.get(id)
    }

    /// Every endpoint with its mirror.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Mirror, &Endpoint)> {
        self.mirrors().flat_map(|mirror| {
            mirror
                .endpoints
                .iter()
                .map(move |endpoint| (mirror, endpoint))
        })
    }

    /// A mirror takes from one that is on the list, and in the end from PyPI.
    fn lost_upstreams(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for mirror in self.mirrors() {
            let mut seen = BTreeSet::from([&mirror.id]);
            let mut at = mirror;
            let fault = loop {
                let Some(upstream) = &at.upstream else {
                    break None;
                };
                if !seen.insert(upstream) {
                    break Some(format!("takes from itself by way of `{upstream}`"));
                }
                match self.mirrors.get(upstream) {
                    Some(next) => at = next,
                    None if at.id == mirror.id => {
                        break Some(format!(
                            "takes from `{upstream}`, which is not on the list; leave `upstream` out where it takes \
                             from PyPI or from somebody else"
                        ));
                    }
                    // Told where it stands.
                    None => break None,
                }
            };
            problems.extend(fault.map(|fault| Problem {
                name: format!("{}.toml", mirror.id),
                fault,
            }));
        }
        problems
    }

    /// One name for two endpoints would let one mirror speak for another, and one address twice would count twice.
    fn shared_endpoints(&self) -> Vec<Problem> {
        let (mut ids, mut bases) = (BTreeSet::new(), BTreeSet::new());
        let mut problems = Vec::new();
        for (mirror, endpoint) in self.endpoints() {
            let mut problem = |fault: String| {
                problems.push(Problem {
                    name: format!("{}.toml", mirror.id),
                    fault,
                });
            };
            if !ids.insert(&endpoint.id) {
                problem(format!(
                    "the endpoint `{}` is named twice in the registry",
                    endpoint.id
                ));
            }
            if !bases.insert(endpoint.base.as_str()) {
                problem(format!("`{}` stands twice in the registry", endpoint.base));
            }
        }
        problems
    }
}
