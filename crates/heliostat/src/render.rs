//! Numbers as people read them, and paths as a shell does. Pure.

use std::path::Path;

/// Bytes with a unit of 1,000.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut scaled = count;
    let mut rest = 0;
    let mut unit = 0;
    while scaled >= 1000 && unit + 1 < UNITS.len() {
        rest = scaled % 1000;
        scaled /= 1000;
        unit += 1;
    }
    if unit == 0 {
        format!("{scaled} B")
    } else {
        format!("{scaled}.{} {}", rest / 100, UNITS[unit])
    }
}

/// A number with thousands separated.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span of time in its largest useful unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment, from seconds since 1970, in UTC.
pub(crate) fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "an impossible time".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// A path as one word of a shell's command.
pub(crate) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One cell for each value, from low to high: a small picture in text.
pub(crate) fn sparkline(values: &[u64]) -> String {
    const CELLS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    values
        .iter()
        .map(|value| {
            CELLS[usize::try_from(value.saturating_mul(7).div_ceil(top))
                .unwrap_or(7)
                .min(7)]
        })
        .collect()
}

/// `1 project`, `2 projects`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{} {stem}ies", count(number)),
        None if noun.ends_with('s') => format!("{} {noun}es", count(number)),
        None => format!("{} {noun}s", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_550_000), "1.5 MB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(span(59), "59 s");
        assert_eq!(span(7_200), "2 h");
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(plural(1_000, "file"), "1,000 files");
        assert_eq!(sparkline(&[0, 1, 2]), "▁▅█");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        let word = |text: &str| super::word(std::path::Path::new(text));
        assert_eq!(word("/srv/py-pi_1.0"), "/srv/py-pi_1.0");
        assert_eq!(word("/srv/py pi"), "'/srv/py pi'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
    }
}
