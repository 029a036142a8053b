//! One request to one answer: screening, the route's handler, the headers that every answer carries, the account.

use std::net::SocketAddr;
use std::time::Instant;

use http::header::{ACCESS_CONTROL_ALLOW_METHODS, ALLOW, HOST};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::account::{Account, RequestLine};
use crate::body::Body;
use crate::front::Front;
use crate::problem::Problem;
use crate::reply::{ALLOWED, Reply};
use crate::retired;
use crate::route::Route;

/// How the request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In the clear, perhaps from a reverse proxy that speaks TLS outside.
    Http,
    /// Over our own TLS.
    Https,
}

/// What a handler needs of a request.
pub(crate) struct Asked<'a> {
    /// The query, still encoded.
    pub(crate) query: Option<&'a str>,
    /// The headers.
    pub(crate) headers: &'a http::HeaderMap,
    /// The authority of the address, where HTTP/2 puts what HTTP/1.1 has in `Host`.
    pub(crate) authority: Option<&'a str>,
    /// How it came in.
    pub(crate) scheme: Scheme,
}

/// Answers one request.
pub(crate) async fn answer(
    front: &Front,
    request: Request<Incoming>,
    peer: SocketAddr,
    scheme: Scheme,
) -> Response<Body> {
    // Who comes to a retired name is written by its own policy about addresses, and nowhere else.
    let retired = front.retired(&request);
    let line = match retired {
        Some(_) => None,
        None => RequestLine::of(&request, peer),
    };
    let mut account = Account::open(front.metrics(), Instant::now(), line);
    let mut reason = None;
    let mut reply = if let Some(site) = retired {
        let (reply, phrase) = retired::answer(site, &request, peer, scheme);
        reason = phrase;
        reply
    } else if let Some(reply) = screen(&request) {
        reply
    } else {
        let uri = request.uri();
        let route = Route::parse(uri.path());
        account.routed(route.kind());
        let asked = Asked {
            query: uri.query(),
            headers: request.headers(),
            authority: uri.authority().map(http::uri::Authority::as_str),
            scheme,
        };
        let outcome = front.dispatch(route, &asked).await;
        outcome.unwrap_or_else(|problem| Reply::problem(&problem))
    };
    reply.finish(request.method(), scheme);
    account.answered(reply.status, reply.payload.size_bytes(), reply.download);
    let mut response = Response::new(Body::new(reply.payload, account));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    response
}

/// The answer to what no address takes: other methods, bodies, and HTTP/1.1 without the `Host` it must have.
fn screen(request: &Request<Incoming>) -> Option<Reply> {
    let refuse = |status, detail: &str| Some(Reply::problem(&Problem::new(status, detail)));
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
        return refuse(StatusCode::BAD_REQUEST, "The request has no Host.");
    }
    match *request.method() {
        Method::GET | Method::HEAD if request.body().is_end_stream() => None,
        Method::GET | Method::HEAD => refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "No address here takes a request with a body.",
        ),
        Method::OPTIONS => {
            let reply = Reply::empty(StatusCode::NO_CONTENT);
            Some(
                reply
                    .with(ALLOW, ALLOWED)
                    .with(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED),
            )
        }
        _ => refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "Everything here is only to be read: GET, HEAD and OPTIONS.",
        ),
    }
}
