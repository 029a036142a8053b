//! The Simple API: the root list and project pages. Decides from address, headers and body whether an answer is the
//! document that was asked for; reading its content is `heliostat_pypi`'s work.

use bytes::Bytes;
use heliostat_pypi::page::{MediaType, PageError, read_list, read_page};
use heliostat_pypi::{ProjectName, Serial};
use http::HeaderMap;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use url::Url;

use crate::body::{End, Whole};
use crate::client::Request;
use crate::decode;
use crate::error::quoted;
use crate::media::media_type;
use crate::{
    Answer, Caches, FetchedList, FetchedPage, Upstream, UpstreamError, Validators, redacted,
};

/// JSON first, as every index that speaks it should give it; HTML where there is nothing else (PEP 691).
const ACCEPTED: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";

/// The change counter that PyPI and its mirrors send with pages and lists.
const SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

impl Upstream {
    /// The root list: every project, with its serial where the upstream tells it.
    pub async fn list(
        &self,
        validators: &Validators,
        caches: Caches,
    ) -> Result<Answer<FetchedList>, UpstreamError> {
        if let Some(attested) = &self.attested {
            return Ok(Answer::Fresh(Self::attested_list(attested)));
        }
        let limit_bytes = self.limits().list_bytes_max;
        let request = Request {
            url: self.root().clone(),
            headers: headers(validators, caches),
        };
        self.fetch(&request, limit_bytes, move |whole| {
            make_list(whole, limit_bytes)
        })
        .await
    }

    /// One project's page. A page that turns out to be another project's is an error, a 404 or 410 is
    /// [`Answer::Gone`], and nothing else is.
    pub async fn page(
        &self,
        project: &ProjectName,
        validators: &Validators,
        caches: Caches,
    ) -> Result<Answer<FetchedPage>, UpstreamError> {
        if let Some(attested) = &self.attested {
            return self.attested_page(attested, project, validators).await;
        }
        let limit_bytes = self.limits().page_bytes_max;
        let url = self.page_url(project);
        let request = Request {
            url: url.clone(),
            headers: headers(validators, caches),
        };
        let project = project.clone();
        self.fetch(&request, limit_bytes, move |whole| {
            make_page(&project, &url, whole, limit_bytes)
        })
        .await
    }

    /// The address of a project's page.
    pub fn page_url(&self, project: &ProjectName) -> Url {
        let mut url = self.root().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(project.as_str()).push("");
        }
        url
    }
}

fn headers(validators: &Validators, caches: Caches) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(decode::ACCEPTED));
    add_caches(&mut headers, caches);
    for (name, value) in [
        (IF_NONE_MATCH, &validators.etag),
        (IF_MODIFIED_SINCE, &validators.last_modified),
    ] {
        if let Some(value) = value
            .as_deref()
            .and_then(|value| HeaderValue::from_str(value).ok())
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// Asks caches on the way to stand aside, where wanted.
pub(crate) fn add_caches(headers: &mut HeaderMap, caches: Caches) {
    if caches == Caches::Bypass {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
}

fn make_list(whole: Whole, limit_bytes: u64) -> Result<FetchedList, UpstreamError> {
    let document = Document::open(whole, limit_bytes)?;
    let read =
        read_list(&document.body, document.media).map_err(|source| document.unreadable(source))?;
    Ok(FetchedList {
        serial: read.serial.max(serial(&document.headers)),
        projects: read.projects,
        rejected: read.rejected,
        validators: validators(&document.headers),
    })
}

fn make_page(
    project: &ProjectName,
    asked: &Url,
    whole: Whole,
    limit_bytes: u64,
) -> Result<FetchedPage, UpstreamError> {
    let other = |found| UpstreamError::OtherProject {
        project: project.clone(),
        found,
        url: redacted(&whole.url),
    };
    if let Some(found) = renamed(project, asked, &whole.url) {
        return Err(other(found));
    }
    let document = Document::open(whole, limit_bytes)?;
    let read = read_page(project, &document.body, document.media, &document.url);
    let mut read = read.map_err(|source| document.unreadable(source))?;
    read.page.serial = read.page.serial.max(serial(&document.headers));
    Ok(FetchedPage {
        read,
        validators: validators(&document.headers),
    })
}

/// A Simple API document, decompressed, of a known kind, with a proven end.
struct Document {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    media: MediaType,
    end: End,
    tries: u32,
}

impl Document {
    fn open(whole: Whole, limit_bytes: u64) -> Result<Self, UpstreamError> {
        let whole = whole.decoded(limit_bytes)?;
        let Whole {
            url,
            headers,
            body,
            end,
            tries,
        } = whole;
        let shown = || redacted(&url);
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let media = media_type(content_type, &body).ok_or_else(|| UpstreamError::Media {
            url: shown(),
            content_type: quoted(content_type.unwrap_or_default()),
        })?;
        let document = Self {
            url,
            headers,
            body,
            media,
            end,
            tries,
        };
        // HTML that stops in the middle still reads as a page, with fewer files: nothing but its end tag tells.
        if end == End::Closed && media == MediaType::Html && !has_end_tag(&document.body) {
            return Err(document.truncated());
        }
        Ok(document)
    }

    fn unreadable(&self, source: PageError) -> UpstreamError {
        match source {
            PageError::OtherProject { wanted, found } => UpstreamError::OtherProject {
                project: wanted,
                found,
                url: redacted(&self.url),
            },
            PageError::Json(_) | PageError::Html(_) if self.end == End::Closed => self.truncated(),
            source => UpstreamError::Page {
                url: redacted(&self.url),
                source,
            },
        }
    }

    fn truncated(&self) -> UpstreamError {
        UpstreamError::Truncated {
            url: redacted(&self.url),
            tries: self.tries,
            received_bytes: self.body.len() as u64,
        }
    }
}

fn has_end_tag(body: &[u8]) -> bool {
    body.windows(b"</html".len())
        .any(|window| window.eq_ignore_ascii_case(b"</html"))
}

/// The project whose page a redirect led to, where that is plainly another one: the same place, another name.
fn renamed(project: &ProjectName, asked: &Url, answered: &Url) -> Option<String> {
    let (asked_parent, _) = place(asked);
    let (parent, last) = place(answered);
    let same_place = (asked.host() == answered.host() && asked_parent == parent)
        || (parent.last().is_some() && asked_parent.last() == parent.last());
    let found = last?;
    let same_name = found
        .parse::<ProjectName>()
        .is_ok_and(|found| found == *project);
    (same_place && !same_name).then(|| quoted(found.as_bytes()))
}

/// The segments above the last one, and the last one; `index.html` and its like stand for their directory.
fn place(url: &Url) -> (Vec<&str>, Option<&str>) {
    let mut segments: Vec<&str> = url
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty() && !segment.starts_with("index."))
        .collect();
    let last = segments.pop();
    (segments, last)
}

fn serial(headers: &HeaderMap) -> Option<Serial> {
    headers
        .get(SERIAL)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Serial)
}

fn validators(headers: &HeaderMap) -> Validators {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    Validators {
        etag: text(ETAG),
        last_modified: text(LAST_MODIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_project_is_seen() {
        let name: ProjectName = "foo-bar".parse().unwrap();
        let asked: Url = "https://a.example/simple/foo-bar/".parse().unwrap();
        for (answered, found) in [
            ("https://a.example/simple/foo-bar/", None),
            ("https://a.example/simple/Foo_Bar", None),
            ("https://a.example/simple/foo-bar/index.v1_json", None),
            ("https://cdn.example/deep/simple/foo-bar/", None),
            ("https://cdn.example/objects/1234", None),
            ("https://a.example/simple/baz/", Some("baz")),
            ("https://a.example/simple/baz/index.html", Some("baz")),
            ("https://cdn.example/pypi/simple/baz/", Some("baz")),
            ("https://a.example/simple/%0a/", Some("%0a")),
        ] {
            assert_eq!(
                renamed(&name, &asked, &answered.parse().unwrap()).as_deref(),
                found,
                "{answered}"
            );
        }
        let asked: Url = "https://a.example/foo-bar/".parse().unwrap();
        assert_eq!(
            renamed(&name, &asked, &"https://a.example/baz/".parse().unwrap()).as_deref(),
            Some("baz")
        );
        assert_eq!(
            renamed(&name, &asked, &"https://cdn.example/1234".parse().unwrap()),
            None
        );
    }

    #[test]
    fn conditions_and_caches_become_headers() {
        let validators = Validators {
            etag: Some("W/\"a\"".to_owned()),
            last_modified: Some("bad\nvalue".to_owned()),
        };
        let headers = headers(&validators, Caches::Bypass);
        assert_eq!(headers[IF_NONE_MATCH], "W/\"a\"");
        assert!(!headers.contains_key(IF_MODIFIED_SINCE));
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
        assert!(!super::headers(&Validators::default(), Caches::Allow).contains_key(CACHE_CONTROL));
    }

    #[test]
    fn an_end_tag_is_found_in_any_case() {
        assert!(has_end_tag(b"<html><body></body></HTML >"));
        assert!(!has_end_tag(b"<html><body><a href=x>"));
    }
}
