//! The list of mirrors as a client takes it: its documents, verified from the list's own root, kept for the next time.
//!
//! Owns where a list is looked for, also at the mirrors that carry it, what of it is believed, and that nobody leads a client back to an older one, also
//! over restarts. Does not read what the documents say; who is asked follows from that elsewhere.

mod carriers;
mod kept;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;

use heliostat_pypi::Sha256;
use heliostat_trust::check::{Check, Limits as CheckLimits};
use heliostat_trust::directory::{self, STATUS_ROLE, Weight};
use heliostat_trust::keys::PublicKey;
use heliostat_trust::metadata::{Root, Signed, TargetFile};
use jiff::Timestamp;
use url::Url;

use crate::mirrors::Transport;
use crate::plain_client::now;
use crate::{ClientError, Clock, Limits};
use kept::Kept;
use place::Place;

/// Who is on the list.
const MIRRORS: &str = "v1/mirrors.json";
/// How everybody does.
const STATUS: &str = "v1/status.json";
/// Where metadata is below a list.
const METADATA: &str = "tuf";

/// Where a published list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListPlace {
    /// A folder, such as a copy on a stick.
    Folder(PathBuf),
    /// Below an address.
    Server(Url),
}

/// What is needed to take a list.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// The list's root, as bytes.
    pub root: Vec<u8>,
    /// What to call it in messages.
    pub root_name: String,
    /// The notary's root, which must share no key with the list's.
    pub notary_root: Vec<u8>,
    /// Where the list is; each is asked until one has it.
    pub places: Vec<ListPlace>,
    /// How servers are reached.
    pub transport: Transport,
    /// Where what was verified is kept.
    pub directory: PathBuf,
    /// Every bound.
    pub limits: Limits,
}

/// A list whose documents hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedList {
    /// `v1/mirrors.json`.
    pub mirrors: Vec<u8>,
    /// `v1/status.json`, where it is there and in force.
    pub status: Option<Vec<u8>>,
    /// Why there is no status, where there is none.
    pub no_status: Option<String>,
    /// Until when who is on the list is certain.
    pub expires: Timestamp,
    /// The version of the timestamp: seconds since 1970 in lists of ours.
    pub version: u64,
    /// Where it came from.
    pub from: String,
    /// What those that were asked before did, in words.
    pub passed_over: Vec<String>,
}

/// Takes a list, again and again.
#[derive(Debug)]
pub struct Listing {
    root: Vec<u8>,
    places: Vec<Place>,
    transport: Transport,
    kept: Kept,
    clock: Clock,
    limits: Limits,
}

/// What one place gave: everything that a client needs, by its path.
struct Taken {
    list: VerifiedList,
    files: BTreeMap<String, Vec<u8>>,
}

impl Listing {
    /// Makes no request.
    ///
    /// # Errors
    /// [`ClientError::ListRoot`] where the root is none, or has a key in common with the notary's: what one of them
    /// signs could then be shown as the other's.
    pub fn open(options: ListOptions, clock: Clock) -> Result<Self, ClientError> {
        let unusable = |reason: String| ClientError::ListRoot {
            name: options.root_name.clone(),
            reason,
        };
        let read = |bytes: &[u8]| Signed::<Root>::read(bytes).map(|signed| signed.value);
        let root = read(&options.root).map_err(|error| unusable(error.to_string()))?;
        Check::begin(&options.root, now(&clock), CheckLimits::default())
            .map_err(|error| unusable(error.to_string()))?;
        // A notary's root that cannot be read is told by whoever needs it.
        if let Ok(notary) = read(&options.notary_root)
            && shares_a_key(&root, &notary)
        {
            return Err(unusable(
                "it has a key in common with the notary's root, so that what one of them signs could be shown as the \
                 other's; a list has keys of its own"
                    .to_owned(),
            ));
        }
        let places = options
            .places
            .into_iter()
            .map(|place| Place::new(place, &options.transport, &options.limits))
            .collect::<Result<_, _>>()?;
        // What follows from another root is no concern of this one.
        let name = &Sha256::of(&options.root).to_hex()[..16];
        Ok(Self {
            places,
            kept: Kept::new(options.directory.join(name)),
            transport: options.transport,
            root: options.root,
            clock,
            limits: options.limits,
        })
    }

    /// The list of the first place that has one which holds. Where none has, or how mirrors do is missing or old there,
    /// the newest of those that `carriers` have; or else what was kept of an earlier one. Carriers are addresses of
    /// mirrors, which carry a list as `directory/`; no more than [`Limits::carriers_max`] of them are asked.
    ///
    /// # Errors
    /// Of the first place, where nobody has a list that holds: [`ClientError::List`] where it is refused,
    /// [`ClientError::ListUnreachable`] where it cannot be had.
    pub async fn take(&self, carriers: &[Url]) -> Result<VerifiedList, ClientError> {
        let mut failures = Vec::new();
        let mut best = None;
        for place in &self.places {
            match self.take_from(place).await {
                Ok(taken) => {
                    best = Some(taken);
                    break;
                }
                Err(error @ ClientError::Disk { .. }) => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        let mut passed_over: Vec<String> = failures.iter().map(told).collect();
        if best.as_ref().is_none_or(|best| best.list.status.is_none()) {
            let carried = self.newest_carried(carriers, best.as_ref(), &mut passed_over);
            best = carried.await?.or(best);
        }
        if let Some(mut taken) = best {
            self.kept.replace(&taken.files)?;
            taken.list.passed_over = passed_over;
            return Ok(taken.list);
        }
        match self.kept_list().await {
            Some(mut list) => {
                list.passed_over = passed_over;
                Ok(list)
            }
            None => Err(worst(failures)),
        }
    }

    /// What was kept of an earlier list, verified anew; nothing where it does not hold any more.
    pub async fn kept_list(&self) -> Option<VerifiedList> {
        let place = Place::kept(self.kept.folder());
        let taken = self.take_from(&place).await;
        taken.ok().map(|taken| taken.list)
    }

    /// The roots after the pinned one that were kept and follow from it.
    fn kept_roots(&self) -> Result<BTreeMap<String, Vec<u8>>, ClientError> {
        let mut roots = BTreeMap::new();
        let began = Check::begin(&self.root, Timestamp::UNIX_EPOCH, CheckLimits::default());
        let Ok(mut check) = began else {
            return Ok(roots);
        };
        while let Some(wanted) = check.wanted() {
            let path = format!("{METADATA}/{}", wanted.file);
            let Some(bytes) = self.kept.read(&path, wanted.max_bytes)? else {
                break;
            };
            check.take(Some(&bytes));
            if check.wanted().is_none() || !wanted.file.ends_with(".root.json") {
                break;
            }
            roots.insert(wanted.file, bytes);
        }
        Ok(roots)
    }

    async fn take_from(&self, place: &Place) -> Result<Taken, ClientError> {
        let refused = |reason: String| ClientError::List {
            place: place.to_string(),
            reason,
        };
        // As of long ago nothing has expired: what has is judged afterwards, for an old status harms nobody.
        let began = Check::begin(&self.root, Timestamp::UNIX_EPOCH, CheckLimits::default());
        let mut check = began.map_err(|error| refused(error.to_string()))?;
        let mut named: BTreeMap<String, TargetFile> = BTreeMap::new();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut floor_is_known = false;
        let mut roots = self.kept_roots()?;
        while let Some(wanted) = check.wanted() {
            let path = format!("{METADATA}/{}", wanted.file);
            if wanted.file == "timestamp.json" && !floor_is_known {
                floor_is_known = true;
                if let Some((timestamp, snapshot)) = self.kept.floor()? {
                    check.with_known(&timestamp, snapshot.as_deref());
                }
            }
            // A newer root that was seen once cannot be withheld afterwards.
            let bytes = match roots.remove(&wanted.file) {
                Some(bytes) => Some(bytes),
                None => place.read(&path, wanted.max_bytes).await?,
            };
            check.take(bytes.as_deref());
            named.extend(check.take_targets());
            if let Some(bytes) = bytes {
                files.insert(path, bytes);
            }
        }
        let report = check.finish();
        let at = now(&self.clock);
        let mut no_status = None;
        for (problem, weight) in directory::problems(&report, at) {
            match weight {
                Weight::Fatal => return Err(refused(problem.to_string())),
                Weight::Old => no_status = Some(problem.to_string()),
            }
        }
        let mirrors = self.document(place, &named, MIRRORS, &mut files).await?;
        let status = match no_status {
            // It would be refused below; what is left of it is no help.
            Some(_) => None,
            None => match self.document(place, &named, STATUS, &mut files).await {
                Ok(status) => Some(status),
                Err(error) => {
                    no_status = Some(told(&error));
                    None
                }
            },
        };
        let fatal = report
            .roles
            .iter()
            .filter(|found| !matches!(found.role.as_str(), "timestamp" | "snapshot" | STATUS_ROLE));
        let expires = fatal.map(|found| found.expires.instant()).min();
        let timestamp = report.roles.iter().find(|found| found.role == "timestamp");
        Ok(Taken {
            list: VerifiedList {
                mirrors,
                status,
                no_status,
                expires: expires.unwrap_or(Timestamp::UNIX_EPOCH),
                version: timestamp.map_or(0, |found| found.version.get()),
                from: place.to_string(),
                passed_over: Vec::new(),
            },
            files,
        })
    }

    /// A document as it was signed, under its plain name or the one with its digest.
    async fn document(
        &self,
        place: &Place,
        named: &BTreeMap<String, TargetFile>,
        path: &str,
        files: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<u8>, ClientError> {
        let refused = |reason: String| ClientError::List {
            place: place.to_string(),
            reason: format!("{path}: {reason}"),
        };
        let Some(signed) = named.get(path) else {
            return Err(refused("nobody has signed it".to_owned()));
        };
        if signed.size_bytes > self.limits.list_bytes_max {
            return Err(refused(format!(
                "it has {} bytes, and at most {} are taken",
                signed.size_bytes, self.limits.list_bytes_max
            )));
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let consistent = format!("{folder}/{}.{name}", signed.sha256.to_hex());
        for path in [&consistent, path] {
            if let Some(bytes) = place.read(path, signed.size_bytes).await?
                && TargetFile::of(&bytes) == *signed
            {
                files.insert(consistent.clone(), bytes.clone());
                return Ok(bytes);
            }
        }
        Err(refused("what was signed is not there".to_owned()))
    }
}

/// Whether any role of one is signed by a key of the other.
fn shares_a_key(one: &Root, other: &Root) -> bool {
    let of = |root: &Root| {
        [&root.root, &root.targets, &root.snapshot, &root.timestamp]
            .into_iter()
            .flat_map(|authority| authority.keys().map(PublicKey::id))
            .collect::<Vec<_>>()
    };
    let known = of(other);
    of(one).iter().any(|id| known.contains(id))
}

/// A refusal says more than that somebody cannot be reached.
fn worst(mut failures: Vec<ClientError>) -> ClientError {
    let refusal = failures
        .iter()
        .position(|error| matches!(error, ClientError::List { .. }));
    if failures.is_empty() {
        return ClientError::List {
            place: "nowhere".to_owned(),
            reason: "no place of it is known".to_owned(),
        };
    }
    failures.swap_remove(refusal.unwrap_or(0))
}

fn told(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
