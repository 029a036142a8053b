//! Every address we answer, in one place: a path in, a typed route out. Pure.
//!
//! Does not know methods, headers or whether the thing exists. Anything that is not a route is `NotFound`, so a path
//! that reaches the store has been parsed into types that cannot leave the tree.

use std::borrow::Cow;
use std::str::FromStr as _;

use heliostat_pypi::page::Format;
use heliostat_pypi::{ProjectName, RelPath, Sha256, TreePath};
use heliostat_store::Part;
use percent_encoding::percent_decode_str;

/// The longest path we look at, in bytes: PyPI's longest file address is under 400.
pub(crate) const PATH_BYTES_MAX: usize = 2048;

/// One address, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`: the page for people.
    Home,
    /// `/simple/`: the root list. pip (`index versions`), bandersnatch, another heliostat.
    SimpleList,
    /// `/simple/<project>/`: a project page. Every installer.
    SimplePage(ProjectName),
    /// `/simple/index.v1_json`, `index.v1_html` and `index.html`: the root list as it lies in the tree. Whoever takes a
    /// tree apart file by file, from us as from any web server.
    PlainList(Format),
    /// The same of a project page.
    PlainPage(ProjectName, Format),
    /// `/packages/aa/bb/<60 hex>/<file>` and `<file>.metadata`. Every installer.
    File(TreePath, Part),
    /// `/integrity/<project>/<version>/<file>/provenance` (PEP 740). `pypi-attestations`.
    Provenance(Provenance),
    /// `/pypi/<project>/json` and `/pypi/<project>/<version>/json`. bandersnatch, pip-audit, poetry, editors.
    Legacy(ProjectName, Option<String>),
    /// `/last-modified` (PEP 381). Mirror monitors.
    LastModified,
    /// `/local-stats/days/<day>.bz2` (PEP 381). Mirror monitors.
    LocalStats(RelPath),
    /// `/tuf/<file>.json` (TUF metadata), `/simple/<project>/<sha256>.index.v1_json` (the signed pages) and
    /// `/heliostat/[<sha256>.]trusted_root.json` (Sigstore's trusted root). Clients that verify.
    Signed(RelPath),
    /// `/serverkey` (PEP 381): the notary's public key. People with `openssl` and no client of ours.
    ServerKey,
    /// `/serversig/<project>` (PEP 381): a detached signature of the project's page. The same.
    ServerSignature(ProjectName),
    /// `/.well-known/…`: who runs this mirror.
    WellKnown(RelPath),
    /// `/directory/…`: the list of mirrors, where one is carried. People, and the proxy.
    Directory(RelPath),
    /// `/healthz`: the process answers. Supervisors.
    Liveness,
    /// `/readyz`: the process can serve. Load balancers.
    Readiness,
    /// `/metrics`. Prometheus.
    Metrics,
    /// `/robots.txt`. Crawlers.
    Robots,
    /// `/favicon.ico`: browsers ask by themselves; we have none.
    Favicon,
    /// Another spelling of one of the above: 301 to this path.
    Moved(String),
    /// Nothing of ours.
    NotFound,
}

/// The three names in the address of a provenance document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// The project.
    pub(crate) project: ProjectName,
    /// The version as the address spells it.
    pub(crate) version: String,
    /// The file's name.
    pub(crate) filename: String,
}

/// The route without its parameters: what metrics and the access log count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RouteKind {
    /// `/`
    Home,
    /// `/simple/`
    List,
    /// `/simple/<project>/`
    Page,
    /// A file.
    File,
    /// `<file>.metadata`
    Metadata,
    /// A provenance document.
    Provenance,
    /// The legacy JSON documents.
    Legacy,
    /// Everything small and static.
    Other,
    /// A redirect to the normal spelling.
    Moved,
    /// No route.
    NotFound,
}

impl RouteKind {
    /// Every kind, in the order of their numbers.
    pub(crate) const ALL: [Self; 10] = [
        Self::Home,
        Self::List,
        Self::Page,
        Self::File,
        Self::Metadata,
        Self::Provenance,
        Self::Legacy,
        Self::Other,
        Self::Moved,
        Self::NotFound,
    ];

    /// The label in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::List => "list",
            Self::Page => "page",
            Self::File => "file",
            Self::Metadata => "metadata",
            Self::Provenance => "provenance",
            Self::Legacy => "legacy",
            Self::Other => "other",
            Self::Moved => "moved",
            Self::NotFound => "not-found",
        }
    }
}

impl Route {
    /// Parses the path of a request, still percent-encoded.
    pub(crate) fn parse(path: &str) -> Self {
        Self::recognise(path).unwrap_or(Self::NotFound)
    }

    /// What this counts as.
    pub(crate) const fn kind(&self) -> RouteKind {
        match self {
            Self::Home => RouteKind::Home,
            Self::SimpleList | Self::PlainList(_) => RouteKind::List,
            Self::SimplePage(_) | Self::PlainPage(..) => RouteKind::Page,
            Self::File(_, Part::Metadata) => RouteKind::Metadata,
            Self::File(..) => RouteKind::File,
            Self::Provenance(_) => RouteKind::Provenance,
            Self::Legacy(..) => RouteKind::Legacy,
            Self::Moved(_) => RouteKind::Moved,
            Self::NotFound => RouteKind::NotFound,
            Self::LastModified
            | Self::LocalStats(_)
            | Self::WellKnown(_)
            | Self::Directory(_)
            | Self::Signed(_)
            | Self::ServerKey
            | Self::ServerSignature(_)
            | Self::Liveness
            | Self::Readiness
            | Self::Metrics
            | Self::Robots
            | Self::Favicon => RouteKind::Other,
        }
    }

    fn recognise(path: &str) -> Option<Self> {
        let encoded = path.strip_prefix('/')?;
        if PATH_BYTES_MAX < path.len() {
            return None;
        }
        match encoded {
            "" => return Some(Self::Home),
            "simple/" => return Some(Self::SimpleList),
            "simple" => return Some(Self::Moved("/simple/".to_owned())),
            "directory" => return Some(Self::Moved("/directory/".to_owned())),
            "last-modified" => return Some(Self::LastModified),
            "serverkey" => return Some(Self::ServerKey),
            "healthz" => return Some(Self::Liveness),
            "readyz" => return Some(Self::Readiness),
            "metrics" => return Some(Self::Metrics),
            "robots.txt" => return Some(Self::Robots),
            "favicon.ico" => return Some(Self::Favicon),
            _ => {}
        }
        let (family, rest) = encoded.split_once('/')?;
        match family {
            "simple" => Self::simple(rest),
            "packages" => Self::file(encoded),
            "pypi" => Self::legacy(rest),
            "integrity" => Self::provenance(rest),
            "local-stats" => Self::local_stats(encoded),
            "serversig" => Self::server_signature(rest),
            "tuf" => Self::metadata(encoded),
            "heliostat" => Self::trusted_root(rest),
            "directory" => Self::directory(encoded),
            ".well-known" => Some(Self::WellKnown(decode(encoded)?.parse().ok()?)),
            _ => None,
        }
    }

    /// `<name>/`; every other spelling of the name, and the missing slash, move (PEP 503).
    fn simple(rest: &str) -> Option<Self> {
        if let Some(format) = plain(rest) {
            return Some(Self::PlainList(format));
        }
        if let Some((name, last)) = rest.split_once('/')
            && let Some(format) = plain(last)
        {
            let project = ProjectName::from_str(&decode(name)?).ok()?;
            if project.as_str() == name {
                return Some(Self::PlainPage(project, format));
            }
            return Some(Self::Moved(format!("/simple/{project}/{last}")));
        }
        if let Some((name, last)) = rest.split_once('/')
            && let Some(digest) = last.strip_suffix(".index.v1_json")
        {
            // Signed addresses have one spelling.
            let project = ProjectName::from_str(name).ok()?;
            let is_normal =
                project.as_str() == name && digest == Sha256::from_str(digest).ok()?.to_hex();
            return is_normal.then(|| format!("simple/{rest}").parse().ok().map(Self::Signed))?;
        }
        let bare = rest.strip_suffix('/').unwrap_or(rest);
        let decoded = decode(bare)?;
        let project = ProjectName::from_str(&decoded).ok()?;
        if project.as_str() == bare && bare.len() < rest.len() {
            return Some(Self::SimplePage(project));
        }
        Some(Self::Moved(format!("/simple/{project}/")))
    }

    /// `<name>`, without a slash at its end, as PEP 381 has it.
    fn server_signature(rest: &str) -> Option<Self> {
        let project =
            ProjectName::from_str(&decode(rest.strip_suffix('/').unwrap_or(rest))?).ok()?;
        if project.as_str() == rest {
            return Some(Self::ServerSignature(project));
        }
        Some(Self::Moved(format!("/serversig/{project}")))
    }

    /// `tuf/<name>.json`, one segment, which keeps its escapes: they are part of a role's file name.
    fn metadata(encoded: &str) -> Option<Self> {
        let name = encoded.strip_prefix("tuf/")?.strip_suffix(".json")?;
        (!name.contains('/')).then(|| encoded.parse().ok().map(Self::Signed))?
    }

    /// `heliostat/trusted_root.json`, and the same with its digest.
    fn trusted_root(rest: &str) -> Option<Self> {
        let digest = rest.strip_suffix("trusted_root.json")?;
        if let Some(digest) = digest.strip_suffix('.') {
            let is_normal = digest == Sha256::from_str(digest).ok()?.to_hex();
            return is_normal
                .then(|| format!("heliostat/{rest}").parse().ok().map(Self::Signed))?;
        }
        let is_plain = digest.is_empty();
        is_plain.then(|| format!("heliostat/{rest}").parse().ok().map(Self::Signed))?
    }

    /// `directory/…`: a file of the published list; a folder is its page.
    fn directory(encoded: &str) -> Option<Self> {
        let decoded = decode(encoded)?;
        let page = if decoded.ends_with('/') {
            "index.html"
        } else {
            ""
        };
        Some(Self::Directory(format!("{decoded}{page}").parse().ok()?))
    }

    fn file(encoded: &str) -> Option<Self> {
        let decoded = decode(encoded)?;
        // An escaped slash must not become a separator: TreePath wants exactly five segments of the decoded text.
        let (path, part) = match decoded.strip_suffix(".metadata") {
            Some(path) => (path, Part::Metadata),
            None => (decoded.as_ref(), Part::File),
        };
        Some(Self::File(path.parse().ok()?, part))
    }

    fn legacy(rest: &str) -> Option<Self> {
        let segments: Vec<&str> = rest.split('/').collect();
        let (name, version) = match segments[..] {
            [name, "json"] => (name, None),
            [name, version, "json"] => (name, Some(one_segment(version)?)),
            _ => return None,
        };
        let project = ProjectName::from_str(&decode(name)?).ok()?;
        if project.as_str() == name {
            return Some(Self::Legacy(project, version));
        }
        // The version keeps its spelling, escapes included.
        let tail = rest.split_once('/').map_or("json", |(_, tail)| tail);
        Some(Self::Moved(format!("/pypi/{project}/{tail}")))
    }

    fn provenance(rest: &str) -> Option<Self> {
        let segments: Vec<&str> = rest.split('/').collect();
        let [name, version, filename, "provenance"] = segments[..] else {
            return None;
        };
        let project = ProjectName::from_str(&decode(name)?).ok()?;
        if project.as_str() != name {
            return Some(Self::Moved(format!(
                "/integrity/{project}/{version}/{filename}/provenance"
            )));
        }
        let (version, filename) = (one_segment(version)?, one_segment(filename)?);
        Some(Self::Provenance(Provenance {
            project,
            version,
            filename,
        }))
    }

    fn local_stats(encoded: &str) -> Option<Self> {
        let day = encoded
            .strip_prefix("local-stats/days/")?
            .strip_suffix(".bz2")?;
        let dated = day.len() == 10
            && day.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        dated.then(|| encoded.parse().ok().map(Self::LocalStats))?
    }
}

impl Provenance {
    /// Where the document stands in the tree.
    pub(crate) fn tree_path(&self) -> Option<RelPath> {
        let Self {
            project,
            version,
            filename,
        } = self;
        format!("integrity/{project}/{version}/{filename}/provenance")
            .parse()
            .ok()
    }
}

/// The document that a file name of the tree stands for.
fn plain(file: &str) -> Option<Format> {
    match file {
        "index.v1_json" => Some(Format::Json),
        "index.v1_html" | "index.html" => Some(Format::Html),
        _ => None,
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('%') {
        percent_decode_str(text).decode_utf8().ok()
    } else {
        Some(Cow::Borrowed(text))
    }
}

/// A decoded segment that still is one: no slash came out of an escape, and it is not empty or a dot name.
fn one_segment(text: &str) -> Option<String> {
    let decoded = decode(text)?;
    if decoded.contains('/') {
        return None;
    }
    RelPath::from_str(&decoded).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str =
        "/packages/e3/b0/c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/a-1.0+l.whl";

    fn check(path: &str, expected: &Route) {
        assert_eq!(&Route::parse(path), expected, "{path}");
    }

    #[test]
    fn every_route_is_recognised() {
        let name: ProjectName = "zope-interface".parse().unwrap();
        let file: TreePath = FILE[1..].parse().unwrap();
        let day = "local-stats/days/2026-08-01.bz2".parse().unwrap();
        let known = ".well-known/heliostat-mirror.json".parse().unwrap();
        let provenance = Provenance {
            project: name.clone(),
            version: "1.0+l".to_owned(),
            filename: "a-1.0.whl".to_owned(),
        };
        for (path, expected) in [
            ("/", Route::Home),
            ("/simple/", Route::SimpleList),
            ("/simple/index.v1_json", Route::PlainList(Format::Json)),
            ("/simple/index.html", Route::PlainList(Format::Html)),
            ("/simple/zope-interface/", Route::SimplePage(name.clone())),
            (
                "/simple/zope-interface/index.v1_json",
                Route::PlainPage(name.clone(), Format::Json),
            ),
            (
                "/simple/zope-interface/index.v1_html",
                Route::PlainPage(name.clone(), Format::Html),
            ),
            (FILE, Route::File(file.clone(), Part::File)),
            (
                &FILE.replace('+', "%2B"),
                Route::File(file.clone(), Part::File),
            ),
            (
                &format!("{FILE}.metadata"),
                Route::File(file, Part::Metadata),
            ),
            (
                "/integrity/zope-interface/1.0%2Bl/a-1.0.whl/provenance",
                Route::Provenance(provenance),
            ),
            (
                "/pypi/zope-interface/json",
                Route::Legacy(name.clone(), None),
            ),
            (
                "/pypi/zope-interface/1.0/json",
                Route::Legacy(name, Some("1.0".to_owned())),
            ),
            ("/last-modified", Route::LastModified),
            ("/local-stats/days/2026-08-01.bz2", Route::LocalStats(day)),
            (
                "/.well-known/heliostat-mirror.json",
                Route::WellKnown(known),
            ),
            (
                "/directory/",
                Route::Directory("directory/index.html".parse().unwrap()),
            ),
            (
                "/directory/v1/mirrors.json",
                Route::Directory("directory/v1/mirrors.json".parse().unwrap()),
            ),
            ("/serverkey", Route::ServerKey),
            (
                "/serversig/zope-interface",
                Route::ServerSignature("zope-interface".parse().unwrap()),
            ),
            ("/healthz", Route::Liveness),
            ("/readyz", Route::Readiness),
            ("/metrics", Route::Metrics),
            ("/robots.txt", Route::Robots),
            ("/favicon.ico", Route::Favicon),
        ] {
            check(path, &expected);
        }
    }

    #[test]
    fn other_spellings_move_to_the_normal_one() {
        for (path, target) in [
            ("/simple", "/simple/"),
            ("/directory", "/directory/"),
            ("/simple/requests", "/simple/requests/"),
            ("/simple/Zope.Interface/", "/simple/zope-interface/"),
            ("/simple/Zope%2EInterface", "/simple/zope-interface/"),
            (
                "/simple/Zope.Interface/index.v1_json",
                "/simple/zope-interface/index.v1_json",
            ),
            ("/pypi/Zope.Interface/json", "/pypi/zope-interface/json"),
            ("/serversig/Zope.Interface", "/serversig/zope-interface"),
            ("/serversig/zope-interface/", "/serversig/zope-interface"),
            ("/pypi/A_b/1.0%2Bl/json", "/pypi/a-b/1.0%2Bl/json"),
            (
                "/integrity/A_b/1.0/a.whl/provenance",
                "/integrity/a-b/1.0/a.whl/provenance",
            ),
        ] {
            check(path, &Route::Moved(target.to_owned()));
        }
    }

    #[test]
    fn nothing_else_is_a_route() {
        for path in [
            "",
            "*",
            "simple/",
            "//",
            "/simple//",
            "/simple/acme%20sdk/",
            "/simple/_x/",
            "/simple/x-/",
            "/simple/a/b/",
            "/serversig/",
            "/serversig/a/b",
            "/serversig/a%2Fb",
            "/simple/a%2Fb/",
            "/simple/a/index.v2_json",
            "/simple/a/b/index.v1_json",
            "/simple/%ff/",
            "/simple/simple/x/",
            "/packages/",
            "/packages/../../etc/passwd",
            "/packages/e3/b0/c4/a.whl",
            &FILE.replace("/e3/", "/E3/"),
            &FILE.replace("a-1.0+l.whl", "%2e%2e"),
            &FILE.replace("a-1.0+l.whl", "a%2Fb"),
            &format!("{FILE}/"),
            "/.well-known/../state/catalog.sqlite",
            "/.well-known/%2e%2e/state/catalog.sqlite",
            "/.well-known/",
            "/directory/../state/catalog.sqlite",
            "/directory/%2e%2e/state/catalog.sqlite",
            "/directory/%2e%2e%2fstate/catalog.sqlite",
            "/local-stats/days/2026-8-1.bz2",
            "/local-stats/days/../../x.bz2",
            "/integrity/a/%2e%2e/a.whl/provenance",
            "/pypi/a/json/",
            "/state/catalog.sqlite",
            &format!("/simple/{}/", "a".repeat(3000)),
        ] {
            check(path, &Route::NotFound);
        }
    }

    #[test]
    fn kinds_are_numbered_as_they_are_listed() {
        for (number, kind) in RouteKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }

    proptest! {
        #[test]
        fn any_path_is_parsed(path in "/?(simple|packages|pypi|integrity|.well-known)?(/|[%a-zA-Z0-9._-]){0,40}") {
            let _route = Route::parse(&path);
        }

        #[test]
        fn a_move_ends_at_a_route(name in "[a-zA-Z0-9]([a-zA-Z0-9._-]{0,8}[a-zA-Z0-9])?") {
            if let Route::Moved(target) = Route::parse(&format!("/simple/{name}")) {
                prop_assert!(matches!(Route::parse(&target), Route::SimplePage(_)), "{}", target);
            } else {
                prop_assert!(false, "{} did not move", name);
            }
        }
    }
}
