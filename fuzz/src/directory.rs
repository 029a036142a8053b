//! What the fuzz targets of lists of mirrors do with their bytes. The tests of `heliostat-directory` include this file to
//! replay the corpora.

use heliostat_directory::{
    Decided, Imported, ListForm, Policy, Registry, Replay, Round, differences,
};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("directory_history", directory_history),
    ("directory_entry", directory_entry),
    ("directory_policy", directory_policy),
    ("directory_import", directory_import),
];

/// A history: what is read is in order, can be written and read again, and leads somewhere without a panic.
pub fn directory_history(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(rounds) = Round::read_all("history", &text) else {
        return;
    };
    assert!(rounds.is_sorted_by(|one, next| one.at < next.at));
    let mut written = String::new();
    for round in &rounds {
        written += &serde_json::to_string(round).expect("a round is JSON");
        written.push('\n');
    }
    let again = Round::read_all("history", &written).expect("what we write can be read");
    assert_eq!(again, rounds);
    let policy = Policy::default();
    let decided = rounds
        .iter()
        .flat_map(|round| &round.samples)
        .map(|sample| {
            let decided = Decided {
                admitted_at: Some(0),
                ..Decided::default()
            };
            (sample.endpoint.clone(), decided)
        })
        .collect();
    let mut replay = Replay::begin(&decided, &policy);
    for round in &rounds {
        replay.take(round);
    }
    assert_eq!(replay.end().standings.len(), decided.len());
}

/// A mirror's entry: what is taken has a base with TLS under no forbidden name, and is the same when written again.
pub fn directory_entry(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let name = text
        .split("id = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default();
    let name = format!("{name}.toml");
    let Ok(registry) = Registry::read([(name.as_str(), text.as_ref())], Some("list.example"))
    else {
        return;
    };
    for (mirror, endpoint) in registry.endpoints() {
        assert_eq!(endpoint.base.scheme(), "https");
        let host = endpoint.base.host_str().expect("a base has a host");
        assert!(heliostat_directory::forbidden_name(host, Some("list.example")).is_none());
        let written = toml::to_string(mirror).expect("an entry is TOML");
        let again = Registry::read([(name.as_str(), written.as_str())], Some("list.example"))
            .expect("what we write can be read");
        assert_eq!(again, registry);
        assert_eq!(differences(registry.mirrors(), again.mirrors()), []);
    }
}

/// A policy: what is taken is the same when written again.
pub fn directory_policy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(policy) = Policy::read(&text) else {
        return;
    };
    let written = toml::to_string(&policy).expect("a policy is TOML");
    assert_eq!(
        Policy::read(&written).expect("what we write can be read"),
        policy
    );
}

/// Another list; its form is the first line. What is proposed has ids of its own and https roots.
pub fn directory_import(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (form, text) = text.split_once('\n').unwrap_or((&text, ""));
    let form = match form {
        "cpan" => ListForm::Cpan,
        "mirrorz" => ListForm::Mirrorz,
        "csv" => ListForm::Csv,
        _ => ListForm::Bandersnatch,
    };
    let Ok(imported) = Imported::read(form, text) else {
        return;
    };
    let mut ids: Vec<_> = imported.proposed.iter().map(|one| &one.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), imported.proposed.len());
    for one in &imported.proposed {
        assert_eq!(one.base.scheme(), "https");
        assert!(one.base.path().ends_with('/'));
    }
}
