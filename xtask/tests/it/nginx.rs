//! The tree served by a real nginx with contrib/nginx: negotiation, redirects, headers, ranges.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::{contrib, program};

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const V1_HTML: &str = "application/vnd.pypi.simple.v1+html";
/// As it is sent: with the charset, as pages in HTML need it.
const V1_HTML_SENT: &str = "application/vnd.pypi.simple.v1+html; charset=utf-8";
const FILE: &str = "/packages/aa/bb/cc/foo_bar-1.0-py3-none-any.whl";

/// nginx over a small tree; dropping it ends it.
struct Site {
    address: String,
    agent: Agent,
    nginx: Child,
    _scratch: TempDir,
}

impl Site {
    /// `None` where there is no nginx. `files_upstream` is what the operator sets for a mirror of pages only.
    fn start(files_upstream: &str) -> Option<Self> {
        let nginx = program("nginx")?;
        let scratch = tempfile::tempdir().unwrap();
        // Workers of a master that root started run as somebody else.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        write_tree(&scratch.path().join("web"));
        // Between our look and nginx's start somebody else may take the port; then another one will do.
        let tried = std::iter::repeat_with(|| start_nginx(&nginx, scratch.path(), files_upstream));
        let log = || fs::read_to_string(scratch.path().join("error.log")).unwrap_or_default();
        let started = tried.take(5).flatten().next();
        let (port, nginx) = started.unwrap_or_else(|| panic!("nginx does not come up: {}", log()));
        let settings = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false);
        let agent = Agent::new_with_config(settings.max_redirects_will_error(false).build());
        Some(Self {
            address: format!("http://127.0.0.1:{port}"),
            agent,
            nginx,
            _scratch: scratch,
        })
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = self.agent.get(format!("{}{path}", self.address));
        headers
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
            .call()
            .unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A killed master would leave its workers behind.
        let _status = Command::new("kill")
            .arg(self.nginx.id().to_string())
            .status();
        let _status = self.nginx.wait();
    }
}

/// nginx on some port, or `None` where it ended instead of listening.
fn start_nginx(nginx: &Path, scratch: &Path, files_upstream: &str) -> Option<(u16, Child)> {
    let port = free_port();
    let configuration = configuration(scratch, port, files_upstream);
    fs::write(scratch.join("nginx.conf"), configuration).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-p").arg(scratch);
    command.args(["-e", "error.log", "-c", "nginx.conf", "-g", "daemon off;"]);
    let mut nginx = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    // It has written its process id once it listens; a connection alone could be somebody else's.
    while !scratch.join("nginx.pid").exists() || TcpStream::connect(("127.0.0.1", port)).is_err() {
        if nginx.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "nginx neither listens nor ends"
        );
        thread::sleep(Duration::from_millis(20));
    }
    Some((port, nginx))
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn configuration(scratch: &Path, port: u16, files_upstream: &str) -> String {
    let (contrib, scratch) = (contrib("nginx"), scratch.display());
    let contrib = contrib.display();
    format!(
        "user root; worker_processes 1; pid nginx.pid; error_log error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include {contrib}/heliostat-maps.conf;
    server {{
        listen 127.0.0.1:{port};
        root {scratch}/web;
        set $heliostat_files_upstream \"{files_upstream}\";
        include {contrib}/heliostat-tree.conf;
    }}
}}
"
    )
}

fn write_tree(web: &Path) {
    let files = [
        ("/simple/index.v1_json", "root json"),
        ("/simple/index.v1_html", "root html"),
        ("/simple/foo-bar/index.v1_json", "page json"),
        ("/simple/foo-bar/index.v1_html", "page html"),
        (FILE, "0123456789"),
        (&format!("{FILE}.metadata"), "Name: foo-bar"),
        ("/pypi/foo-bar/json", "{}"),
        (
            "/integrity/foo-bar/1.0/foo_bar-1.0-py3-none-any.whl/provenance",
            "{}",
        ),
        ("/last-modified", "20260101T00:00:00\n"),
    ];
    for (path, text) in files {
        let path = web.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn text(response: Response<Body>) -> String {
    response.into_body().read_to_string().unwrap()
}

#[test]
fn the_accept_header_decides_the_form() {
    let Some(site) = Site::start("") else { return };
    let html = "text/html; charset=utf-8";
    let cases = [
        // pip, uv, poetry, a browser, curl
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
            JSON,
        ),
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01",
            JSON,
        ),
        ("application/vnd.pypi.simple.v1+json, */*;q=0.1", JSON),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            html,
        ),
        ("*/*", html),
        ("", html),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (V1_HTML, V1_HTML_SENT),
        ("application/vnd.pypi.simple.v1+json;q=1.0", JSON),
        ("text/html, application/vnd.pypi.simple.v1+json", html),
        (
            "application/vnd.pypi.simple.v1+json;q=0.2, text/html;q=0.8",
            html,
        ),
        (
            "text/html;q=0.2, application/vnd.pypi.simple.v1+json;q=0.8",
            JSON,
        ),
        (
            "application/vnd.pypi.simple.v1+json;q=0, text/html;q=0.1",
            html,
        ),
        ("application/vnd.pypi.simple.v1+json;q=0.05", JSON),
        ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON", JSON),
    ];
    for (accept, expected) in cases {
        for (path, what) in [("/simple/foo-bar/", "page"), ("/simple/", "root")] {
            let response = site.get(path, &[("Accept", accept)]);
            assert_eq!(
                (
                    response.status().as_u16(),
                    header(&response, "content-type")
                ),
                (200, expected),
                "{accept}"
            );
            assert_eq!(header(&response, "vary"), "Accept");
            assert!(
                header(&response, "etag").starts_with('"'),
                "no strong ETag for `{accept}`"
            );
            assert!(header(&response, "cache-control").contains("max-age=60"));
            let form = if expected == JSON { "json" } else { "html" };
            assert_eq!(text(response), format!("{what} {form}"), "{accept}");
        }
    }
}

#[test]
fn the_format_in_the_address_wins_over_the_header() {
    let Some(site) = Site::start("") else { return };
    for (format, expected) in [
        (JSON, JSON),
        ("application/vnd.pypi.simple.v1%2Bjson", JSON),
        (V1_HTML, V1_HTML_SENT),
    ] {
        let response = site.get(
            &format!("/simple/foo-bar/?format={format}"),
            &[("Accept", "text/html")],
        );
        assert_eq!(header(&response, "content-type"), expected);
    }
}

#[test]
fn names_are_led_to_their_normalised_form_with_a_slash() {
    let Some(site) = Site::start("") else { return };
    let names = [
        "foo-bar",
        "Foo-Bar",
        "FOO_BAR",
        "foo.bar/",
        "foo-._-bar/",
        "foo--bar",
        "FoO__bAr/",
        "foo_bar?a=b",
    ];
    for name in names {
        let mut path = format!("/simple/{name}");
        let mut steps = 0;
        let response = loop {
            let response = site.get(&path, &[]);
            if response.status().as_u16() != 301 {
                break response;
            }
            header(&response, "location").clone_into(&mut path);
            steps += 1;
            assert!(steps <= 5, "`{name}` is led in circles, now at {path}");
        };
        assert_eq!(
            (response.status().as_u16(), path.split('?').next().unwrap()),
            (200, "/simple/foo-bar/"),
            "{name}"
        );
        assert_eq!(
            path.contains("a=b"),
            name.contains("a=b"),
            "{name}: the query went missing"
        );
    }
    assert_eq!(header(&site.get("/simple", &[]), "location"), "/simple/");
}

#[test]
fn what_is_not_there_is_404() {
    let Some(site) = Site::start("") else { return };
    let paths = [
        "/simple/unknown/",
        "/packages/aa/bb/cc/other.whl",
        "/pypi/unknown/json",
        "/.negotiated/html/simple/",
        "/x",
    ];
    for path in paths {
        assert_eq!(
            site.get(path, &[("Accept", JSON)]).status().as_u16(),
            404,
            "{path}"
        );
    }
}

#[test]
fn files_are_immutable_and_come_in_ranges() {
    let Some(site) = Site::start("") else { return };
    let whole = site.get(FILE, &[("Accept-Encoding", "gzip")]);
    assert_eq!(header(&whole, "content-type"), "application/octet-stream");
    assert_eq!(header(&whole, "content-length"), "10");
    assert_eq!(header(&whole, "accept-ranges"), "bytes");
    assert_eq!(header(&whole, "content-encoding"), "");
    assert!(header(&whole, "cache-control").contains("immutable"));
    assert_eq!(text(whole), "0123456789");
    let end = site.get(FILE, &[("Range", "bytes=-3")]);
    assert_eq!(
        (end.status().as_u16(), header(&end, "content-range")),
        (206, "bytes 7-9/10")
    );
    assert_eq!(text(end), "789");
    assert_eq!(
        site.get(FILE, &[("Range", "bytes=10-")]).status().as_u16(),
        416
    );
    assert_eq!(
        text(site.get(&format!("{FILE}.metadata"), &[])),
        "Name: foo-bar"
    );
}

#[test]
fn pages_are_revalidated() {
    let Some(site) = Site::start("") else { return };
    let page = site.get("/simple/foo-bar/", &[("Accept", JSON)]);
    let again = site.get(
        "/simple/foo-bar/",
        &[("Accept", JSON), ("If-None-Match", header(&page, "etag"))],
    );
    assert_eq!(again.status().as_u16(), 304);
}

#[test]
fn a_mirror_of_pages_sends_for_files_elsewhere() {
    let Some(site) = Site::start("https://files.example.org") else {
        return;
    };
    let path = "/packages/aa/bb/cc/other-1.0%2Blocal.whl";
    let response = site.get(path, &[]);
    assert_eq!(response.status().as_u16(), 302);
    assert_eq!(
        header(&response, "location"),
        format!("https://files.example.org{path}")
    );
    // What is here is served from here.
    assert_eq!(site.get(FILE, &[]).status().as_u16(), 200);
}

#[test]
fn documents_have_their_types() {
    let Some(site) = Site::start("") else { return };
    let provenance = "/integrity/foo-bar/1.0/foo_bar-1.0-py3-none-any.whl/provenance";
    let cases = [
        ("/pypi/foo-bar/json", "application/json"),
        (provenance, "application/vnd.pypi.integrity.v1+json"),
        ("/last-modified", "text/plain"),
    ];
    for (path, expected) in cases {
        let response = site.get(path, &[]);
        assert_eq!(
            (
                response.status().as_u16(),
                header(&response, "content-type")
            ),
            (200, expected),
            "{path}"
        );
    }
    assert_eq!(site.get("/", &[]).status().as_u16(), 302);
}

#[test]
fn nginx_takes_the_site_as_it_is_handed_out() {
    let (Some(nginx), Some(openssl)) = (program("nginx"), program("openssl")) else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let certificate = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1"])
        .args(["-subj", "/CN=pypi.example.org"])
        .args(["-keyout", "privkey.pem", "-out", "fullchain.pem"])
        .current_dir(scratch.path())
        .output()
        .unwrap();
    assert!(certificate.status.success(), "{certificate:?}");
    let site = fs::read_to_string(contrib("nginx").join("heliostat.conf")).unwrap();
    let tree = contrib("nginx")
        .join("heliostat-tree.conf")
        .display()
        .to_string();
    let maps = contrib("nginx")
        .join("heliostat-maps.conf")
        .display()
        .to_string();
    let check = || {
        // nginx opens its sockets even to check; not every machine has IPv6, or gives port 80 to everybody.
        let site = site
            .replace("snippets/heliostat-tree.conf", &tree)
            .replace("listen 80;", &format!("listen 127.0.0.1:{};", free_port()))
            .replace("listen [::]:80;", "")
            .replace("listen 443 ", &format!("listen 127.0.0.1:{} ", free_port()))
            .replace("listen [::]:443 ssl http2;", "")
            .replace(
                "/etc/letsencrypt/live/pypi.example.org",
                &scratch.path().display().to_string(),
            );
        let whole = format!(
            "pid nginx.pid; events {{ }} http {{ access_log off; include {maps}; {site} }}"
        );
        fs::write(scratch.path().join("nginx.conf"), whole).unwrap();
        let mut check = Command::new(&nginx);
        check
            .arg("-p")
            .arg(scratch.path())
            .args(["-e", "error.log", "-t", "-c", "nginx.conf"]);
        let output = check.output().unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    // As above, the port may be gone by then.
    let outcome = check().or_else(|_| check());
    assert_eq!(outcome, Ok(()));
}
