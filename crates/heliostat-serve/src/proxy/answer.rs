//! What an installer is told when the client cannot give what it asked for. Pure.

use heliostat_client::{Attack, ClientError, ErrorKind};
use heliostat_pypi::ProjectName;
use http::StatusCode;

use crate::problem::Problem;

/// The status and the sentence of a client's error. Unlike a mirror's own server, the proxy tells everything: whoever
/// reads it sits on the same machine, and must know which mirror did what.
pub(super) fn problem_of(error: &ClientError, clock_warning: Option<&str>) -> Problem {
    let status = match error.kind() {
        ErrorKind::Integrity | ErrorKind::Distrusted | ErrorKind::Withheld => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ErrorKind::Outage => StatusCode::BAD_GATEWAY,
        ErrorKind::Absent => StatusCode::NOT_FOUND,
        ErrorKind::Settings | ErrorKind::Disk => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut sentence = match error.kind() {
        ErrorKind::Integrity => refusal(&error.attacks()),
        ErrorKind::Distrusted => "Refused, because of who published it: ",
        ErrorKind::Withheld => {
            "Refused, because the signed state names it and every mirror says that it has none: "
        }
        ErrorKind::Outage => "No mirror can be used: ",
        _ => "",
    }
    .to_owned();
    sentence.push_str(&error.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = error.source();
    }
    if let Some(warning) = clock_warning {
        sentence.push_str("; ");
        sentence.push_str(warning);
    }
    Problem::new(status, sentence)
}

/// How the sentence about a refusal begins. What was rightly signed is not called anything else.
fn refusal(attacks: &[Attack]) -> &'static str {
    match attacks {
        [] => "Refused: ",
        [Attack::Rollback] => "Refused, because it is older than what was seen before: ",
        [Attack::Freeze] => "Refused, because it is out of date: ",
        [Attack::WrongClock] => "Refused, because a clock is wrong: ",
        [Attack::SplitView] => "Refused, because the notary's key says two different things: ",
        attacks if attacks.iter().all(|attack| attack.is_of_signed()) => {
            "Refused, because no mirror shows a state that may be used: "
        }
        _ => "Refused, because it is not what the notary signed: ",
    }
}

/// The signed state says that there is no such project.
pub(super) fn absent(name: &ProjectName) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("The signed state, which is complete for this name, has no project `{name}`."),
    )
}

/// The signed state does not say.
pub(super) fn unknown(what: &str) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "Nothing is known of {what}: the signed state does not name it and does not claim to be complete. \
             A mirror was asked to take it; try again later."
        ),
    )
}

/// The proxy is stopping.
pub(super) fn stopping() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The proxy is stopping.")
}
