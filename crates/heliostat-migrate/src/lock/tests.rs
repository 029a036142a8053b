use super::*;

/// Project files with their hashes before and after the move, computed in Python by the rule in each tool's source.
const HASHES: &[(&str, &str, &str, &str)] = &[
    (
        "poetry.lock",
        "[project]\nname = \"x\"\nrequires-python = \">=3.9\"\ndependencies = [\"flask (>=1)\"]\n[[tool.poetry.source]]\nname = \"é\"\nurl = \"https://old.example/simple\"\n[tool.pdm]\n[[tool.pdm.source]]\nurl = \"https://old.example/simple\"\nname = \"a\"\nverify_ssl = true\n[dependency-groups]\nDev_x = [\"pytest\"]\n",
        "f6b7b960c28699cbe4702baa4dd3479c86c903a24deed0afa37d95ebc9bcec2a",
        "3336c1b4427f4f6a49d2264f623e7b8dbd3f2125492e355b9007a5f42daa53d8",
    ),
    (
        "poetry.lock",
        "[tool.poetry]\nname = \"x\"\n[tool.poetry.dependencies]\npython = \"^3.9\"\n[[tool.poetry.source]]\nname = \"a\"\nurl = \"https://old.example/simple\"\n",
        "d1cd4119a18aa90acfe34ec1a89b1b66929e967e035d5248758eddb6d11c9236",
        "e0c4835c508e8088a67de3065cac20e182b44765dc804d22422cf9ed557585fd",
    ),
    (
        "pdm.lock",
        "[project]\nname = \"x\"\nrequires-python = \">=3.9\"\ndependencies = [\"flask (>=1)\"]\n[[tool.poetry.source]]\nname = \"é\"\nurl = \"https://old.example/simple\"\n[tool.pdm]\n[[tool.pdm.source]]\nurl = \"https://old.example/simple\"\nname = \"a\"\nverify_ssl = true\n[dependency-groups]\nDev_x = [\"pytest\"]\n",
        "5b27c09eaab776e46ff883ff4ed92d06b18d3c01f5ef65f5b32df304c41d76c3",
        "abac9f91cfdf09d99aa9788fb3a93ff7ead423b294f4901deb7858e678a59cbe",
    ),
    (
        "Pipfile.lock",
        "[[source]]\nurl = \"https://old.example/simple\"\nverify_ssl = true\nname = \"a\"\n[packages]\nflask = \"*\"\n[docs]\nsphinx = \"*\"\n[requires]\npython_version = \"3.12\"\n",
        "3329d421ec75c0aa208cf480c18ad7d416ce73edca3ea507097c6b72dcfd8c00",
        "f264ba900b237acbea49c3887ab38049cf2c0218d98f11315b2de94187b3982f",
    ),
];

fn lock_with(name: &str, hash: &str) -> String {
    match name {
        "poetry.lock" => format!("[metadata]\nlock-version = \"2.1\"\ncontent-hash = \"{hash}\"\n"),
        "pdm.lock" => format!("[metadata]\ncontent_hash = \"sha256:{hash}\"\n"),
        _ => format!("{{\"_meta\": {{\"hash\": {{\"sha256\": \"{hash}\"}}}}}}"),
    }
}

#[test]
fn a_right_hash_is_computed_again() {
    for (name, project, before, after) in HASHES {
        let moved = project.replace("old.example", "new.example");
        let lock = lock_with(name, before);
        let (finding, edit) = rehash(
            &format!("a/{name}"),
            lock.as_bytes(),
            project.as_bytes(),
            moved.as_bytes(),
        )
        .unwrap();
        assert_eq!(
            (finding.action, finding.replacement.as_deref()),
            (Action::Rehash, Some(*after)),
            "{name}"
        );
        let edit = edit.unwrap();
        assert_eq!(&lock[edit.span], *before);
        assert_eq!(edit.new, after.as_bytes());
    }
}

#[test]
fn a_hash_that_was_not_right_is_left_to_the_tool() {
    for (name, project, _, _) in HASHES {
        let moved = project.replace("old.example", "new.example");
        let lock = lock_with(name, &"0".repeat(64));
        let (finding, edit) =
            rehash(name, lock.as_bytes(), project.as_bytes(), moved.as_bytes()).unwrap();
        assert_eq!((finding.action, edit), (Action::Report, None));
    }
}

#[test]
fn what_the_hash_does_not_cover_leaves_it() {
    for (name, project, before, _) in HASHES {
        let lock = lock_with(name, before);
        assert_eq!(
            rehash(
                name,
                lock.as_bytes(),
                project.as_bytes(),
                format!("# new\n{project}").as_bytes()
            ),
            None
        );
    }
}

#[test]
fn text_is_written_as_python_does() {
    let value = serde_json::json!({"b": ["é", "😀", 1, true, null], "a": {}, "c": "\u{7f}\n"});
    assert_eq!(
        dump(&value, Spacing::Wide),
        r#"{"a": {}, "b": ["\u00e9", "\ud83d\ude00", 1, true, null], "c": "\u007f\n"}"#
    );
}
