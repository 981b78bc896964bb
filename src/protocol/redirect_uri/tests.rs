use proptest::prelude::*;

use super::*;

fn hosts() -> InstanceHosts {
    InstanceHosts::new(["files.example.com", "alias.example.com"]).unwrap()
}

fn accepts(registered: &str, requested: &str) -> bool {
    let registered = RedirectUri::parse(registered).unwrap();
    let resolved = registered.matches(requested, &hosts());
    // The accepted URI is the URI of the response.
    assert!(resolved.as_ref().is_none_or(|resolved| resolved.as_str() == requested));
    resolved.is_some()
}

fn refuses(registered: &str, requested: &[&str]) {
    for requested in requested {
        assert!(!accepts(registered, requested), "{registered} against {requested}");
    }
}

#[test]
fn each_kind_can_be_registered_and_survives_json() {
    for good in [
        "https://h.example",
        "https://h.example:8443/done?tenant=7&x=%20",
        "https://127.0.0.1/done",
        "https://[2001:db8::1]/done",
        "com.example.app:/done",
        "myapp://127.0.0.1/path",
        "myapp:///done",
        "oc://android.owncloud.com/",
        "http://127.0.0.1/done",
        "http://[::1]:7000/done",
        "https://%%HOST%%/rest/callback.html",
        "https://%%HOST%%:8443/done",
    ] {
        let uri = RedirectUri::parse(good).unwrap();
        let json = serde_json::to_string(&uri).unwrap();
        assert_eq!(json, format!("{good:?}"));
        assert_eq!(serde_json::from_str::<RedirectUri>(&json).unwrap(), uri);
    }
    let uri = RedirectUri::loopback_with_localhost("http://localhost:9999/cb").unwrap();
    let json = serde_json::to_string(&uri).unwrap();
    assert_eq!(json, r#"{"uri":"http://localhost:9999/cb","allow_localhost":true}"#);
    assert_eq!(serde_json::from_str::<RedirectUri>(&json).unwrap(), uri);
    assert!(serde_json::from_str::<RedirectUri>("\"http://localhost/\"").is_err());
}

/// A3, A4: an unregistered URI, or a text that is no URI, matches nothing.
#[test]
fn an_unregistered_or_malformed_uri_is_refused() {
    let bad = ["https://other.example/cb", "", "/cb", "cb", "https://", "::", "%", "\u{0}", "é"];
    refuses("https://h.example/cb", &bad);
    refuses("http://127.0.0.1/cb", &bad);
    refuses("https://%%HOST%%/cb", &bad);
}

/// A5, A6, A18: an exact URI matches itself only.
#[test]
fn an_exact_uri_matches_byte_for_byte() {
    assert!(accepts("https://h.example/cb", "https://h.example/cb"));
    refuses(
        "https://h.example/cb",
        &[
            "https://h.example/cb/",
            "https://h.example/cb?",
            "https://h.example/cb?x=1",
            "https://h.example/cb#f",
            "https://h.example/CB",
            "https://h.example/%63b",
            "https://H.example/cb",
            "HTTPS://h.example/cb",
            "https://h.example:443/cb",
            "https://h.example/x/../cb",
            "http://h.example/cb",
            "https://h.example.evil.test/cb",
            "https://h.example@evil.test/cb",
            "https://evil.test/https://h.example/cb",
            "https://u@h.example/cb",
            "https://h.example\\@evil.test/cb",
        ],
    );
}

/// A10, A11: on loopback, the app chooses the port, and the registered one does not matter.
#[test]
fn a_loopback_uri_matches_with_any_port() {
    for host in ["127.0.0.1", "[::1]"] {
        for registered in ["", ":7000"] {
            let registered = format!("http://{host}{registered}/cb?x=1");
            for port in ["", ":1", ":7000", ":65535"] {
                assert!(accepts(&registered, &format!("http://{host}{port}/cb?x=1")));
            }
        }
    }
    assert!(accepts("http://127.0.0.1", "http://127.0.0.1:8080"));
}

/// A12, A13, A14, A18: on loopback, only the port may differ.
#[test]
fn a_loopback_uri_differs_only_in_its_port() {
    refuses(
        "http://127.0.0.1/cb",
        &[
            "http://127.0.0.1:80/other",
            "http://127.0.0.1:80/cb?x=1",
            "http://127.0.0.1:80/cb/",
            "http://127.0.0.1:80/cb#f",
            "http://127.0.0.1:80",
            "http://127.0.0.1:80#/cb",
            "http://user@127.0.0.1/cb",
            "http://127.0.0.1:80@evil.test/cb",
            "http://127.0.0.1@evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.0.0.1evil.test/cb",
            "https://127.0.0.1/cb",
            "http://[::1]/cb",
            "http://127.0.0.2/cb",
            "http://127.1/cb",
            "http://0x7f000001/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.1:8x/cb",
            "http://127.0.0.1:80:80/cb",
        ],
    );
}

/// A15: `localhost` is accepted only if the registration allows it.
#[test]
fn localhost_is_an_explicit_choice() {
    refuses("http://127.0.0.1/cb", &["http://localhost/cb", "http://localhost:7000/cb"]);
    refuses("https://localhost/cb", &["https://localhost:7000/cb", "http://localhost/cb"]);
    for registered in ["http://localhost:9999/cb", "http://127.0.0.1/cb"] {
        let uri = RedirectUri::loopback_with_localhost(registered).unwrap();
        assert!(uri.matches("http://localhost:7000/cb", &hosts()).is_some());
        assert!(uri.matches("http://localhost.evil.test/cb", &hosts()).is_none());
        assert!(uri.matches("http://[::1]/cb", &hosts()).is_none());
    }
}

/// A17: an app's own scheme, with or without a period or an authority, matches exactly.
#[test]
fn a_custom_scheme_matches_byte_for_byte() {
    refuses("com.example.app:/cb", &["com.example.app://cb", "com.example.app:/cb/"]);
    refuses("myapp://127.0.0.1/cb", &["myapp://127.0.0.1:80/cb", "myapp:/cb", "myapp:///cb"]);
    let hosts = InstanceHosts::new(["h.example"]).unwrap();
    let kinds = ["myapp:/cb", "http://[::1]/", "https://h.example/", "https://%%HOST%%/"];
    let careful = kinds.map(|uri| {
        let resolved = RedirectUri::parse(uri).unwrap().resolve_default(&hosts).unwrap();
        resolved.is_loopback_or_custom_scheme()
    });
    assert_eq!(careful, [true, true, false, false]);
}

/// A18: a template resolves to one of the instance's own hosts, as the whole host.
#[test]
fn a_template_resolves_to_the_instances_own_hosts_only() {
    assert!(accepts("https://%%HOST%%/cb", "https://files.example.com/cb"));
    assert!(accepts("https://%%HOST%%/cb", "https://alias.example.com/cb"));
    assert!(accepts("https://%%HOST%%:8443/cb", "https://alias.example.com:8443/cb"));
    refuses(
        "https://%%HOST%%/cb",
        &[
            "https://%%HOST%%/cb",
            "https://files.example.com.evil.test/cb",
            "https://evil.test/files.example.com/cb",
            "https://files.example.com@evil.test/cb",
            "https://u@files.example.com/cb",
            "https://files.example.com:8443/cb",
            "https://Files.example.com/cb",
            "https://files.example.com./cb",
            "https:///cb",
            "https://cb",
            "https://files.example.com/cb/cb",
            "http://files.example.com/cb",
        ],
    );
    for bad in ["", "UPPER.example", "h:80", "h/", "*.example", "u@h", "h..x", "[::1]"] {
        assert!(InstanceHosts::new([bad]).is_err(), "{bad}");
    }
}

/// A7, A8, A9: an omitted URI means the only registered one. Without any, the request is refused.
#[test]
fn an_omitted_uri_means_the_only_one() {
    let none = InstanceHosts::default();
    let one = [RedirectUri::parse("https://%%HOST%%/cb").unwrap()];
    let two = [one[0].clone(), RedirectUri::parse("https://h.example/").unwrap()];
    assert_eq!(resolve(&one, None, &hosts()).unwrap().as_str(), "https://files.example.com/cb");
    assert_eq!(resolve(&one, None, &none), Err(RedirectUriError::Missing));
    assert_eq!(resolve(&two, None, &hosts()), Err(RedirectUriError::Missing));
    assert_eq!(resolve(&two, Some("https://h.example/"), &none).unwrap().as_str(), two[1].as_str());
    assert_eq!(resolve(&two, Some("x:/"), &none), Err(RedirectUriError::NotRegistered));
    assert_eq!(resolve(&[], Some("x:/"), &none), Err(RedirectUriError::NoneRegistered));
    assert_eq!(resolve(&[], None, &none), Err(RedirectUriError::NoneRegistered));
}

/// A30: an existing query is unchanged, and the response follows it.
#[test]
fn response_parameters_come_after_an_existing_query() {
    for (uri, expected) in [
        ("https://h.example/cb", "https://h.example/cb?code=a%26b&state=%C3%A9"),
        ("https://h.example/cb?t=%20", "https://h.example/cb?t=%20&code=a%26b&state=%C3%A9"),
        ("https://h.example/cb?", "https://h.example/cb?code=a%26b&state=%C3%A9"),
        ("app:/cb", "app:/cb?code=a%26b&state=%C3%A9"),
    ] {
        let uri = RedirectUri::parse(uri).unwrap().resolve_default(&hosts()).unwrap();
        assert_eq!(uri.with_query([("code", "a&b"), ("state", "é")]), expected);
    }
}

proptest! {
    #[test]
    fn an_accepted_uri_has_the_registered_scheme_host_and_path(
        requested in "http(s?)://(u@)?(127\\.0\\.0\\.1|files\\.example\\.com|evil\\.test)[.:@/a0-9]{0,8}/cb"
    ) {
        for registered in ["http://127.0.0.1/cb", "https://%%HOST%%/cb"] {
            let registered = RedirectUri::parse(registered).unwrap();
            if registered.matches(&requested, &hosts()).is_some() {
                let url = url::Url::parse(&requested).unwrap();
                prop_assert!(["127.0.0.1", "files.example.com"].contains(&url.host_str().unwrap()));
                prop_assert_eq!((url.username(), url.path()), ("", "/cb"));
            }
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic_and_a_registered_uri_matches_itself(
        text in "(https?|app)://?[a-z0-9.\\[\\]:@%/?é#-]{0,20}", any in ".*"
    ) {
        for text in [text, any] {
            if let Ok(uri) = RedirectUri::parse(&text) {
                prop_assert!(uri.matches(&text, &hosts()).is_some(), "{}", text);
            }
        }
    }
}
