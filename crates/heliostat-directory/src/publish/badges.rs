//! Badges: one line about one endpoint as a picture, for pages of others.

use askama::Template;

use super::Files;
use super::view::{EndpointView, View};
use crate::error::DirectoryError;
use crate::score::float;
use crate::state::State;

/// Width of a character of the badge's size, in pixels; the picture holds its text to it.
const CHARACTER: f64 = 6.6;

#[derive(Template)]
#[template(path = "badge.svg")]
struct Badge {
    left: &'static str,
    left_width: f64,
    right: String,
    right_width: f64,
    width: f64,
    colour: &'static str,
}

pub(super) fn add(view: &View<'_>, files: &mut Files) -> Result<(), DirectoryError> {
    for endpoint in &view.endpoints {
        let text = badge(endpoint).render().map_err(DirectoryError::write)?;
        files.insert(
            format!("badges/{}.svg", endpoint.endpoint.id),
            text.into_bytes(),
        );
    }
    Ok(())
}

fn badge(view: &EndpointView<'_>) -> Badge {
    let left = "PyPI mirror";
    let right = match (view.standing.state, view.current_health()) {
        (State::Active, Some(health)) => {
            format!("{}, health {:.0}", view.freshness(), health.value.floor())
        }
        (state, _) => state.to_string(),
    };
    let width = |text: &str| (float(text.chars().count() as u64) * CHARACTER).round() + 12.0;
    let (left_width, right_width) = (width(left), width(&right));
    Badge {
        left,
        left_width,
        right,
        right_width,
        width: left_width + right_width,
        // White text on each has a contrast of at least 4.5.
        colour: match view.standing.state {
            State::Active => "#2c7a4b",
            State::Degraded | State::Probation | State::Maintenance => "#8a6100",
            State::Suspended | State::Quarantined | State::Vetoed => "#b3391f",
            State::Candidate | State::Retired => "#5d676f",
        },
    }
}
