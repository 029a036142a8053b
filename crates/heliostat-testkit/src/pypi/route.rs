//! Which document a path names. Pure.

use percent_encoding::percent_decode_str;

use super::Options;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The root list.
    List,
    /// A project's page.
    Page,
    /// A wheel or sdist.
    File,
    /// `<file>.metadata`
    Metadata,
    /// A provenance object.
    Provenance,
    /// `/pypi/<project>/json`
    Legacy,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind, in the order of its discriminant.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Page,
        Self::File,
        Self::Metadata,
        Self::Provenance,
        Self::Legacy,
        Self::Other,
    ];
}

/// A request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    /// The project as it stands in the path, or whose file it is.
    pub(super) project: Option<String>,
    /// The file's name, without `.metadata`.
    pub(super) filename: Option<String>,
    /// The decoded path, without the query.
    pub(super) path: String,
}

/// Reads a path. The project of a file is taken from its name's first part, which is right for every fixture.
pub(super) fn classify(options: &Options, raw_path: &str) -> Asked {
    let path = percent_decode_str(raw_path)
        .decode_utf8_lossy()
        .into_owned();
    let (kind, project, filename) = classify_decoded(options, &path);
    Asked {
        kind,
        project,
        filename,
        path,
    }
}

fn classify_decoded(options: &Options, path: &str) -> (Kind, Option<String>, Option<String>) {
    let file_part = options
        .flat_files
        .as_deref()
        .and_then(|prefix| path.strip_prefix(prefix))
        .filter(|rest| is_distribution(rest))
        .or_else(|| {
            path.strip_prefix("/packages/")
                .and_then(|rest| rest.rsplit('/').next())
        });
    if let Some(filename) = file_part {
        let (kind, filename) = filename
            .strip_suffix(".metadata")
            .map_or((Kind::File, filename), |stem| (Kind::Metadata, stem));
        return (kind, Some(project_of(filename)), Some(filename.to_owned()));
    }
    if let Some(rest) = path.strip_prefix(options.root.as_str()) {
        return match rest.trim_end_matches('/') {
            "" => (Kind::List, None, None),
            name if !name.contains('/') => (Kind::Page, Some(name.to_owned()), None),
            _ => (Kind::Other, None, None),
        };
    }
    if path == options.root.trim_end_matches('/') {
        return (Kind::List, None, None);
    }
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match segments[..] {
        ["pypi", name, "json"] => (Kind::Legacy, Some(name.to_owned()), None),
        ["integrity", name, _version, filename, "provenance"] => (
            Kind::Provenance,
            Some(name.to_owned()),
            Some(filename.to_owned()),
        ),
        _ => (Kind::Other, None, None),
    }
}

fn is_distribution(name: &str) -> bool {
    let name = name.strip_suffix(".metadata").unwrap_or(name);
    !name.contains('/')
        && [".whl", ".tar.gz", ".zip"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

fn project_of(filename: &str) -> String {
    crate::fixture::normalise(filename.split('-').next().unwrap_or(filename))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(options: &Options, path: &str) -> (Kind, Option<String>) {
        let asked = classify(options, path);
        (asked.kind, asked.project)
    }

    #[test]
    fn paths_of_an_ordinary_index() {
        let options = Options::default();
        assert_eq!(kind(&options, "/simple/"), (Kind::List, None));
        assert_eq!(kind(&options, "/simple"), (Kind::List, None));
        assert_eq!(
            kind(&options, "/simple/alpha/"),
            (Kind::Page, Some("alpha".to_owned()))
        );
        assert_eq!(
            kind(&options, "/packages/aa/bb/cc/a_b-1.0.tar.gz"),
            (Kind::File, Some("a-b".to_owned()))
        );
        assert_eq!(
            kind(
                &options,
                "/packages/aa/bb/cc/a-1%2Bcpu-py3-none-any.whl.metadata"
            ),
            (Kind::Metadata, Some("a".to_owned()))
        );
        assert_eq!(
            kind(&options, "/pypi/alpha/json"),
            (Kind::Legacy, Some("alpha".to_owned()))
        );
        assert_eq!(kind(&options, "/elsewhere"), (Kind::Other, None));
    }

    #[test]
    fn paths_of_an_index_that_is_not_at_simple() {
        let options = Options {
            root: "/whl/cpu/".to_owned(),
            flat_files: Some("/whl/cpu/".to_owned()),
            ..Options::default()
        };
        assert_eq!(kind(&options, "/whl/cpu/"), (Kind::List, None));
        assert_eq!(
            kind(&options, "/whl/cpu/torch/"),
            (Kind::Page, Some("torch".to_owned()))
        );
        assert_eq!(
            kind(&options, "/whl/cpu/torch-2.0-py3-none-any.whl"),
            (Kind::File, Some("torch".to_owned()))
        );
        assert_eq!(kind(&options, "/simple/"), (Kind::Other, None));
    }
}
