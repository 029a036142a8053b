//! Files and metadata: bytes, ranges, validators, and files that are only elsewhere.

use std::time::Duration;

use heliostat_serve::Limits;

use crate::support::{Data, METADATA};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_carries_its_headers() {
    let data = Data::new();
    let server = data.serve();
    let whole = server
        .get(&data.wheel.address(), &["Accept-Encoding: gzip, zstd"])
        .await;
    assert_eq!(whole.body, data.wheel.bytes);
    insta::assert_snapshot!(whole.head(), @r#"
    200
    accept-ranges: bytes
    access-control-allow-origin: *
    cache-control: max-age=365000000, immutable, public
    content-length: 560
    content-type: application/octet-stream
    etag: "a2fc4c581e419a54e129ef32be0036e1dd7249260d1e7843c7d922b9b13ccc04"
    last-modified: [date]
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    "#);
    let part = server
        .get(&data.wheel.address(), &["Range: bytes=5-9"])
        .await;
    assert_eq!(part.body, data.wheel.bytes[5..10]);
    insta::assert_snapshot!(part.head(), @r#"
    206
    accept-ranges: bytes
    access-control-allow-origin: *
    cache-control: max-age=365000000, immutable, public
    content-length: 5
    content-range: bytes 5-9/560
    content-type: application/octet-stream
    etag: "a2fc4c581e419a54e129ef32be0036e1dd7249260d1e7843c7d922b9b13ccc04"
    last-modified: [date]
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    "#);
    let beyond = server
        .get(&data.wheel.address(), &["Range: bytes=560-"])
        .await;
    assert!(beyond.body.is_empty());
    insta::assert_snapshot!(beyond.head(), @r#"
    416
    accept-ranges: bytes
    access-control-allow-origin: *
    cache-control: max-age=365000000, immutable, public
    content-length: 0
    content-range: bytes */560
    content-type: application/octet-stream
    etag: "a2fc4c581e419a54e129ef32be0036e1dd7249260d1e7843c7d922b9b13ccc04"
    last-modified: [date]
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_stands_beside_its_file() {
    let data = Data::new();
    let server = data.serve();
    let answer = server
        .get(&format!("{}.metadata", data.wheel.address()), &[])
        .await;
    assert_eq!(answer.body, METADATA);
    let etag = format!("\"{}-metadata\"", data.wheel.path.id_hex());
    assert_eq!((answer.status, answer.header("etag")), (200, etag.as_str()));
    assert_eq!(
        server
            .get(&format!("{}.metadata", data.sdist.address()), &[])
            .await
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_agree_with_slices() {
    let data = Data::new();
    let server = data.serve();
    for file in [&data.wheel, &data.sdist] {
        let size = file.bytes.len();
        for (range, expected) in [
            ("0-0".to_owned(), 0..1),
            ("0-".to_owned(), 0..size),
            (format!("{}-", size - 1), size - 1..size),
            (format!("{}-{}", size / 3, size / 2), size / 3..size / 2 + 1),
            (format!("7-{}", size + 1000), 7..size),
            ("-1".to_owned(), size - 1..size),
            ("-500".to_owned(), size - 500..size),
            (format!("-{}", size + 1), 0..size),
        ] {
            let answer = server
                .get(&file.address(), &[&format!("Range: bytes={range}")])
                .await;
            let told = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
            assert_eq!(
                (answer.status, answer.header("content-range")),
                (206, told.as_str()),
                "{range}"
            );
            assert_eq!(
                answer.header("content-length"),
                expected.len().to_string(),
                "{range}"
            );
            assert!(
                answer.body == file.bytes[expected],
                "{range} has other bytes"
            );
        }
        for ignored in ["bytes=3-1", "bytes=0-1,5-6", "pages=1-2", "bytes=x-"] {
            let answer = server
                .get(&file.address(), &[&format!("Range: {ignored}")])
                .await;
            assert_eq!((answer.status, answer.body.len()), (200, size), "{ignored}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_resumed_only_of_the_same_file() {
    let data = Data::new();
    let server = data.serve();
    let first = server.ask("HEAD", &data.sdist.address(), &[]).await;
    let resume = |condition: String| {
        let (server, address) = (&server, data.sdist.address());
        async move {
            server
                .get(
                    &address,
                    &["Range: bytes=2999990-", &format!("If-Range: {condition}")],
                )
                .await
        }
    };
    for condition in [first.header("etag"), first.header("last-modified")] {
        let answer = resume(condition.to_owned()).await;
        assert_eq!((answer.status, answer.body.len()), (206, 10), "{condition}");
    }
    for condition in ["\"other\"", "W/\"other\"", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let answer = resume(condition.to_owned()).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, 3_000_000),
            "{condition}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_file_is_not_sent_again() {
    let data = Data::new();
    let server = data.serve();
    for file in [&data.wheel, &data.sdist] {
        let condition = format!("If-None-Match: \"{}\"", file.path.id_hex());
        let answer = server
            .get(&file.address(), &[&condition, "Range: bytes=0-1"])
            .await;
        assert_eq!((answer.status, answer.body.len()), (304, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_behind_our_back_is_not_served_from_memory() {
    let data = Data::new();
    let limits = Limits {
        file_settled_for: Duration::ZERO,
        ..Limits::default()
    };
    let server = data.serve_with(limits);
    let address = data.wheel.address();
    assert_eq!(server.get(&address, &[]).await.body, data.wheel.bytes);
    let place = data.directory.path().join("web").join(&address[1..]);
    std::fs::remove_file(&place).unwrap();
    assert_eq!(server.get(&address, &[]).await.status, 404);
    std::fs::write(&place, b"other").unwrap();
    assert_eq!(server.get(&address, &[]).await.body, b"other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_out_of_the_tree_leads_nowhere() {
    let data = Data::new();
    let server = data.serve();
    let web = data.directory.path().join("web");
    std::fs::create_dir_all(web.join(".well-known")).unwrap();
    std::fs::write(web.join(".well-known/inside.txt"), b"in").unwrap();
    let catalog = data.directory.path().join("state/catalog.sqlite");
    std::os::unix::fs::symlink(&catalog, web.join(".well-known/outside.txt")).unwrap();
    std::os::unix::fs::symlink(
        data.directory.path().join("state"),
        web.join(".well-known/state"),
    )
    .unwrap();
    let inside = server.get("/.well-known/inside.txt", &[]).await;
    assert_eq!(
        (inside.status, inside.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
    for target in [
        "/.well-known/outside.txt",
        "/.well-known/state/catalog.sqlite",
        "/.well-known/",
    ] {
        assert_eq!(server.get(target, &[]).await.status, 404, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_which_only_the_page_is_kept_is_elsewhere() {
    let data = Data::new();
    let server = data.serve();
    let page = server
        .get(
            "/simple/other/",
            &["Accept: application/vnd.pypi.simple.v1+json"],
        )
        .await;
    let document: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    let url = document["files"][0]["url"].as_str().unwrap();
    let target = url.trim_start_matches("../..");
    let answer = server.get(target, &[]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, &*format!("https://upstream.example{target}"))
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}
