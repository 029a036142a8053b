use super::*;

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project("Alpha", &[Release::simple("1.0"), Release::simple("2.0")]);
    universe
}

#[test]
fn every_change_takes_a_new_serial() {
    let mut universe = universe();
    let before = universe.project("alpha").unwrap().serial;
    universe.yank("alpha", "1.0", "broken");
    assert_eq!(universe.project("alpha").unwrap().serial, before + 1);
    assert_eq!(universe.serial(), before + 1);
}

#[test]
fn a_reserved_serial_is_committed_later() {
    let mut universe = universe();
    let early = universe.reserve_serial();
    universe.add_project("beta", &[Release::simple("1.0")]);
    let late = universe.project("beta").unwrap().serial;
    assert!(late > early);
    universe.commit_next_with(early);
    universe.touch("alpha");
    assert_eq!(universe.project("alpha").unwrap().serial, early);
    assert_eq!(universe.serial(), late);
}

#[test]
fn deleted_files_are_gone_from_the_files_host() {
    let mut universe = universe();
    let file = Arc::clone(&universe.project("alpha").unwrap().files[0]);
    universe.delete_file("alpha", &file.filename);
    assert!(universe.stored(&file.path()).is_none());
    universe.delete_project("alpha");
    assert!(universe.project("alpha").is_none());
    assert!(universe.stored_by_filename("alpha-2.0.tar.gz").is_none());
}

#[test]
fn the_page_before_a_change_is_remembered() {
    let mut universe = universe();
    assert!(universe.project("alpha").unwrap().previous.is_none());
    universe.delete_release("alpha", "1.0");
    let project = universe.project("alpha").unwrap();
    assert_eq!(project.versions, ["2.0"]);
    let previous = project.previous.as_ref().unwrap();
    assert_eq!(previous.versions, ["1.0", "2.0"]);
    assert!(previous.serial < project.serial);
}

#[test]
fn a_bench_set_has_the_files_it_promises() {
    let set = BenchSet {
        projects: 3,
        ..BenchSet::A
    };
    let universe = set.universe();
    for (_, project) in universe.projects() {
        assert_eq!(project.files.len(), 5);
        assert_eq!(
            project
                .files
                .iter()
                .filter(|file| file.offered_metadata().is_some())
                .count(),
            3
        );
        for file in &project.files {
            assert!(
                file.bytes.len().abs_diff(20_000) < 700,
                "{} has {} bytes",
                file.filename,
                file.bytes.len()
            );
        }
    }
}

#[test]
fn a_large_project_has_every_file_once() {
    let mut universe = Universe::new();
    universe.add_large_project("huge", 201);
    let names: std::collections::BTreeSet<_> = universe
        .project("huge")
        .unwrap()
        .files
        .iter()
        .map(|file| file.filename.clone())
        .collect();
    assert_eq!(names.len(), 201);
}
