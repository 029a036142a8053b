//! Carries what we found out ourselves (digests, sizes, extracted metadata) from an older page to a newer one. Pure.

use std::collections::HashMap;

use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage};

/// Fills in what the upstream does not tell and an older page already knew. A file is the same file only at the same
/// address or path, with no contradicting digest or size; then it also keeps its path in the tree.
pub(crate) fn carry_over(page: &mut ProjectPage, older: &ProjectPage) {
    let known: HashMap<&str, &PageFile> = older
        .files
        .iter()
        .map(|file| (file.filename(), file))
        .collect();
    for file in &mut page.files {
        let Some(old) = known.get(file.filename()).filter(|old| is_same(file, old)) else {
            continue;
        };
        file.path = old.path.clone();
        file.sha256 = file.sha256.or(old.sha256);
        file.size_bytes = file.size_bytes.or(old.size_bytes);
        if file.core_metadata == CoreMetadata::Absent
            || (file.core_metadata == CoreMetadata::Offered
                && old.core_metadata != CoreMetadata::Absent)
        {
            file.core_metadata = old.core_metadata;
        }
        if file.provenance.is_some() {
            file.provenance_sha256 = file.provenance_sha256.or(old.provenance_sha256);
        }
    }
}

fn is_same(new: &PageFile, old: &PageFile) -> bool {
    let contradicts = |a: Option<_>, b: Option<_>| matches!((a, b), (Some(a), Some(b)) if a != b);
    (new.url == old.url || new.path == old.path)
        && !matches!((new.sha256, old.sha256), (Some(a), Some(b)) if a != b)
        && !contradicts(new.size_bytes, old.size_bytes)
}

#[cfg(test)]
mod tests {
    use heliostat_pypi::{Sha256, TreePath};

    use super::*;

    fn file(url: &str, sha256: Option<Sha256>) -> PageFile {
        let name = url.rsplit('/').next().unwrap();
        PageFile {
            path: TreePath::for_upstream(url, name, sha256.as_ref()).unwrap(),
            url: url.to_owned(),
            sha256,
            other_hashes: std::collections::BTreeMap::new(),
            size_bytes: None,
            upload_time: None,
            requires_python: None,
            core_metadata: CoreMetadata::Absent,
            yanked: heliostat_pypi::page::Yanked::No,
            provenance: None,
            provenance_sha256: None,
            gpg_sig: None,
        }
    }

    fn page(file: PageFile) -> ProjectPage {
        ProjectPage {
            name: "a".parse().unwrap(),
            serial: None,
            status: heliostat_pypi::page::ProjectStatus::default(),
            versions: vec![],
            files: vec![file],
        }
    }

    #[test]
    fn what_was_learned_stays_with_the_same_file() {
        let url = "http://x/a-1-py3-none-any.whl";
        let mut old = page(file(url, None));
        let path = old.files[0].path.clone();
        old.files[0].sha256 = Some(Sha256::of(b"1"));
        old.files[0].size_bytes = Some(1);
        old.files[0].core_metadata = CoreMetadata::Sha256(Sha256::of(b"m"));
        let mut new = page(file(url, None));
        carry_over(&mut new, &old);
        assert_eq!(new, old);
        assert_eq!(new.files[0].path, path);
    }

    #[test]
    fn a_file_with_another_digest_is_another_file() {
        let url = "http://x/a-1.tar.gz";
        let old = page(file(url, Some(Sha256::of(b"1"))));
        let mut new = page(file(url, Some(Sha256::of(b"2"))));
        let before = new.clone();
        carry_over(&mut new, &old);
        assert_eq!(new, before);
    }
}
