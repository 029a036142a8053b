//! Names one index in an installer's configuration, and takes it back: one place of the text changes, no other byte.

use serde::{Deserialize, Serialize};
use toml::Spanned;

/// One place of a text that is to say something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEdit {
    /// What stood there; empty where something was put between.
    pub was: String,
    /// What stands there now.
    pub put: String,
}

/// What one edit makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole text afterwards.
    pub text: String,
    /// What changed.
    pub edit: IndexEdit,
}

/// Why a configuration cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not the TOML that uv reads.
    #[error("it is no configuration of uv's: {0}")]
    ReadUv(String),
    /// What was put there is not there any more, or stands there more than once.
    #[error("`{}` is not there once, as it was left", .0.trim())]
    FindAgain(String),
}

impl IndexEdit {
    /// The text as it was before the edit. Whatever else has changed in it since stays.
    pub fn undo(&self, text: &str) -> Result<String, EditError> {
        let mut places = text.match_indices(&self.put);
        match (places.next(), places.next()) {
            (Some((at, _)), None) => {
                let (before, after) = (&text[..at], &text[at + self.put.len()..]);
                Ok(format!("{before}{}{after}", self.was))
            }
            _ => Err(EditError::FindAgain(self.put.clone())),
        }
    }
}

/// `pip.conf` with this index as `index-url` of its section `global` (pip's documentation, "Configuration").
pub fn pip_conf_with_index(text: &str, index: &str) -> Edited {
    let line = format!("index-url = {index}\n");
    let mut header_end = None;
    let mut old: Option<std::ops::Range<usize>> = None;
    let mut in_global = false;
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let (start, end) = (at, at + raw.len());
        at = end;
        let trimmed = raw.trim();
        let goes_on = raw.starts_with([' ', '\t']) && !trimmed.is_empty();
        match &mut old {
            // A value goes on in indented lines.
            Some(found) if goes_on && found.end == start => found.end = end,
            _ if goes_on || trimmed.starts_with(['#', ';']) => {}
            _ if trimmed.starts_with('[') => {
                in_global = trimmed == "[global]";
                if in_global && header_end.is_none() {
                    header_end = Some(end);
                }
            }
            None if in_global && is_index_url(trimmed) => old = Some(start..end),
            _ => {}
        }
    }
    let range = old.or_else(|| header_end.map(|end| end..end));
    if let Some(range) = range {
        // The header may be the last line of a file without a final newline.
        let is_open = range.is_empty() && !text[..range.start].ends_with('\n');
        let put = if is_open { format!("\n{line}") } else { line };
        return edited(text, range, put);
    }
    edited(text, end_of(text), format!("{}[global]\n{line}", gap(text)))
}

/// `uv.toml` with this index as the default one (uv's documentation, "Indexes").
pub fn uv_toml_with_index(text: &str, index: &str) -> Result<Edited, EditError> {
    let read: UvToml =
        toml::from_str(text).map_err(|error| EditError::ReadUv(error.message().to_owned()))?;
    let quoted = toml::Value::String(index.to_owned()).to_string();
    let default = read.index.iter().find(|index| index.default);
    if let Some(url) = default.map(|index| &index.url).or(read.index_url.as_ref()) {
        return Ok(edited(text, url.span(), quoted));
    }
    let is_inline = !read.index.is_empty() && !text.contains("[[index]]");
    if is_inline {
        // A list that is written in one value takes no entry at the end; a key of the whole file stands before all else.
        return Ok(edited(text, 0..0, format!("index-url = {quoted}\n")));
    }
    let gap = gap(text);
    let put = format!("{gap}[[index]]\nurl = {quoted}\ndefault = true\n");
    Ok(edited(text, end_of(text), put))
}

/// What of `uv.toml` names the index that is asked where no other is named.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvToml {
    index_url: Option<Spanned<String>>,
    #[serde(default)]
    index: Vec<UvIndex>,
}

#[derive(Deserialize)]
struct UvIndex {
    url: Spanned<String>,
    #[serde(default)]
    default: bool,
}

fn is_index_url(line: &str) -> bool {
    line.split_once(['=', ':']).is_some_and(|(name, _)| {
        let name = name.trim().to_lowercase().replace('_', "-");
        name == "index-url"
    })
}

const fn end_of(text: &str) -> std::ops::Range<usize> {
    text.len()..text.len()
}

/// What has to stand before a line that is put at the end.
fn gap(text: &str) -> &'static str {
    if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    }
}

fn edited(text: &str, range: std::ops::Range<usize>, put: String) -> Edited {
    let was = text[range.clone()].to_owned();
    let mut after = text.to_owned();
    after.replace_range(range, &put);
    Edited {
        text: after,
        edit: IndexEdit { was, put },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INDEX: &str = "http://127.0.0.1:8081/simple/";

    #[test]
    fn an_empty_pip_conf_gets_its_section() {
        let edited = pip_conf_with_index("", INDEX);
        assert_eq!(edited.text, format!("[global]\nindex-url = {INDEX}\n"));
    }

    #[test]
    fn what_pip_was_told_is_replaced_with_the_lines_it_goes_on_in() {
        let text = "[install]\nindex-url = https://a.example/\n[global]\ntimeout = 3\nIndex_Url:\n  https://b.example/\nretries = 1\n";
        let edited = pip_conf_with_index(text, INDEX);
        let expected = format!(
            "[install]\nindex-url = https://a.example/\n[global]\ntimeout = 3\nindex-url = {INDEX}\nretries = 1\n"
        );
        assert_eq!(edited.text, expected);
        assert_eq!(edited.edit.undo(&edited.text).unwrap(), text);
    }

    #[test]
    fn a_section_without_an_index_gets_one() {
        for text in [
            "[global]",
            "[global]\n",
            "# mine\n[global]\n# index-url = x\ntimeout = 3",
        ] {
            let edited = pip_conf_with_index(text, INDEX);
            let line = format!("index-url = {INDEX}");
            assert!(edited.text.lines().any(|found| found == line), "{text:?}");
            assert_eq!(edited.edit.undo(&edited.text).unwrap(), text);
        }
    }

    #[test]
    fn uv_has_one_default_index_afterwards() {
        for text in [
            "",
            "offline = true",
            "index-url = \"https://a.example/\"\n",
            "[[index]]\nurl = \"https://a.example/\"\ndefault = true\n[pip]\nstrict = true\n",
            "[[index]]\nname = \"x\"\nurl = \"https://a.example/\"\n",
            "index = [{ url = \"https://a.example/\" }]\n[pip]\nstrict = true\n",
            "index = [{ url = \"https://a.example/\", default = true }]\n",
        ] {
            let edited = uv_toml_with_index(text, INDEX).unwrap();
            let read: UvToml = toml::from_str(&edited.text).unwrap();
            let defaults = read.index.iter().filter(|index| index.default);
            let named: Vec<&str> = (defaults.map(|index| index.url.get_ref()))
                .chain(read.index_url.iter().map(Spanned::get_ref))
                .map(String::as_str)
                .collect();
            assert_eq!(named, [INDEX], "{text:?}");
            assert_eq!(edited.edit.undo(&edited.text).unwrap(), text);
        }
        assert!(uv_toml_with_index("index = 3", INDEX).is_err());
    }

    #[test]
    fn what_somebody_changed_since_stays() {
        let edited = pip_conf_with_index("[global]\nindex-url = https://a.example/\n", INDEX);
        let changed = format!("{}timeout = 9\n", edited.text);
        let undone = edited.edit.undo(&changed).unwrap();
        assert_eq!(
            undone,
            "[global]\nindex-url = https://a.example/\ntimeout = 9\n"
        );
        assert!(edited.edit.undo("[global]\n").is_err());
    }

    proptest! {
        #[test]
        fn undoing_is_the_identity(text in "(\\[global\\]\n|[a-z\\-]{1,9} ?[=:] ?[a-z:/.]{0,9}\n| [a-z]{1,5}\n|# ?[a-z]{0,5}\n|\\[[a-z]{1,6}\\]\n|index-url = [a-z]{1,5}\n){0,8}") {
            let edited = pip_conf_with_index(&text, INDEX);
            prop_assert_eq!(edited.edit.undo(&edited.text).unwrap(), text);
        }
    }
}
