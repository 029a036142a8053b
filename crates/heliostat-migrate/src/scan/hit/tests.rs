use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<String> {
    let map = Map::builtin();
    Needles::new(&map)
        .hits(text, &map)
        .iter()
        .filter(|hit| {
            hit.port_meant()
                .is_none_or(|port| [80, 443].contains(&port))
        })
        .map(|hit| text[hit.span()].to_owned())
        .collect()
}

#[test]
fn an_address_is_found_as_it_stands() {
    for (text, address) in [
        (
            "index-url = http://f.pypi.python.org/simple",
            "http://f.pypi.python.org/simple",
        ),
        (
            "-ihttps://PyPI.Python.ORG/simple",
            "https://PyPI.Python.ORG/simple",
        ),
        (
            "-i https://pypi.python.org./simple",
            "https://pypi.python.org./simple",
        ),
        (
            "-i https://pypi.python.org:443/simple x",
            "https://pypi.python.org:443/simple",
        ),
        (
            "u = \"https:\\/\\/pypi.python.org\\/simple\"",
            "https:\\/\\/pypi.python.org\\/simple",
        ),
        (
            "https://u:p%40x@pypi.python.org/simple/",
            "https://u:p%40x@pypi.python.org/simple/",
        ),
        (
            "https://$U:${P}@pypi.python.org/simple/",
            "https://$U:${P}@pypi.python.org/simple/",
        ),
        (
            "PIP_INDEX_URL: https://${{ secrets.USER }}:${{ secrets['P'] }}@pypi.python.org/simple",
            "https://${{ secrets.USER }}:${{ secrets['P'] }}@pypi.python.org/simple",
        ),
        (
            "-i https://{{ user }}@pypi.python.org/simple x",
            "https://{{ user }}@pypi.python.org/simple",
        ),
        (
            "-i https://$(USER):$(PASS)@pypi.python.org/simple x",
            "https://$(USER):$(PASS)@pypi.python.org/simple",
        ),
        ("trusted-host = pypi.python.org", "pypi.python.org"),
        ("see pypi.python.org.", "pypi.python.org"),
        ("看 pypi.python.org，好", "pypi.python.org"),
        (
            "(https://pypi.python.org/simple).",
            "https://pypi.python.org/simple",
        ),
        (
            "${X:-https://pypi.python.org/simple}",
            "https://pypi.python.org/simple",
        ),
        ("git+https://pypi.python.org/x", "https://pypi.python.org/x"),
        ("https://pypi.python.org/a;", "https://pypi.python.org/a"),
        ("//pypi.python.org/simple", "//pypi.python.org/simple"),
    ] {
        assert_eq!(found(text), [address], "{text}");
    }
    assert_eq!(
        found("https://a.pypi.python.org/simple,https://b.pypi.python.org/simple"),
        [
            "https://a.pypi.python.org/simple",
            "https://b.pypi.python.org/simple"
        ]
    );
}

#[test]
fn look_alikes_are_not_found() {
    for text in [
        "https://pypi.python.org.evil.example/simple",
        "https://notpypi.python.org/simple",
        "https://not-pypi.python.org/simple",
        "https://x_pypi.python.org/simple",
        "https://pypi.python.organic/simple",
        "https://pypi.python.org-mirror.example/",
        "https://pypi.python.org@evil.example/simple",
        "https://pypi.python.org:x@evil.example/simple",
        "https://pypi.python.org:443@evil.example/simple",
        "https://evil.example/pypi.python.org/simple",
        "https://evil.example/?u=pypi.python.org",
        "https://evil.example/?u=https://pypi.python.org/simple",
        "https://web.example/2014/https://pypi.python.org/simple",
        "https://evil.example/#pypi.python.org",
        "/srv/mirror/pypi.python.org/simple",
        "admin@pypi.python.org",
        "https://рypi.python.org/simple",
        "https://еpypi.python.org/simple",
        "https://pypi.python.orgé/",
        "https://ёpypi.python.org/simple",
        "https://pypi.python.org%2eevil.example/",
        "https://pypi.python.org:8443/simple",
        "https://pypi.python.org:80a/simple",
        "https://pypi.python.org..evil/",
        "https://.pypi.python.org/",
        "https://zz.pypi.python.org/simple",
        "C:\\mirror\\pypi.python.org\\simple",
        "https://evil.example\\pypi.python.org/",
        "https://a.example/r?to=%2F%2Fpypi.python.org/",
    ] {
        assert_eq!(found(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_variable_beside_the_host_leaves_it_undecided() {
    let map = Map::builtin();
    let needles = Needles::new(&map);
    for text in [
        "https://pypi.python.org${SUFFIX}/simple",
        "https://pypi.python.org:${PORT}/simple",
        "https://${SUB}pypi.python.org/simple",
    ] {
        let hits = needles.hits(text, &map);
        assert!(
            hits.iter().all(|hit| hit.doubt.is_some()) && hits.len() == 1,
            "{text} {hits:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_fault_and_hits_are_in_order(
        parts in prop::collection::vec(prop_oneof![
            Just("pypi.python.org".to_owned()), Just("https://".to_owned()), Just("\\/\\/".to_owned()),
            Just("@".to_owned()), Just(":443".to_owned()), Just("/simple".to_owned()), Just("{{".to_owned()),
            "[ -~]{0,4}", "\\PC{0,3}",
        ], 0..12)
    ) {
        let text = parts.concat();
        let map = Map::builtin();
        let mut last = 0;
        for hit in Needles::new(&map).hits(&text, &map) {
            let span = hit.span();
            prop_assert!(span.start >= last && hit.host.start >= span.start && span.end <= text.len());
            prop_assert_eq!(text[hit.host.clone()].trim_end_matches('.').to_ascii_lowercase(), hit.name);
            last = hit.host.end;
        }
    }

    #[test]
    fn more_letters_on_either_side_make_another_host(left in "[a-z0-9_-]{1,5}", right in "[a-z0-9_-]{1,5}") {
        prop_assert_eq!(found(&format!("https://x{left}pypi.python.org/simple")).len(), 0);
        prop_assert_eq!(found(&format!("https://pypi.python.org{right}/simple")).len(), 0);
        prop_assert_eq!(found(&format!("https://pypi.python.org.{right}/simple")).len(), 0);
    }
}

/// The quick look and the close one agree, with many names and with few, in any case.
#[test]
fn the_quick_look_misses_no_name() {
    let few = "builtin = false\n[[retired]]\nhosts = ['bintray.com', 'pypi.io']\n";
    for map in [Map::builtin(), Map::parse("m.toml", few).unwrap()] {
        let needles = Needles::new(&map);
        for name in ["BinTray.COM", "pypi.io", "WWW.pypi.IO"] {
            for filler in [0, 1, 15, 31, 64, 5000] {
                let text = format!("{}{name}{}", "x/ ".repeat(filler), " y.".repeat(filler));
                assert!(needles.occur(text.as_bytes()), "{name} after {filler}");
            }
        }
        assert!(!needles.occur("bintray.org pypi,io ".repeat(300).as_bytes()));
    }
}
