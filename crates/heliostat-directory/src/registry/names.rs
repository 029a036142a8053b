//! Which host names a mirror may not have.
//!
//! PEP 449 took names under somebody else's domain away from mirrors, because every configuration that held one broke
//! on the day the domain's owner changed their mind.

/// Registrable domains under which no mirror stands: Python's own, and PyPI's two.
const FORBIDDEN: [&str; 3] = ["python.org", "pypi.org", "pythonhosted.org"];

/// The domain for whose sake a host may not be a mirror's name, where there is one. `own_domain` is the directory's.
pub fn forbidden_name<'a>(host: &str, own_domain: Option<&'a str>) -> Option<&'a str> {
    let host = host.trim_end_matches('.');
    let below = |domain: &str| {
        let domain = domain.trim_end_matches('.');
        let start = host.len().checked_sub(domain.len());
        start.is_some_and(|start| {
            host.get(start..)
                .is_some_and(|end| end.eq_ignore_ascii_case(domain))
                && (start == 0 || host.as_bytes()[start - 1] == b'.')
        })
    };
    FORBIDDEN
        .into_iter()
        .chain(own_domain.filter(|domain| !domain.is_empty()))
        .find(|domain| below(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_under_somebody_elses_domain_are_told() {
        for (host, domain) in [
            ("b.pypi.python.org", Some("python.org")),
            ("PyPI.org", Some("pypi.org")),
            ("a.b.pythonhosted.org.", Some("pythonhosted.org")),
            ("mirror.list.example", Some("list.example")),
            ("list.example", Some("list.example")),
            ("notpython.org", None),
            ("python.org.example.edu", None),
            ("g", None),
        ] {
            assert_eq!(forbidden_name(host, Some("list.example")), domain, "{host}");
        }
        assert_eq!(forbidden_name("mirror.list.example", None), None);
    }
}
