//! A program that signs and does not do as it should: it fails for a while, hangs, prints without end.

use heliostat_testkit::process::{Invocation, Serving, find_program};

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
    until("what changed is signed", || {
        house.world.status()["signing"]["pending"] == 0
    });
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

#[test]
fn a_signer_that_prints_without_end_is_ended() {
    let house = House::new();
    let Some(sync) = sync_with(&house, "exec yes") else {
        return;
    };
    let run = sync.run();
    run.assert_code(3);
    assert_says(&run.stderr, &["signer", "more than 64 KiB"]);
}

/// A program that starts another, which hangs; what it started is in the file `started`.
fn hangs(house: &House) -> String {
    let started = house.world.place("started").display().to_string();
    format!("sleep 600 & echo $! > '{started}.new'; mv '{started}.new' '{started}'; wait")
}

/// The program that hangs is gone, and what it started too.
#[track_caller]
fn assert_nothing_is_left(house: &House) {
    let id = std::fs::read_to_string(house.world.place("started")).unwrap();
    let place = format!("/proc/{}/stat", id.trim());
    until("what the signer started has ended", || {
        // What nobody has waited for yet is a zombie.
        std::fs::read_to_string(&place).map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn a_signer_that_hangs_does_not_keep_anything_from_stopping() {
    let house = House::new();
    let Some(sync) = sync_with(&house, &hangs(&house)) else {
        return;
    };
    let syncing = sync.start();
    until("the signer hangs", || house.world.place("started").exists());
    let ended = syncing.terminate();
    ended.assert_code(3);
    assert_says(&ended.stderr, &["signer", "told to stop"]);
    assert_nothing_is_left(&house);
}

#[test]
fn a_server_whose_signer_hangs_stops_when_it_is_told() {
    let house = House::new();
    let hangs_later = format!("if [ -e asked ]; then {}; fi; touch asked", hangs(&house));
    let Some(sync) = sync_with(&house, &hangs_later) else {
        return;
    };
    drop(sync);
    let signer = house.world.place("signer");
    let serving = (house.world.heliostat.command("serve"))
        .args(["--listen", "127.0.0.1:0"])
        .args(["--upstream", &house.world.pypi.index_url()])
        .args(["--online-key", &format!("command:{}", signer.display())])
        .current_dir(house.world.place(""));
    let serving = Serving::wait(serving.start());
    // What is taken on demand is to be signed.
    assert_eq!(
        crate::http::get(&format!("{}/simple/alpha/", serving.url)).status,
        200
    );
    until("the signer hangs", || house.world.place("started").exists());
    let ended = serving.stop();
    assert_says(&ended.stderr, &["told to stop"]);
    assert_nothing_is_left(&house);
}
