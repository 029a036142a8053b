//! Retries, back-off, `Retry-After`, time-outs and the bound on requests under way.

use std::time::Duration;

use heliostat_upstream::{Answer, Caches, FailureKind, Upstream, UpstreamError, Validators};

use crate::server::{JSON, Server, Step, head, json, options, reply};

async fn fetch(upstream: &Upstream, project: &str) -> Result<(), UpstreamError> {
    let answer = upstream
        .page(
            &project.parse().unwrap(),
            &Validators::default(),
            Caches::Allow,
        )
        .await?;
    assert!(matches!(answer, Answer::Fresh(_)), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn trouble_that_passes_is_waited_out() {
    let server = Server::start(|_, index| match index {
        0 => reply(500, &[], ""),
        1 => reply(502, &[], ""),
        2 => vec![Step::Close],
        3 => vec![Step::Send(b"not http at all\r\n\r\n".to_vec()), Step::Close],
        _ => json("foo"),
    })
    .await;
    let upstream = server.upstream();
    fetch(&upstream, "foo").await.unwrap();
    let stats = upstream.stats();
    assert_eq!((stats.requests, stats.retries), (5, 4));
}

#[tokio::test]
async fn no_request_is_sent_more_often_than_allowed() {
    let server = Server::start(|_, _| reply(503, &[], "")).await;
    let upstream = server.upstream_with(|limits| limits.tries_max = 3);
    let error = fetch(&upstream, "foo").await.unwrap_err();
    assert!(
        matches!(
            error,
            UpstreamError::Answer {
                status: 503,
                tries: 3,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.is_outage());
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn retry_after_is_obeyed_and_slows_everybody() {
    let server = Server::start(|asked, index| match (index, asked.target.as_str()) {
        (0, _) => reply(429, &[("retry-after", "1")], ""),
        (_, "/simple/foo/") => json("foo"),
        _ => json("bar"),
    })
    .await;
    let upstream = server.upstream();
    let impatient = async {
        while server.asked().is_empty() || upstream.stats().retries == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fetch(&upstream, "bar").await
    };
    let (first, second) = tokio::join!(fetch(&upstream, "foo"), impatient);
    first.unwrap();
    second.unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for later in &asked[1..] {
        let waited = later.at - asked[0].at;
        assert!(
            waited >= Duration::from_millis(990),
            "{} came after {waited:?}",
            later.target
        );
    }
}

#[tokio::test]
async fn too_long_a_wait_is_not_sat_out() {
    let server = Server::start(|_, _| reply(503, &[("retry-after", "3600")], "")).await;
    let upstream = server.upstream();
    let error = fetch(&upstream, "foo").await.unwrap_err();
    let expected = Some(Duration::from_hours(1));
    assert!(
        matches!(error, UpstreamError::Answer { retry_after, tries: 1, .. } if retry_after == expected)
    );
    assert!(error.is_outage());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_is_left() {
    let server = Server::start(|_, index| match index {
        0 => vec![Step::Hang],
        1 => vec![
            Step::Send(head(
                200,
                &[("content-type", JSON), ("content-length", "100")],
            )),
            Step::Hang,
        ],
        _ => json("foo"),
    })
    .await;
    let upstream = server.upstream_with(|limits| {
        limits.read_timeout = Duration::from_millis(300);
        limits.tries_max = 10;
    });
    fetch(&upstream, "foo").await.unwrap();
    assert!(upstream.stats().retries >= 2);
}

#[tokio::test]
async fn a_server_that_drips_is_left() {
    let server = Server::start(|_, _| {
        let head = head(
            200,
            &[("content-type", JSON), ("content-length", "1000000")],
        );
        vec![
            Step::Send(head),
            Step::Endless {
                bytes: b" ".to_vec(),
                pause: Duration::from_millis(5),
            },
        ]
    })
    .await;
    let upstream = server.upstream_with(|limits| {
        limits.speed_bytes_per_second_min = 1_000_000;
        limits.speed_window = Duration::from_millis(50);
        limits.tries_max = 2;
    });
    let error = fetch(&upstream, "foo").await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Slow { tries: 2, .. }),
        "{error:?}"
    );
    assert!(error.is_outage());
}

#[tokio::test]
async fn nobody_there_is_an_outage() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mut options = options(&format!("http://user:secret@{address}/simple/"));
    options.limits.tries_max = 2;
    let upstream = Upstream::new(options).unwrap();
    let error = fetch(&upstream, "foo").await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Connect { tries: 2, .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), FailureKind::Unreachable);
    assert!(!format!("{error:?} {error}").contains("secret"));
}

#[tokio::test]
async fn requests_under_way_are_bounded() {
    let server = Server::start(|asked, index| {
        let project = asked.target.trim_matches('/').rsplit('/').next().unwrap();
        // Nobody is answered before there are two of them, so that one after the other would never end.
        let mut steps = vec![Step::AfterAsked(index / 2 * 2 + 2)];
        steps.extend(json(project));
        steps
    })
    .await;
    let upstream = server.upstream_with(|limits| limits.requests_max = 2);
    let mut fetches = tokio::task::JoinSet::new();
    for number in 0..20 {
        let upstream = upstream.clone();
        fetches.spawn(async move { fetch(&upstream, &format!("p{number}")).await });
    }
    while let Some(fetched) = fetches.join_next().await {
        fetched.unwrap().unwrap();
    }
    assert_eq!(server.asked().len(), 20);
    assert_eq!(server.unanswered_most(), 2);
}
