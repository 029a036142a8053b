//! The judgement: which settings lead round a verifying proxy, and what to do about each. Pure.

use url::Url;

use super::{Effect, Installer, Setting};
use crate::lock_urls::is_loopback;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Packages may come from elsewhere, or unverified.
    Bypass,
}

/// One thing to know about a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypass {
    /// The setting; `None` where the lack of one is the trouble.
    pub setting: Option<Setting>,
    /// Whose.
    pub installer: Installer,
    /// How bad.
    pub severity: Severity,
    /// What it leads to.
    pub why: &'static str,
    /// What to do about it.
    pub fix: String,
}

/// Where the proxy is, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProxyPlace {
    /// Nobody said: anything on loopback is taken for it.
    #[default]
    AnyLoopback,
    /// There and nowhere else.
    At(Url),
    /// It is yet to be started, so that no setting can name it.
    Unborn,
}

/// What may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Where the proxy is.
    pub proxy: ProxyPlace,
    /// Further indexes that are meant, such as a company's own.
    pub allowed: Vec<Url>,
    /// The installers that matter here, all where empty.
    pub installers: Vec<Installer>,
}

/// Everything that the settings do to bypass the proxy, in their order; then which installers are not told of it.
pub fn judge(settings: &[Setting], judged: &Judged) -> Vec<Bypass> {
    let matters =
        |installer| judged.installers.is_empty() || judged.installers.contains(&installer);
    let mut found: Vec<Bypass> = settings
        .iter()
        .filter(|setting| matters(setting.installer))
        .filter_map(|setting| judged.one(setting))
        .collect();
    for installer in [
        Installer::Pip,
        Installer::Uv,
        Installer::Poetry,
        Installer::Pdm,
    ] {
        let is_told = settings
            .iter()
            .any(|setting| setting.installer == installer && setting.effect == Effect::Index);
        // poetry and pdm are asked about only where they are used.
        let is_used = matches!(installer, Installer::Pip | Installer::Uv)
            || settings
                .iter()
                .any(|setting| setting.installer == installer);
        if matters(installer) && !is_told && is_used {
            found.push(Bypass {
                setting: None,
                installer,
                severity: match judged.proxy {
                    ProxyPlace::At(_) => Severity::Bypass,
                    ProxyPlace::AnyLoopback | ProxyPlace::Unborn => Severity::Note,
                },
                why: "no index is configured, so it asks PyPI itself",
                fix: judged.how_to_point(installer),
            });
        }
    }
    found
}

impl Judged {
    fn one(&self, setting: &Setting) -> Option<Bypass> {
        let installer = setting.installer;
        let (why, fix) = match setting.effect {
            Effect::Index | Effect::ExtraIndex if self.is_fine(&setting.value) => return None,
            Effect::Index => (
                "this index is asked instead of the proxy",
                match self.proxy {
                    ProxyPlace::Unborn => {
                        let value = shown(&setting.value);
                        format!("remove it; `--index {value}` where it is a proxy, `--allow {value}` accepts it")
                    }
                    ProxyPlace::AnyLoopback | ProxyPlace::At(_) => self.how_to_point(installer),
                },
            ),
            Effect::ExtraIndex if installer == Installer::Pip => (
                "whatever the proxy refuses, pip installs from this index instead, without a word",
                format!("remove it; `--allow {}` accepts it", shown(&setting.value)),
            ),
            Effect::ExtraIndex => (
                "packages may come from this index, unverified",
                format!("remove it; `--allow {}` accepts it", shown(&setting.value)),
            ),
            Effect::FindLinks => (
                "files found there are installed unverified, before or beside what the index has",
                "remove it, or serve these files from an index of your own".to_owned(),
            ),
            Effect::NoTlsCheck if is_loopback_host(&setting.value) => return None,
            Effect::NoTlsCheck => (
                "certificates are not checked, so anybody on the way can answer in that host's place",
                "remove it; a private authority's certificate belongs in the installer's `cert` setting"
                    .to_owned(),
            ),
            Effect::NoIndex if is_off(&setting.value) => return None,
            Effect::NoIndex => (
                "no index is asked at all, the proxy neither",
                "remove it".to_owned(),
            ),
            Effect::Strategy if !setting.value.starts_with("unsafe-") => return None,
            Effect::Strategy => (
                "a name is looked up in every index, so anybody who can upload it to one of them wins",
                "remove it, or set it to `first-index`".to_owned(),
            ),
            Effect::ImplicitIndex => (
                "PyPI itself is asked beside the proxy",
                "remove this source; with another primary source poetry does not add PyPI".to_owned(),
            ),
            Effect::Included => (
                "this file was not read, so whether its options bypass the proxy is not known",
                if setting.value.contains("://") {
                    "look into it: pip fetches it and does what its options say".to_owned()
                } else {
                    "put the file there, or remove what names it: pip fails without it".to_owned()
                },
            ),
        };
        Some(Bypass {
            setting: Some(setting.clone()),
            installer,
            severity: match setting.effect {
                Effect::Included => Severity::Note,
                _ => Severity::Bypass,
            },
            why,
            fix,
        })
    }

    /// Whether an index is the proxy or one that is meant.
    fn is_fine(&self, value: &str) -> bool {
        let Ok(url) = value.parse::<Url>() else {
            return false;
        };
        let is = |wanted: &Url| {
            wanted.scheme() == url.scheme()
                && wanted.host() == url.host()
                && wanted.port_or_known_default() == url.port_or_known_default()
                && wanted.path().trim_end_matches('/') == url.path().trim_end_matches('/')
        };
        self.allowed.iter().any(is)
            || match &self.proxy {
                ProxyPlace::At(proxy) => is(proxy),
                ProxyPlace::AnyLoopback => is_loopback(&url),
                ProxyPlace::Unborn => false,
            }
    }

    fn how_to_point(&self, installer: Installer) -> String {
        let proxy = match &self.proxy {
            ProxyPlace::At(proxy) => proxy.as_str(),
            ProxyPlace::AnyLoopback | ProxyPlace::Unborn => "http://127.0.0.1:8081/simple/",
        };
        match installer {
            Installer::Pip => format!("pip config set global.index-url {proxy}"),
            Installer::Uv => format!("set UV_DEFAULT_INDEX={proxy}, or `index-url` in uv.toml"),
            Installer::Poetry => format!("poetry source add --priority=primary heliostat {proxy}"),
            Installer::Pdm => format!("pdm config pypi.url {proxy}"),
        }
    }
}

/// `host`, `host:port`, or an address with a scheme.
fn is_loopback_host(value: &str) -> bool {
    let address = if value.contains("://") {
        value.to_owned()
    } else {
        format!("http://{value}")
    };
    address.parse::<Url>().is_ok_and(|url| is_loopback(&url))
}

fn is_off(value: &str) -> bool {
    ["false", "0", "no", "off", "n", "f"].contains(&value.to_lowercase().as_str())
}

/// An address without its credentials.
fn shown(value: &str) -> String {
    match value.parse::<Url>() {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let _cannot_fail_for_a_host =
                url.set_username("").and_then(|()| url.set_password(None));
            url.to_string()
        }
        _ => value.to_owned(),
    }
}
