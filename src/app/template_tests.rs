use serde_json::json;

use super::*;
use crate::protocol::redirect_uri::InstanceHosts;

const PUBLIC: AuthenticationMethodName = AuthenticationMethodName::None;

fn template() -> AppTemplate {
    AppTemplate::new(Scope::parse("mcp.read mcp.write").unwrap()).refresh_token(true)
}

fn metadata(json: &serde_json::Value) -> ClientMetadata {
    ClientMetadata::parse(json.to_string().as_bytes()).unwrap()
}

fn describe(json: &serde_json::Value) -> Result<DescribedApp, InvalidApp> {
    template().describe(&metadata(json), "app.example", PUBLIC)
}

fn with_redirects(uris: &[&str]) -> Result<DescribedApp, InvalidApp> {
    describe(&json!({ "redirect_uris": uris }))
}

#[test]
fn an_app_gets_the_settings_of_the_template_and_no_other_flow() {
    let app = describe(&json!({"redirect_uris": ["https://app.example/cb"]})).unwrap().settings;
    assert_eq!(app.name(), "app.example");
    assert_eq!(app.flows(), [Flow::AuthorizationCode]);
    assert_eq!(app.scope().to_string(), "mcp.read mcp.write");
    assert_eq!(app.scope_policy(), ScopePolicy::Reduce);
    assert_eq!(app.authentication(), &ClientAuthentication::None);
    assert!(app.requires_consent() && app.issues_refresh_token() && app.jwt().is_none());
    let written = serde_json::to_value(template()).unwrap();
    assert_eq!(serde_json::from_value::<AppTemplate>(written).unwrap(), template());
}

/// M15: an app narrows the template and never widens it.
#[test]
fn an_app_narrows_the_template_and_never_widens_it() {
    let scope = |scope: &str| {
        let app = describe(&json!({"redirect_uris": ["https://a.example/"], "scope": scope}));
        app.map(|app| app.settings.scope().to_string()).map_err(|error| error.field())
    };
    assert_eq!(scope("mcp.read"), Ok("mcp.read".to_owned()));
    assert_eq!(scope("mcp.read admin offline_access"), Ok("mcp.read".to_owned()));
    assert_eq!(scope("offline_access"), Ok("mcp.read mcp.write".to_owned()));
    assert_eq!(scope("admin"), Err("scope"));
    let with = |name: &str, words: &[&str]| {
        describe(&json!({"redirect_uris": ["https://a.example/"], name: words}))
            .map(|app| app.settings.issues_refresh_token())
            .map_err(|error| error.field())
    };
    assert_eq!(with("grant_types", &["authorization_code", "refresh_token", "password"]), Ok(true));
    assert_eq!(with("grant_types", &["authorization_code"]), Ok(false));
    assert_eq!(with("grant_types", &["client_credentials", "refresh_token"]), Err("grant_types"));
    assert_eq!(with("grant_types", &[]), Err("grant_types"));
    assert_eq!(with("response_types", &["token"]), Err("response_types"));
    assert_eq!(with("response_types", &["code", "token"]), Ok(true));
    let strict = AppTemplate::new(Scope::parse("mcp.read").unwrap());
    let read = metadata(&json!({"redirect_uris": ["https://a.example/"], "grant_types":
        ["authorization_code", "refresh_token"]}));
    let app = strict.describe(&read, "x", PUBLIC).unwrap();
    assert!(!app.settings.issues_refresh_token());
}

/// L10, Y7: an unusable redirect URI among usable ones is dropped and told; if all are, the app is refused.
#[test]
fn unusable_redirect_uris_are_dropped_as_long_as_one_is_usable() {
    let bad = [
        ("javascript:alert(1)", "its scheme is not one that an app owns"),
        ("http://intranet.example/", "http is allowed on loopback only"),
        ("http://localhost.evil.example/", "http is allowed on loopback only"),
        ("https://%%HOST%%/cb", "its host is that of this server"),
        ("https://a.example/*", "it has a wildcard"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "its scheme is not allowed here"),
        ("com.example.app:/cb", "its scheme is not allowed here"),
    ];
    let mut all: Vec<_> = bad.iter().map(|(uri, _)| *uri).collect();
    assert_eq!(with_redirects(&all).unwrap_err().field(), "redirect_uris");
    all.extend(["https://a.example/cb", "https://a.example/cb"]);
    let app = with_redirects(&all).unwrap();
    assert_eq!(app.settings.redirect_uris().len(), 1);
    let told: Vec<_> = app.dropped.iter().map(|it| (it.uri.as_str(), it.problem)).collect();
    assert_eq!(told, bad);
    assert_eq!(with_redirects(&[]).unwrap_err().field(), "redirect_uris");

    let read = metadata(&json!({"redirect_uris": all}));
    let schemes = |template: AppTemplate| {
        let app = template.describe(&read, "x", PUBLIC).unwrap();
        app.settings.redirect_uris().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let cursor = "cursor://anysphere.cursor-mcp/oauth/callback";
    assert_eq!(schemes(template().custom_schemes(["cursor"])), [cursor, "https://a.example/cb"]);
    let dotted = schemes(template().reverse_domain_schemes(true));
    assert_eq!(dotted, ["com.example.app:/cb", "https://a.example/cb"]);
}

/// L9, Y8: a loopback URI of a self-described app matches any port, `localhost` too; a registered app's URI on
/// `localhost` needs the permission of its administrator.
#[test]
fn loopback_and_localhost_match_any_port_for_self_described_apps() {
    let stated = [
        "http://localhost/callback",
        "http://127.0.0.1/callback",
        "http://[::1]/callback",
        "http://localhost:8787/other",
    ];
    let app = with_redirects(&stated).unwrap();
    assert!(
        app.dropped.is_empty() && app.settings.redirect_uris().iter().all(RedirectUri::is_loopback)
    );
    let accepts = |requested: &str| {
        let own = app.settings.redirect_uris();
        own.iter().any(|own| own.matches(requested, &InstanceHosts::default()).is_some())
    };
    for requested in [
        "http://localhost:49152/callback",
        "http://localhost/callback",
        "http://127.0.0.1:1/callback",
        "http://[::1]:65535/callback",
        "http://localhost:3000/other",
    ] {
        assert!(accepts(requested), "{requested}");
    }
    for requested in [
        "http://localhost:49152/callback/x",
        "http://localhost:0/callback",
        "http://localhost.evil.example:1/callback",
        "http://127.0.0.2:1/callback",
        "https://localhost:1/callback",
        "http://127.0.0.1:1/other",
    ] {
        assert!(!accepts(requested), "{requested}");
    }
    assert!(RedirectUri::parse("http://localhost/callback").is_err());
}

#[test]
fn an_app_authenticates_as_it_says() {
    let method = |method: Option<&str>| {
        let read = metadata(&json!({
            "redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": method}));
        let app = template().describe(&read, "x", AuthenticationMethodName::ClientSecretBasic);
        app.map(|app| app.settings.authentication().clone()).map_err(|error| error.field())
    };
    assert_eq!(method(None), Ok(ClientAuthentication::ClientSecretBasic));
    assert_eq!(method(Some("none")), Ok(ClientAuthentication::None));
    assert_eq!(method(Some("client_secret_post")), Ok(ClientAuthentication::ClientSecretPost));
    assert_eq!(method(Some("private_key_jwt")), Err("jwks"));
}

#[test]
fn a_template_is_checked_before_any_app_has_it() {
    assert!(template().check().is_ok());
    let elsewhere = Resource::new("https://api.example").unwrap();
    for (template, field) in [
        (template().access_token_lifetime(0), "access_token_lifetime"),
        (template().refresh_token_lifetime(0), "refresh_token_lifetime"),
        (template().refresh_token_idle_lifetime(Some(0)), "refresh_token_idle_lifetime"),
        (template().default_resource(Some(elsewhere)), "default_resource"),
        (template().rate_quota(Some(RateQuota::new(0, 1))), "rate_quota"),
    ] {
        assert_eq!(template.check().unwrap_err().field(), field);
    }
}
