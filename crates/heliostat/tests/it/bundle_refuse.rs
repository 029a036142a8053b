//! Bundles that are damaged, cut off, reordered, or made to do harm: each is refused with exit code 4, and the mirror
//! is as it was.

use crate::bundle_world::{Gap, Piece};
use crate::sync_world::{assert_no_litter, small};
use crate::world::assert_says;
use serde_json::{Value, json};

/// A far side that holds something, and a bundle with news for it.
fn gap() -> Gap {
    let gap = Gap::new(small());
    gap.carry("first.bundle", &["epsilon"]);
    gap.export("all.bundle", &[]).assert_code(0);
    gap
}

/// Imports a bundle that must be refused, with these words.
#[track_caller]
fn refuse(gap: &Gap, name: &str, words: &[&str]) {
    let before = gap.far_state();
    let import = gap.import(name, &[]);
    import.assert_code(4);
    assert_says(&import.stderr, words);
    assert_says(&import.stderr, &["nothing was changed"]);
    assert_eq!(gap.far_state(), before, "{name}");
    assert_no_litter(gap.far.data());
}

/// The bundle with one thing changed.
#[track_caller]
fn edited(gap: &Gap, name: &str, edit: impl FnOnce(&mut Vec<Piece>)) {
    let mut pieces = gap.pieces("all.bundle");
    edit(&mut pieces);
    gap.assemble(name, &pieces);
}

/// The bundle with the manifest's lines changed.
#[track_caller]
fn relined(gap: &Gap, name: &str, edit: impl FnOnce(&mut Vec<Value>)) {
    edited(gap, name, |pieces| {
        let mut lines = pieces[0].lines();
        edit(&mut lines);
        pieces[0] = Piece::of_lines(&lines);
    });
}

#[test]
fn an_untouched_bundle_put_together_again_is_taken() {
    let gap = gap();
    edited(&gap, "same.bundle", |_| {});
    gap.import("same.bundle", &[]).assert_code(0);
    gap.assert_same();
}

#[test]
fn bytes_that_were_changed_on_the_way() {
    let gap = gap();
    let is_wheel = |piece: &&mut Piece| piece.name.ends_with("zeta-3.0-py3-none-any.whl");
    edited(&gap, "file.bundle", |pieces| {
        pieces.iter_mut().find(is_wheel).unwrap().bytes[50] ^= 1;
    });
    refuse(&gap, "file.bundle", &["zeta-3.0", "expected sha256:"]);
    edited(&gap, "page.bundle", |pieces| {
        pieces[1].bytes[50] ^= 1;
    });
    refuse(&gap, "page.bundle", &["index.v1_json", "expected sha256:"]);
    edited(&gap, "longer.bundle", |pieces| {
        pieces.iter_mut().find(is_wheel).unwrap().bytes.push(0);
    });
    refuse(&gap, "longer.bundle", &["bytes, where the manifest says"]);
    // The manifest changed along with the page: then the page does not list what is there.
    edited(&gap, "both.bundle", |pieces| {
        let page = String::from_utf8(pieces[1].bytes.clone()).unwrap();
        let page = page.replacen("\"sha256\":\"", "\"sha256\":\"0", 1);
        pieces[1].bytes = page.into_bytes();
        let mut lines = pieces[0].lines();
        lines[1]["project"]["page"]["sha256"] = json!(sha256(&pieces[1].bytes));
        lines[1]["project"]["page"]["size"] = json!(pieces[1].bytes.len());
        let last = lines.len() - 1;
        let size = lines[last]["end"]["size"].as_u64().unwrap();
        lines[last]["end"]["size"] = json!(size + 1);
        pieces[0] = Piece::of_lines(&lines);
    });
    refuse(&gap, "both.bundle", &["`alpha`"]);
}

fn sha256(bytes: &[u8]) -> String {
    heliostat_testkit::fixture::sha256_hex(bytes)
}

#[test]
fn a_bundle_that_is_cut_off() {
    let gap = gap();
    let whole = std::fs::read(gap.near.place("all.bundle")).unwrap();
    for keep in [0, 3, 20, whole.len() / 2, whole.len() - 1] {
        std::fs::write(gap.near.place("cut.bundle"), &whole[..keep]).unwrap();
        refuse(&gap, "cut.bundle", &["bundle"]);
    }
    let mut longer = whole;
    longer.extend_from_slice(b"more");
    std::fs::write(gap.near.place("longer.bundle"), longer).unwrap();
    refuse(&gap, "longer.bundle", &["damaged"]);
    // Sound compression around an archive that ends early.
    edited(&gap, "less.bundle", |pieces| drop(pieces.pop()));
    refuse(&gap, "less.bundle", &["it is missing"]);
    std::fs::write(gap.near.place("other.bundle"), b"PK\x03\x04 something else").unwrap();
    refuse(&gap, "other.bundle", &["not a bundle"]);
}

#[test]
fn entries_in_another_order_twice_or_unknown() {
    let gap = gap();
    edited(&gap, "swapped.bundle", |pieces| pieces.swap(2, 3));
    refuse(&gap, "swapped.bundle", &["in its place"]);
    edited(&gap, "late.bundle", |pieces| pieces.swap(0, 1));
    refuse(
        &gap,
        "late.bundle",
        &["first entry is not `manifest.jsonl`"],
    );
    edited(&gap, "twice.bundle", |pieces| {
        let again = pieces[2].clone();
        pieces.insert(3, again);
    });
    refuse(&gap, "twice.bundle", &["in its place"]);
    edited(&gap, "more.bundle", |pieces| {
        pieces.push(Piece {
            name: "packages/more".to_owned(),
            bytes: b"x".to_vec(),
        });
    });
    refuse(&gap, "more.bundle", &["the manifest does not have it"]);
    relined(&gap, "unsorted.bundle", |lines| lines.swap(1, 2));
    refuse(&gap, "unsorted.bundle", &["in its place"]);
    relined(&gap, "endless.bundle", |lines| drop(lines.pop()));
    refuse(&gap, "endless.bundle", &["cut off"]);
    edited(&gap, "other-list.bundle", |pieces| {
        let text = String::from_utf8(pieces[0].bytes.clone()).unwrap();
        let text = text.replacen("\"list\":\"", "\"list\":\"0123", 1);
        let (head, tail) = text.split_once("\"list\":\"0123").unwrap();
        pieces[0].bytes = format!("{head}\"list\":\"0123{}", &tail[4..]).into_bytes();
    });
    refuse(&gap, "other-list.bundle", &["another digest"]);
    relined(&gap, "miscounted.bundle", |lines| {
        lines.last_mut().unwrap()["end"]["projects"] = json!(1);
    });
    refuse(&gap, "miscounted.bundle", &["counts otherwise"]);
}

#[test]
fn names_that_leave_the_tree_and_entries_that_are_no_files() {
    let gap = gap();
    for name in ["../outside", "/etc/outside", "simple/../../outside"] {
        edited(&gap, "escape.bundle", |pieces| {
            pieces[1].name = name.to_owned();
        });
        refuse(&gap, "escape.bundle", &["is refused"]);
    }
    relined(&gap, "manifest.bundle", |lines| {
        lines[1]["project"]["parts"][0]["path"] = json!("../../outside");
    });
    refuse(&gap, "manifest.bundle", &["line 2 of the manifest"]);
    // A path that is fine in itself and is none of the page's.
    relined(&gap, "elsewhere.bundle", |lines| {
        lines[1]["project"]["parts"][0]["path"] = json!("packages/00/elsewhere");
    });
    refuse(
        &gap,
        "elsewhere.bundle",
        &["its page lists no `packages/00/elsewhere`"],
    );
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Char,
        tar::EntryType::Directory,
        tar::EntryType::XHeader,
        tar::EntryType::GNUSparse,
    ] {
        let mut builder = tar::Builder::new(Vec::new());
        for piece in gap.pieces("all.bundle").iter().take(2) {
            let mut header = tar::Header::new_gnu();
            header.set_size(piece.bytes.len() as u64);
            let is_manifest = piece.name == "manifest.jsonl";
            header.set_entry_type(if is_manifest {
                tar::EntryType::Regular
            } else {
                kind
            });
            if kind == tar::EntryType::Symlink && !is_manifest {
                header.set_link_name("/etc/passwd").unwrap();
            }
            let bytes = piece.bytes.as_slice();
            builder
                .append_data(&mut header, &piece.name, bytes)
                .unwrap();
        }
        gap.write("kind.bundle", &builder.into_inner().unwrap());
        refuse(&gap, "kind.bundle", &["it is not a regular file"]);
    }
}

#[test]
fn a_bundle_that_leaves_out_what_its_page_lists() {
    let gap = gap();
    edited(&gap, "less.bundle", |pieces| {
        let mut lines = pieces[0].lines();
        let parts = lines[1]["project"]["parts"].as_array_mut().unwrap();
        let gone = parts.remove(0);
        let path = gone["path"].as_str().unwrap().to_owned();
        pieces.retain(|piece| piece.name != path);
        let end = lines.last_mut().unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        end["end"]["entries"] = json!(number(&end["end"]["entries"]) - 1);
        end["end"]["size"] = json!(number(&end["end"]["size"]) - number(&gone["size"]));
        pieces[0] = Piece::of_lines(&lines);
    });
    refuse(
        &gap,
        "less.bundle",
        &["neither in it nor in what it builds on"],
    );
}

#[test]
fn a_bomb_takes_neither_memory_nor_disk() {
    let gap = gap();
    // A manifest of one line that does not end: four gigabytes of it would be a few hundred kilobytes.
    let mut header = tar::Header::new_gnu();
    header.set_path("manifest.jsonl").unwrap();
    header.set_size(4 << 30);
    header.set_cksum();
    let mut plain = header.as_bytes().to_vec();
    plain.resize(600 << 20, b' ');
    gap.write("bomb.bundle", &plain);
    let packed = std::fs::metadata(gap.near.place("bomb.bundle"))
        .unwrap()
        .len();
    assert!(packed < 1 << 20, "{packed}");
    refuse(&gap, "bomb.bundle", &["bundle"]);
    // A size that the entry does not have.
    edited(&gap, "huge.bundle", |pieces| {
        let mut lines = pieces[0].lines();
        lines[1]["project"]["page"]["size"] = json!(u64::MAX);
        pieces[0] = Piece::of_lines(&lines);
    });
    refuse(&gap, "huge.bundle", &["more than"]);
}

#[test]
fn a_newer_format_says_so() {
    let gap = gap();
    relined(&gap, "newer.bundle", |lines| {
        lines[0] = json!({"header": {"heliostat-bundle": 2, "anything": true}});
    });
    let before = gap.far_state();
    let import = gap.import("newer.bundle", &[]);
    import.assert_code(3);
    assert_says(&import.stderr, &["format 2", "newer"]);
    assert_eq!(gap.far_state(), before);
}

/// Everything below a directory, what is private included.
fn below(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.unwrap().path();
        found.extend(below(&path));
        found.push(path);
    }
    found.sort();
    found
}

/// What is refused at the first import, or only looked at, makes no mirror; what stood there before stays.
#[test]
fn a_refused_first_import_leaves_no_data_directory() {
    let gap = Gap::new(small());
    gap.export("all.bundle", &[]).assert_code(0);
    let whole = std::fs::read(gap.near.place("all.bundle")).unwrap();
    std::fs::write(gap.near.place("cut.bundle"), &whole[..whole.len() / 2]).unwrap();
    let nowhere = gap.near.place("not/yet/there");
    let standing = gap.near.place("standing");
    std::fs::create_dir_all(standing.join("web")).unwrap();
    std::fs::write(standing.join("web/robots.txt"), "mine").unwrap();
    let empty = gap.near.place("empty");
    std::fs::create_dir(&empty).unwrap();
    let no_root = gap.near.place("no-root.json");
    let no_root = format!("--root={}", no_root.display());
    for (bundle, argument, code) in [
        ("cut.bundle", "--json", 4),
        ("all.bundle", no_root.as_str(), 3),
        ("all.bundle", "--dry-run", 0),
    ] {
        for data in [&nowhere, &standing, &empty] {
            let import = crate::world::heliostat(data);
            let import = import.command("import").arg(argument);
            import.arg(gap.near.place(bundle)).run().assert_code(code);
        }
        assert!(!gap.near.place("not").exists(), "{bundle} {argument}");
        assert!(below(&empty).is_empty(), "{bundle} {argument}");
        let left = [standing.join("web"), standing.join("web/robots.txt")];
        assert_eq!(below(&standing), left, "{bundle} {argument}");
    }
    // A mirror that holds nothing yet, and has begun, is one.
    let begun = crate::world::heliostat(&empty);
    let data = begun.command("import").arg(gap.near.place("all.bundle"));
    data.run().assert_code(0);
    let before = below(&empty);
    let cut = begun.command("import").arg(gap.near.place("cut.bundle"));
    cut.run().assert_code(4);
    assert_eq!(below(&empty), before);
}
