//! A `User-Agent` reduced to a product and version: what the access log and the download statistics keep.
//!
//! pip and uv tell a great deal about the machine after their name; none of it is kept.

/// The longest summary, in bytes.
const SUMMARY_BYTES_MAX: usize = 40;

/// `pip/26.2`, `uv/0.9.1`, `browser`, `other` or `none`; made of letters, digits and `.+-_/!` only.
pub(crate) fn summarise(user_agent: Option<&str>) -> &str {
    let Some(text) = user_agent else {
        return "none";
    };
    let product = text
        .split([' ', '\t', '{', '(', ';', ','])
        .next()
        .unwrap_or_default();
    if product.starts_with("Mozilla/") {
        return "browser";
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_/!".contains(&byte);
    if product.is_empty() || !product.bytes().all(known) {
        return "other";
    }
    &product[..product.len().min(SUMMARY_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_the_product() {
        for (given, expected) in [
            (None, "none"),
            (Some(""), "other"),
            (
                Some("pip/26.2 {\"ci\":null,\"cpu\":\"x86_64\"}"),
                "pip/26.2",
            ),
            (Some("uv/0.9.1"), "uv/0.9.1"),
            (Some("poetry/2.5.0 CPython/3.12"), "poetry/2.5.0"),
            (
                Some("bandersnatch/8.2.0 (cpython 3.12)"),
                "bandersnatch/8.2.0",
            ),
            (Some("Mozilla/5.0 (X11; Linux x86_64)"), "browser"),
            (Some("=cmd|' /C calc'"), "other"),
            (Some("a\"b"), "other"),
        ] {
            assert_eq!(summarise(given), expected, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn a_summary_is_short_and_plain(text in "\\PC{0,200}") {
            let summary = summarise(Some(&text));
            prop_assert!(!summary.is_empty() && summary.len() <= SUMMARY_BYTES_MAX);
            prop_assert!(summary.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",'=".contains(&byte)));
        }
    }
}
