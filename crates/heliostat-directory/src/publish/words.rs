//! Figures as people read them on pages.

use jiff::Timestamp;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2026-11-25 12:05`, in UTC.
pub(super) fn moment(seconds: i64) -> String {
    time(seconds).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-25`, in UTC.
pub(super) fn day(seconds: i64) -> String {
    time(seconds).strftime("%Y-%m-%d").to_string()
}

/// `2026-11`, in UTC.
pub(super) fn month(seconds: i64) -> String {
    time(seconds).strftime("%Y-%m").to_string()
}

/// RFC 3339, in UTC, to the second.
pub(super) fn rfc3339(seconds: i64) -> String {
    time(seconds).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A span in its largest useful unit: `45 s`, `4 min`, `7 h`, `12 days`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A share in percent that says 100 only where nothing is missing.
pub(super) fn percent(ok: u64, n: u64) -> String {
    if n == 0 {
        return "–".to_owned();
    }
    if ok >= n {
        return "100 %".to_owned();
    }
    let hundredths = u128::from(ok) * 10_000 / u128::from(n);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// `1 mirror`, `3 mirrors`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable_and_never_flatter() {
        assert_eq!(
            [59, 60, 7199, 172_800].map(span),
            ["59 s", "1 min", "1 h", "2 days"]
        );
        assert_eq!(percent(99_999, 100_000), "99.99 %");
        assert_eq!(percent(3, 3), "100 %");
        assert_eq!(percent(0, 0), "–");
        assert_eq!(rfc3339(86_399), "1970-01-01T23:59:59Z");
        assert_eq!(
            (plural(1, "mirror"), plural(0, "mirror")),
            ("1 mirror".to_owned(), "0 mirrors".to_owned())
        );
    }
}
