//! One answer, read to its end.

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use heliostat_pypi::page::{MediaType, ProjectPage, read_page};
use heliostat_pypi::{ProjectName, Serial};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use url::Url;

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The serial of PyPI and its mirrors.
pub(crate) const SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// What was asked for, after redirects.
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As it was sent.
    pub(crate) body: Bytes,
    /// Whether all that was promised came.
    pub(crate) whole: bool,
    /// Until the head was there.
    pub(crate) first_byte: Duration,
    /// Until the body was there.
    pub(crate) took: Duration,
}

impl Reply {
    /// A header as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The serial that it claims.
    pub(crate) fn serial(&self) -> Option<Serial> {
        self.header(&SERIAL)?.trim().parse().ok().map(Serial)
    }

    /// The body, decompressed once where it says it is compressed.
    pub(crate) fn plain(&self, limit_bytes: usize) -> Result<Vec<u8>, String> {
        match self.header(&CONTENT_ENCODING).map(str::trim) {
            None | Some("" | "identity") => Ok(self.body.to_vec()),
            Some("gzip" | "x-gzip") => {
                let mut plain = Vec::new();
                let limit = limit_bytes as u64;
                flate2::read::MultiGzDecoder::new(self.body.as_ref())
                    .take(limit + 1)
                    .read_to_end(&mut plain)
                    .map_err(|_| "says it is gzip and is none".to_owned())?;
                if plain.len() as u64 > limit {
                    return Err(format!("is larger than {limit_bytes} bytes"));
                }
                Ok(plain)
            }
            Some(other) => Err(format!(
                "is encoded as `{}`, which nobody asked for",
                short(other)
            )),
        }
    }

    /// The document's kind, where it is one of the Simple API's.
    pub(crate) fn media(&self) -> Option<MediaType> {
        MediaType::from_content_type(self.header(&CONTENT_TYPE)?)
    }

    /// The page of a project, or what is wrong with it.
    pub(crate) fn page(
        &self,
        project: &ProjectName,
        limit_bytes: usize,
    ) -> Result<ProjectPage, String> {
        if !self.whole {
            return Err("ends before its end".to_owned());
        }
        let plain = self.plain(limit_bytes)?;
        if plain.starts_with(&GZIP) {
            return Err("is compressed twice".to_owned());
        }
        let media = self
            .media()
            .ok_or_else(|| "has no content type of the Simple API".to_owned())?;
        let read =
            read_page(project, &plain, media, &self.url).map_err(|error| error.to_string())?;
        let mut page = read.page;
        page.serial = page.serial.max(self.serial());
        Ok(page)
    }

    /// Whether it looks like a page for people.
    pub(crate) fn is_html(&self) -> bool {
        let says = self
            .header(&CONTENT_TYPE)
            .is_some_and(|value| value.starts_with("text/html"));
        says || self.body.trim_ascii_start().starts_with(b"<")
    }
}

/// Text of a mirror's as it may be shown.
pub(crate) fn short(text: &str) -> String {
    let text: String = text.chars().take(120).collect();
    text.escape_debug().to_string()
}
