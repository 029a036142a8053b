//! Who mirrors take us for: the headers that the real programs send, as they were seen to send them.

/// A program that asks indexes for pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agent {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its `User-Agent`.
    pub(crate) header: &'static str,
    /// Whether a mirror that treats it in another way is closed to most people.
    pub(crate) weight: Weight,
}

/// How much it matters that a program is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A gate.
    Gate,
    /// A warning.
    Warning,
}

/// pip 26.3.
pub(crate) const PIP: Agent = Agent {
    name: "pip",
    header: r#"pip/26.3 {"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},"name":"Debian GNU/Linux","version":"12"},"implementation":{"name":"CPython","version":"3.11.7"},"installer":{"name":"pip","version":"26.3"},"openssl_version":"OpenSSL 3.0.19 27 Jan 2026","python":"3.11.7","setuptools_version":"65.5.0","system":{"name":"Linux","release":"6.1.0-41-amd64"}}"#,
    weight: Weight::Gate,
};

/// uv 0.13.9.
pub(crate) const UV: Agent = Agent {
    name: "uv",
    header: r#"uv/0.13.9 {"installer":{"name":"uv","version":"0.13.9","subcommand":["pip","install"]},"python":"3.11.7","implementation":{"name":"CPython","version":"3.11.7"},"distro":{"name":"Debian GNU/Linux","version":"12","id":"bookworm","libc":{"lib":"glibc","version":"2.36"}},"system":{"name":"Linux","release":"6.1.0-41-amd64"},"cpu":"x86_64","openssl_version":null,"setuptools_version":null,"rustc_version":null,"ci":null}"#,
    weight: Weight::Gate,
};

/// Everybody else, with curl as the one that no installer is.
pub(crate) const OTHERS: [Agent; 3] = [
    Agent {
        name: "poetry",
        header: "poetry/2.5.1 CPython/3.11.7 Linux/6.1.0-41-amd64",
        weight: Weight::Warning,
    },
    Agent {
        name: "pdm",
        header: "pdm/2.29.3 CPython/3.11.7 Linux/6.1.0-41-amd64",
        weight: Weight::Warning,
    },
    Agent {
        name: "requests",
        header: "python-requests/2.34.2",
        weight: Weight::Warning,
    },
];

/// What installers are compared with.
pub(crate) const CURL: Agent = Agent {
    name: "curl",
    header: "curl/7.88.1",
    weight: Weight::Warning,
};

/// What pip and uv accept, JSON first.
pub(crate) const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
/// What installers before JSON accepted.
pub(crate) const ACCEPT_HTML: &str = "text/html";
