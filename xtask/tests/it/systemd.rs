//! The units in contrib/systemd are ones that systemd takes without a complaint.

use std::fs;
use std::process::Command;

use super::{contrib, program};

#[test]
fn systemd_takes_the_units() {
    let Some(systemd_analyze) = program("systemd-analyze") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for name in [
        "heliostat.service",
        "heliostat-sync.service",
        "heliostat-sync.timer",
    ] {
        let text = fs::read_to_string(contrib("systemd").join(name)).unwrap();
        let path = scratch.path().join(name);
        // The program is not installed where tests run; any that is there stands for it.
        fs::write(&path, text.replace("/usr/bin/heliostat", "/bin/true")).unwrap();
        units.push(path);
    }
    let output = Command::new(systemd_analyze)
        .arg("verify")
        .args(&units)
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = talk
        .lines()
        .filter(|line| line.contains("heliostat"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{talk}");
}
