//! `pip.conf`: sections, `name = value` or `name: value`, values that go on in indented lines (Python's configparser).

use super::{Installer, Setting, Source};

/// pip reads every section that is called like a command, and `global`; which command will run is not known here, so
/// every section counts.
pub(super) fn pip_conf(source: &Source) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut current: Option<String> = None;
    for (index, line) in source.text.lines().enumerate() {
        let number = index + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let goes_on = line.starts_with(char::is_whitespace);
        let (name, value) = if goes_on && current.is_some() {
            (current.clone().unwrap_or_default(), trimmed)
        } else if trimmed.starts_with('[') {
            current = None;
            continue;
        } else {
            let Some((name, value)) = trimmed.split_once(['=', ':']) else {
                continue;
            };
            let name = name.trim().to_lowercase().replace('_', "-");
            current = Some(name.clone());
            (name, value.trim())
        };
        // An index is one address, the rest are lists.
        let words: Vec<&str> = value.split_whitespace().collect();
        settings.extend(
            words
                .into_iter()
                .filter_map(|word| source.setting(Installer::Pip, number, &name, word)),
        );
    }
    settings
}
