//! `heliostat.toml`: read strictly (an unknown key is an error that names the nearest one), written with comments.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::key::{Key, Shape, keys};

/// The largest configuration file we read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The named file is not there.
    #[error("there is no configuration file at `{path}`")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read the configuration file `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("the configuration file `{path}` is not TOML")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key we do not know.
    #[error("the configuration file `{path}` has an unknown key `{key}`{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// `table.key`
        key: String,
        /// The nearest key we know.
        nearest: Option<String>,
    },
    /// A value of the wrong shape.
    #[error("`{key}` in the configuration file `{path}` must be {wanted}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// `table.key`
        key: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A value that its option does not take.
    #[error("{place}: {reason}")]
    Value {
        /// The key and the file, or the variable.
        place: String,
        /// What the option says to it.
        reason: String,
    },
}

/// The file's values, each with its key.
pub(super) fn read(path: &Path) -> Result<Vec<(Key, Vec<String>)>, ConfigError> {
    let table = parse(path)?;
    let keys = keys();
    let mut values = Vec::new();
    for (name, value) in flatten(&table) {
        let Some(key) = keys.iter().find(|key| key.path() == name) else {
            let nearest = nearest(&name, &keys);
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                key: name,
                nearest,
            });
        };
        let texts = texts(key, &value).map_err(|wanted| ConfigError::Shape {
            path: path.to_owned(),
            key: name,
            wanted,
        })?;
        values.push((key.clone(), texts));
    }
    Ok(values)
}

/// Whether the file sets the key.
pub(super) fn sets(path: &Path, key: &Key) -> bool {
    parse(path).is_ok_and(|table| flatten(&table).iter().any(|(name, _)| *name == key.path()))
}

/// A commented file with every key at its default.
pub(crate) fn render_template() -> String {
    let mut text = String::from(
        "# heliostat.toml: every key is also an option and an environment variable.\n\
         # What is typed wins over the environment, the environment over this file.\n",
    );
    let mut table = String::new();
    for key in keys() {
        if key.table != table {
            table.clone_from(&key.table);
            let _infallible = write!(text, "\n[{table}]\n");
        }
        let example = example(&key);
        let _infallible = write!(
            text,
            "\n# {}\n# {} = {example}\n",
            key.help.replace('\n', "\n# "),
            key.name
        );
    }
    text
}

fn example(key: &Key) -> String {
    let quote = |value: &str| {
        if value.parse::<i64>().is_ok() {
            value.to_owned()
        } else {
            format!("{value:?}")
        }
    };
    match (key.shape, &key.default) {
        (Shape::Switch, Some(default)) => default.clone(),
        // One without a default keeps what was said before: it is not set by way of example.
        (Shape::Switch, None) => "<true or false>".to_owned(),
        (Shape::One, Some(default)) => quote(default),
        (Shape::One, None) => format!("{:?}", format!("<{}>", key.value_name)),
        (Shape::Many, _) => format!("[{:?}]", format!("<{}>", key.value_name)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "settings reads configuration files, and nothing else on disk"
)]
fn parse(path: &Path) -> Result<toml::Table, ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let length = path.metadata().map_err(read)?.len();
    if length > FILE_BYTES_MAX {
        return Err(read(std::io::Error::other("it is larger than 1 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    text.parse().map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn flatten(table: &toml::Table) -> Vec<(String, toml::Value)> {
    let mut flat = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                flat.extend(
                    inner
                        .iter()
                        .map(|(key, value)| (format!("{name}.{key}"), value.clone())),
                );
            }
            _ => flat.push((name.clone(), value.clone())),
        }
    }
    flat
}

fn texts(key: &Key, value: &toml::Value) -> Result<Vec<String>, &'static str> {
    match (key.shape, value) {
        (Shape::Switch, toml::Value::Boolean(value)) => Ok(vec![value.to_string()]),
        (Shape::Switch, _) => Err("true or false"),
        (Shape::Many, toml::Value::Array(values)) => values
            .iter()
            .map(|value| scalar(value).ok_or("a list of texts"))
            .collect(),
        (Shape::Many, value) => Ok(vec![scalar(value).ok_or("a list of texts")?]),
        (Shape::One, value) => Ok(vec![scalar(value).ok_or("one value")?]),
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The key that was probably meant: near in spelling, or the same name in another table.
fn nearest(name: &str, keys: &[Key]) -> Option<String> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let score = |key: &Key| {
        let whole = strsim::jaro_winkler(name, &key.path());
        let part = strsim::jaro_winkler(last, &key.name);
        whole.max(part)
    };
    let best = keys.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.75).then(|| best.path())
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest
        .map(|key| format!("; did you mean `{key}`?"))
        .unwrap_or_default()
}
