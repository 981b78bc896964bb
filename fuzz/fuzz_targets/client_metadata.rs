//! Accepted client metadata describe an app within the template, whose redirect URIs are usable.
#![no_main]

use grantor::Scope;
use grantor::app::{AppTemplate, AuthenticationMethodName, ClientMetadata, Flow};
use grantor::protocol::InstanceHosts;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(metadata) = ClientMetadata::parse(text.as_bytes()) else { return };
    let allowed = Scope::parse("mcp.read mcp.write files.*").unwrap();
    let template = AppTemplate::new(allowed.clone()).custom_schemes(["cursor"]).refresh_token(true);
    for method in [AuthenticationMethodName::None, AuthenticationMethodName::ClientSecretBasic] {
        let Ok(app) = template.describe(&metadata, "Unnamed", method) else { continue };
        assert_eq!(app.settings.flows(), [Flow::AuthorizationCode]);
        assert!(allowed.covers(app.settings.scope()));
        assert!(app.settings.requires_consent() && app.settings.jwt().is_none());
        assert!(!app.settings.name().chars().any(|c| c.is_control() || c == '\u{202e}'));
        for uri in app.settings.redirect_uris() {
            let text = uri.as_str();
            let known = ["https://", "http://127.0.0.1", "http://[::1]", "http://localhost", "cursor:"];
            assert!(known.iter().any(|start| text.starts_with(start)), "{text}");
            assert!(uri.matches(text, &InstanceHosts::default()).is_some(), "{text}");
        }
    }
});
