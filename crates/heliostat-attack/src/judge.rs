//! What is wrong with a round: functions of the attack and of what was seen.

use std::time::Duration;

use crate::attacks::{Alone, Attack, Goal, Kept, WithHonest};
use crate::round::{Attestations, Installed, Round};

/// An attack may make an installer wait so long before it is told no, or served by another mirror.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// Bytes that a mirror may get rid of for one installation, whatever it sends: the limits on metadata, and room.
const BYTES_MAX: u64 = 32 << 20;

/// What the proxy may take of the machine's memory, whatever is sent.
const MEMORY_BYTES_MAX: u64 = 150 << 20;

/// What is wrong with a round in which the evil mirror is alone.
pub(crate) fn judge_alone(attack: &Attack, round: &Round) -> Vec<String> {
    let mut faults = common_faults(attack, round);
    let fine = match attack.alone {
        Alone::Refused => round.installed == Installed::Nothing,
        Alone::Harmless => round.installed == Installed::Newest,
        Alone::RefusedOrHarmless => {
            matches!(round.installed, Installed::Nothing | Installed::Newest)
        }
        Alone::OldIsInstalled => round.installed == Installed::Old,
        Alone::AttestationsRefused => {
            let refused = round.attestations == Some(Attestations::Refused);
            round.installed == Installed::Newest && refused
        }
    };
    if !fine {
        faults.push(format!(
            "{:?} is installed, attestations {:?}, where {:?} was to be",
            round.installed, round.attestations, attack.alone
        ));
    }
    if is_refused(round) {
        faults.extend(untold(attack, round));
    }
    faults
}

/// What is wrong with a round in which one honest mirror stands beside the evil one.
pub(crate) fn judge_with_honest(attack: &Attack, round: &Round) -> Vec<String> {
    let mut faults = common_faults(attack, round);
    let fine = match (attack.with_honest, round.installed) {
        (WithHonest::Newest | WithHonest::NewestOrRefused, Installed::Newest)
        | (WithHonest::Refused | WithHonest::NewestOrRefused, Installed::Nothing) => true,
        (_, _) => false,
    };
    if !fine {
        faults.push(format!(
            "{:?} is installed, although one mirror is honest",
            round.installed
        ));
    }
    if attack.goal == Goal::Attestations && round.attestations != Some(Attestations::Right) {
        faults.push(format!("the attestations are {:?}", round.attestations));
    }
    if round.installed == Installed::Nothing {
        faults.extend(untold(attack, round));
    }
    if attack
        .told_together
        .is_some_and(|word| !round.said.contains(word))
    {
        faults.push(format!("{:?} is not said", attack.told_together));
    }
    faults
}

fn is_refused(round: &Round) -> bool {
    round.installed == Installed::Nothing || round.attestations == Some(Attestations::Refused)
}

/// What a person is not told who was refused something.
fn untold(attack: &Attack, round: &Round) -> Vec<String> {
    let mut faults = Vec::new();
    if attack.told.is_empty() {
        return faults;
    }
    let said = round.said.to_lowercase();
    let nobody_lied = attack.with_honest == WithHonest::Refused;
    if !nobody_lied && !round.said.contains("EVIL-MIRROR") {
        faults.push("the mirror is not named".to_owned());
    }
    if !attack.told.iter().any(|word| said.contains(word)) {
        faults.push(format!("none of {:?} is said", attack.told));
    }
    faults
}

fn common_faults(attack: &Attack, round: &Round) -> Vec<String> {
    let mut faults = round.seen.clone();
    if round.elapsed > WAIT_MAX {
        faults.push(format!("it took {:.0} s", round.elapsed.as_secs_f64()));
    }
    if round.evil_bytes > BYTES_MAX {
        faults.push(format!("{} bytes were taken", round.evil_bytes));
    }
    if round.memory_max_bytes > Some(MEMORY_BYTES_MAX) {
        faults.push(format!(
            "the proxy took {:?} bytes of memory",
            round.memory_max_bytes
        ));
    }
    if attack.kept == Kept::Signed && !round.unsigned_files.is_empty() {
        faults.push(format!(
            "the proxy keeps what the notary never signed: {}",
            round.unsigned_files.join(", ")
        ));
    }
    faults
}
