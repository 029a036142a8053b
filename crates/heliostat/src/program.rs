//! Programs of people that get something on stdin: signers, and what carries mail.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one may take: somebody may have to touch something.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Runs a program, gives it these bytes, and answers what it printed; its stderr goes where ours does. The words are
/// its name and its arguments; no shell reads them. An error names the program.
pub(crate) fn run(words: &[String], bytes: &[u8]) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("no program is named".to_owned());
    };
    let fault = |error: std::io::Error| format!("`{program}`: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fault)?;
    // A program that does not read what it is given ends with an error of its own.
    drop(child.stdin.take().map(|mut stdin| stdin.write_all(bytes)));
    wait(&mut child).map_err(|reason| format!("`{program}`: {reason}"))?;
    let output = child.wait_with_output().map_err(fault)?;
    if !output.status.success() {
        return Err(format!("`{program}` ended with {}", output.status));
    }
    Ok(output.stdout)
}

fn wait(child: &mut Child) -> Result<(), String> {
    let started = Instant::now();
    while child
        .try_wait()
        .map_err(|error| error.to_string())?
        .is_none()
    {
        if started.elapsed() > PATIENCE {
            drop(child.kill());
            drop(child.wait());
            return Err("it did not end within a minute and was ended".to_owned());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}
