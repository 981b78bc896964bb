//! Lists of hosts.

/// Hosts by name, and by what they end with.
#[derive(Clone, Debug, Default)]
pub(super) struct HostList(Vec<Box<str>>);

impl HostList {
    pub(super) fn of<T: AsRef<str>>(hosts: impl IntoIterator<Item = T>) -> Self {
        Self(hosts.into_iter().map(|host| host.as_ref().to_ascii_lowercase().into()).collect())
    }

    /// Checks whether the list has `host`, which is in lower case.
    pub(super) fn has(&self, host: &str) -> bool {
        // A dot at the end names the same host to a resolver.
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.iter().any(|listed| match listed.strip_prefix('*') {
            Some(end) => end.starts_with('.') && host.len() > end.len() && host.ends_with(end),
            None => **listed == *host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L14: a name means itself, and `*.` every host below.
    #[test]
    fn a_list_has_its_hosts_and_those_below_a_star() {
        let list = HostList::of(["App.example", "*.cdn.example"]);
        for host in ["app.example", "app.example.", "a.cdn.example", "a.b.cdn.example"] {
            assert!(list.has(host), "{host}");
        }
        for host in ["x.app.example", "cdn.example", ".cdn.example", "evilcdn.example", "example"] {
            assert!(!list.has(host), "{host}");
        }
        assert!(!HostList::of(["*"]).has("app.example") && !HostList::default().has(""));
    }
}
