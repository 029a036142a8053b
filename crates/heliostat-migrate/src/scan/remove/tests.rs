use crate::kind::{Action, Kind};
use crate::scan::Finding;
use crate::scan::tests::{after, new, scanner};

const REMOVALS: &[(&str, &str, &str)] = &[
    // A pip.conf in a script: the lines below go on with the value of the key above them.
    (
        "a.sh",
        "cat > pip.conf <<X\n[global]\nindex-url = http://f.pypi.python.org/simple\ntrusted-host = f.pypi.python.org\n   c.pypi.python.org\nX\n",
        "cat > pip.conf <<X\n[global]\nindex-url = NEW/simple\nX\n",
    ),
    (
        "a.sh",
        "cat > pip.conf <<X\n[global]\ntrusted-host = f.pypi.python.org\n   keep.example\nindex-url = http://f.pypi.python.org/simple\nX\n",
        "cat > pip.conf <<X\n[global]\ntrusted-host = \n   keep.example\nindex-url = NEW/simple\nX\n",
    ),
    (
        "a.yml",
        "content: |\n  [global]\n  trusted-host = keep.example\n     f.pypi.python.org\n  timeout = 1\n",
        "content: |\n  [global]\n  trusted-host = keep.example\n  timeout = 1\n",
    ),
    // Commands that do nothing else.
    (
        "a.sh",
        "pip config set global.index-url http://f.pypi.python.org/simple\npip config set global.trusted-host f.pypi.python.org\npip install x\n",
        "pip config set global.index-url NEW/simple\npip install x\n",
    ),
    (
        "Dockerfile",
        "RUN pip config set global.index-url http://f.pypi.python.org/simple && \\\n    pip config set global.trusted-host f.pypi.python.org && \\\n    pip install x\n",
        "RUN pip config set global.index-url NEW/simple && \\\n    pip install x\n",
    ),
    (
        "a.sh",
        "export PIP_TRUSTED_HOST=f.pypi.python.org PIP_INDEX_URL=http://f.pypi.python.org/simple\n",
        "export PIP_INDEX_URL=NEW/simple\n",
    ),
    (
        "tox.ini",
        "[testenv]\nsetenv =\n    PIP_TRUSTED_HOST = f.pypi.python.org\ndeps = x\n",
        "[testenv]\nsetenv =\ndeps = x\n",
    ),
    // Maps on one line, lists of names and values, a key whose only child goes.
    (
        "a.yml",
        "env: {PIP_INDEX_URL: http://f.pypi.python.org/simple, PIP_TRUSTED_HOST: f.pypi.python.org}\nb: c\n",
        "env: {PIP_INDEX_URL: NEW/simple}\nb: c\n",
    ),
    (
        "a.yml",
        "env: { PIP_TRUSTED_HOST: \"f.pypi.python.org\", A: b }\n",
        "env: { A: b }\n",
    ),
    (
        "a.yml",
        "env:\n  - name: PIP_TRUSTED_HOST\n    value: \"f.pypi.python.org\"\n  - name: A\n    value: b\n",
        "env:\n  - name: A\n    value: b\n",
    ),
    (
        "a.yml",
        "job:\n  env:\n    PIP_TRUSTED_HOST: f.pypi.python.org\n  run: pip install -i http://f.pypi.python.org/simple x\n",
        "job:\n  run: pip install -i NEW/simple x\n",
    ),
    (
        "Jenkinsfile",
        "withEnv([\"A=b\", \"PIP_TRUSTED_HOST=f.pypi.python.org\"]) { }\n",
        "withEnv([\"A=b\"]) { }\n",
    ),
];

/// What stays because something would be broken without it; all else in the file is rewritten.
const KEPT: &[(&str, &str)] = &[
    (
        "a.sh",
        "pip install -i http://f.pypi.python.org/simple x\nif y; then\n  export PIP_TRUSTED_HOST=f.pypi.python.org\nfi\n",
    ),
    (
        "a.yml",
        "a: http://f.pypi.python.org/simple\nrun: |\n  export PIP_TRUSTED_HOST=f.pypi.python.org\n",
    ),
    (
        "a.yml",
        "env:\n  - name: PIP_TRUSTED_HOST\n    value: f.pypi.python.org\nb: http://f.pypi.python.org/simple\n",
    ),
    (
        "a.yml",
        "args:\n  PIP_TRUSTED_HOST: f.pypi.python.org\nb: http://f.pypi.python.org/simple\n",
    ),
    (
        "a.yml",
        "- run: pip config set global.trusted-host f.pypi.python.org\n- run: pip install -i http://f.pypi.python.org/simple x\n",
    ),
    (
        "a.yml",
        "run: |\n  pip config set global.trusted-host f.pypi.python.org\n  pip install -i http://f.pypi.python.org/simple x\n",
    ),
    (
        "a.sh",
        "if pip config set global.trusted-host f.pypi.python.org; then x; fi\nA=http://f.pypi.python.org/simple\n",
    ),
];

#[test]
fn what_goes_takes_nothing_with_it_and_leaves_no_half() {
    for (file, before, expected) in REMOVALS {
        assert_eq!(after(file, before), new(expected), "{before}");
    }
    for (file, before) in KEPT {
        let expected = before.replace("http://f.pypi.python.org/simple", &new("NEW/simple"));
        assert_eq!(after(file, before), expected, "{before}");
        let scan = scanner().scan(file, before.as_bytes());
        let left = |one: &Finding| {
            one.kind == Kind::TrustedHost && one.action == Action::Report && one.reason.is_some()
        };
        assert!(scan.findings.iter().any(left), "{before}");
    }
}
