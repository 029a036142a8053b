//! An index without faults gives what PyPI gives.

use heliostat_testkit::fixture::{blake2b_256_hex, sha256_hex};
use heliostat_testkit::pypi::{FakePyPi, FilesHost, Kind, Lack, Options, UrlStyle};
use heliostat_testkit::universe::{MetadataOffer, Quarantine, Release, Universe, Yank};

use crate::raw::{Answer, JSON, get};

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha.Beta",
        &[
            Release::simple("1.0")
                .yanked(Yank::Because("bro<ken".to_owned()))
                .requires_python(">=3.8"),
            Release::new("2.0").wheel().provenance(),
            Release::new("3.0").wheel().metadata(MetadataOffer::Absent),
        ],
    );
    universe
}

fn file_path(page: &serde_json::Value, index: usize) -> String {
    let url = page["files"][index]["url"].as_str().unwrap();
    format!("/{}", url.splitn(4, '/').nth(3).unwrap())
}

fn json_page(pypi: &FakePyPi, name: &str) -> serde_json::Value {
    let answer = get(pypi.address(), &format!("/simple/{name}/"), &[JSON]);
    assert_eq!(answer.status, 200);
    answer.json()
}

#[test]
fn a_json_page_tells_everything() {
    let pypi = FakePyPi::serve(universe());
    let answer = get(pypi.address(), "/simple/alpha-beta/", &[JSON]);
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.pypi.simple.v1+json")
    );
    let page = answer.json();
    assert_eq!(
        answer.header("x-pypi-last-serial"),
        Some(page["meta"]["_last-serial"].to_string().as_str())
    );
    assert_eq!(page["meta"]["api-version"], "1.4");
    assert_eq!(page["name"], "alpha-beta");
    assert_eq!(page["versions"], serde_json::json!(["1.0", "2.0", "3.0"]));
    assert_eq!(page["files"].as_array().unwrap().len(), 4);
    assert_eq!(page["files"][0]["yanked"], "bro<ken");
    assert_eq!(page["files"][0]["requires-python"], ">=3.8");
    assert_eq!(page["files"][3]["core-metadata"], false);
    let provenance = page["files"][2]["provenance"].as_str().unwrap();
    assert!(provenance.starts_with(&pypi.base_url()), "{provenance}");
}

#[test]
fn files_lie_under_their_blake2b_and_have_the_digests_the_page_says() {
    let pypi = FakePyPi::serve(universe());
    let page = json_page(&pypi, "alpha-beta");
    for index in 0..3 {
        let entry = &page["files"][index];
        let path = file_path(&page, index);
        let file = get(pypi.address(), &path, &[]);
        assert_eq!(
            sha256_hex(&file.body),
            entry["hashes"]["sha256"].as_str().unwrap()
        );
        assert_eq!(
            file.body.len(),
            usize::try_from(entry["size"].as_u64().unwrap()).unwrap()
        );
        let digits = blake2b_256_hex(&file.body);
        assert!(path.starts_with(&format!(
            "/packages/{}/{}/{}/",
            &digits[..2],
            &digits[2..4],
            &digits[4..]
        )));
        let metadata = get(pypi.address(), &format!("{path}.metadata"), &[]);
        match entry["core-metadata"]["sha256"].as_str() {
            Some(digest) => assert_eq!(sha256_hex(&metadata.body), digest),
            None => assert_eq!(metadata.status, 404),
        }
    }
}

#[test]
fn html_and_json_list_the_same_files() {
    let pypi = FakePyPi::serve(universe());
    let html = get(
        pypi.address(),
        "/simple/alpha-beta/",
        &[("Accept", "text/html")],
    );
    assert_eq!(html.header("content-type"), Some("text/html"));
    for entry in json_page(&pypi, "alpha-beta")["files"].as_array().unwrap() {
        let [url, digest] =
            [&entry["url"], &entry["hashes"]["sha256"]].map(|value| value.as_str().unwrap());
        assert!(
            html.text()
                .contains(&format!("href=\"{url}#sha256={digest}\"")),
            "{}",
            html.text()
        );
    }
    assert!(
        html.text().contains("data-yanked=\"bro&lt;ken\""),
        "{}",
        html.text()
    );
}

#[test]
fn the_root_list_names_every_project_with_its_serial() {
    let mut universe = universe();
    universe.add_bulk_names(2);
    let pypi = FakePyPi::serve(universe);
    let list = get(pypi.address(), "/simple/", &[JSON]).json();
    let serial = json_page(&pypi, "alpha-beta")["meta"]["_last-serial"].clone();
    assert_eq!(
        list["projects"][0],
        serde_json::json!({"_last-serial": serial, "name": "Alpha.Beta"})
    );
    assert_eq!(list["projects"][2]["name"], "bulk-0000001");
    assert_eq!(
        json_page(&pypi, "bulk-0000001")["files"],
        serde_json::json!([])
    );
    assert_eq!(
        get(pypi.address(), "/simple/bulk-0000002/", &[JSON]).status,
        404
    );
}

#[test]
fn documents_are_revalidated() {
    let pypi = FakePyPi::serve(universe());
    let tag_of = |answer: &Answer| answer.header("etag").unwrap().to_owned();
    for path in ["/simple/", "/simple/alpha-beta/", "/pypi/alpha-beta/json"] {
        let tag = tag_of(&get(pypi.address(), path, &[JSON]));
        assert_eq!(
            get(pypi.address(), path, &[JSON, ("If-None-Match", &tag)]).status,
            304,
            "{path}"
        );
        pypi.yank("alpha-beta", "2.0", "");
        let after = get(pypi.address(), path, &[JSON, ("If-None-Match", &tag)]);
        assert_eq!(after.status, 200, "{path}");
        assert_ne!(tag_of(&after), tag);
        pypi.unyank("alpha-beta", "2.0");
    }
}

#[test]
fn ranges_continue_a_file() {
    let pypi = FakePyPi::serve(universe());
    let path = file_path(&json_page(&pypi, "alpha-beta"), 0);
    let whole = get(pypi.address(), &path, &[]);
    let tag = whole.header("etag").unwrap();
    let rest = get(
        pypi.address(),
        &path,
        &[("Range", "bytes=100-"), ("If-Range", tag)],
    );
    assert_eq!(rest.status, 206);
    assert_eq!(rest.body, whole.body[100..]);
    let length = whole.body.len();
    assert_eq!(
        rest.header("content-range"),
        Some(format!("bytes 100-{}/{length}", length - 1).as_str())
    );
    let changed = get(
        pypi.address(),
        &path,
        &[("Range", "bytes=100-"), ("If-Range", "\"other\"")],
    );
    assert_eq!((changed.status, changed.body), (200, whole.body));
}

#[test]
fn names_are_redirected_to_their_normal_form() {
    let pypi = FakePyPi::serve(universe());
    for path in ["/simple/Alpha_Beta/", "/simple/alpha-beta"] {
        let answer = get(pypi.address(), path, &[]);
        assert_eq!(
            (answer.status, answer.header("location")),
            (301, Some("/simple/alpha-beta/"))
        );
    }
    let answer = get(pypi.address(), "/simple", &[]);
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, Some("/simple/"))
    );
    pypi.edit(|universe| universe.rename("alpha-beta", "gamma"));
    let answer = get(pypi.address(), "/simple/alpha-beta/", &[]);
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, Some("/simple/gamma/"))
    );
}

#[test]
fn quarantine_shows_in_three_ways_and_ends() {
    let pypi = FakePyPi::serve(universe());
    let listed = |pypi: &FakePyPi| {
        get(pypi.address(), "/simple/", &[JSON])
            .text()
            .contains("Alpha.Beta")
    };
    let status = |pypi: &FakePyPi| get(pypi.address(), "/simple/alpha-beta/", &[JSON]).status;
    pypi.quarantine("alpha-beta", Quarantine::Status);
    let page = json_page(&pypi, "alpha-beta");
    assert_eq!(page["project-status"]["status"], "quarantined");
    assert_eq!(page["files"], serde_json::json!([]));
    pypi.quarantine("alpha-beta", Quarantine::PageGone);
    assert!(listed(&pypi) && status(&pypi) == 404);
    pypi.quarantine("alpha-beta", Quarantine::Unlisted);
    assert!(!listed(&pypi) && status(&pypi) == 404);
    pypi.restore("alpha-beta");
    assert!(listed(&pypi));
    assert_eq!(
        json_page(&pypi, "alpha-beta")["files"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn poorer_indexes_lack_what_they_are_told_to_lack() {
    let lacking = |lacks: &[Lack]| {
        let options = lacks
            .iter()
            .fold(Options::default(), |options, lack| options.lacks(*lack));
        options.serve(universe())
    };
    let html = get(
        lacking(&[Lack::Json, Lack::Hashes]).address(),
        "/simple/alpha-beta/",
        &[JSON],
    );
    assert_eq!(html.header("content-type"), Some("text/html"));
    assert!(!html.text().contains("#sha256="));
    let pypi = lacking(&[
        Lack::Sizes,
        Lack::Serials,
        Lack::Etags,
        Lack::Ranges,
        Lack::Metadata,
        Lack::Provenance,
    ]);
    let answer = get(pypi.address(), "/simple/alpha-beta/", &[JSON]);
    assert_eq!(
        (answer.header("etag"), answer.header("x-pypi-last-serial")),
        (None, None)
    );
    let page = answer.json();
    assert_eq!(page["meta"], serde_json::json!({"api-version": "1.0"}));
    assert_eq!(
        (&page["versions"], &page["files"][0]["size"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(page["files"][2]["provenance"], serde_json::Value::Null);
    let path = file_path(&page, 0);
    let ranged = get(pypi.address(), &path, &[("Range", "bytes=5-")]);
    assert_eq!((ranged.status, ranged.header("accept-ranges")), (200, None));
    assert_eq!(
        get(pypi.address(), &format!("{path}.metadata"), &[]).status,
        404
    );
}

#[test]
fn an_index_can_lie_elsewhere_with_its_files_beside_it() {
    let options = Options::default()
        .root("/whl/cpu/")
        .flat_files("/whl/cpu/")
        .urls(UrlStyle::Relative);
    let pypi = options.serve(universe());
    assert!(pypi.index_url().ends_with("/whl/cpu/"));
    let page = get(pypi.address(), "/whl/cpu/alpha-beta/", &[JSON]).json();
    let url = page["files"][0]["url"].as_str().unwrap();
    assert_eq!(url, "/whl/cpu/alpha_beta-1.0-py3-none-any.whl");
    let file = get(pypi.address(), url, &[]);
    assert_eq!(
        sha256_hex(&file.body),
        page["files"][0]["hashes"]["sha256"].as_str().unwrap()
    );
    assert_eq!(get(pypi.address(), "/simple/", &[]).status, 404);
}

#[test]
fn files_can_have_a_host_of_their_own_and_relative_addresses_climb_to_the_top() {
    let pypi = Options::default()
        .files_host(FilesHost::OtherPort)
        .serve(universe());
    assert_ne!(pypi.base_url(), pypi.files_url());
    let url = json_page(&pypi, "alpha-beta")["files"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(url.starts_with(&pypi.files_url()), "{url}");
    let pypi = Options::default()
        .urls(UrlStyle::Relative)
        .serve(universe());
    let url = json_page(&pypi, "alpha-beta")["files"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(url.starts_with("../../packages/"), "{url}");
}

#[test]
fn credentials_are_demanded_and_logged() {
    let pypi = Options::default()
        .basic_auth("user", "secret")
        .serve(universe());
    let refused = get(pypi.address(), "/simple/", &[]);
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("Basic realm=\"fake\""))
    );
    let given = ("Authorization", "Basic dXNlcjpzZWNyZXQ=");
    assert_eq!(get(pypi.address(), "/simple/", &[given]).status, 200);
    let log = pypi.requests();
    assert_eq!(
        [
            log[0].header("authorization"),
            log[1].header("authorization")
        ],
        [None, Some(given.1)]
    );
}

#[test]
fn the_legacy_document_has_releases() {
    let pypi = FakePyPi::serve(universe());
    let document = get(pypi.address(), "/pypi/alpha-beta/json", &[]).json();
    assert_eq!(document["info"]["name"], "Alpha.Beta");
    assert_eq!(document["releases"]["1.0"].as_array().unwrap().len(), 2);
    assert_eq!(
        document["last_serial"],
        json_page(&pypi, "alpha-beta")["meta"]["_last-serial"]
    );
}

#[test]
fn pages_are_compressed_for_those_who_accept_it() {
    let pypi = FakePyPi::serve(universe());
    let accepting = [JSON, ("Accept-Encoding", "gzip")];
    let answer = get(pypi.address(), "/simple/alpha-beta/", &accepting);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
    let path = file_path(&json_page(&pypi, "alpha-beta"), 0);
    assert_eq!(
        get(pypi.address(), &path, &accepting).header("content-encoding"),
        None
    );
}

#[test]
fn the_log_counts_and_an_outage_ends() {
    let pypi = FakePyPi::serve(universe());
    let page = json_page(&pypi, "alpha-beta");
    get(
        pypi.address(),
        &file_path(&page, 0),
        &[("Range", "bytes=1-")],
    );
    assert_eq!(
        (
            pypi.count(Kind::Page),
            pypi.count(Kind::File),
            pypi.count_all()
        ),
        (1, 1, 2)
    );
    assert_eq!(
        pypi.requests_of(Kind::File)[0].header("range"),
        Some("bytes=1-")
    );
    assert_eq!(
        pypi.requests_of(Kind::File)[0].bytes_sent,
        page["files"][0]["size"].as_u64().unwrap() - 1
    );
    pypi.stop();
    assert!(std::net::TcpStream::connect(pypi.address()).is_err());
    pypi.start();
    pypi.clear_log();
    json_page(&pypi, "alpha-beta");
    assert_eq!(pypi.count_all(), 1);
}
