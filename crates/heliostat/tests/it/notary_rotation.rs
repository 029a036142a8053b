//! The online key goes to another while the mirror is served: no client is refused, before, between or after.

use std::path::PathBuf;

use heliostat_testkit::process::{Finished, Serving};

use crate::notary_world::{begin, root, take};
use crate::sync_world::small;
use crate::world::{World, assert_says, until};

struct House {
    world: World,
}

impl House {
    fn new() -> Self {
        let world = World::new(small());
        begin(&world.heliostat, 1);
        world.sync(&["--all"]).assert_code(0);
        Self { world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.place(name)
    }

    /// Runs `trust` with these words beside the data.
    fn trust(&self, words: &str) -> Finished {
        self.world
            .heliostat
            .bare()
            .arg("trust")
            .args(words.split(' '))
            .current_dir(self.path(""))
            .run()
    }

    fn done(&self, words: &str) {
        self.trust(words).assert_code(0);
    }

    /// Another online key, and a root that names it, signed and not installed.
    fn rotate(&self) {
        let data = self.world.heliostat.data();
        let (data, tuf) = (data.display(), self.world.heliostat.web().join("tuf"));
        let offline = format!("{data}/state/keys/offline.key");
        let tuf = tuf.display();
        self.done("keys new --label online2 --plain --out online2.key");
        self.done(&format!(
            "rotate online --new online2.pub --data {data} -o next"
        ));
        self.done(&format!(
            "root sign next/root.draft.json --key {offline} -o root.sig"
        ));
        self.done(&format!(
            "root assemble next/root.draft.json root.sig --previous {tuf}/1.root.json -o 2.root.json"
        ));
        self.done(&format!(
            "delegate sign next/delegate.draft.json --key {offline} -o below.sig"
        ));
        self.done("delegate assemble next/delegate.draft.json below.sig --root 2.root.json -o .");
    }

    fn install(&self) -> Finished {
        let data = self.world.heliostat.data();
        self.trust(&format!(
            "install --data {} 2.root.json 2.targets.json 2.bins.json",
            data.display()
        ))
    }

    fn status(&self) -> Finished {
        self.world.heliostat.command("trust status").run()
    }

    fn put_new_key(&self) {
        let place = self.world.heliostat.data().join("state/keys/online.key");
        std::fs::copy(self.path("online2.key"), place).unwrap();
    }

    fn shows_root_2(&self) -> bool {
        self.world.heliostat.web().join("tuf/2.root.json").exists()
    }

    #[track_caller]
    fn assert_taken(&self, serving: &Serving, client: &str) {
        let root = root(&self.world.heliostat);
        take(&self.world, &root, serving, client, "alpha").assert_code(0);
    }
}

#[test]
fn a_rotated_root_waits_for_its_key_and_no_client_is_refused() {
    let house = House::new();
    let serving = house.world.heliostat.serve(["--offline"]);
    house.assert_taken(&serving, "client");
    house.rotate();
    let installed = house.install();
    installed.assert_code(0);
    assert_says(
        &installed.stderr,
        &["root 2, targets 2, bins 2", "online2 (", "online.key"],
    );
    assert!(!house.shows_root_2());
    let status = house.status();
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &["root 2, targets 2, bins 2 will be seen", "online2"],
    );
    house.assert_taken(&serving, "client");

    let serverkey = || crate::http::get(&format!("{}/serverkey", serving.url)).body;
    let before = serverkey();
    house.put_new_key();
    until("the server has taken up the new key", || {
        house.assert_taken(&serving, "client");
        house.shows_root_2()
    });
    house.assert_taken(&serving, "client");
    house.assert_taken(&serving, "stranger");
    until("the server hands out the new key", || serverkey() != before);
    let status = house.status();
    status.assert_code(0);
    assert_says(&status.stdout, &["root 2"]);
}

#[test]
fn where_the_new_key_is_in_its_place_install_publishes() {
    let house = House::new();
    house.rotate();
    house.put_new_key();
    let installed = house.install();
    installed.assert_code(0);
    assert_says(&installed.stderr, &["snapshot", "signed by the keys"]);
    assert!(house.shows_root_2());
    house.status().assert_code(0);
    let serving = house.world.heliostat.serve(["--offline"]);
    house.assert_taken(&serving, "client");
}
