//! Which of the Simple API's formats a request wants (PEP 691, RFC 9110 section 12.5.1). Pure.

/// The formats a page comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Format {
    /// `text/html`
    Html,
    /// `application/vnd.pypi.simple.v1+html`
    HtmlV1,
    /// `application/vnd.pypi.simple.v1+json`
    Json,
}

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html",
            Self::HtmlV1 => "application/vnd.pypi.simple.v1+html",
            Self::Json => "application/vnd.pypi.simple.v1+json",
        }
    }
}

/// The wanted format; `None` is a 406. HTML is offered first, so it wins ties, as at PyPI.
pub(super) fn negotiate(accept: Option<&str>) -> Option<Format> {
    let Some(accept) = accept else {
        return Some(Format::Html);
    };
    let mut best: Option<(Format, u32)> = None;
    for format in [Format::Html, Format::HtmlV1, Format::Json] {
        let quality = quality_of(accept, format.media_type());
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((format, quality));
        }
    }
    best.map(|(format, _)| format)
}

/// The quality in thousandths that the most specific matching range gives to a media type.
fn quality_of(accept: &str, media_type: &str) -> u32 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
            .replace(".latest+", ".v1+");
        let specificity = if wanted == media_type {
            3
        } else if wanted
            .strip_suffix("/*")
            .is_some_and(|group| media_type.split('/').next() == Some(group))
        {
            2
        } else if wanted == "*/*" {
            1
        } else {
            continue;
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1000, thousandths);
        best = best.max((specificity, quality));
    }
    best.1
}

fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().unwrap_or(0) * 1000 + fraction.parse::<u32>().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_clients_get_what_they_prefer() {
        let pip = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
        assert_eq!(negotiate(Some(pip)), Some(Format::Json));
        assert_eq!(
            negotiate(Some("application/vnd.pypi.simple.v1+json, */*;q=0.1")),
            Some(Format::Json)
        );
        assert_eq!(
            negotiate(Some("application/vnd.pypi.simple.latest+json")),
            Some(Format::Json)
        );
        assert_eq!(negotiate(Some("*/*")), Some(Format::Html));
        assert_eq!(negotiate(Some("application/*")), Some(Format::HtmlV1));
        assert_eq!(negotiate(None), Some(Format::Html));
        assert_eq!(negotiate(Some("text/plain")), None);
        assert_eq!(
            negotiate(Some("text/html;q=0, */*;q=0.5")),
            Some(Format::HtmlV1)
        );
    }
}
