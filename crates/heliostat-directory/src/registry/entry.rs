//! One mirror's entry, as its file says it.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use url::Url;

use super::forbidden_name;

/// Endpoints of one mirror.
const ENDPOINTS_MAX: usize = 16;
/// Ways to reach one operator.
const CONTACTS_MAX: usize = 8;
/// The longest id.
const ID_CHARS_MAX: usize = 40;
/// The longest free text.
const TEXT_CHARS_MAX: usize = 200;

/// A mirror: somebody who runs one or more endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// Its name on the list; the file is called so too.
    pub id: MirrorId,
    /// Who runs it.
    pub operator: Operator,
    /// What the people who keep the list decided.
    #[serde(default)]
    pub admin_state: AdminState,
    /// The day it was added, as `2026-11-25`.
    pub inception: Date,
    /// When its audit passed, as `2026-11-26T12:00:00Z`; until then it is a candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Timestamp>,
    /// When people let it back after a quarantine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifted: Vec<Timestamp>,
    /// When it leaves the list, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires: Option<Retirement>,
    /// When its operator works on it; at most seven days of each count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintenance>,
    /// The mirror on this list that it takes from; PyPI itself where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<MirrorId>,
    /// How to reach whoever runs it, the first first.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Where it can be reached.
    pub endpoints: Vec<Endpoint>,
}

/// A mirror's leaving, told before it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// When.
    pub at: Timestamp,
    /// Why, for its operator and for everybody.
    pub reason: String,
}

/// A time in which nothing counts against a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// What is done, for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who runs a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Operator {
    /// The short name, as people know it.
    pub name: String,
    /// The organisation behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// A page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Where it stands in law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<CountryCode>,
}

/// A way to reach an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Contact {
    /// By mail. Only the digest of the address is public.
    Email {
        /// SHA-256 of the address in lower case, in hex.
        sha256: String,
        /// The day on which its owner last answered, as `2026-11-25`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed: Option<Date>,
    },
    /// By a signed request to an address of theirs.
    Webhook {
        /// Where to.
        url: Url,
        /// The same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed: Option<Date>,
    },
}

/// One address under which a mirror serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Endpoint {
    /// Its name, unique in the whole registry.
    pub id: EndpointId,
    /// The tree's root, `https`, with a slash at the end.
    pub base: Url,
    /// How the tree is laid out.
    #[serde(default)]
    pub layout: Layout,
    /// The Simple API's root below `base`.
    #[serde(default = "simple")]
    pub simple: String,
    /// What it means to hold.
    #[serde(default)]
    pub coverage: Coverage,
    /// The autonomous system it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The country it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<CountryCode>,
    /// What its line carries, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_mbps: Option<u32>,
    /// The ed25519 key that it signs its receipts with, 64 hex digits in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_key: Option<String>,
}

/// How a tree is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A heliostat's tree, signed.
    #[default]
    Heliostat,
    /// bandersnatch's or shadowmire's.
    Bandersnatch,
    /// Only the Simple API.
    Pep503,
}

/// What an endpoint means to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// Everything.
    #[default]
    Full,
    /// A part, so that what is missing is no fault.
    Subset,
}

/// What the people who keep the list decided about a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminState {
    /// Its probes decide.
    #[default]
    Listed,
    /// Off the list for good, whatever its probes say.
    Retired,
    /// Off the list by decision of people; only they can lift it.
    Vetoed,
}

/// A mirror's name: lower-case letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MirrorId(String);

/// An endpoint's name, of the same shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

/// Two capital letters (ISO 3166-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CountryCode([u8; 2]);

impl Mirror {
    /// An entry as it begins: listed, admitted by nobody yet, with one endpoint and an operator known by name.
    pub fn listed(
        id: MirrorId,
        operator_name: String,
        inception: Date,
        endpoint: Endpoint,
    ) -> Self {
        Self {
            id,
            operator: Operator {
                name: operator_name,
                organisation: None,
                url: None,
                country: endpoint.country,
            },
            admin_state: AdminState::Listed,
            inception,
            admitted: None,
            lifted: Vec::new(),
            retires: None,
            maintenance: Vec::new(),
            upstream: None,
            contacts: Vec::new(),
            endpoints: vec![endpoint],
        }
    }

    /// Everything that is not allowed about this entry by itself.
    pub(super) fn faults(&self, own_domain: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        if self.endpoints.is_empty() {
            faults.push("has no `[[endpoints]]`".to_owned());
        }
        if self.endpoints.len() > ENDPOINTS_MAX {
            faults.push(format!("has more than {ENDPOINTS_MAX} endpoints"));
        }
        if self.contacts.len() > CONTACTS_MAX {
            faults.push(format!("has more than {CONTACTS_MAX} contacts"));
        }
        if self.maintenance.iter().any(|time| time.to <= time.from) {
            faults.push("a `maintenance` ends before it begins".to_owned());
        }
        let texts = [
            Some(&self.operator.name),
            self.operator.organisation.as_ref(),
            self.retires.as_ref().map(|retirement| &retirement.reason),
        ];
        let notes = self
            .maintenance
            .iter()
            .filter_map(|time| time.note.as_ref());
        for text in texts.into_iter().flatten().chain(notes) {
            let chars = text.chars().count();
            if chars == 0 || chars > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
                faults.push(format!("`{text}` is empty, longer than {TEXT_CHARS_MAX} characters or has control characters"));
            }
        }
        for contact in &self.contacts {
            faults.extend(contact.fault());
        }
        for endpoint in &self.endpoints {
            faults.extend(endpoint.faults(own_domain));
        }
        faults
    }
}

impl Contact {
    /// The day on which its owner last answered.
    pub const fn confirmed(&self) -> Option<Date> {
        match self {
            Self::Email { confirmed, .. } | Self::Webhook { confirmed, .. } => *confirmed,
        }
    }

    fn fault(&self) -> Option<String> {
        match self {
            Self::Email { sha256, .. } => (!is_digest(sha256)).then(|| {
                format!("`{sha256}` is no SHA-256 of an address: 64 hex digits in lower case")
            }),
            Self::Webhook { url, .. } => (url.scheme() != "https")
                .then(|| format!("the webhook `{url}` does not begin with `https://`")),
        }
    }
}

/// 64 hex digits in lower case.
fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(digit)
}

impl Endpoint {
    fn faults(&self, own_domain: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        let base = &self.base;
        if base.scheme() != "https" {
            faults.push(format!("`{base}` does not begin with `https://`"));
        }
        if !base.path().ends_with('/') {
            faults.push(format!("`{base}` does not end with a slash"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            faults.push(format!("`{base}` has a query or a fragment"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            faults.push(format!(
                "the endpoint `{}` has a user name or a password",
                self.id
            ));
        }
        if self
            .receipt_key
            .as_deref()
            .is_some_and(|key| !is_digest(key))
        {
            let id = &self.id;
            faults.push(format!(
                "the endpoint `{id}` has a `receipt-key` that is not 64 hex digits in lower case"
            ));
        }
        match base.host() {
            Some(url::Host::Domain(host)) => {
                if let Some(domain) = forbidden_name(host, own_domain) {
                    faults.push(format!(
                        "`{host}` is under `{domain}`; a mirror stands under a name of its operator's (PEP 449)"
                    ));
                }
            }
            _ => faults.push(format!(
                "`{base}` names no host; an address cannot have a certificate that lasts"
            )),
        }
        let inside = !self.simple.starts_with('/')
            && self.simple.ends_with('/')
            && base
                .join(&self.simple)
                .is_ok_and(|url| url.as_str().starts_with(base.as_str()));
        if !inside {
            faults.push(format!(
                "`simple = \"{}\"` is no folder below the base, as `simple/`",
                self.simple
            ));
        }
        faults
    }
}

impl MirrorId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EndpointId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn simple() -> String {
    "simple/".to_owned()
}

fn identifier(text: String) -> Result<String, String> {
    let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if text.is_empty()
        || text.len() > ID_CHARS_MAX
        || !text.bytes().all(good)
        || text.starts_with('-')
    {
        return Err(format!(
            "`{text}` is no id: up to {ID_CHARS_MAX} lower-case letters, digits and dashes, and no dash first"
        ));
    }
    Ok(text)
}

impl TryFrom<String> for MirrorId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        identifier(text).map(Self)
    }
}

impl TryFrom<String> for EndpointId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        identifier(text).map(Self)
    }
}

impl TryFrom<String> for CountryCode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_bytes() {
            &[first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok(Self([first, second]))
            }
            _ => Err(format!(
                "`{text}` is no country code: two capital letters, as `CN`"
            )),
        }
    }
}

impl From<MirrorId> for String {
    fn from(id: MirrorId) -> Self {
        id.0
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0
    }
}

impl From<CountryCode> for String {
    fn from(code: CountryCode) -> Self {
        code.to_string()
    }
}

impl fmt::Display for MirrorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}
