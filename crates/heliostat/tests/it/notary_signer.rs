//! A program that signs and does not do as it should: it fails for a while, hangs, prints without end.

use heliostat_testkit::process::{Invocation, find_program};

use crate::notary_keys::{House, module};
use crate::world::{assert_says, until};

/// `sync` of everything with a signer that begins with `first` and then hands on to one that signs.
fn sync_with(house: &House, first: &str) -> Option<Invocation> {
    let openssl = find_program(&["openssl"])?;
    let signs = module(house, &openssl);
    let signs = signs.strip_prefix("command:").unwrap();
    let script = format!("#!/bin/sh\n{first}\nexec '{signs}'\n");
    let path = house.write("signer", &script, 0o700);
    let sync = (house.world.heliostat.command("sync"))
        .args(["--upstream", &house.world.pypi.index_url(), "--all"])
        .args(["--online-key", &format!("command:{}", path.display())]);
    Some(sync)
}

/// Signs once, when it is asked who it is, and then not before there is a file `mended`.
fn fails_until_mended(house: &House) -> String {
    let place = |name: &str| house.world.place(name).display().to_string();
    let (asked, mended) = (place("asked"), place("mended"));
    format!("if [ -e '{asked}' ] && [ ! -e '{mended}' ]; then exit 7; fi; touch '{asked}'")
}

#[test]
fn a_sync_that_watches_outlives_a_signature_that_fails() {
    let house = House::new();
    let Some(sync) = sync_with(&house, &fails_until_mended(&house)) else {
        return;
    };
    let mut watching = sync.args(["--watch", "60", "--publish-every", "0"]).start();
    watching.wait_for_stderr("this run failed; the next may not");
    let page = house.world.heliostat.web().join("simple/alpha/index.html");
    assert!(page.exists(), "what there was to take has been taken");
    // Only once it was tried again is there anything to tell.
    until("trying again fails", || {
        watching.stderr().matches("could not be signed").count() == 2
    });
    house.write("mended", "", 0o600);
    watching.wait_for_stderr("what changed is signed again");
    assert!(watching.is_running());
    let ended = watching.terminate();
    let told = ended.stderr.matches("could not be signed").count();
    assert!(
        told <= 2,
        "a reason is told once by a run and once after it: {ended}"
    );
    house.assert_signed();
}

#[test]
fn a_sync_whose_signer_fails_takes_all_and_says_so() {
    let house = House::new();
    let Some(sync) = sync_with(&house, &fails_until_mended(&house)) else {
        return;
    };
    let run = sync.args(["--publish-every", "0"]).run();
    run.assert_code(3);
    assert_says(&run.stderr, &["exit status: 7"]);
    let held = house.world.status()["projects"].clone();
    assert_eq!(held, 6, "{run}");
    house.write("mended", "", 0o600);
    let Some(again) = sync_with(&house, "") else {
        return;
    };
    again.run().assert_code(0);
    house.assert_signed();
    until("nothing is pending", || {
        house.world.status()["signing"]["pending"] == 0
    });
}
