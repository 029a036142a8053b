//! What a client is told when a request cannot be answered as asked: RFC 9457 problem documents.
//!
//! A problem carries only words meant for outside. Causes with paths, addresses of upstreams or errors of the
//! operating system go to the log, at the place where the problem is made.

use http::StatusCode;

/// One failed request, as told to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The status of the answer, repeated in the document: HTTP/2 has no reason phrase.
    pub(crate) status: StatusCode,
    /// What is wrong with this very request, as one sentence.
    pub(crate) detail: String,
}

impl Problem {
    /// A problem with its sentence.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    /// There is no such thing here.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    /// Something failed on our side; the cause is in the log.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server failed to answer; its log says why.",
        )
    }

    /// The document: `application/problem+json`.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let document = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut body = document.to_string().into_bytes();
        body.push(b'\n');
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_problem_document() {
        let problem = Problem::new(StatusCode::BAD_GATEWAY, "The upstream said \"no\".");
        insta::assert_snapshot!(String::from_utf8(problem.to_json()).unwrap(), @r#"{"detail":"The upstream said \"no\".","status":502,"title":"Bad Gateway","type":"about:blank"}"#);
    }
}
