use super::*;

fn decide(kind: Kind, url: &str) -> Option<String> {
    let parsed: Url = url.parse().unwrap();
    let map = Map::builtin();
    let address = Address {
        host: parsed.host_str().unwrap(),
        port: parsed.port_or_known_default(),
        path: url
            .split_once("://")
            .unwrap()
            .1
            .split_once('/')
            .map_or("", |(host, _)| {
                &url[url.find("://").unwrap() + 3 + host.len()..]
            }),
        kind,
    };
    let (_, decision) = map.decide(&address)?;
    Some(match decision {
        Decision::Rewrite {
            to, path_length, ..
        } => {
            format!("{to}{}", &address.path[path_length..])
        }
        Decision::Hosts(hosts) => hosts.join(","),
        Decision::Remove => "remove".to_owned(),
        Decision::Report { .. } => "report".to_owned(),
    })
}

#[test]
fn the_built_in_map_can_be_read_and_says_when_and_where_from() {
    let map = Map::builtin();
    assert!(map.entries().len() > 10);
    for entry in map.entries() {
        assert!(entry.builtin && !entry.why.is_empty() && entry.source.is_some());
    }
}

#[test]
fn kind_and_path_decide_together() {
    let pypi = concat!("https://pypi", ".org");
    let files = concat!("https://files.python", "hosted.org");
    let upload = concat!("https://upload.pypi", ".org/legacy/");
    for (kind, old, new) in [
        (
            Kind::Index,
            "http://f.pypi.python.org/simple",
            format!("{pypi}/simple"),
        ),
        (
            Kind::Index,
            "https://pypi.python.org/simple/",
            format!("{pypi}/simple/"),
        ),
        (
            Kind::Index,
            "https://pypi.python.org/pypi",
            format!("{pypi}/simple/"),
        ),
        (
            Kind::Index,
            "https://pypi.python.org",
            format!("{pypi}/simple/"),
        ),
        (
            Kind::Upload,
            "https://pypi.python.org/pypi",
            upload.to_owned(),
        ),
        (
            Kind::Upload,
            "https://pypi.python.org/pypi/",
            upload.to_owned(),
        ),
        (
            Kind::Search,
            "https://pypi.python.org/pypi",
            format!("{pypi}/pypi"),
        ),
        (
            Kind::Index,
            "https://simple.crate.io/",
            format!("{pypi}/simple/"),
        ),
        (
            Kind::Index,
            "https://simple.crate.io",
            format!("{pypi}/simple/"),
        ),
        (
            Kind::LockArtifact,
            "https://pypi.python.org/packages/a/b/c-1.0.tar.gz",
            format!("{files}/packages/a/b/c-1.0.tar.gz"),
        ),
        (
            Kind::Index,
            "https://pypi.python.org/simplex",
            "report".to_owned(),
        ),
        (
            Kind::Index,
            "https://pypi.douban.com/simple/",
            "report".to_owned(),
        ),
    ] {
        assert_eq!(decide(kind, old).as_deref(), Some(new.as_str()), "{old}");
    }
    assert_eq!(
        decide(Kind::Index, "https://pypi.python.org:8443/simple"),
        None
    );
    assert_eq!(
        decide(Kind::TrustedHost, "https://pypi.python.org").as_deref(),
        Some("remove")
    );
}

#[test]
fn a_users_entry_wins_and_may_ask_for_a_word_about_its_region() {
    let map = |rule: &str| {
        Map::parse(
            "migrate.toml",
            &format!("[[retired]]\nhosts = ['F.pypi.python.org.']\nregion = 'DE'\n[[retired.rule]]\nprefix = '/simple/'\nto = 'https://new.example/simple'\n{rule}"),
        )
        .unwrap()
    };
    let address = Address {
        host: "f.pypi.python.org",
        port: Some(80),
        path: "/simple/",
        kind: Kind::Index,
    };
    let decided = |map: &Map| map.decide(&address).unwrap().1;
    assert!(matches!(decided(&map("")), Decision::Report { reason } if reason.contains("DE")));
    assert!(
        matches!(decided(&map("region_acknowledged = true")), Decision::Rewrite { to, .. } if to == "https://new.example/simple")
    );
    assert!(matches!(
        decided(&map("region = 'DE'")),
        Decision::Rewrite { .. }
    ));
}

#[test]
fn a_wrong_map_is_refused_with_what_to_write() {
    for (text, word) in [
        ("[[retired]]\n", "hosts ="),
        (
            "[[retired]]\nhosts=['https://x.example/']",
            "without scheme",
        ),
        (
            "[[retired]]\nhosts=['x.example']\nlike='y'",
            "names no entry",
        ),
        (
            "[[retired]]\nhosts=['x.example']\n[[retired.rule]]\nto='http://n.example/'",
            "plain http",
        ),
        (
            "[[retired]]\nhosts=['x.example']\n[[retired.rule]]\nprefix='/a'",
            "without `to`",
        ),
        (
            "[[retired]]\nhosts=['x.example']\n[[retired.rule]]\nto='https://u:p@n.example/'",
            "login",
        ),
        ("[[retired]]\npatterns=['x.*']", "no pattern"),
        ("[[retired]]\nhosts=['*.x.example']", "under `patterns`"),
        (
            "[[retired]]\nhosts=['x.example']\n[[retired.rule]]\nto='https://x.example/new/'",
            "write where that leads",
        ),
        (
            "[[retired]]\nhosts=['x.example']\n[[retired.rule]]\nkinds=['upload']\nto='https://pypi.python.org/pypi'",
            "by the entry `pypi`",
        ),
    ] {
        let error = Map::parse("m.toml", text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(Map::parse("m.toml", "hots = 1").is_err());
    // Another port is another place, and what no rule moves is no circle.
    for to in ["https://x.example:8443/", "https://x.example/new"] {
        let text =
            format!("[[retired]]\nhosts=['x.example']\n[[retired.rule]]\nprefix='/old'\nto='{to}'");
        assert!(Map::parse("m.toml", &text).is_ok(), "{to}");
    }
}

#[test]
fn patterns_are_for_hosts_below_a_domain() {
    let map = Map::builtin();
    assert_eq!(map.find("acme.bintray.com").unwrap().name, "bintray");
    assert!(map.find("bintray.com.evil.example").is_none());
    assert!(map.find("xbintray.com").is_none());
}
