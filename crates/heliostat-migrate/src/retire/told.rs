//! What a client tells of itself in its `User-Agent`: pip and uv append a JSON object with the Python, the system and
//! whether a CI runs them. Enough to find who still comes, and nothing that names a person.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest `User-Agent` that is looked into, in bytes.
const USER_AGENT_BYTES_MAX: usize = 4096;

/// The longest text that is kept of one thing, in characters.
const TEXT_CHARACTERS_MAX: usize = 32;

/// What was told; empty where nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The Python that packages are for, `3.12.4`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub python: String,
    /// The system, `Debian GNU/Linux 13` or `Darwin`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// Whether a CI runs it, where that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<bool>,
}

impl Told {
    /// Reads a `User-Agent`.
    pub fn of(user_agent: &str) -> Self {
        let object = user_agent
            .find('{')
            .filter(|_| user_agent.len() <= USER_AGENT_BYTES_MAX)
            .and_then(|at| serde_json::from_str::<Value>(&user_agent[at..]).ok());
        let Some(object) = object else {
            return Self::default();
        };
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(plain)
                .unwrap_or_default()
        };
        let distribution = format!("{} {}", text("/distro/name"), text("/distro/version"));
        let system = if distribution.trim().is_empty() {
            text("/system/name")
        } else {
            distribution.trim().to_owned()
        };
        Self {
            python: text("/python"),
            system,
            ci: object.get("ci").and_then(Value::as_bool),
        }
    }
}

/// A text that can be put on a line and in a table.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|character| character.is_ascii_graphic() || *character == ' ')
        .take(TEXT_CHARACTERS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_and_uv_tell_their_python_and_system() {
        let told = Told::of(
            "pip/26.3 {\"ci\":true,\"distro\":{\"name\":\"Debian GNU/Linux\",\"version\":\"13\"},\"python\":\"3.13.5\",\"system\":{\"name\":\"Linux\"}}",
        );
        let expected = Told {
            python: "3.13.5".to_owned(),
            system: "Debian GNU/Linux 13".to_owned(),
            ci: Some(true),
        };
        assert_eq!(told, expected);
        let told = Told::of("uv/0.9.1 {\"ci\":null,\"system\":{\"name\":\"Darwin\\n\"}}");
        assert_eq!((told.system.as_str(), told.ci), ("Darwin", None));
        for other in ["curl/8", "pip/1 {", "", "x {\"python\":3}"] {
            assert_eq!(Told::of(other), Told::default(), "{other}");
        }
    }
}
