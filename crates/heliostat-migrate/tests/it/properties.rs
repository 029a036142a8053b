//! Files put together from lines whose right rewrite is known, in every encoding and with every line end: what is
//! written is just that, a second run changes nothing, and nothing that could be rewritten is left.

use heliostat_migrate::map::Map;
use heliostat_migrate::{Scanner, apply};
use proptest::prelude::*;

/// A retired address and host, and what comes in the address's place.
const MAP: &str = "builtin = false\n[[retired]]\nhosts = ['old.example']\nports = [80, 443, 8081]\n[[retired.rule]]\n\
                   prefix = '/pypi'\nto = 'https://new.example/index'\n[[retired.rule]]\nkinds = ['upload']\n\
                   prefix = '/up'\nto = 'https://new.example/upload'\n";

/// Lines of one kind of file: as they are, and as they are to be; an empty second one goes whole. `@OLD` is the retired
/// address, `@NEW` the new one, `@HOST` the retired host.
type Lines = &'static [(&'static str, &'static str)];

const REQUIREMENTS: Lines = &[
    ("-i @OLD/simple", "-i @NEW/simple"),
    ("-i@OLD/simple/", "-i@NEW/simple/"),
    (
        "--extra-index-url=@OLD/simple # @OLD",
        "--extra-index-url=@NEW/simple # @OLD",
    ),
    ("--trusted-host @HOST", ""),
    ("--trusted-host=@HOST:8081", ""),
    ("--trusted-host keep.example", "--trusted-host keep.example"),
    (
        "--index-url @OLD/simple --trusted-host @HOST",
        "--index-url @NEW/simple",
    ),
    (
        "a @ @OLD/f/a-1.0.tar.gz#sha256=00",
        "a @ @NEW/f/a-1.0.tar.gz#sha256=00",
    ),
    ("flask==1.0", "flask==1.0"),
    ("# once @OLD/simple", "# once @OLD/simple"),
    (
        "-f https://keep.example/@HOST/",
        "-f https://keep.example/@HOST/",
    ),
    (
        "-f https://@HOST.evil.example/pypi/",
        "-f https://@HOST.evil.example/pypi/",
    ),
];

const PIP_CONF: Lines = &[
    ("index-url = @OLD/simple", "index-url = @NEW/simple"),
    ("EXTRA_INDEX_URL : @OLD/a", "EXTRA_INDEX_URL : @NEW/a"),
    ("trusted-host = @HOST", ""),
    (
        "trusted-host = keep.example @HOST",
        "trusted-host = keep.example",
    ),
    (
        "find-links =\n    @OLD/a\n    https://keep.example/b",
        "find-links =\n    @NEW/a\n    https://keep.example/b",
    ),
    ("timeout = 5", "timeout = 5"),
    ("; @OLD/simple", "; @OLD/simple"),
    ("# é @HOST", "# é @HOST"),
    ("proxy = http://not-@HOST:80", "proxy = http://not-@HOST:80"),
];

const PYPIRC: Lines = &[
    (
        "repository:http://@HOST/up",
        "repository:https://new.example/upload",
    ),
    ("username = a@@HOST", "username = a@@HOST"),
    ("password=x", "password=x"),
];

const SHELL: Lines = &[
    (
        "export PIP_INDEX_URL=\"@OLD/simple\"",
        "export PIP_INDEX_URL=\"@NEW/simple\"",
    ),
    ("export PIP_TRUSTED_HOST=@HOST", ""),
    (
        "pip install -i @OLD/simple --trusted-host @HOST x",
        "pip install -i @NEW/simple x",
    ),
    (
        "pip install \\\n  --trusted-host @HOST \\\n  x",
        "pip install \\\n  x",
    ),
    ("U=${U:-@OLD/simple}", "U=${U:-@NEW/simple}"),
    (
        "twine upload --repository-url http://@HOST/up dist/*",
        "twine upload --repository-url https://new.example/upload dist/*",
    ),
    ("echo é # @OLD", "echo é # @OLD"),
    ("cp a /srv/@HOST/pypi", "cp a /srv/@HOST/pypi"),
    (
        "curl 'https://keep.example/?u=@OLD'",
        "curl 'https://keep.example/?u=@OLD'",
    ),
];

const DOCKER: Lines = &[
    (
        "ENV PIP_INDEX_URL @OLD/simple",
        "ENV PIP_INDEX_URL @NEW/simple",
    ),
    ("ENV PIP_TRUSTED_HOST=@HOST", ""),
    ("ARG INDEX_URL=@OLD/simple", "ARG INDEX_URL=@NEW/simple"),
    (
        "RUN pip install --trusted-host @HOST -i @OLD/simple x",
        "RUN pip install -i @NEW/simple x",
    ),
    (
        "RUN [\"pip\", \"install\", \"-i\", \"@OLD/simple\", \"x\"]",
        "RUN [\"pip\", \"install\", \"-i\", \"@NEW/simple\", \"x\"]",
    ),
    ("# @OLD/simple", "# @OLD/simple"),
    ("COPY a /@HOST/b", "COPY a /@HOST/b"),
];

const YAML: Lines = &[
    (
        "a:\n  PIP_INDEX_URL: '@OLD/simple'",
        "a:\n  PIP_INDEX_URL: '@NEW/simple'",
    ),
    ("b:\n  x: y\n  PIP_TRUSTED_HOST: @HOST", "b:\n  x: y"),
    (
        "c:\n  - run: pip install -i @OLD/simple --trusted-host @HOST x",
        "c:\n  - run: pip install -i @NEW/simple x",
    ),
    (
        "d:\n  - |\n    pip install --extra-index-url @OLD/simple x\n    echo",
        "d:\n  - |\n    pip install --extra-index-url @NEW/simple x\n    echo",
    ),
    ("# @OLD/simple", "# @OLD/simple"),
    (
        "e: é https://keep.example/@HOST",
        "e: é https://keep.example/@HOST",
    ),
];

const UV_TOML: Lines = &[
    (
        "[[index]]\nurl = \"@OLD/simple\" # @OLD",
        "[[index]]\nurl = \"@NEW/simple\" # @OLD",
    ),
    (
        "[pip]\nallow-insecure-host = [\"@HOST\", 'keep.example']\nextra-index-url = ['@OLD/simple']",
        "[pip]\nallow-insecure-host = ['keep.example']\nextra-index-url = ['@NEW/simple']",
    ),
    ("# @OLD", "# @OLD"),
    (
        "[[index]]\nname = \"@HOST\"\nurl = \"https://keep.example/@HOST\"",
        "[[index]]\nname = \"@HOST\"\nurl = \"https://keep.example/@HOST\"",
    ),
];

const UV_LOCK: Lines = &[
    (
        "[[package]]\nname = \"a\"\nsource = { registry = \"@OLD/simple\" }",
        "[[package]]\nname = \"a\"\nsource = { registry = \"@NEW/simple\" }",
    ),
    (
        "[[package]]\nwheels = [\n    { url = \"@OLD/a.whl\", hash = \"sha256:00\" },\n]",
        "[[package]]\nwheels = [\n    { url = \"@NEW/a.whl\", hash = \"sha256:00\" },\n]",
    ),
    ("[[package]]\nname = \"é\"", "[[package]]\nname = \"é\""),
];

/// A file's name, what it begins with, and its lines.
const FILES: [(&str, &str, Lines); 9] = [
    ("requirements.txt", "", REQUIREMENTS),
    ("pip.conf", "[global]", PIP_CONF),
    (".pypirc", "[a]", PYPIRC),
    ("run.sh", "#!/bin/sh", SHELL),
    ("Dockerfile", "FROM x", DOCKER),
    (".gitlab-ci.yml", "z: 1", YAML),
    ("uv.toml", "", UV_TOML),
    ("uv.lock", "version = 1", UV_LOCK),
    ("pip.conf", "[install]", PIP_CONF),
];

#[derive(Debug, Clone)]
struct Case {
    file: &'static str,
    before: Vec<u8>,
    after: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Utf8,
    Utf8Marked,
    Utf16,
    Latin1,
}

fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf8Marked => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        Encoding::Utf16 => [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect(),
        // Every character of the lines is one byte of Latin-1.
        Encoding::Latin1 => text
            .chars()
            .map(|one| u8::try_from(u32::from(one)).unwrap())
            .collect(),
    }
}

fn case() -> impl Strategy<Value = Case> {
    let file = prop::sample::select(FILES.to_vec());
    let address = prop::sample::select(vec![
        "http://@HOST/pypi",
        "https://@HOST/pypi",
        "http://u:p@@HOST:8081/pypi",
    ]);
    let host = prop::sample::select(vec!["old.example", "Old.Example"]);
    let encoding = prop::sample::select(vec![
        Encoding::Utf8,
        Encoding::Utf8Marked,
        Encoding::Utf16,
        Encoding::Latin1,
    ]);
    let order = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    (
        file,
        order,
        address,
        host,
        encoding,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |((file, head, lines), order, address, host, encoding, crlf, ended)| {
                let mut picked: Vec<usize> =
                    order.iter().map(|index| index.index(lines.len())).collect();
                if file.ends_with("yml") {
                    // A key may stand once only.
                    picked.sort_unstable();
                    picked.dedup();
                }
                let (mut before, mut after) = (String::new(), String::new());
                for (old, new) in
                    std::iter::once((head, head)).chain(picked.iter().map(|index| lines[*index]))
                {
                    if !old.is_empty() {
                        before.extend([old, "\n"]);
                    }
                    if !new.is_empty() {
                        after.extend([new, "\n"]);
                    }
                }
                // Where the last line goes, the end of the line before it stays.
                let keeps_last = |index: &usize| {
                    let (old, new) = lines[*index];
                    !new.is_empty() && old.lines().count() == new.lines().count()
                };
                if !ended && picked.last().is_some_and(keeps_last) {
                    before.pop();
                    after.pop();
                }
                let finish = |text: String| {
                    let text = text
                        .replace("@OLD", address)
                        .replace("@NEW", "https://new.example/index")
                        .replace("@HOST", host);
                    let text = if crlf {
                        text.replace('\n', "\r\n")
                    } else {
                        text
                    };
                    encode(&text, encoding)
                };
                Case {
                    file,
                    before: finish(before),
                    after: finish(after),
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn just_the_mapped_values_change_and_once_is_enough(case in case()) {
        let scanner = Scanner::new(Map::parse("migrate.toml", MAP).unwrap());
        let scan = scanner.scan(case.file, &case.before);
        let new = scanner.rewrite(case.file, &case.before, &scan);
        let new = new.map_err(|error| TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&case.before))))?;
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        prop_assert_eq!(shown(&new), shown(&case.after), "from {}", shown(&case.before));
        prop_assert_eq!(&new, &case.after);

        let again = scanner.scan(case.file, &new);
        prop_assert!(again.edits.is_empty());
        prop_assert!(again.findings.iter().all(|one| !one.is_safe()));
        prop_assert_eq!(&apply(&new, &again.edits), &new);

        // What lies outside of the edits' spans is the same, byte for byte, on both sides.
        let mut rest = new.as_slice();
        let mut at = 0;
        for edit in &scan.edits {
            let between = &case.before[at..edit.span.start];
            prop_assert!(rest.starts_with(between));
            rest = &rest[between.len()..];
            prop_assert!(rest.starts_with(&edit.new));
            rest = &rest[edit.new.len()..];
            at = edit.span.end;
        }
        prop_assert_eq!(rest, &case.before[at..]);
    }
}
