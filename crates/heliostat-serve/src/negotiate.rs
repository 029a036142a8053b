//! Which shape of a Simple API document a request gets: PEP 691's content negotiation as a pure function.
//!
//! Knows media types and quality values. Does not look at encodings (see `encoding`) or read any document.

use heliostat_pypi::page::Format;

/// What we can answer with, in the order of preference that decides ties: Warehouse's own, so that a browser and a
/// client without `Accept` get HTML.
const OFFERS: [SimpleType; 3] = [SimpleType::TextHtml, SimpleType::Html, SimpleType::Json];

/// The concrete type of a Simple API answer (PEP 691, "Content-Types"); `latest` is never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SimpleType {
    /// `text/html`, the alias that browsers and old installers ask for.
    TextHtml,
    /// `application/vnd.pypi.simple.v1+html`
    Html,
    /// `application/vnd.pypi.simple.v1+json`
    Json,
}

/// Nothing that we can answer with was acceptable: 406.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAcceptable;

impl SimpleType {
    /// The document to read.
    pub(crate) const fn format(self) -> Format {
        match self {
            Self::TextHtml | Self::Html => Format::Html,
            Self::Json => Format::Json,
        }
    }

    /// How a document of the tree is sent to whoever asks for it by its file's name.
    pub(crate) const fn plain(format: Format) -> Self {
        match format {
            Format::Html => Self::TextHtml,
            Format::Json => Self::Json,
        }
    }

    /// The whole `Content-Type`. uv compares the part before `;` exactly, so nothing stands before it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::TextHtml => "text/html; charset=utf-8",
            Self::Html => "application/vnd.pypi.simple.v1+html; charset=utf-8",
            Self::Json => "application/vnd.pypi.simple.v1+json",
        }
    }

    fn of_media_type(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("application/vnd.pypi.simple.v1+json")
            || is("application/vnd.pypi.simple.latest+json")
        {
            Some(Self::Json)
        } else if is("application/vnd.pypi.simple.v1+html")
            || is("application/vnd.pypi.simple.latest+html")
        {
            Some(Self::Html)
        } else if is("text/html") {
            Some(Self::TextHtml)
        } else {
            None
        }
    }
}

/// Chooses from the values of every `Accept` header and the `format` query parameter, which wins where it is given
/// (PEP 691, "URL Parameter"). No usable `Accept` means anything goes, which is `text/html`.
pub(crate) fn negotiate<'a>(
    accept: impl Iterator<Item = &'a str>,
    format_parameter: Option<&str>,
) -> Result<SimpleType, NotAcceptable> {
    if let Some(wanted) = format_parameter {
        // A `+` in a query stands for a space unless it was escaped; no media type has a space.
        return SimpleType::of_media_type(&wanted.replace(' ', "+")).ok_or(NotAcceptable);
    }
    let mut ranges_seen = false;
    let mut best_match = [None::<Match>; OFFERS.len()];
    for element in accept.flat_map(|value| value.split(',')) {
        let Some((range, quality)) = parse_element(element) else {
            continue;
        };
        ranges_seen = true;
        for (offer, best) in OFFERS.iter().zip(&mut best_match) {
            if let Some(specificity) = specificity(range, *offer)
                && best.is_none_or(|known| known.specificity < specificity)
            {
                *best = Some(Match {
                    specificity,
                    quality,
                });
            }
        }
    }
    if !ranges_seen {
        return Ok(OFFERS[0]);
    }
    let mut chosen = None::<(SimpleType, u16)>;
    for (offer, best) in OFFERS.into_iter().zip(best_match) {
        let quality = best.map_or(0, |known| known.quality);
        if chosen.map_or(0, |(_, known)| known) < quality {
            chosen = Some((offer, quality));
        }
    }
    chosen.map(|(offer, _)| offer).ok_or(NotAcceptable)
}

/// A quality value in thousandths: `None` where it breaks RFC 9110 section 12.4.2.
pub(crate) fn parse_quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = fraction
            .as_bytes()
            .get(place)
            .map_or(0, |byte| u16::from(byte - b'0'));
        thousandths = thousandths * 10 + digit;
    }
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// One comma-separated element with its quality; parameters other than `q` are ignored, broken elements are `None`.
pub(crate) fn parse_element(element: &str) -> Option<(&str, u16)> {
    let mut parts = element.split(';');
    let item = parts.next()?.trim();
    if item.is_empty() {
        return None;
    }
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            return Some((item, parse_quality(value.trim())?));
        }
    }
    Some((item, 1000))
}

#[derive(Clone, Copy)]
struct Match {
    specificity: u8,
    quality: u16,
}

fn specificity(range: &str, offer: SimpleType) -> Option<u8> {
    if range == "*/*" {
        return Some(1);
    }
    let family = match offer {
        SimpleType::TextHtml => "text/*",
        SimpleType::Html | SimpleType::Json => "application/*",
    };
    if range.eq_ignore_ascii_case(family) {
        return Some(2);
    }
    (SimpleType::of_media_type(range) == Some(offer)).then_some(3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = "application/vnd.pypi.simple.v1+json";

    fn accept(value: &str) -> Result<SimpleType, NotAcceptable> {
        negotiate([value].into_iter(), None)
    }

    #[test]
    fn real_clients_get_what_they_prefer() {
        use SimpleType::{Html, Json, TextHtml};
        let pip = format!("{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01");
        let uv = format!("{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01");
        let poetry = format!("{JSON}, */*;q=0.1");
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
        for (value, expected) in [
            (pip.as_str(), Json),
            (&uv, Json),
            (&poetry, Json),
            (browser, TextHtml),
            ("*/*", TextHtml),
            ("application/*", Html),
            ("text/*", TextHtml),
            ("", TextHtml),
            ("text/html;q=broken", TextHtml),
            ("application/vnd.pypi.simple.latest+json", Json),
            ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON", Json),
            ("application/vnd.pypi.simple.latest+html", Html),
            (
                "text/html;level=1;q=0.4, application/vnd.pypi.simple.v1+json;q=0.5",
                Json,
            ),
            ("text/html, application/vnd.pypi.simple.v1+json", TextHtml),
            (
                "*/*, text/html;q=0, application/vnd.pypi.simple.v1+html;q=0",
                Json,
            ),
        ] {
            assert_eq!(accept(value), Ok(expected), "{value}");
        }
        assert_eq!(negotiate(std::iter::empty(), None), Ok(TextHtml));
        assert_eq!(negotiate(["image/png", JSON].into_iter(), None), Ok(Json));
    }

    #[test]
    fn nothing_acceptable_is_said() {
        for value in [
            "image/png",
            "*/*;q=0",
            "application/vnd.pypi.simple.v2+json",
            "application/json",
        ] {
            assert_eq!(accept(value), Err(NotAcceptable), "{value}");
        }
    }

    #[test]
    fn the_parameter_beats_the_header() {
        let ask = |format| negotiate(["text/html"].into_iter(), Some(format));
        assert_eq!(ask(JSON), Ok(SimpleType::Json));
        assert_eq!(
            ask("application/vnd.pypi.simple.v1 json"),
            Ok(SimpleType::Json)
        );
        assert_eq!(ask("text/html"), Ok(SimpleType::TextHtml));
        assert_eq!(ask("json"), Err(NotAcceptable));
    }

    #[test]
    fn quality_values_are_read_as_the_standard_says() {
        for (text, expected) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.1", Some(100)),
            ("0.05", Some(50)),
            ("0.123", Some(123)),
            ("0.", Some(0)),
            ("0.1234", None),
            ("1.1", None),
            ("2", None),
            ("", None),
            ("-1", None),
            ("0.+1", None),
        ] {
            assert_eq!(parse_quality(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(value in "\\PC{0,80}", format in proptest::option::of("\\PC{0,40}")) {
            let _outcome = negotiate([value.as_str()].into_iter(), format.as_deref());
        }

        #[test]
        fn an_explicit_sole_type_is_what_is_answered(
            quality in 1u16..=1000,
            index in 0usize..3,
            noise in "(image/png|audio/\\*|application/json)",
        ) {
            let name = [
                "text/html",
                "application/vnd.pypi.simple.v1+html",
                "application/vnd.pypi.simple.v1+json",
            ][index];
            let value = format!("{noise}, {name};q={}.{:03}", quality / 1000, quality % 1000);
            prop_assert_eq!(accept(&value), Ok(OFFERS[index]));
        }
    }
}
