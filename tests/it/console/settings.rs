//! *Settings* of an app, and conflicts.

use grantor::app::{
    AppDraft, AppOrigin, ClientAuthentication, DelegationPolicy, Flow, IdJagAudience,
    ImpersonationPolicy, JwtSettings, Pkce,
};
use grantor::audit::Actor;
use grantor::ids::{ClientId, EvidenceIssuer, Group, Issuer};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::protocol::RedirectUri;
use grantor::users::Members;

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, tags, value_of};
use crate::support::{World, code_app, machine_app, scope, subject};

/// The fields of a form as a browser would send them unchanged, without the token.
pub(crate) fn typed(page: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for tag in tags(page) {
        let Some(name) = tag.attribute("name") else { continue };
        let value = match (&*tag.name, tag.attribute("type")) {
            ("textarea", _) => Some(tag.text.clone()),
            ("input", Some("checkbox" | "radio")) => {
                tag.attribute("checked").and(tag.attribute("value")).map(str::to_owned)
            }
            ("input", Some("text" | "hidden")) => tag.attribute("value").map(str::to_owned),
            _ => None,
        };
        if let Some(value) = value.filter(|_| name != "token") {
            fields.push((name.to_owned(), value));
        }
    }
    fields
}

/// Returns the fields with some values changed.
pub(super) fn with<'a>(
    fields: &'a [(String, String)],
    changed: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let is_changed = |name: &str| changed.iter().any(|(other, _)| *other == name);
    let kept = fields.iter().filter(|(name, _)| !is_changed(name));
    kept.map(|(name, value)| (&**name, &**value)).chain(changed.iter().copied()).collect()
}

#[test]
fn settings_are_saved_and_those_without_a_field_stay() {
    let world = World::new();
    let draft = code_app().pkce(Pkce::Optional).code_lifetime(30).refresh_grace(Some(7));
    let (app, path) = registered(&world, draft);
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let settings = format!("{path}/settings");
    let fields = typed(&desk.page(&settings));
    let nothing = desk.post(&settings, &with(&fields, &[]));
    assert_eq!(reported(&nothing), format!("{MOUNT}{settings}?done=unchanged"));
    let changed = [
        ("name", "Renamed"),
        ("access_hours", "0"),
        ("access_minutes", "5"),
        ("redirect_uris", "https://%%HOST%%/cb\r\n\r\nhttps://b.example/cb "),
        ("other_scopes", "a b\nx"),
    ];
    let saved = desk.post(&settings, &with(&fields, &changed));
    assert_eq!(reported(&saved), format!("{MOUNT}{settings}?done=saved"));
    let stored = world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    let stored = stored.settings();
    assert_eq!((stored.name(), stored.access_token_lifetime()), ("Renamed", 300));
    assert_eq!(stored.scope(), &scope("a b x"));
    let uris: Vec<_> = stored.redirect_uris().iter().map(RedirectUri::as_str).collect();
    assert_eq!(uris, ["https://%%HOST%%/cb", "https://b.example/cb"]);
    assert_eq!(
        (stored.pkce(), stored.code_lifetime(), stored.refresh_grace()),
        (Pkce::Optional, 30, 7)
    );
    let event =
        world.events().into_iter().find(|event| event.action.as_str() == "edit_app").unwrap();
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
}

/// H8: the second of two administrators sees both versions, and loses nothing.
#[test]
fn a_conflict_shows_both_versions_and_keeps_what_was_typed() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let console = console(&world);
    let (ann, bob) = (
        Desk::new(&console, "edit"),
        Desk { console: &console, cookie: "staff=bob.edit.b".to_owned() },
    );
    let settings = format!("{path}/settings");
    let fields = typed(&ann.page(&settings));
    let bobs = [("name", "Name by bob"), ("access_hours", "2")];
    assert_eq!(bob.post(&settings, &with(&fields, &bobs)).status, 303);
    let anns = [("name", "Name by ann"), ("description", "Typed\nby ann.")];
    let conflict = ann.post(&settings, &with(&fields, &anns));
    assert_eq!(conflict.status, 409);
    check(&conflict.body, MOUNT);
    for text in
        ["Name by ann", "Name by bob", "2 hours", "1 hour", "nothing that you typed is lost"]
    {
        assert!(conflict.body.contains(text), "{text}: {}", conflict.body);
    }
    assert_eq!(world.last_event().outcome.reason(), Some("app_version_conflict"));
    // The form has all of her values, on top of his version.
    let again = typed(&conflict.body);
    let value =
        |name: &str| again.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
    assert_eq!(value("name").as_deref(), Some("Name by ann"));
    assert_eq!(value("description").as_deref(), Some("Typed\nby ann."));
    assert_eq!(value("access_hours").as_deref(), Some("1"));
    assert_eq!(ann.post(&settings, &with(&again, &[])).status, 303);
    let stored = world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    assert_eq!(
        (stored.settings().name(), stored.settings().description()),
        ("Name by ann", "Typed\nby ann.")
    );
}

/// H2, H17: an administrator who may only look sees the settings, and no button. Every page that edits an app of the
/// configuration warns.
#[test]
fn settings_can_be_read_by_all_and_saved_by_some() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    world.block_on(world.server.admin("x").set_origin(&app.id, AppOrigin::Declared)).unwrap();
    let console = console(&world);
    let settings = format!("{path}/settings");
    let fields = typed(&Desk::new(&console, "edit").page(&settings));
    let desk = Desk::new(&console, "view");
    let page = desk.page(&settings);
    check(&page, MOUNT);
    let warning = "The configuration of the host manages this app.";
    for tab in ["settings", "scopes", "security", "impersonation", "swagger"] {
        let page = Desk::new(&console, "edit").page(&format!("{path}/{tab}"));
        assert_eq!(page.matches(warning).count(), 1, "{tab}");
    }
    assert!(page.contains(warning) && !desk.page(&path).contains(warning));
    assert_eq!(
        tags(&page).iter().filter(|tag| tag.name == "button" || tag.name == "form").count(),
        0
    );
    assert_eq!(value_of(&page, "name"), "Reports");
    for below in [&settings, "/new-app"] {
        let refused = desk.post(below, &with(&fields, &[("name", "Other")]));
        assert_eq!(refused.status, 403);
    }
    assert_eq!(desk.get("/new-app").status, 403);
}

#[test]
fn a_change_of_the_client_type_drops_what_does_not_fit() {
    let world = World::new();
    let (app, path) = registered(&world, code_app().pkce(Pkce::Optional));
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let settings = format!("{path}/settings");
    let fields = typed(&desk.page(&settings));
    assert_eq!(desk.post(&settings, &with(&fields, &[("authentication", "none")])).status, 303);
    let stored = world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    assert_eq!(stored.settings().pkce(), Pkce::Required);
    assert!(stored.credentials().client_secrets.is_empty());
}

#[test]
fn an_edit_without_a_version_or_of_a_deleted_app_is_refused() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let settings = format!("{path}/settings");
    let fields = typed(&desk.page(&settings));
    for version in ["", "x", "-1", "18446744073709551616"] {
        assert_eq!(desk.post(&settings, &with(&fields, &[("version", version)])).status, 400);
    }
    assert_eq!(desk.post(&settings, &with(&fields, &[("version", "1")])).status, 409);
    world.block_on(world.server.admin("x").delete(&app.id)).unwrap();
    assert_eq!(desk.post(&settings, &with(&fields, &[("name", "x")])).status, 404);
}

#[test]
fn uris_that_differ_in_localhost_keep_their_difference() {
    let world = World::new();
    let draft = AppDraft::public("Desktop")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse("http://127.0.0.1/a").unwrap())
        .redirect_uri(RedirectUri::loopback_with_localhost("http://localhost/b").unwrap());
    let (app, path) = registered(&world, draft);
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let settings = format!("{path}/settings");
    let page = desk.page(&settings);
    assert!(page.contains("any port on this machine, also as localhost"), "{page}");
    let fields = typed(&page);
    let unchanged = desk.post(&settings, &with(&fields, &[]));
    assert_eq!(reported(&unchanged), format!("{MOUNT}{settings}?done=unchanged"));
    let mut without = with(&fields, &[("redirect_uris", "http://127.0.0.1/a")]);
    without.retain(|(name, _)| *name != "allow_localhost");
    assert_eq!(desk.post(&settings, &without).status, 303);
    let stored = world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    let json = serde_json::to_value(stored.settings()).unwrap();
    assert_eq!(json["redirect_uris"], serde_json::json!(["http://127.0.0.1/a"]));
}

fn keys() -> VerifyingKeys {
    SigningKey::generate(Algorithm::ES256).unwrap().verifying_key().into()
}

/// H2: credentials, and the users that an app may act as, are changed by the highest role only. What was typed stays,
/// with a sentence beside each such field.
#[test]
fn a_role_that_may_edit_changes_neither_credentials_nor_the_users_of_an_app() {
    let world = World::new();
    let policy = ImpersonationPolicy::anyone();
    let jwt = JwtSettings::keys(keys()).with_issuer("i").with_impersonation(policy);
    let draft = code_app()
        .authentication(ClientAuthentication::PrivateKeyJwt(keys()))
        .flow(Flow::JwtBearer)
        .jwt(jwt);
    let (app, path) = registered(&world, draft);
    let stored = || world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    let console = console(&world);
    let (edit, security) = (Desk::new(&console, "edit"), Desk::new(&console, "security"));
    let settings = format!("{path}/settings");
    let sentence = "Your role may not change this.";
    assert!(!security.page(&settings).contains(sentence));
    assert!(!Desk::new(&console, "view").page(&settings).contains(sentence));
    let page = edit.page(&settings);
    check(&page, MOUNT);
    assert_eq!(page.matches(sentence).count(), 3);
    // The rest is saved, with the keys and the policy as they are.
    let fields = typed(&page);
    let before = stored();
    assert_eq!(edit.post(&settings, &with(&fields, &[("name", "Renamed")])).status, 303);
    let renamed = stored();
    assert_eq!(renamed.settings().name(), "Renamed");
    assert_eq!(renamed.settings().jwt(), before.settings().jwt());
    assert_eq!(renamed.settings().authentication(), before.settings().authentication());

    let other = serde_json::to_string(&keys()).unwrap();
    let fields = typed(&edit.page(&settings));
    for (field, changed) in [
        ("authentication", ("authentication", "client_secret")),
        ("client_keys", ("client_keys", &*other)),
        ("client_keys", ("client_keys_file", &other)),
        ("jwt_issuer", ("jwt_issuer", "j")),
        ("jwt_audience", ("jwt_audience", "https://other.example")),
        ("jwt_keys", ("jwt_keys", &other)),
        ("jwt_user_claim", ("jwt_user_claim", "email")),
        ("jwt_refresh_token", ("jwt_refresh_token", "on")),
        ("jwt_members", ("jwt_allow", "nobody")),
        ("jwt_members", ("jwt_except_subjects", "root")),
    ] {
        let refused = edit.post(&settings, &with(&fields, &[changed, ("name", "Typed")]));
        assert_eq!(refused.status, 422, "{changed:?}");
        check(&refused.body, MOUNT);
        let tags = tags(&refused.body);
        let error = format!("{field}_error");
        assert!(tags.iter().any(|tag| tag.attribute("id") == Some(&error)), "{changed:?}");
        assert_eq!(refused.body.matches(sentence).count(), 4, "{changed:?}");
        assert_eq!(value_of(&refused.body, "name"), "Typed");
        assert_eq!(stored().version(), renamed.version(), "{changed:?}");
    }
    // A guess of the next version does not help.
    let next = (renamed.version() + 1).to_string();
    let guess = [("version", &*next), ("authentication", "client_secret")];
    assert_eq!(edit.post(&settings, &with(&fields, &guess)).status, 409);
    // Neither a new app nor one without the flow gets it.
    let (other, path) = registered(&world, code_app());
    let settings = format!("{path}/settings");
    let fields = typed(&edit.page(&settings));
    let flow = with(&fields, &[("jwt_bearer", "on"), ("jwt_allow", "anyone")]);
    for below in [&*settings, "/new-app"] {
        let refused = edit.post(below, &flow);
        assert_eq!(refused.status, 422);
        assert!(refused.body.contains("Your role may not let an app act as users"));
    }
    let other = world.block_on(world.server.admin("x").find(&other.id)).unwrap().unwrap();
    assert!(!other.settings().allows(Flow::JwtBearer));
    assert_eq!(security.post(&settings, &flow).status, 303);
}

/// H2, H24: token exchange is allowed by the highest role only. Every rule of its policy has a field, and that of the issuers
/// is there if the server trusts some or the app names one.
#[test]
fn token_exchange_is_allowed_with_every_rule_of_its_policy() {
    let world = World::new();
    let (app, path) = registered(&world, machine_app());
    let stored = || world.block_on(world.server.admin("x").find(&app.id)).unwrap().unwrap();
    let console = console(&world);
    let (edit, security) = (Desk::new(&console, "edit"), Desk::new(&console, "security"));
    let settings = format!("{path}/settings");
    let typed_policy = [
        ("token_exchange", "on"),
        ("exchange_apps", "web\nphone"),
        ("exchange_targets", "https://files.example.com"),
        ("exchange_id_jag", "https://other.example.com orders a b api=https://api.example.com"),
        ("exchange_allow", "members"),
        ("exchange_subjects", "ann"),
        ("exchange_groups", "staff"),
    ];
    let fields = typed(&edit.page(&settings));
    let refused = edit.post(&settings, &with(&fields, &typed_policy));
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("Your role may not let an app act as users"));

    let mut wrong = typed_policy;
    (wrong[1].1, wrong[2].1, wrong[5].1) = (" web", "files", "\u{7f}");
    wrong[3].1 = "https://other.example.com orders api=files";
    let refused = security.post(&settings, &with(&fields, &wrong));
    check(&refused.body, MOUNT);
    for field in ["apps", "targets", "id_jag", "subjects"] {
        assert!(refused.body.contains(&format!("exchange_{field}_error")), "{field}");
    }

    assert_eq!(security.post(&settings, &with(&fields, &typed_policy)).status, 303);
    let policy = stored().settings().delegation().unwrap().clone();
    let json = serde_json::json!({
        "apps": ["web", "phone"],
        "targets": ["https://files.example.com"],
        "id_jag": [{
            "audience": "https://other.example.com",
            "client_id": "orders",
            "scope": "a b",
            "resources": ["https://api.example.com"],
        }],
        "users": { "allow": { "members": { "subjects": ["ann"], "groups": ["staff"] } } },
    });
    assert_eq!(policy, serde_json::from_value::<DelegationPolicy>(json).unwrap());
    let fields = typed(&security.page(&settings));
    let unchanged = security.post(&settings, &with(&fields, &[]));
    assert!(reported(&unchanged).ends_with("?done=unchanged"));
    assert!(!fields.iter().any(|(name, _)| name == "exchange_issuers"), "the server has none");
    let rest = [
        ("exchange_issuers", "https://idp.example"),
        ("exchange_impersonated", "on"),
        ("exchange_actors", "worker\nother"),
        ("exchange_max_actors", "2"),
        ("exchange_id_jag", "https://third.example.com wiki"),
        ("exchange_allow", "anyone"),
        ("exchange_except_subjects", "root"),
        ("exchange_except_groups", "admins"),
        ("exchange_limit", "listed"),
        ("exchange_scope", "a\nb"),
    ];
    for (field, value) in [("exchange_max_actors", "5"), ("exchange_max_actors", "two")] {
        let refused = security.post(&settings, &with(&fields, &[(field, value)]));
        check(&refused.body, MOUNT);
        assert!(refused.body.contains("exchange_max_actors_error"), "{}", refused.body);
    }
    for (field, value) in rest {
        let refused = edit.post(&settings, &with(&fields, &[(field, value), ("name", "Mine")]));
        let is_needed = matches!(field, "exchange_limit" | "exchange_scope");
        assert_eq!(refused.status == 303, field == "exchange_scope", "{field}");
        assert!(is_needed || refused.body.contains("Your role may not change this."), "{field}");
    }
    assert_eq!(stored().settings().delegation(), Some(&policy));
    let fields = typed(&security.page(&settings));
    assert_eq!(security.post(&settings, &with(&fields, &rest)).status, 303);
    let changed = stored().settings().delegation().unwrap().clone();
    let except = Members::subjects([subject("root")]).and_groups([Group::new("admins").unwrap()]);
    let expected = DelegationPolicy::new(policy.apps.clone(), policy.targets.clone())
        .with_issuers([EvidenceIssuer::new("https://idp.example").unwrap()])
        .with_impersonated(true)
        .with_actors(["worker", "other"].map(|app| ClientId::new(app).unwrap()))
        .with_max_actors(2)
        .with_id_jag([IdJagAudience::new(
            Issuer::new("https://third.example.com").unwrap(),
            ClientId::new("wiki").unwrap(),
        )])
        .with_users(ImpersonationPolicy::anyone().except(except).with_scope(scope("a b")));
    assert_eq!(changed, expected);
    let page = security.page(&settings);
    assert!(page.contains("name=\"exchange_issuers\""), "the app names one");
    assert!(reported(&security.post(&settings, &with(&typed(&page), &[]))).ends_with("unchanged"));
}
