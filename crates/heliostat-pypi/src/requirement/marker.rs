//! Environment markers (PEP 508): reading them, and deciding whether they may hold on a machine we only partly know.

use std::fmt;
use std::str::FromStr;

use super::ExtraName;
use crate::{Specifiers, Version};

/// How deep parentheses may stand in each other. Real markers stay below 20.
const DEPTH_MAX: usize = 64;

/// A condition on the machine that installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(Condition);

/// What is known of the machine. A marker cannot be negated as a whole, so "may hold" is right for any marker once it
/// is right for each comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerEnvironment {
    /// `os_name`
    pub os_name: Values,
    /// `sys_platform`
    pub sys_platform: Values,
    /// `platform_machine`
    pub platform_machine: Values,
    /// `platform_python_implementation`
    pub platform_python_implementation: Values,
    /// `platform_release`
    pub platform_release: Values,
    /// `platform_system`
    pub platform_system: Values,
    /// `platform_version`
    pub platform_version: Values,
    /// `python_version`
    pub python_version: Values,
    /// `python_full_version`
    pub python_full_version: Values,
    /// `implementation_name`
    pub implementation_name: Values,
    /// `implementation_version`
    pub implementation_version: Values,
}

/// The values one marker variable may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Nothing is known: every comparison may hold.
    Any,
    /// One of these.
    OneOf(Vec<String>),
}

/// Why a text is not a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its marker is wrong at `{at}`: {reason}")]
pub struct MarkerError {
    /// The text from where it goes wrong, shortened and escaped for display.
    pub at: String,
    /// What is wrong.
    pub reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Compare(Operand, Comparison, Operand),
    All(Vec<Self>),
    Any(Vec<Self>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Variable(Variable),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    OsName,
    SysPlatform,
    PlatformMachine,
    PlatformPythonImplementation,
    PlatformRelease,
    PlatformSystem,
    PlatformVersion,
    PythonVersion,
    PythonFullVersion,
    ImplementationName,
    ImplementationVersion,
    Extra,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Compatible,
    Identical,
    In,
    NotIn,
}

/// Longer operators first.
const OPERATORS: [(&str, Comparison); 8] = [
    ("===", Comparison::Identical),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("~=", Comparison::Compatible),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// PEP 508's names, then the older ones with a dot that PEP 345 had.
const VARIABLES: [(&str, Variable); 17] = [
    ("os_name", Variable::OsName),
    ("sys_platform", Variable::SysPlatform),
    ("platform_machine", Variable::PlatformMachine),
    (
        "platform_python_implementation",
        Variable::PlatformPythonImplementation,
    ),
    ("platform_release", Variable::PlatformRelease),
    ("platform_system", Variable::PlatformSystem),
    ("platform_version", Variable::PlatformVersion),
    ("python_version", Variable::PythonVersion),
    ("python_full_version", Variable::PythonFullVersion),
    ("implementation_name", Variable::ImplementationName),
    ("implementation_version", Variable::ImplementationVersion),
    ("extra", Variable::Extra),
    ("os.name", Variable::OsName),
    ("sys.platform", Variable::SysPlatform),
    ("platform.machine", Variable::PlatformMachine),
    (
        "platform.python_implementation",
        Variable::PlatformPythonImplementation,
    ),
    (
        "python_implementation",
        Variable::PlatformPythonImplementation,
    ),
];

impl Marker {
    /// Whether the marker may hold on `environment`, with `extra` asked for.
    pub fn may_hold(&self, environment: &MarkerEnvironment, extra: Option<&ExtraName>) -> bool {
        self.0.may_hold(environment, extra)
    }
}

impl Values {
    /// One known value.
    pub fn one(value: impl Into<String>) -> Self {
        Self::OneOf(vec![value.into()])
    }
}

impl Condition {
    fn may_hold(&self, environment: &MarkerEnvironment, extra: Option<&ExtraName>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.may_hold(environment, extra)),
            Self::Any(parts) => parts.iter().any(|part| part.may_hold(environment, extra)),
            Self::Compare(left, comparison, right) => {
                if matches!(left, Operand::Variable(Variable::Extra))
                    || matches!(right, Operand::Variable(Variable::Extra))
                {
                    return extra_holds(left, *comparison, right, extra);
                }
                let (Values::OneOf(lefts), Values::OneOf(rights)) =
                    (left.values(environment), right.values(environment))
                else {
                    return true;
                };
                let as_versions = left.is_version() || right.is_version();
                lefts.iter().any(|left| {
                    rights
                        .iter()
                        .any(|right| comparison.holds(left, right, as_versions))
                })
            }
        }
    }
}

impl Operand {
    fn values(&self, environment: &MarkerEnvironment) -> Values {
        match self {
            Self::Text(text) => Values::one(text),
            Self::Variable(variable) => match variable {
                Variable::OsName => environment.os_name.clone(),
                Variable::SysPlatform => environment.sys_platform.clone(),
                Variable::PlatformMachine => environment.platform_machine.clone(),
                Variable::PlatformPythonImplementation => {
                    environment.platform_python_implementation.clone()
                }
                Variable::PlatformRelease => environment.platform_release.clone(),
                Variable::PlatformSystem => environment.platform_system.clone(),
                Variable::PlatformVersion => environment.platform_version.clone(),
                Variable::PythonVersion => environment.python_version.clone(),
                Variable::PythonFullVersion => environment.python_full_version.clone(),
                Variable::ImplementationName => environment.implementation_name.clone(),
                Variable::ImplementationVersion => environment.implementation_version.clone(),
                // Compared by `extra_holds` alone.
                Variable::Extra => Values::Any,
            },
        }
    }

    /// Whether installers compare it as a version. `platform_release` is a version on the systems that markers ask.
    const fn is_version(&self) -> bool {
        matches!(
            self,
            Self::Variable(
                Variable::PythonVersion
                    | Variable::PythonFullVersion
                    | Variable::ImplementationVersion
                    | Variable::PlatformRelease
            )
        )
    }
}

impl Comparison {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Compatible => "~=",
            Self::Identical => "===",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }

    fn holds(self, left: &str, right: &str, as_versions: bool) -> bool {
        if as_versions
            && !matches!(self, Self::In | Self::NotIn)
            && let Ok(specifiers) = format!("{}{right}", self.as_str()).parse::<Specifiers>()
            && let Some(version) = Version::parse(left).as_pep440()
        {
            return specifiers.admit_pep440(version);
        }
        match self {
            Self::Equal | Self::Identical => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::In => right.contains(left),
            Self::NotIn => !right.contains(left),
            // Undefined on texts, and an error in installers: nothing is left out for it.
            Self::Compatible => true,
        }
    }
}

fn extra_holds(
    left: &Operand,
    comparison: Comparison,
    right: &Operand,
    extra: Option<&ExtraName>,
) -> bool {
    let ((Operand::Text(text), _) | (_, Operand::Text(text))) = (left, right) else {
        return false;
    };
    let is_named =
        |name: &str| extra.is_some_and(|extra| name.parse::<ExtraName>().as_ref() == Ok(extra));
    match comparison {
        Comparison::Equal | Comparison::Identical => is_named(text),
        Comparison::NotEqual => !is_named(text),
        Comparison::In => text.split([',', ' ']).any(is_named),
        Comparison::NotIn => !text.split([',', ' ']).any(is_named),
        _ => false,
    }
}

impl FromStr for Marker {
    type Err = MarkerError;

    fn from_str(text: &str) -> Result<Self, MarkerError> {
        let mut reader = Reader {
            rest: text.trim_start(),
        };
        let condition = reader.any(0)?;
        if reader.rest.is_empty() {
            Ok(Self(condition))
        } else {
            Err(reader.reject("the marker should end here"))
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::Compare(left, comparison, right) => {
                return write!(f, "{left} {} {right}", comparison.as_str());
            }
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            match part {
                Self::Compare(..) => part.fmt(f)?,
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A text cannot hold the quote it was written in, so it never holds both.
            Self::Text(text) if text.contains('\'') => write!(f, "\"{text}\""),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Variable(variable) => {
                let name = VARIABLES
                    .iter()
                    .find(|(_, other)| other == variable)
                    .map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

/// Reads from the front; `rest` never starts with white space.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn reject(&self, reason: &'static str) -> MarkerError {
        MarkerError {
            at: self
                .rest
                .chars()
                .take(60)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            reason,
        }
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest.trim_start();
        taken
    }

    fn take_word(&mut self, word: &str) -> bool {
        let follows =
            |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let found = self.rest.strip_prefix(word).is_some_and(follows);
        if found {
            self.skip(word.len());
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Condition, MarkerError> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::Any(parts)
        })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, MarkerError> {
        let mut parts = vec![self.one(depth)?];
        while self.take_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::All(parts)
        })
    }

    fn one(&mut self, depth: usize) -> Result<Condition, MarkerError> {
        if !self.rest.starts_with('(') {
            let left = self.operand()?;
            let comparison = self.comparison()?;
            return Ok(Condition::Compare(left, comparison, self.operand()?));
        }
        if depth == DEPTH_MAX {
            return Err(self.reject("parentheses are nested more than 64 deep"));
        }
        self.skip(1);
        let inside = self.any(depth + 1)?;
        if !self.rest.starts_with(')') {
            return Err(self.reject("expected `)`, `and` or `or`"));
        }
        self.skip(1);
        Ok(inside)
    }

    fn operand(&mut self) -> Result<Operand, MarkerError> {
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let Some(length) = self.rest[1..].find(quote) else {
                return Err(self.reject("a quoted text does not end"));
            };
            let text = self.skip(length + 2);
            return Ok(Operand::Text(text[1..=length].to_owned()));
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
            .unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) else {
            return Err(self.reject("expected a marker variable or a quoted text"));
        };
        self.skip(end);
        Ok(Operand::Variable(*variable))
    }

    fn comparison(&mut self) -> Result<Comparison, MarkerError> {
        if let Some((text, comparison)) = OPERATORS
            .iter()
            .find(|(text, _)| self.rest.starts_with(text))
        {
            self.skip(text.len());
            return Ok(*comparison);
        }
        if self.take_word("in") {
            return Ok(Comparison::In);
        }
        if self.take_word("not") && self.take_word("in") {
            return Ok(Comparison::NotIn);
        }
        Err(self.reject("expected a comparison"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn linux() -> MarkerEnvironment {
        MarkerEnvironment {
            os_name: Values::one("posix"),
            sys_platform: Values::one("linux"),
            platform_machine: Values::one("x86_64"),
            platform_python_implementation: Values::one("CPython"),
            platform_release: Values::Any,
            platform_system: Values::one("Linux"),
            platform_version: Values::Any,
            python_version: Values::one("3.12"),
            python_full_version: Values::OneOf(vec!["3.12.0".to_owned(), "3.12.9".to_owned()]),
            implementation_name: Values::one("cpython"),
            implementation_version: Values::one("3.12.9"),
        }
    }

    #[test]
    fn holds_as_installers_decide() {
        for (marker, expected) in [
            ("python_version >= '3.9'", true),
            ("python_version < '3.9'", false),
            ("'3.9' <= python_version", true),
            ("python_version ~= '3.6'", true),
            ("python_version == '3.*'", true),
            ("python_version in '2.7, 3.12'", true),
            ("python_version not in \"2.7\"", true),
            ("python_full_version < '3.12.4'", true),
            ("python_full_version >= '3.12.4'", true),
            ("python_full_version < '3.11.0a7'", false),
            (
                "sys_platform == 'win32' or os_name=='posix' and platform_machine != 'arm64'",
                true,
            ),
            (
                "(sys_platform == 'win32' or os_name=='posix') and platform_machine == 'arm64'",
                false,
            ),
            ("platform_release >= '20.0'", true),
            ("platform_machine in 'x86_64 X86_64 aarch64'", true),
            ("python_implementation == 'PyPy'", false),
            ("os.name == 'nt'", false),
            ("extra == 'a'", false),
            ("extra != 'a'", true),
        ] {
            let read: Marker = marker.parse().unwrap();
            assert_eq!(read.may_hold(&linux(), None), expected, "{marker}");
        }
    }

    #[test]
    fn extras_are_compared_normalised() {
        let marker: Marker = "extra == 'Socks_5' and python_version > '3'"
            .parse()
            .unwrap();
        assert!(marker.may_hold(&linux(), Some(&"socks-5".parse().unwrap())));
        assert!(!marker.may_hold(&linux(), Some(&"other".parse().unwrap())));
    }

    #[test]
    fn refuses_what_is_not_a_marker() {
        for text in [
            "",
            "python_version",
            "python_version >=",
            "'a' = 'b'",
            "(os_name == 'nt'",
            "os_name == 'nt",
            "colour == 'red'",
            "os_name == 'nt' xor os_name == 'x'",
        ] {
            assert!(text.parse::<Marker>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn hostile_markers_cost_no_more_than_their_length() {
        assert!("(".repeat(10_000).parse::<Marker>().is_err());
        let pairs: Vec<String> = (0..200)
            .map(|i| format!("(extra == 'a{i}' and extra == 'z{i}')"))
            .collect();
        let marker: Marker = pairs.join(" or ").parse().unwrap();
        assert!(!marker.may_hold(&linux(), Some(&"a7".parse().unwrap())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(\\(|\\)|'[a-z0-9.]{0,4}'|python_version|extra|os_name| and | or | in | not in |==|<|>=){0,12}") {
            for text in [text, near] {
                if let Ok(marker) = text.parse::<Marker>() {
                    let holds = marker.may_hold(&linux(), None);
                    let again: Marker = marker.to_string().parse().unwrap();
                    prop_assert_eq!(again.may_hold(&linux(), None), holds);
                }
            }
        }
    }
}
