//! A registered URI matches itself, and a match never leaves the registered host.
#![no_main]

use grantor::protocol::{InstanceHosts, RedirectUri};
use grantor_fuzz::parts;

libfuzzer_sys::fuzz_target!(|input: &str| {
    let [registered, presented] = parts(input);
    let hosts = InstanceHosts::new(["h.example", "alias.example"]).unwrap();
    for registration in [
        RedirectUri::parse(registered),
        RedirectUri::loopback_with_localhost(registered),
        RedirectUri::parse("http://127.0.0.1/cb"),
        RedirectUri::parse("https://%%HOST%%/cb"),
    ] {
        let Ok(registered) = registration else { continue };
        let default = registered.resolve_default(&hosts).unwrap();
        assert_eq!(registered.matches(default.as_str(), &hosts), Some(default.clone()));
        let Some(resolved) = registered.matches(presented, &hosts) else { continue };
        assert_eq!(resolved.as_str(), presented);
        let Ok(url) = url::Url::parse(presented) else { continue };
        assert_eq!(url.username(), "");
        let default = url::Url::parse(default.as_str()).unwrap();
        let own_hosts = ["h.example", "alias.example", "127.0.0.1", "localhost"];
        let host = url.host_str();
        assert!(host == default.host_str() || host.is_some_and(|host| own_hosts.contains(&host)));
        assert_eq!((url.scheme(), url.path()), (default.scheme(), default.path()));
    }
});
