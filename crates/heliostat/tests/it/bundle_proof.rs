//! Bundles that prove themselves: a signed mirror carried over an air gap, refused where anything of it is not what the
//! notary signed, and served to real clients through a proxy that trusts nobody.

use heliostat_testkit::clients::{Pip, or_skip};
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Finished, Invocation, Serving};
use heliostat_testkit::universe::{Release, Universe};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use crate::bundle_world::{Gap, Piece};
use crate::http::get_json;
use crate::notary_world::{begin, root, take};
use crate::signed_world::Notary;
use crate::sync_world::{assert_no_litter, digests, small};
use crate::world::{World, assert_says, bare, heliostat};

/// A signed mirror, and nothing beyond the gap but its root.
pub(crate) struct Signed {
    pub(crate) gap: Gap,
    pub(crate) root: PathBuf,
}

impl Signed {
    pub(crate) fn new() -> Self {
        let near = World::new(small());
        begin(&near.heliostat, 16);
        near.sync(&["--all"]).assert_code(0);
        let file = near.place("root.json");
        std::fs::copy(root(&near.heliostat), &file).unwrap();
        Self {
            gap: Gap::with(near),
            root: file,
        }
    }

    pub(crate) fn import(&self, name: &str, arguments: &[&str]) -> Finished {
        let root = ["--root", self.root.to_str().unwrap()];
        self.gap.import(name, &[&root, arguments].concat())
    }

    /// The notary goes on.
    pub(crate) fn move_on(&self) {
        let near = &self.gap.near;
        near.pypi
            .add_release("alpha", &Release::simple("6.0").provenance());
        near.pypi.delete_project("delta");
        near.sync(&["--max-delete", "5"]).assert_code(0);
    }

    /// `trust verify` of the tree beyond the gap.
    pub(crate) fn verify(&self) -> Finished {
        bare()
            .args(["trust", "verify", "--json", "--root"])
            .arg(&self.root)
            .arg(self.gap.far.web())
            .run()
    }

    /// Imports a bundle that must be refused, with these words; nothing changes.
    #[track_caller]
    pub(crate) fn refuse(&self, name: &str, words: &[&str]) {
        let before = self.gap.far_state();
        let import = self.import(name, &[]);
        import.assert_code(4);
        assert_says(&import.stderr, words);
        assert_says(&import.stderr, &["nothing was changed"]);
        assert_eq!(self.gap.far_state(), before, "{name}");
        // Where this was the first import, there is nothing at all.
        if self.gap.far.web().exists() {
            assert_no_litter(self.gap.far.data());
        }
    }

    /// A bundle with one thing changed and the manifest's counts set right.
    #[track_caller]
    pub(crate) fn edited(&self, from: &str, name: &str, edit: impl FnOnce(&mut Vec<Piece>)) {
        let mut pieces = self.gap.pieces(from);
        edit(&mut pieces);
        let lines = recounted(&pieces);
        pieces[0] = Piece::of_lines(&lines);
        self.gap.assemble(name, &pieces);
    }
}

/// The manifest's lines with digests, sizes and counts of the pieces as they are, and without items that are gone.
fn recounted(pieces: &[Piece]) -> Vec<Value> {
    let find = |path: &Value| pieces.iter().find(|piece| path == piece.name.as_str());
    let (mut entries, mut size) = (0, 0);
    let mut set = |item: &mut Value| {
        if item["in"] == "base" {
            return true;
        }
        let Some(piece) = find(&item["path"]) else {
            return false;
        };
        item["sha256"] = json!(heliostat_testkit::fixture::sha256_hex(&piece.bytes));
        item["size"] = json!(piece.bytes.len());
        entries += 1;
        size += piece.bytes.len();
        true
    };
    let mut lines = pieces[0].lines();
    lines.retain_mut(|line| {
        if let Some(item) = line.get_mut("trust") {
            return set(item);
        }
        let Some(project) = line.get_mut("project") else {
            return true;
        };
        let is_there = set(&mut project["page"]);
        if let Some(parts) = project.get_mut("parts") {
            parts.as_array_mut().unwrap().retain_mut(&mut set);
        }
        is_there
    });
    let projects = lines.iter().filter(|line| line.get("project").is_some());
    let projects = projects.count();
    let end = lines.last_mut().unwrap();
    end["end"]["projects"] = json!(projects);
    end["end"]["entries"] = json!(entries);
    end["end"]["size"] = json!(size);
    lines
}

#[test]
fn a_signed_mirror_arrives_proved_and_is_as_good_as_the_notary_s_own() {
    let signed = Signed::new();
    let gap = &signed.gap;
    let export = gap.export("all.bundle", &[]);
    export.assert_code(0);
    assert_says(&export.stdout, &["carries the signed state", "6 pages"]);
    let look = signed.import("all.bundle", &["--dry-run"]);
    look.assert_code(0);
    assert_says(
        &look.stdout,
        &["would be updated", "proved as of", "6 of the 6 pages"],
    );
    assert!(!gap.far.web().join("tuf").exists());
    let import = signed.import("all.bundle", &[]);
    import.assert_code(0);
    assert_says(
        &import.stdout,
        &[
            "6 of the 6 pages that are signed, which are all there are",
            "carries the signed state",
        ],
    );
    assert_carried(gap);
    signed.verify().assert_code(0);
    // What changed since travels alone, with all metadata.
    signed.move_on();
    let first = gap.near.place("all.bundle");
    gap.export("delta.bundle", &["--since", first.to_str().unwrap()])
        .assert_code(0);
    let carried = gap.pieces("delta.bundle");
    let bins = (carried.iter()).filter(|piece| piece.name.contains("bin-16-"));
    assert_eq!(bins.count(), 16);
    let pages = (carried.iter()).filter(|piece| piece.name.starts_with("simple/"));
    assert_eq!(pages.count(), 1);
    signed.import("delta.bundle", &[]).assert_code(0);
    signed.verify().assert_code(0);
    same_metadata(gap);
    // Again changes nothing.
    let before = digests(&gap.far.web());
    signed.import("delta.bundle", &[]).assert_code(0);
    assert_eq!(digests(&gap.far.web()), before);
}

/// Fails the test unless the far tree is the near one, which may have what older snapshots name as well.
#[track_caller]
fn assert_carried(gap: &Gap) {
    let tree = |web: PathBuf| {
        let mut tree = digests(&web);
        tree.retain(|path, _| {
            !path.ends_with("last-modified") && !path.ends_with("heliostat-mirror.json")
        });
        tree
    };
    let (mut near, far) = (tree(gap.near.heliostat.web()), tree(gap.far.web()));
    near.retain(|path, _| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_copy = name.len() > 64 && name.ends_with(".index.v1_json");
        far.contains_key(path) || !(path.starts_with("tuf") || is_copy)
    });
    assert_eq!(near, far);
}

#[track_caller]
fn same_metadata(gap: &Gap) {
    let timestamp = |web: PathBuf| std::fs::read(web.join("tuf/timestamp.json")).unwrap();
    assert_eq!(
        timestamp(gap.near.heliostat.web()),
        timestamp(gap.far.web())
    );
}

#[test]
fn what_the_notary_did_not_sign_is_refused_and_nothing_changes() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    gap.export("all.bundle", &[]).assert_code(0);
    signed.import("first.bundle", &[]).assert_code(0);
    let place = |pieces: &mut Vec<Piece>, end: &str| {
        let piece = pieces.iter().position(|piece| piece.name.contains(end));
        piece.unwrap_or_else(|| panic!("no {end}"))
    };
    // A page that lists less, with all counts and digests of the bundle right.
    signed.edited("all.bundle", "page.bundle", |pieces| {
        let at = place(pieces, "simple/epsilon/");
        let text = String::from_utf8(pieces[at].bytes.clone()).unwrap();
        let text = text.replacen(
            "\"requires-python\":null",
            "\"requires-python\":\">=3.99\"",
            1,
        );
        assert_ne!(text.as_bytes(), pieces[at].bytes);
        pieces[at].bytes = text.into_bytes();
    });
    signed.refuse("page.bundle", &["`epsilon`", "not the one that was signed"]);
    // A file, which its page then does not know.
    signed.edited("all.bundle", "file.bundle", |pieces| {
        let at = place(pieces, "alpha-6.0-py3-none-any.whl");
        pieces[at].bytes[60] ^= 1;
    });
    signed.refuse("file.bundle", &["`alpha`", "another digest or size"]);
    // Metadata: changed, cut out, or of another state.
    for file in ["timestamp.json", ".snapshot.json", ".bin-16-"] {
        signed.edited("all.bundle", "metadata.bundle", |pieces| {
            let at = place(pieces, file);
            let text = String::from_utf8(pieces[at].bytes.clone()).unwrap();
            let text = text.replacen("\"version\":", "\"version\":1", 1);
            pieces[at].bytes = text.into_bytes();
        });
        signed.refuse("metadata.bundle", &["does not prove"]);
    }
    signed.edited("all.bundle", "stripped.bundle", |pieces| {
        pieces.retain(|piece| !piece.name.starts_with("tuf/"));
    });
    signed.refuse("stripped.bundle", &["carries no signed state"]);
    signed.edited("all.bundle", "unsigned.bundle", |pieces| {
        let at = place(pieces, "timestamp.json");
        let mut value: Value = serde_json::from_slice(&pieces[at].bytes).unwrap();
        value["signatures"] = json!([]);
        pieces[at].bytes = serde_json::to_vec(&value).unwrap();
    });
    signed.refuse("unsigned.bundle", &["timestamp.json"]);
    // The new state around the old pages, and the other way round.
    let old = gap.pieces("first.bundle");
    signed.edited("all.bundle", "mixed.bundle", |pieces| {
        let at = place(pieces, "simple/alpha/");
        let page = old.iter().find(|piece| piece.name == pieces[at].name);
        pieces[at] = page.unwrap().clone();
    });
    signed.refuse("mixed.bundle", &["`alpha`"]);
    signed.edited("all.bundle", "frozen.bundle", |pieces| {
        let at = place(pieces, "timestamp.json");
        let timestamp = old.iter().find(|piece| piece.name == pieces[at].name);
        pieces[at] = timestamp.unwrap().clone();
    });
    signed.refuse("frozen.bundle", &["`alpha`", "not the one that was signed"]);
    // A project less, where everything is promised.
    signed.edited("all.bundle", "less.bundle", |pieces| {
        let gone = |name: &str| name.contains("zeta");
        pieces.retain(|piece| !gone(&piece.name));
    });
    signed.refuse("less.bundle", &["promises everything", "`zeta`"]);
    // Somebody else's root.
    let other = World::new(Universe::new());
    begin(&other.heliostat, 1);
    let import = gap.import(
        "all.bundle",
        &["--root", root(&other.heliostat).to_str().unwrap()],
    );
    import.assert_code(4);
    // The right one is taken, and then the old one is not any more.
    signed.import("all.bundle", &[]).assert_code(0);
    same_metadata(gap);
    signed.refuse("first.bundle", &["timestamp.json"]);
}

#[test]
fn the_trusted_root_travels_and_must_be_there() {
    let signed = Signed::new();
    let gap = &signed.gap;
    let place = "heliostat/trusted_root.json";
    let has_it = |name: &str| gap.pieces(name).iter().any(|piece| piece.name == place);
    gap.export("all.bundle", &[]).assert_code(0);
    assert!(has_it("all.bundle"));
    signed.edited("all.bundle", "without.bundle", |pieces| {
        pieces.retain(|piece| piece.name != place);
    });
    let refused = signed.import("without.bundle", &[]);
    refused.assert_code(4);
    assert_says(&refused.stderr, &[place, "neither in it nor here"]);
    assert!(!gap.far.web().join("tuf").exists());
    signed.import("all.bundle", &[]).assert_code(0);
    signed.verify().assert_code(0);
    signed.import("without.bundle", &[]).assert_code(0);
    signed.edited("all.bundle", "changed.bundle", |pieces| {
        let piece = pieces.iter_mut().find(|piece| piece.name == place);
        piece.unwrap().bytes.push(b'\n');
    });
    signed.refuse("changed.bundle", &["does not prove", place, "not the one"]);
    signed.move_on();
    let first = gap.near.place("all.bundle");
    gap.export("delta.bundle", &["--since", first.to_str().unwrap()])
        .assert_code(0);
    assert!(has_it("delta.bundle"));
    signed.import("delta.bundle", &[]).assert_code(0);
    signed.verify().assert_code(0);
    // A tree whose copy was changed is not exported.
    let copies = std::fs::read_dir(gap.near.heliostat.web().join("heliostat")).unwrap();
    for copy in copies {
        std::fs::write(copy.unwrap().path(), "{}").unwrap();
    }
    let export = gap.export("none.bundle", &[]);
    export.assert_code(4);
    assert_says(&export.stderr, &[place, "not in the tree"]);
}

#[test]
fn an_old_bundle_is_proved_as_of_a_day_that_somebody_vouches_for() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("all.bundle", &[]).assert_code(0);
    let import = |arguments: &[&str]| {
        let import = gap.far.command("import").args(arguments);
        let import = import.arg("--root").arg(&signed.root);
        import.arg(gap.near.place("all.bundle")).run()
    };
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(30);
    let refused = import(&["--as-of", &tomorrow.to_string()]);
    refused.assert_code(2);
    assert_says(&refused.stderr, &["future"]);
    import(&["--as-of", "yesterday"]).assert_code(2);
    let without = gap.import("all.bundle", &["--as-of", "2026-01-01"]);
    without.assert_code(2);
    assert_says(&without.stderr, &["--root"]);
    // Signed thirty hours ago for a day.
    let mut notary = Notary::new(gap.near.heliostat.web(), 1);
    notary.shift = jiff::SignedDuration::from_hours(-30);
    notary.age = Some(jiff::SignedDuration::from_hours(30));
    notary.sign();
    let signed = Signed {
        root: notary.root_file(),
        gap: Gap::with(signed.gap.near),
    };
    signed.gap.export("all.bundle", &[]).assert_code(0);
    signed.refuse("all.bundle", &["expired", "--as-of"]);
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(20);
    let import = signed.import("all.bundle", &["--as-of", &then.to_string()]);
    import.assert_code(0);
    assert_says(&import.stdout, &["proved as of", "expires at"]);
    let before_it_was = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(60);
    let import = signed.import("all.bundle", &["--as-of", &before_it_was.to_string()]);
    import.assert_code(4);
    assert_says(&import.stderr, &["it was signed at", "--as-of"]);
    // Clients judge by today, and whoever runs the mirror is told what they see.
    let far = &signed.gap.far;
    for command in ["status", "trust status"] {
        let status = far.command(command).run();
        status.assert_code(1);
        let lines = status.stdout.lines();
        let mut expired = lines.filter(|line| line.contains("EXPIRED"));
        assert!(
            expired.any(|line| line.starts_with("timestamp")),
            "{status}"
        );
    }
}

#[test]
fn without_a_root_nothing_is_proved_and_nothing_is_carried() {
    let signed = Signed::new();
    let gap = &signed.gap;
    let import = gap.carry("all.bundle", &[]);
    assert_says(&import.stdout, &["nothing was proved"]);
    assert!(!gap.far.web().join("tuf").exists());
    // What was taken unproved can be proved afterwards.
    let import = signed.import("all.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["0 projects updated", "proved as of"]);
    signed.verify().assert_code(0);
}

#[test]
fn a_part_of_a_complete_mirror_is_served_and_never_with_a_wrong_404() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("some.bundle", &["alpha", "beta", "epsilon==1.1"])
        .assert_code(0);
    let import = signed.import("some.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["3 of the 6 pages that are signed"]);
    // The check of a whole tree says what lacks, and that nothing is wrong.
    let verify = signed.verify();
    verify.assert_code(1);
    assert_says(
        &verify.stdout,
        &["\"integrity\":0", "missing", "simple/zeta/"],
    );
    // Beyond a proxy nothing is taken for absent that is only not here.
    let mirror = TreeMirror::serve(gap.far.web());
    let client = heliostat(&gap.near.place("client"));
    let proxy = client.command("proxy").args(["--listen", "127.0.0.1:0"]);
    let proxy = proxy.arg("--root").arg(&signed.root);
    let proxy = Serving::wait(proxy.args(["--mirror", &mirror.url()]).start());
    let index = proxy.index_url();
    let status = |path: &str| get_json(&format!("{}{path}", proxy.url)).status;
    // What is signed and what no mirror gives is refused, and pip does not go on to another index.
    assert_eq!(status("/simple/zeta/"), 422);
    assert_eq!(status("/simple/nothing-like-it/"), 404);
    // The page lists both releases, as it was signed; one of them is here.
    let page = get_json(&format!("{}/simple/epsilon/", proxy.url));
    assert_eq!(page.filenames().len(), 2);
    if let Some(pip) = or_skip(Pip::newest()) {
        let place = gap.near.place("pip");
        pip.install(&index, &["alpha", "epsilon"], &place)
            .assert_code(0);
        let init = std::fs::read_to_string(place.join("epsilon/__init__.py")).unwrap();
        assert_eq!(init, "__version__ = \"1.1\"\n");
        for lacking in ["epsilon==1.0", "zeta"] {
            let place = gap.near.place("pip-nothing");
            let refused = pip.install(&index, &[lacking], &place);
            assert!(!refused.status.success(), "{refused}");
        }
    }
    proxy.stop().assert_code(0);
    // Clients that verify nothing see only what is here.
    let plain = std::fs::read(gap.far.web().join("simple/epsilon/index.v1_json")).unwrap();
    let plain: Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(plain["files"].as_array().unwrap().len(), 1);
    gap.far
        .command("verify")
        .arg("--upstream=http://127.0.0.1:9/simple/")
        .run()
        .assert_code(0);
    // The rest comes later, from the same state, and then nothing lacks.
    gap.export("all.bundle", &[]).assert_code(0);
    signed.import("all.bundle", &[]).assert_code(0);
    signed.verify().assert_code(0);
}

#[test]
fn a_state_that_does_not_fit_what_is_here_is_told_before_anything_changes() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.import("first.bundle", &[]).assert_code(0);
    signed.move_on();
    // The new state names another page of a project that this bundle does not bring.
    gap.export("less.bundle", &["epsilon"]).assert_code(0);
    let before = gap.far_state();
    let import = signed.import("less.bundle", &[]);
    import.assert_code(3);
    assert_says(&import.stdout, &["lacks simple/alpha/index.v1_json"]);
    assert_says(&import.stderr, &["1 page", "nothing was changed"]);
    assert_eq!(gap.far_state(), before);
    gap.export("enough.bundle", &["epsilon", "alpha"])
        .assert_code(0);
    let import = signed.import("enough.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["1 project held here without a signature"]);
    same_metadata(gap);
    let verify = signed.verify();
    verify.assert_code(4);
    assert_says(&verify.stdout, &["unsigned", "simple/delta/"]);
}

#[test]
fn a_mirror_that_signs_with_keys_of_its_own_signs_what_was_proved() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    gap.export("second.bundle", &[]).assert_code(0);
    begin(&gap.far, 1);
    let import = signed.import("second.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["signs it with its own keys"]);
    // An older state of the notary's is refused here, too.
    signed.refuse("first.bundle", &["timestamp.json"]);
    let serving = gap.far.serve(["--offline"]);
    let far_root = root(&gap.far);
    take(&gap.near, &far_root, &serving, "far-client", "alpha").assert_code(0);
    serving.stop().assert_code(0);
}

#[test]
fn what_was_signed_is_exported_also_while_a_sync_runs_and_after_it_went_on() {
    let signed = Signed::new();
    let gap = &signed.gap;
    let tuf = gap.near.heliostat.web().join("tuf");
    let timestamp = std::fs::read(tuf.join("timestamp.json")).unwrap();
    gap.near
        .pypi
        .add_release("alpha", &Release::simple("6.0").provenance());
    gap.near.sync(&[]).assert_code(0);
    // As if the pages were committed and nothing was published yet.
    std::fs::write(tuf.join("timestamp.json"), timestamp).unwrap();
    let store = heliostat_store::Store::open(gap.near.heliostat.data()).unwrap();
    let lock = store.lock_sync("a test", 0).unwrap();
    let export = gap.export("all.bundle", &[]);
    export.assert_code(0);
    assert_says(&export.stderr, &["a sync runs"]);
    drop(lock);
    let import = signed.import("all.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["6 of the 6 pages"]);
    signed.verify().assert_code(0);
    let page = std::fs::read_to_string(gap.far.web().join("simple/alpha/index.v1_json")).unwrap();
    assert!(!page.contains("alpha-6.0"), "{page}");
}

#[test]
fn a_proved_import_killed_at_any_step_is_finished_by_the_next() {
    if !cfg!(feature = "kill-points") {
        return;
    }
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    let first = gap.near.place("first.bundle");
    gap.export("delta.bundle", &["--since", first.to_str().unwrap()])
        .assert_code(0);
    signed.import("first.bundle", &[]).assert_code(0);
    let mut killed = Vec::new();
    for step in heliostat_store::KILL_POINTS {
        let data = gap.near.place(step);
        let copy = Invocation::new("cp").arg("-r").arg(gap.far.data());
        copy.arg(&data).run().assert_code(0);
        let far = heliostat(&data);
        let import = || {
            let import = far.command("import").arg("--root").arg(&signed.root);
            import.arg(first.with_file_name("delta.bundle"))
        };
        let run = import().env("HELIOSTAT_KILL_AT", step).run();
        if run.status.signal() == Some(6) {
            killed.push(*step);
        }
        let verify = || {
            let verify = bare().args(["trust", "verify", "--json", "--root"]);
            verify.arg(&signed.root).arg(far.web()).run()
        };
        // Clients that verify see the state before or after, and nothing that nobody signed. Plain pages may be those of
        // the next state already, and the root list that of the one before.
        let told = verify().stdout;
        assert!(!told.contains("\"kind\":\"wrong\""), "{step}: {told}");
        import().run().assert_code(0);
        verify().assert_code(0);
        let timestamp = |web: PathBuf| std::fs::read(web.join("tuf/timestamp.json")).unwrap();
        assert_eq!(timestamp(gap.near.heliostat.web()), timestamp(far.web()));
        std::fs::remove_dir_all(&data).unwrap();
    }
    for step in [
        "one-page-signed",
        "bins-written",
        "snapshot-written",
        "timestamp-written",
        "publication-noted",
    ] {
        assert!(killed.contains(&step), "{step} was not met: {killed:?}");
    }
}
