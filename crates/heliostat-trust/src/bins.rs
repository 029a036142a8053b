//! Bins: which role says what about a target, by the hash of the target's path.
//!
//! Owns the number of bins, their names and prefixes, and the delegation to them. Names carry the number, so that
//! another number never uses a name again: clients keep a version for every name they saw, for ever.

use std::fmt;

use heliostat_pypi::Sha256;

use crate::error::TrustError;
use crate::metadata::{Authority, Delegation, RoleName, Scope};

/// At most so many projects share a bin, and at least half as many: the power of two that comes nearest to a hundred in
/// each. Few enough for small files, enough that most bins rest between commits.
const PROJECTS_PER_BIN_MAX: u64 = 141;

/// How many bins there are: a power of two, so that each covers a whole number of hash prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BinCount(u32);

/// One bin of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bin {
    count: BinCount,
    index: u32,
}

impl BinCount {
    /// One bin, for a few projects.
    pub const ONE: Self = Self(1);
    /// Most bins.
    pub const MAX: u32 = 1 << 16;

    /// A number of bins.
    ///
    /// # Errors
    /// [`TrustError::BinCount`] unless it is a power of two of at most 65,536.
    pub fn new(count: u64) -> Result<Self, TrustError> {
        u32::try_from(count)
            .ok()
            .filter(|count| count.is_power_of_two() && *count <= Self::MAX)
            .map(Self)
            .ok_or(TrustError::BinCount(count))
    }

    /// The number for so many projects: about a hundred in each, from 71 to 141; 8,192 bins for PyPI's 900,000.
    pub fn for_projects(projects: u64) -> Self {
        let wanted = projects.div_ceil(PROJECTS_PER_BIN_MAX).max(1);
        let count = wanted.next_power_of_two().min(u64::from(Self::MAX));
        Self(u32::try_from(count).unwrap_or(Self::MAX))
    }

    /// The number that a `bins` role delegates to, where it was written by us.
    pub fn of_delegations(delegations: &[Delegation]) -> Option<Self> {
        let count = Self::new(delegations.len() as u64).ok()?;
        let same = |(bin, delegation): (Bin, &Delegation)| {
            delegation.name == bin.role() && delegation.scope == bin.scope()
        };
        count.bins().zip(delegations).all(same).then_some(count)
    }

    /// As a number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Every bin, in order.
    pub fn bins(self) -> impl ExactSizeIterator<Item = Bin> {
        (0..self.0).map(move |index| Bin { count: self, index })
    }

    /// The bin of a target path.
    pub fn bin_of(self, target_path: &str) -> Bin {
        let digest = Sha256::of(target_path.as_bytes());
        let start = u32::from_be_bytes(
            *digest
                .as_bytes()
                .first_chunk()
                .expect("a digest has 32 bytes"),
        );
        let index = match self.0.trailing_zeros() {
            0 => 0,
            bits => start >> (32 - bits),
        };
        Bin { count: self, index }
    }

    /// The delegations of the `bins` role: one for each bin, all to the same keys.
    pub fn delegations(self, online: &Authority) -> Vec<Delegation> {
        self.bins()
            .map(|bin| Delegation {
                name: bin.role(),
                authority: online.clone(),
                scope: bin.scope(),
                terminating: true,
            })
            .collect()
    }

    /// Hexadecimal digits of a prefix: one where that is fine enough.
    const fn digits(self) -> usize {
        match self.0.trailing_zeros().div_ceil(4) {
            0 => 1,
            digits => digits as usize,
        }
    }

    /// Prefixes that each bin covers.
    const fn prefixes_per_bin(self) -> u32 {
        (1 << (4 * self.digits())) / self.0
    }
}

impl fmt::Display for BinCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Bin {
    /// How many bins there are with it.
    pub const fn count(self) -> BinCount {
        self.count
    }

    /// Which of them it is, from 0.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The name of its role: `bin-8192-0a38` is the one of 8,192 that begins with the prefix `0a38`; the only one is
    /// `bin-1-`.
    pub fn role(self) -> RoleName {
        let prefix = match self.count {
            BinCount::ONE => String::new(),
            _ => self.prefix(0),
        };
        format!("bin-{}-{prefix}", self.count)
            .parse()
            .expect("letters, digits and hyphens")
    }

    /// The bin of a role's name, where it is one.
    pub fn of_role(name: &RoleName) -> Option<Self> {
        let (count, _) = name.as_str().strip_prefix("bin-")?.split_once('-')?;
        let count = BinCount::new(count.parse().ok()?).ok()?;
        let (_, prefix) = name.as_str().rsplit_once('-')?;
        let index = match count {
            BinCount::ONE => 0,
            _ => u32::from_str_radix(prefix, 16).ok()? / count.prefixes_per_bin(),
        };
        let bin = Self { count, index };
        (index < count.0 && bin.role() == *name).then_some(bin)
    }

    /// The hash prefixes that it covers.
    pub fn scope(self) -> Scope {
        let prefixes = 0..self.count.prefixes_per_bin();
        Scope::HashPrefixes(prefixes.map(|offset| self.prefix(offset)).collect())
    }

    fn prefix(self, offset: u32) -> String {
        let number = self.index * self.count.prefixes_per_bin() + offset;
        format!("{number:0width$x}", width = self.count.digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(bin: Bin) -> Vec<String> {
        match bin.scope() {
            Scope::HashPrefixes(prefixes) => prefixes,
            Scope::Paths(_) => panic!("bins go by hash"),
        }
    }

    #[test]
    fn the_number_grows_with_the_projects() {
        let of = |projects| BinCount::for_projects(projects).get();
        assert_eq!(of(0), 1);
        assert_eq!(of(100), 1);
        assert_eq!(of(1_000), 8);
        assert_eq!(of(20_000), 256);
        assert_eq!((of(890_000), of(900_000)), (8_192, 8_192));
        // A hundred in each of a power of two, and as far as it goes to either side.
        assert_eq!((of(6_400), of(4_600), of(9_000)), (64, 64, 64));
        assert_eq!((of(4_500), of(9_100)), (32, 128));
        assert_eq!(of(u64::MAX / 200), 65_536);
        BinCount::new(3).unwrap_err();
        BinCount::new(0).unwrap_err();
        BinCount::new(1 << 17).unwrap_err();
    }

    #[test]
    fn prefixes_cover_everything_once_and_agree_with_the_bin_of_a_path() {
        for count in (0..=16).map(|bits| BinCount::new(1 << bits).unwrap()) {
            let all: Vec<_> = count.bins().flat_map(prefixes).collect();
            assert!(all.is_sorted(), "{count}");
            assert_eq!(all.len(), 1 << (4 * count.digits()), "{count}");
            for name in ["requests", "numpy", "zope-interface"] {
                let path = format!("simple/{name}/index.v1_json");
                let hex = Sha256::of(path.as_bytes()).to_hex();
                let bin = count.bin_of(&path);
                assert!(
                    prefixes(bin)
                        .iter()
                        .any(|prefix| hex.starts_with(prefix.as_str())),
                    "{path} {count}"
                );
            }
        }
    }

    #[test]
    fn names_carry_the_number_and_lead_back() {
        for count in (0..=16).map(|bits| BinCount::new(1 << bits).unwrap()) {
            for bin in count.bins() {
                assert_eq!(Bin::of_role(&bin.role()), Some(bin));
            }
        }
        let name = |count, index: usize| {
            let count = BinCount::new(count).unwrap();
            count.bins().nth(index).unwrap().role().to_string()
        };
        assert_eq!(name(1, 0), "bin-1-");
        assert_eq!(name(16, 10), "bin-16-a");
        assert_eq!(name(32, 1), "bin-32-08");
        assert_eq!(name(8_192, 0x0a38 / 8), "bin-8192-0a38");
        for other in [
            "bins",
            "bin-8192-0a39",
            "bin-3-0",
            "bin-16-A",
            "bin-16-0a",
            "project-x",
        ] {
            assert_eq!(Bin::of_role(&other.parse().unwrap()), None, "{other}");
        }
    }
}
