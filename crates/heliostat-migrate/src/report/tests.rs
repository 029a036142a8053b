use super::*;
use crate::map::Map;
use crate::scan::Scanner;

fn report() -> Report {
    let scanner = Scanner::new(
        Map::parse(
            "m.toml",
            "[[retired]]\nhosts = ['old.example']\nwhy = 'gone'\n[[retired.rule]]\nto = 'https://new.example'\n",
        )
        .unwrap(),
    );
    let mut report = Report::default();
    for (file, text) in [
        (
            "r.pip",
            "--extra-index-url https://u:secret@old.example/simple\n--trusted-host old.example\n",
        ),
        (
            "b, c.sh",
            "PYPI_HOST=old.example\n# https://old.example/simple\npip install -i https://old.example${X}/\n",
        ),
    ] {
        let scan = scanner.scan(file, text.as_bytes());
        report.findings.extend(scan.findings);
        report.unresolved.extend(scan.unresolved);
        report.files += 1;
    }
    report.sort();
    report
}

#[test]
fn people_read_one_line_each() {
    insta::assert_snapshot!(text(&report()), @r"
    b, c.sh:1:11 host old.example -> ? [manual] (a host alone: what it becomes depends on where it is used)
    r.pip:1:19 extra-index old.example -> https://new.example/simple [safe] (the login is left out, and no redirect carries it: give it to the new host with netrc or a keyring, if it needs one)
    r.pip:2:16 trusted-host old.example -> (removed) [safe]

    undecided, because a variable is in the host:
    b, c.sh:3:16 index https://old.example (a variable follows the host)

    in comments and prose, which are left as they are:
    b, c.sh:2:3 comment old.example -> https://new.example/simple [manual]
    ");
}

#[test]
fn forges_read_their_own() {
    insta::assert_snapshot!(github(&report()), @r"
    ::error file=b%2C c.sh,line=1,col=11,title=retired index host old.example::host on the retired host old.example (a host alone: what it becomes depends on where it is used)
    ::notice file=b%2C c.sh,line=2,col=3,title=retired index host old.example::comment on the retired host old.example: write https://new.example/simple
    ::error file=r.pip,line=1,col=19,title=retired index host old.example::extra-index on the retired host old.example: write https://new.example/simple (the login is left out, and no redirect carries it: give it to the new host with netrc or a keyring, if it needs one)
    ::error file=r.pip,line=2,col=16,title=retired index host old.example::trusted-host on the retired host old.example: take it out
    ");
    let gitlab: serde_json::Value = serde_json::from_str(&gitlab(&report())).unwrap();
    assert_eq!(gitlab.as_array().unwrap().len(), 4);
    let sarif: serde_json::Value = serde_json::from_str(&sarif(&report(), "1")).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 4);
}

#[test]
fn no_secret_is_shown() {
    let report = report();
    let all = [
        text(&report),
        github(&report),
        gitlab(&report),
        sarif(&report, "1"),
        serde_json::to_string(&report).unwrap(),
    ];
    assert!(all.iter().all(|output| !output.contains("secret")));
}
