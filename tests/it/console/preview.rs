//! *Token preview* of an app.

use grantor::app::{Flow, ImpersonationPolicy, ScopePolicy};
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::http::console::Console;
use grantor::ids::Resource;
use serde_json::json;
use std::sync::Arc;

use super::desk::{Desk, MOUNT, Staff, console, registered};
use super::html::{check, tags, value_of, words};
use crate::assertions::backend_jwt;
use crate::support::{ISSUER, World, code_app, encode, machine_app, scope};

/// H12: the claims of a token with their meaning, times in words, and the scopes that were left out with the
/// rule. An administrator who may only look may not ask. Nothing is issued or recorded.
#[test]
fn a_preview_explains_each_claim_and_each_scope_that_is_left_out() {
    let world = World::new();
    let api = "https://api.example.com";
    let policy = ImpersonationPolicy::anyone().with_scope(scope("a b"));
    let draft = code_app()
        .flow(Flow::JwtBearer)
        .jwt(backend_jwt().with_impersonation(policy))
        .scope_policy(ScopePolicy::Reduce)
        .resources([Resource::new(api).unwrap()]);
    let (app, path) = registered(&world, draft);
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let path = format!("{path}/preview");
    let empty = desk.page(&path);
    check(&empty, MOUNT);
    assert!(
        !empty.contains("role=\"status\"") && words(&empty).contains(&format!("server, {api}"))
    );
    let view = Desk::new(&console, "view");
    let looked = view.page(&path);
    check(&looked, MOUNT);
    assert!(!looked.contains("<form"));
    assert_eq!(view.get(&format!("{path}?flow=jwt_bearer&user=ann")).status, 403);
    let events = world.events().len();
    let query = encode(&[
        ("flow", "jwt_bearer"),
        ("user", "ann"),
        ("scope", "a c x offline_access"),
        ("resource", api),
    ]);
    let page = desk.page(&format!("{path}?{query}"));
    check(&page, MOUNT);
    let text = words(&page);
    for expected in [
        "The app would get a token",
        "These claims are not a token",
        &format!("iss {ISSUER} The server that issued the token."),
        "sub ann The user that the app acts as",
        &format!("aud {api} The API that the token is for."),
        "scope a What the token allows.",
        "iat 1700000000 When the token was issued. 14 Nov 2023, 22:13 UTC",
        "exp 1700003600 When the token expires. 14 Nov 2023, 23:13 UTC",
        "Valid for 1 hour",
        "Refresh token none",
        "c The policy does not give it to the app as a user. Decided by the setting \
         jwt.impersonation.scope",
        "x The app does not have it. Decided by the setting scope",
        "offline_access It asks for a refresh token",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(page.contains(app.id.as_str()) && !text.contains("The sign-in of the user may add"));
    let names: Vec<_> =
        tags(&page).into_iter().filter(|tag| tag.attribute("scope") == Some("row")).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    assert_eq!((&*value_of(&page, "user"), &*value_of(&page, "resource")), ("ann", api));
    let chosen = tags(&page).into_iter().find(|tag| tag.attribute("selected").is_some()).unwrap();
    assert_eq!(chosen.attribute("value"), Some("jwt_bearer"));

    let by_code = words(&desk.page(&format!("{path}?flow=authorization_code&user=bob&scope=")));
    for expected in [
        "sub bob",
        "scope a b c",
        "The sign-in of the user may add",
        "ends at the latest 13 Jan 2024",
    ] {
        assert!(by_code.contains(expected), "{expected}: {by_code}");
    }
    assert_eq!(world.events().len(), events);
}

/// H12: a refusal names the reason, the answer that the app would get, and the setting that decided.
#[test]
fn a_refused_preview_names_the_setting_that_decided() {
    let world = World::new();
    let jwt = backend_jwt().with_impersonation(ImpersonationPolicy::none());
    let (app, path) = registered(&world, machine_app().flow(Flow::JwtBearer).jwt(jwt));
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let path = |query: &str| format!("{path}/preview?{query}");
    for (query, reason, answer, setting) in [
        (
            "flow=jwt_bearer&user=ann",
            "the policy allows no user",
            "the app may not act as this user",
            "jwt.impersonation (the users that the app may act as)",
        ),
        (
            "flow=client_credentials&scope=x",
            "the app does not have this scope",
            "scope exceeds the scope of the app",
            "scope (the scopes of the app)",
        ),
        (
            "flow=client_credentials&resource=https://x.example",
            "the app may not use this resource",
            "the app may not request tokens for this resource",
            "resources (the resources of the app)",
        ),
        (
            "flow=authorization_code&user=ann",
            "the app may not use this flow",
            "the app may not use this grant type",
            "flows (the flows of the app)",
        ),
        (
            "flow=jwt_bearer&user=stranger",
            "there is no such user",
            "the app may not act as this user",
            "",
        ),
    ] {
        let page = desk.page(&path(query));
        check(&page, MOUNT);
        let text = words(&page);
        for expected in [format!("The request would be refused: {reason}."), answer.to_owned()] {
            assert!(text.contains(&expected), "{query}: {text}");
        }
        if setting.is_empty() {
            assert!(!text.contains("Decided by"), "{text}");
        } else {
            assert!(text.contains(&format!("Decided by the setting {setting}")), "{query}: {text}");
        }
    }
    let link = format!("{MOUNT}/apps/{}/impersonation?user=ann", app.id);
    let page = desk.page(&path("flow=jwt_bearer&user=ann"));
    assert!(tags(&page).iter().any(|tag| tag.attribute("href") == Some(&link)), "{page}");
    let page = desk.page(&path("flow=jwt_bearer"));
    check(&page, MOUNT);
    assert!(page.contains("This flow needs a user.") && !page.contains("role=\"status\""));
    let page = desk.page(&path("flow=nonsense&user=ann"));
    assert!(!page.contains("role=\"status\""));
}

/// A host whose hook answers like this, and that tells it for previews.
struct Tells(Option<HookAnswer>);

impl Hooks for Tells {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        panic!("a preview issues nothing")
    }

    async fn preview_issue(&self, _: &IssueDecision<'_>) -> Result<Option<HookAnswer>, HookError> {
        Ok(self.0.clone())
    }
}

/// H12: claims of the host are shown if the host tells them; otherwise the page says that there may be some.
#[test]
fn a_preview_says_whether_it_knows_the_hosts_own_rule() {
    let claims =
        |json: serde_json::Value| Some(HookAnswer::IssueWith(json.as_object().unwrap().clone()));
    for (answer, expected, is_known) in [
        (None, "The host's own rule may add claims, or refuse the token.", false),
        (claims(json!({ "ten<b>ant": "<i>" })), "ten<b>ant <i> Added by the host.", true),
        (Some(HookAnswer::Veto("suspended_tenant")), "refused: suspended tenant.", true),
        (claims(json!({ "sub": 1 })), "The host's own rule failed", true),
    ] {
        let world = World::with(|builder| builder.hooks(Tells(answer)));
        let app = world.register(machine_app());
        let console = Console::new(Arc::clone(&world.server), Staff, MOUNT).unwrap();
        let path = format!("{MOUNT}/apps/{}/preview?flow=client_credentials", app.id);
        let request = http::Request::get(path).header("cookie", "staff=ann.edit.s").body("");
        let page = world.block_on(console.handle(request.unwrap())).unwrap();
        assert_eq!(page.status(), 200);
        let page = String::from_utf8(page.into_body()).unwrap();
        check(&page, MOUNT);
        let text = words(&page);
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(!text.contains("reserved claim"), "the text of an error is the host's: {text}");
        assert_eq!(!text.contains("It does not tell beforehand"), is_known);
    }
}
