//! Lists of mirrors in other forms, read into entries that people then look at.
//!
//! Reads CPAN's `mirrors.json`, mirrorz 1.7, CSV, and text in which addresses stand, as in bandersnatch's documentation.
//! Whoever comes in this way is a candidate: nothing here is believed but the address.

use std::collections::BTreeSet;

use serde::Deserialize;
use url::Url;

use crate::registry::{CountryCode, Layout, MirrorId};

/// Mirrors that are taken out of one list.
const PROPOSED_MAX: usize = 10_000;
/// Characters of an operator's name.
const NAME_CHARS_MAX: usize = 200;

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    /// CPAN's `mirrors.json`.
    Cpan,
    /// One site's `mirrorz.json`, version 1.7.
    Mirrorz,
    /// Lines with a heading that names `base` and, where known, `id`, `operator`, `country`, `simple`.
    Csv,
    /// Any text; every `https` address in it is taken for a Simple API's root or a tree's.
    Bandersnatch,
}

/// A mirror that stands on another list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// What it is called here, from what it is called there or from its host.
    pub id: MirrorId,
    /// The tree's root, with a slash at the end.
    pub base: Url,
    /// The Simple API's root below it.
    pub simple: String,
    /// How the tree is laid out.
    pub layout: Layout,
    /// Who runs it.
    pub operator: String,
    /// Where it stands.
    pub country: Option<CountryCode>,
}

/// What was read of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Those that can be entries.
    pub proposed: Vec<Proposed>,
    /// Those that cannot: what they are called, and why not.
    pub left_out: Vec<(String, String)>,
}

/// What one line of another list says.
#[derive(Debug, Default)]
struct Row {
    id: String,
    base: String,
    simple: Option<String>,
    operator: String,
    country: String,
}

#[derive(Debug, Deserialize)]
struct CpanMirror {
    #[serde(default)]
    name: String,
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    ccode: Option<String>,
    #[serde(default)]
    retiredate: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Mirrorz {
    site: MirrorzSite,
    #[serde(default)]
    mirrors: Vec<MirrorzMirror>,
}

#[derive(Debug, Deserialize)]
struct MirrorzSite {
    url: String,
    #[serde(default)]
    abbr: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    disable: bool,
}

#[derive(Debug, Deserialize)]
struct MirrorzMirror {
    cname: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    disable: bool,
}

impl Imported {
    /// Reads a list. The error says what is wrong with all of it; what is wrong with one line leaves that line out.
    pub fn read(form: ListForm, text: &str) -> Result<Self, String> {
        let rows = match form {
            ListForm::Cpan => cpan(text)?,
            ListForm::Mirrorz => mirrorz(text)?,
            ListForm::Csv => csv(text)?,
            ListForm::Bandersnatch => addresses(text),
        };
        let mut imported = Self::default();
        let (mut ids, mut bases) = (BTreeSet::new(), BTreeSet::new());
        for row in rows.into_iter().take(PROPOSED_MAX) {
            let shown: String = if row.id.is_empty() {
                &row.base
            } else {
                &row.id
            }
            .chars()
            .take(NAME_CHARS_MAX)
            .collect();
            match propose(row) {
                Ok(mut proposed) => {
                    if !bases.insert(proposed.base.clone()) {
                        continue;
                    }
                    proposed.id = unused(&proposed.id, &ids);
                    ids.insert(proposed.id.clone());
                    imported.proposed.push(proposed);
                }
                Err(reason) => imported.left_out.push((shown, reason)),
            }
        }
        Ok(imported)
    }
}

/// An id out of a host's name.
pub fn id_of_host(host: &str) -> Option<MirrorId> {
    let host = host.strip_prefix("www.").unwrap_or(host);
    slug(host)
}

fn slug(text: &str) -> Option<MirrorId> {
    let mut slug = String::new();
    for char in text.to_ascii_lowercase().chars() {
        if char.is_ascii_alphanumeric() {
            slug.push(char);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(36);
    MirrorId::try_from(slug.trim_end_matches('-').to_owned()).ok()
}

fn unused(id: &MirrorId, ids: &BTreeSet<MirrorId>) -> MirrorId {
    let mut free = id.clone();
    let mut number = 2;
    while ids.contains(&free) {
        let next = MirrorId::try_from(format!("{id}-{number}"));
        match next {
            Ok(next) => free = next,
            Err(_) => return free,
        }
        number += 1;
    }
    free
}

fn propose(row: Row) -> Result<Proposed, String> {
    let mut base: Url = row
        .base
        .trim()
        .parse()
        .map_err(|_| "its address cannot be read".to_owned())?;
    if base.scheme() == "http" {
        return Err("its address is without TLS".to_owned());
    }
    if base.scheme() != "https" {
        return Err("its address is not https".to_owned());
    }
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let mut simple = row.simple.unwrap_or_else(|| "simple/".to_owned());
    // Where the Simple API's root itself is named, the tree's is above it.
    if let Some(above) = base.path().strip_suffix("simple/").map(str::to_owned)
        && above.ends_with('/')
    {
        base.set_path(&above);
        "simple/".clone_into(&mut simple);
    }
    let host = base.host_str().unwrap_or_default().to_owned();
    let id = slug(&row.id)
        .or_else(|| id_of_host(&host))
        .ok_or_else(|| "no id can be made of its name".to_owned())?;
    let operator = row.operator.trim();
    let operator: String = if operator.is_empty() { &host } else { operator }
        .chars()
        .filter(|char| !char.is_control())
        .take(NAME_CHARS_MAX)
        .collect();
    let country = CountryCode::try_from(row.country.trim().to_ascii_uppercase()).ok();
    Ok(Proposed {
        id,
        base,
        simple,
        layout: Layout::Pep503,
        operator,
        country,
    })
}

fn cpan(text: &str) -> Result<Vec<Row>, String> {
    let mirrors: Vec<CpanMirror> = serde_json::from_str(text)
        .map_err(|error| format!("is no mirrors.json of CPAN's: {error}"))?;
    let listed = mirrors
        .into_iter()
        .filter(|mirror| mirror.retiredate.as_deref().is_none_or(str::is_empty));
    Ok(listed
        .map(|mirror| Row {
            base: mirror.http.unwrap_or_default(),
            operator: mirror.org.unwrap_or_else(|| mirror.name.clone()),
            id: mirror.name,
            simple: None,
            country: mirror.ccode.unwrap_or_default(),
        })
        .collect())
}

fn mirrorz(text: &str) -> Result<Vec<Row>, String> {
    let list: Mirrorz =
        serde_json::from_str(text).map_err(|error| format!("is no mirrorz.json: {error}"))?;
    if list.site.disable {
        return Ok(Vec::new());
    }
    let site = list.site;
    let row = |mirror: MirrorzMirror| {
        // A whole address is another site's than the one that tells of it, as in an aggregate.
        if mirror.url.parse::<Url>().is_ok() {
            return Row {
                base: mirror.url,
                ..Row::default()
            };
        }
        let address = site
            .url
            .parse::<Url>()
            .and_then(|base| base.join(&mirror.url));
        Row {
            id: site.abbr.clone(),
            base: address.map(String::from).unwrap_or_default(),
            operator: site.name.clone(),
            ..Row::default()
        }
    };
    let of_pypi = list
        .mirrors
        .into_iter()
        .filter(|mirror| !mirror.disable && mirror.cname.eq_ignore_ascii_case("pypi"));
    Ok(of_pypi.map(row).collect())
}

/// Fields may stand in double quotes, with a double quote inside written twice (RFC 4180); a field has no line break.
fn csv(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let heading = fields(lines.next().unwrap_or_default());
    let place = |name: &str| {
        heading
            .iter()
            .position(|field| field.trim().eq_ignore_ascii_case(name))
    };
    let base = place("base").or_else(|| place("url")).ok_or_else(|| {
        "has no heading with a field `base`; write `id,base,operator,country` as its first line"
            .to_owned()
    })?;
    let (id, operator) = (place("id"), place("operator"));
    let (country, simple) = (place("country"), place("simple"));
    Ok(lines
        .map(|line| {
            let mut fields = fields(line);
            let mut take = |at: Option<usize>| {
                at.and_then(|at| fields.get_mut(at))
                    .map(std::mem::take)
                    .unwrap_or_default()
            };
            Row {
                id: take(id),
                base: take(Some(base)),
                operator: take(operator),
                country: take(country),
                simple: Some(take(simple)).filter(|simple| !simple.is_empty()),
            }
        })
        .collect())
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(char) = chars.next() {
        let Some(field) = fields.last_mut() else {
            break;
        };
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(char),
        }
    }
    fields
}

fn addresses(text: &str) -> Vec<Row> {
    text.split("https://")
        .skip(1)
        .map(|rest| {
            let end = rest
                .find(|char: char| char.is_whitespace() || "\"'<>()[]{}|`,;\\".contains(char))
                .unwrap_or(rest.len());
            let address = rest[..end].trim_end_matches(['.', ':', '*', '_']);
            Row {
                base: format!("https://{address}"),
                ..Row::default()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(form: ListForm, text: &str) -> Vec<(String, String)> {
        let imported = Imported::read(form, text).unwrap();
        imported
            .proposed
            .into_iter()
            .map(|one| (one.id.to_string(), format!("{}{}", one.base, one.simple)))
            .collect()
    }

    fn pair(id: &str, index: &str) -> (String, String) {
        (id.to_owned(), index.to_owned())
    }

    #[test]
    fn lists_of_others_become_candidates() {
        let cpan = r#"[{"name":"a.example.edu","org":"A","http":"https://a.example.edu/CPAN/","ccode":"ch"},
            {"name":"old","http":"https://old.example/","retiredate":"2020-01-01"},
            {"name":"plain","http":"http://plain.example/"}]"#;
        assert_eq!(
            read(ListForm::Cpan, cpan),
            [pair("a-example-edu", "https://a.example.edu/CPAN/simple/")]
        );
        let left = Imported::read(ListForm::Cpan, cpan).unwrap().left_out;
        assert_eq!(
            left,
            [("plain".to_owned(), "its address is without TLS".to_owned())]
        );
        let mirrorz = r#"{"version":1.7,"site":{"url":"https://mirrors.example.cn/","abbr":"EXA","name":"Example"},
            "mirrors":[{"cname":"debian","url":"/debian"},{"cname":"PyPI","url":"/pypi/web/simple"}]}"#;
        assert_eq!(
            read(ListForm::Mirrorz, mirrorz),
            [pair("exa", "https://mirrors.example.cn/pypi/web/simple/")]
        );
        let aggregate = r#"{"version":1.7,"site":{"url":"","abbr":"LIST","name":"A list"},
            "mirrors":[{"cname":"pypi","url":"https://one.example/pypi/"},{"cname":"pypi","url":"https://two.example/"}]}"#;
        assert_eq!(
            read(ListForm::Mirrorz, aggregate),
            [
                pair("one-example", "https://one.example/pypi/simple/"),
                pair("two-example", "https://two.example/simple/")
            ]
        );
        let csv = "id,base,operator,country\ncampus,https://m.example/pypi,\"Campus, \"\"the\"\" one\",ch\n\n\
                   campus,https://n.example/,,\n";
        assert_eq!(
            read(ListForm::Csv, csv),
            [
                pair("campus", "https://m.example/pypi/simple/"),
                pair("campus-2", "https://n.example/simple/")
            ]
        );
        let imported = Imported::read(ListForm::Csv, csv).unwrap();
        assert_eq!(imported.proposed[0].operator, "Campus, \"the\" one");
        assert_eq!(imported.proposed[0].country.unwrap().to_string(), "CH");
        let text = "Mirrors:\n- `TUNA <https://pypi.t.example/simple>`_\n- https://b.example/pypi/simple/.\n";
        assert_eq!(
            read(ListForm::Bandersnatch, text),
            [
                pair("pypi-t-example", "https://pypi.t.example/simple/"),
                pair("b-example", "https://b.example/pypi/simple/")
            ]
        );
        assert!(Imported::read(ListForm::Csv, "a,b\n").is_err());
        assert!(Imported::read(ListForm::Cpan, "{}").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_read_gives_ids_once_and_https_roots(text in "(?s).{0,200}", csv in "[a-z,\"\n:/.]{0,120}") {
            let csv = format!("base,id\nhttps://{csv}");
            for (form, text) in [(ListForm::Bandersnatch, text.as_str()), (ListForm::Csv, &csv), (ListForm::Cpan, &text), (ListForm::Mirrorz, &text)] {
                let Ok(imported) = Imported::read(form, text) else { continue };
                let ids: BTreeSet<_> = imported.proposed.iter().map(|one| &one.id).collect();
                prop_assert_eq!(ids.len(), imported.proposed.len());
                for one in &imported.proposed {
                    prop_assert_eq!(one.base.scheme(), "https");
                    prop_assert!(one.base.path().ends_with('/'));
                }
            }
        }
    }
}
