//! A synthetic PyPI as plain files: made once from the testkit's fake, then served by nginx in two states.
//!
//! `before` lacks one file of every hundredth project; `after` has it, at a newer serial. File addresses stay valid
//! because nginx listens where the fake did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::nginx::Nginx;
use super::{AREA, Ground};
use crate::python::empty_directory;
use crate::server::Server;
use crate::workspace::Profile;

/// One project in so many has changed in `after`.
const CHANGED_EVERY: usize = 100;
/// Requests at once while the files are made.
const CRAWLERS: usize = 4;

/// The sets that docs/benchmarks.md compares on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Set {
    /// 2,000 projects × 5 files × 20 kB.
    A,
    /// 20,000 projects × 2 files × 2.8 kB.
    B,
    /// 500 projects × 5 files × 20 kB.
    R,
}

/// The two states of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    /// Lacks the last file of every hundredth project.
    Before,
    /// Has them, at newer serials.
    After,
}

/// A set on disk.
#[derive(Debug)]
pub(super) struct Dataset {
    /// All project names, sorted.
    pub(super) projects: Vec<String>,
    directory: PathBuf,
    port: u16,
}

/// One project as the fake gives it.
struct Project {
    name: String,
    serial: u64,
    json: Value,
    html: String,
    legacy: Value,
}

impl Set {
    /// Projects, files of each, bytes of each file.
    const fn shape(self) -> [u32; 3] {
        match self {
            Self::A => [2_000, 5, 20_000],
            Self::B => [20_000, 2, 2_800],
            Self::R => [500, 5, 20_000],
        }
    }

    /// Where the fake and then nginx listen; fixed, because pages name it.
    const fn port(self) -> u16 {
        match self {
            Self::A => 18_461,
            Self::B => 18_462,
            Self::R => 18_463,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::A => "set-a",
            Self::B => "set-b",
            Self::R => "set-r",
        }
    }
}

impl State {
    const ALL: [Self; 2] = [Self::Before, Self::After];

    const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl Dataset {
    /// The set, made where it does not stand yet.
    pub(super) fn ensure(ground: &Ground<'_>, set: Set) -> Result<Self> {
        let directory = ground.directory.join(set.name());
        let mut dataset = Self {
            projects: Vec::new(),
            directory,
            port: set.port(),
        };
        let finished = dataset.directory.join("projects.txt");
        if let Ok(names) = fs::read_to_string(&finished) {
            dataset.projects = names.lines().map(str::to_owned).collect();
            return Ok(dataset);
        }
        ground
            .console
            .step(&format!("making data set {} (once)", set.name()));
        empty_directory(&dataset.directory)?;
        let fake = start_fake(ground, set)?;
        dataset.projects = dataset.copy(&fake.address)?;
        write(&finished, dataset.projects.join("\n").as_bytes())?;
        Ok(dataset)
    }

    /// Scheme, host and port.
    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// nginx serving one state.
    pub(super) fn serve(&self, state: State) -> Result<Nginx> {
        let directory = self.directory.join("nginx");
        fs::create_dir_all(&directory)
            .with_context(|| format!("failed to make `{}`", directory.display()))?;
        self.write_local_json(state)?;
        Nginx::start(&directory, self.port, &self.nginx_part(state))
    }

    /// The list of projects with their serials as shadowmire's downstreams ask for it.
    fn write_local_json(&self, state: State) -> Result<()> {
        let map = self.directory.join(format!("serials-{}.map", state.name()));
        let text = fs::read_to_string(&map)
            .with_context(|| format!("failed to read `{}`", map.display()))?;
        let serials: serde_json::Map<String, Value> = text
            .lines()
            .filter_map(|line| line.trim_end_matches(';').split_once(' '))
            .filter(|(name, _)| *name != "default")
            .filter_map(|(name, serial)| {
                Some((name.to_owned(), serial.trim().parse::<u64>().ok()?.into()))
            })
            .collect();
        let list = self.directory.join(state.name()).join("local.json");
        fs::write(&list, Value::Object(serials).to_string())
            .with_context(|| format!("failed to write `{}`", list.display()))
    }

    /// How many files stand under `packages/`, with and without `.metadata`: what a complete mirror holds.
    pub(super) fn file_count(tree: &Path) -> Result<usize> {
        let mut count = 0;
        let mut left = vec![tree.join("packages")];
        while let Some(directory) = left.pop() {
            let entries = fs::read_dir(&directory)
                .with_context(|| format!("failed to list `{}`", directory.display()))?;
            for entry in entries.flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory {
                    left.push(entry.path());
                } else {
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// The tree whose `packages/` everything is held against.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn copy(&self, fake: &str) -> Result<Vec<String>> {
        let agent = agent();
        let root = get_json(&agent, &format!("{fake}/simple/"))?;
        let listed = root["projects"]
            .as_array()
            .context("the root list has no projects")?;
        let mut names: Vec<String> = listed
            .iter()
            .filter_map(|project| project["name"].as_str().map(str::to_owned))
            .collect();
        names.sort();
        let newest = listed
            .iter()
            .filter_map(|project| project["_last-serial"].as_u64())
            .max()
            .unwrap_or_default();
        let next = AtomicUsize::new(0);
        let serials = Mutex::new(Vec::new());
        let work = || -> Result<()> {
            let agent = self::agent();
            while let Some((at, name)) = take(&next, &names) {
                let project = Project::get(&agent, fake, name)?;
                let after_serial = if at.is_multiple_of(CHANGED_EVERY) {
                    newest + at as u64 + 1
                } else {
                    project.serial
                };
                self.write_project(&agent, fake, &project, after_serial)?;
                let mut serials = serials
                    .lock()
                    .map_err(|_| anyhow::anyhow!("another crawler panicked"))?;
                serials.push((name.to_owned(), project.serial, after_serial));
            }
            Ok(())
        };
        thread::scope(|scope| -> Result<()> {
            let crawlers: Vec<_> = (0..CRAWLERS).map(|_| scope.spawn(work)).collect();
            crawlers
                .into_iter()
                .try_for_each(|crawler| match crawler.join() {
                    Ok(result) => result,
                    Err(_) => bail!("a crawler panicked"),
                })
        })?;
        let mut serials = serials
            .into_inner()
            .map_err(|_| anyhow::anyhow!("a crawler panicked"))?;
        serials.sort();
        self.write_roots(&root, &serials)?;
        Ok(names)
    }

    /// Both states' documents, and the files that both share.
    fn write_project(
        &self,
        agent: &ureq::Agent,
        fake: &str,
        project: &Project,
        after_serial: u64,
    ) -> Result<()> {
        let files = project.json["files"]
            .as_array()
            .context("a page has no files")?;
        for file in files {
            let path = path_of(file["url"].as_str().context("a file has no address")?)?;
            let target = self.directory.join(&path);
            write(&target, &get(agent, &format!("{fake}/{path}"))?)?;
            if file["core-metadata"].is_object() || file["core-metadata"] == Value::Bool(true) {
                let metadata = get(agent, &format!("{fake}/{path}.metadata"))?;
                write(&self.directory.join(format!("{path}.metadata")), &metadata)?;
            }
        }
        let changed = after_serial != project.serial;
        let last = files
            .last()
            .and_then(|file| file["filename"].as_str())
            .unwrap_or_default();
        for state in State::ALL {
            let serial = if state == State::After {
                after_serial
            } else {
                project.serial
            };
            let left_out = (changed && state == State::Before).then_some(last);
            let tree = self.directory.join(state.name());
            let simple = tree.join("simple").join(&project.name);
            let json = page_with(&project.json, serial, left_out);
            write(&simple.join("index.v1_json"), json.to_string().as_bytes())?;
            write(
                &simple.join("index.v1_html"),
                html_with(&project.html, left_out).as_bytes(),
            )?;
            let legacy = legacy_with(&project.legacy, serial, left_out);
            write(
                &tree.join("pypi").join(&project.name).join("json"),
                legacy.to_string().as_bytes(),
            )?;
        }
        Ok(())
    }

    fn write_roots(&self, root: &Value, serials: &[(String, u64, u64)]) -> Result<()> {
        for state in State::ALL {
            let of = |(_, before, after): &(String, u64, u64)| {
                if state == State::After {
                    *after
                } else {
                    *before
                }
            };
            let newest = serials.iter().map(of).max().unwrap_or_default();
            let project = |entry: &(String, u64, u64)| serde_json::json!({"name": entry.0, "_last-serial": of(entry)});
            let mut list = root.clone();
            list["meta"]["_last-serial"] = newest.into();
            list["projects"] = serials.iter().map(project).collect();
            let simple = self.directory.join(state.name()).join("simple");
            let json = simple.join("index.v1_json");
            write(&json, list.to_string().as_bytes())?;
            if state == State::After {
                make_later(&json)?;
            }
            let mut html = "<!DOCTYPE html>\n<html><body>\n".to_owned();
            let mut map = format!("default {newest};\n");
            for entry in serials {
                let name = &entry.0;
                html.extend(["<a href=\"/simple/", name, "/\">", name, "</a><br/>\n"]);
                map.extend([name, " ", &of(entry).to_string(), ";\n"]);
            }
            html.push_str("</body></html>\n");
            write(&simple.join("index.v1_html"), html.as_bytes())?;
            write(
                &self.directory.join(format!("serials-{}.map", state.name())),
                map.as_bytes(),
            )?;
        }
        Ok(())
    }

    fn nginx_part(&self, state: State) -> String {
        let (directory, state, port) = (self.directory.display(), state.name(), self.port);
        format!(
            "    map_hash_max_size 131072;
    map_hash_bucket_size 128;
    map $http_accept $form {{ default v1_html; ~application/vnd\\.pypi\\.simple\\.(v1|latest)\\+json v1_json; }}
    map $uri $project {{ default ''; ~^/(?:form/[^/]+/)?(?:simple|pypi)/(?<name>[^/]+)/ $name; }}
    map $project $serial {{ include {directory}/serials-{state}.map; }}
    types {{ }}
    add_header X-PyPI-Last-Serial $serial;
    add_header Vary Accept;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {directory}/{state};
        location /packages/ {{ root {directory}; }}
        location /pypi/ {{ default_type application/json; }}
        location ~ ^/json/(?<legacy>[^/]+)$ {{ try_files /pypi/$legacy/json =404; default_type application/json; }}
        location ~ ^/simple/[^/]+/index\\.v1_(json|html)$ {{ }}
        location = /simple {{ rewrite ^ /form/$form/simple/ last; }}
        location /simple/ {{ rewrite ^ /form/$form$uri last; }}
        location ~ ^/form/v1_json(?<page>/simple/.*)$ {{
            internal;
            default_type application/vnd.pypi.simple.v1+json;
            try_files ${{page}}index.v1_json =404;
        }}
        location ~ ^/form/v1_html(?<page>/simple/.*)$ {{
            internal;
            default_type text/html;
            try_files ${{page}}index.v1_html =404;
        }}
    }}"
        )
    }
}

impl Project {
    fn get(agent: &ureq::Agent, fake: &str, name: &str) -> Result<Self> {
        let page = format!("{fake}/simple/{name}/");
        let json = get_json(agent, &page)?;
        let serial = json["meta"]["_last-serial"]
            .as_u64()
            .with_context(|| format!("`{page}` has no serial"))?;
        let html = String::from_utf8(get(agent, &page)?)
            .with_context(|| format!("`{page}` is not UTF-8"))?;
        let mut legacy = get_json(agent, &format!("{fake}/pypi/{name}/json"))?;
        offer_metadata(&mut legacy, &json);
        Ok(Self {
            name: name.to_owned(),
            serial,
            json,
            html,
            legacy,
        })
    }
}

fn start_fake(ground: &Ground<'_>, set: Set) -> Result<Server> {
    let [projects, files, size] = set.shape().map(|number| number.to_string());
    let mut fake = Command::new(
        ground
            .workspace
            .program("heliostat-testkit", Profile::Release),
    );
    fake.args([
        "pypi",
        "--projects",
        &projects,
        "--files",
        &files,
        "--size",
        &size,
    ]);
    fake.args(["--port", &set.port().to_string()]);
    Server::start("heliostat-testkit", &mut fake)
        .with_context(|| format!("no fake PyPI for `cargo xtask {AREA}`"))
}

fn take<'a>(next: &AtomicUsize, names: &'a [String]) -> Option<(usize, &'a str)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, names.get(at)?.as_str()))
}

/// A page at a serial, without one file where that is wanted.
fn page_with(page: &Value, serial: u64, left_out: Option<&str>) -> Value {
    let mut page = page.clone();
    page["meta"]["_last-serial"] = serial.into();
    drop_file(&mut page["files"], left_out);
    page
}

fn legacy_with(document: &Value, serial: u64, left_out: Option<&str>) -> Value {
    let mut document = document.clone();
    document["last_serial"] = serial.into();
    drop_file(&mut document["urls"], left_out);
    for files in document["releases"]
        .as_object_mut()
        .into_iter()
        .flat_map(|releases| releases.values_mut())
    {
        drop_file(files, left_out);
    }
    document
}

/// PyPI's legacy document tells which files have `.metadata`, as its page does; bandersnatch reads it there only.
fn offer_metadata(document: &mut Value, page: &Value) {
    let offers = page["files"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let releases = document["releases"].as_object_mut().into_iter();
    for file in releases
        .flat_map(|releases| releases.values_mut())
        .filter_map(|files| files.as_array_mut())
        .flatten()
    {
        if let Some(offer) = offers
            .iter()
            .find(|offer| offer["filename"] == file["filename"])
        {
            file["core-metadata"] = offer["core-metadata"].clone();
        }
    }
}

fn drop_file(files: &mut Value, left_out: Option<&str>) {
    if let (Some(files), Some(left_out)) = (files.as_array_mut(), left_out) {
        files.retain(|file| file["filename"] != left_out);
    }
}

fn html_with(html: &str, left_out: Option<&str>) -> String {
    let Some(left_out) = left_out else {
        return html.to_owned();
    };
    let anchor = format!(">{left_out}</a>");
    html.split_inclusive('\n')
        .filter(|line| !line.contains(&anchor))
        .collect()
}

/// `packages/…` of a file's address, absolute or relative.
fn path_of(url: &str) -> Result<String> {
    let at = url
        .find("packages/")
        .with_context(|| format!("`{url}` has no packages/ in it"))?;
    let path = &url[at..];
    Ok(path.split(['#', '?']).next().unwrap_or(path).to_owned())
}

/// A client that keeps its connections, for making the set and for looking at servers.
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build())
}

/// A document's bytes, asked for without a format.
pub(super) fn get(agent: &ureq::Agent, url: &str) -> Result<Vec<u8>> {
    let response = agent
        .get(url)
        .call()
        .with_context(|| format!("failed to get `{url}`"))?;
    let mut body = response.into_body();
    body.with_config()
        .limit(u64::MAX)
        .read_to_vec()
        .with_context(|| format!("failed to read `{url}`"))
}

/// A Simple API or legacy document as JSON.
pub(super) fn get_json(agent: &ureq::Agent, url: &str) -> Result<Value> {
    let request = agent.get(url).header(
        "Accept",
        "application/vnd.pypi.simple.v1+json, application/json;q=0.5",
    );
    let mut body = request
        .call()
        .with_context(|| format!("failed to get `{url}`"))?
        .into_body();
    let text = body
        .with_config()
        .limit(u64::MAX)
        .read_to_vec()
        .with_context(|| format!("failed to read `{url}`"))?;
    serde_json::from_slice(&text).with_context(|| format!("`{url}` is not JSON"))
}

/// Moves a file's time on by a minute. nginx makes the `ETag` out of time and length, and both states are of the same
/// length and written within a second, so that the change would go unseen.
fn make_later(path: &Path) -> Result<()> {
    let file = fs::File::options().write(true).open(path);
    let moved = file.and_then(|file| {
        let later = file.metadata()?.modified()? + Duration::from_mins(1);
        file.set_modified(later)
    });
    moved.with_context(|| format!("failed to set the time of `{}`", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("failed to make `{}`", directory.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("failed to write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_before_lacks_one_file_everywhere() {
        let page =
            json!({"meta": {"_last-serial": 5}, "files": [{"filename": "a"}, {"filename": "b"}]});
        let before = json!({"meta": {"_last-serial": 5}, "files": [{"filename": "a"}]});
        assert_eq!(page_with(&page, 5, Some("b")), before);
        assert_eq!(page_with(&page, 9, None)["meta"]["_last-serial"], 9);
        let legacy = json!({"last_serial": 5, "urls": [{"filename": "b"}], "releases": {"1": [{"filename": "b"}]}});
        assert_eq!(
            legacy_with(&legacy, 5, Some("b")),
            json!({"last_serial": 5, "urls": [], "releases": {"1": []}})
        );
        let html = "<a href=\"x\">a</a>\n<a href=\"y\">b</a>\n";
        assert_eq!(html_with(html, Some("b")), "<a href=\"x\">a</a>\n");
    }

    #[test]
    fn the_legacy_document_offers_metadata_as_the_page_does() {
        let page = json!({"files": [{"filename": "a", "core-metadata": {"sha256": "0"}}]});
        let mut legacy = json!({"releases": {"1": [{"filename": "a"}, {"filename": "b"}]}});
        offer_metadata(&mut legacy, &page);
        assert_eq!(
            legacy["releases"]["1"][0]["core-metadata"],
            json!({"sha256": "0"})
        );
        assert_eq!(legacy["releases"]["1"][1].get("core-metadata"), None);
    }

    #[test]
    fn a_file_address_gives_its_path() {
        assert_eq!(
            path_of("http://h/packages/aa/b.whl#sha256=0").unwrap(),
            "packages/aa/b.whl"
        );
        assert_eq!(
            path_of("../../packages/aa/b.whl").unwrap(),
            "packages/aa/b.whl"
        );
        assert!(path_of("http://h/files/b.whl").is_err());
    }
}
