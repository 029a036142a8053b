use std::time::Duration;

use super::*;

fn shell(script: &str) -> Invocation {
    Invocation::new("/bin/sh").args(["-c", script])
}

#[test]
fn output_and_exit_code_are_kept() {
    let finished = shell("echo out; echo err >&2; exit 3").run();
    finished.assert_code(3);
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn a_line_can_be_waited_for_and_the_program_stopped() {
    let mut running = shell("echo 'listening on here'; exec sleep 100").start();
    assert_eq!(running.wait_for_line("listening on "), "here");
    assert!(running.is_running());
    assert_eq!(running.terminate().code(), None);
}

#[test]
fn a_kill_is_a_kill() {
    let mut running = shell("trap '' TERM; echo ready; exec sleep 100").start();
    running.wait_for_line("ready");
    assert!(!running.kill().status.success());
}

#[test]
#[should_panic(expected = "not done after")]
fn patience_ends() {
    shell("exec sleep 100")
        .patience(Duration::from_millis(50))
        .run();
}

#[test]
fn usage_is_measured() {
    let finished = shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").run();
    assert!(finished.usage.processor_time > Duration::ZERO);
    assert!(finished.usage.memory_max_bytes > 100_000);
}

#[test]
fn the_environment_is_clean() {
    let finished = shell("env").run();
    assert!(finished.stdout.contains("HOME=/nonexistent\n"));
    for line in finished.stdout.lines() {
        assert!(
            !configures_something(&line.split('=').next().unwrap().into()),
            "{line}"
        );
    }
}

#[test]
fn programs_are_found() {
    assert!(find_program(&["no-such-program", "sh"]).is_some());
    assert_eq!(find_program(&["no-such-program"]), None);
}
