//! Redirects, and whose credentials they carry along.

use heliostat_upstream::{Answer, Caches, FailureKind, Upstream, UpstreamError, Validators};

use crate::server::{Server, json, options, reply};

async fn fetch(upstream: &Upstream, project: &str) -> Result<Answer<usize>, UpstreamError> {
    let answer = upstream
        .page(
            &project.parse().unwrap(),
            &Validators::default(),
            Caches::Allow,
        )
        .await?;
    Ok(match answer {
        Answer::Fresh(fetched) => Answer::Fresh(fetched.read.page.files.len()),
        Answer::Unchanged => Answer::Unchanged,
        Answer::Gone => Answer::Gone,
    })
}

fn reason(error: &UpstreamError) -> &'static str {
    assert_eq!(error.kind(), FailureKind::Refused, "{error:?}");
    match error {
        UpstreamError::Redirect { reason, .. } => reason,
        _ => panic!("not a redirect: {error:?}"),
    }
}

#[tokio::test]
async fn redirects_are_followed_and_bounded() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/simple/foo/" => reply(301, &[("location", "/moved/simple/foo/")], "moved"),
        "/moved/simple/foo/" => json("foo"),
        "/simple/gone/" => reply(302, &[("location", "/nowhere")], ""),
        "/nowhere" => reply(404, &[], ""),
        "/simple/circle/" => reply(302, &[("location", "/round")], ""),
        "/round" => reply(302, &[("location", "/simple/circle/")], ""),
        "/simple/lost/" => reply(302, &[], ""),
        "/simple/file/" => reply(302, &[("location", "file:///etc/passwd")], ""),
        long => reply(307, &[("location", &format!("{long}x"))], ""),
    })
    .await;
    let upstream = server.upstream();
    assert_eq!(fetch(&upstream, "foo").await.unwrap(), Answer::Fresh(1));
    assert_eq!(fetch(&upstream, "gone").await.unwrap(), Answer::Gone);
    assert_eq!(server.asked().len(), 4);
    for (project, expected, requests) in [
        ("circle", "it leads in a circle", 2),
        ("lost", "it names no place to go to", 1),
        ("file", "it leads to something other than http and https", 1),
        ("long", "there are too many, one after the other", 6),
    ] {
        let before = server.asked().len();
        assert_eq!(
            reason(&fetch(&upstream, project).await.unwrap_err()),
            expected
        );
        assert_eq!(
            server.asked().len() - before,
            requests,
            "{project} is not tried again"
        );
    }
}

#[tokio::test]
async fn a_renamed_project_is_an_error_of_its_own() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/simple/old/" => reply(301, &[("location", "../new/")], ""),
        _ => json("new"),
    })
    .await;
    let error = fetch(&server.upstream(), "old").await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::OtherProject { found, .. } if found == "new"),
        "{error:?}"
    );
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let elsewhere = Server::start(|_, _| json("away")).await;
    let away = elsewhere.url("/simple/away/");
    let home = Server::start(move |asked, _| match asked.target.as_str() {
        "/simple/away/" => reply(302, &[("location", &away)], ""),
        _ => json("home"),
    })
    .await;
    let root = home
        .url("/simple/")
        .replace("http://", "http://user:p%40ss@");
    let upstream = Upstream::new(options(&root)).unwrap();
    assert_eq!(fetch(&upstream, "home").await.unwrap(), Answer::Fresh(1));
    assert_eq!(fetch(&upstream, "away").await.unwrap(), Answer::Fresh(1));
    for asked in home.asked() {
        assert_eq!(
            asked.header("authorization"),
            "Basic dXNlcjpwQHNz",
            "{}",
            asked.target
        );
    }
    assert_eq!(elsewhere.asked().len(), 1);
    assert_eq!(elsewhere.asked()[0].header("authorization"), "");
}

#[tokio::test]
async fn credentials_of_one_address_stay_there_too() {
    let elsewhere = Server::start(|_, _| reply(200, &[], "there")).await;
    let away = elsewhere
        .url("/x")
        .replace("http://", "http://planted:secret@");
    let home = Server::start(move |_, _| reply(302, &[("location", &away)], "")).await;
    let upstream = Upstream::new(options("http://127.0.0.1:1/simple/")).unwrap();
    let url = home.url("/x").replace("http://", "http://user:pass@");
    let answer = upstream.document(&url.parse().unwrap(), 100).await.unwrap();
    assert!(matches!(answer, Answer::Fresh(body) if body == "there"));
    assert_eq!(
        home.asked()[0].header("authorization"),
        "Basic dXNlcjpwYXNz"
    );
    assert_eq!(elsewhere.asked()[0].header("authorization"), "");
}

#[tokio::test]
async fn netrc_gives_credentials_by_host() {
    let server = Server::start(|_, _| json("foo")).await;
    let mut options = options(&server.url("/simple/"));
    options.netrc = Some("machine 127.0.0.1 login user password pass".to_owned());
    let upstream = Upstream::new(options).unwrap();
    assert_eq!(fetch(&upstream, "foo").await.unwrap(), Answer::Fresh(1));
    assert_eq!(
        server.asked()[0].header("authorization"),
        "Basic dXNlcjpwYXNz"
    );
}
