//! *New app*.

use grantor::app::{
    AppSettings, AssertionKeys, ClientAuthentication, Flow, Impersonable, JwtSettings,
};
use grantor::audit::Actor;
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::ids::ClientId;
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::protocol::{InstanceHosts, ScopeToken};

use super::desk::{Desk, MOUNT, console};
use super::html::{check, tags};
use super::settings::typed;
use crate::support::{Answered, World};

/// The fields of a confidential app with the code flow.
pub(crate) const CODE_APP: &[(&str, &str)] = &[
    ("name", "Web shop"),
    ("description", "Sells\r\nthings."),
    ("authorization_code", "on"),
    ("authentication", "client_secret"),
    ("refresh_token", "on"),
    ("require_consent", "on"),
    ("redirect_uris", "https://shop.example/cb"),
    ("access_hours", "24"),
    ("access_minutes", "10"),
    ("refresh_days", "60"),
    ("other_scopes", "a b"),
    ("jwt_user_claim", "sub"),
    ("jwt_allow", "nobody"),
    ("jwt_signed_by", "secret"),
];

fn with<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let is_changed = |name: &str| changed.iter().any(|(other, _)| *other == name);
    let kept = CODE_APP.iter().filter(|(name, _)| !is_changed(name)).copied();
    kept.chain(changed.iter().copied()).filter(|(_, value)| !value.is_empty()).collect()
}

/// The settings of the app to which an answer leads.
fn created(world: &World, answer: &Answered) -> AppSettings {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let location = answer.header("location").unwrap();
    let id = location.strip_prefix(&format!("{MOUNT}/apps/")).unwrap();
    let id = ClientId::new(id.split(['/', '?']).next().unwrap()).unwrap();
    let app = world.block_on(world.server.admin("x").find(&id)).unwrap().unwrap();
    app.settings().clone()
}

fn public_key() -> (String, String) {
    let key = SigningKey::generate(Algorithm::ES256).unwrap().verifying_key();
    let set = serde_json::to_string(&VerifyingKeys::from(key)).unwrap();
    (set, SigningKey::generate_pem(Algorithm::ES256).unwrap().expose_secret().to_owned())
}

/// H15: the form registers the app that it shows, under the administrator's name.
#[test]
fn a_form_registers_the_app_that_it_describes() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let page = desk.page("/new-app");
    check(&page, MOUNT);
    let defaults = typed(&page);
    for (name, value) in
        [("access_hours", "1"), ("refresh_days", "60"), ("authorization_code", "on")]
    {
        assert!(defaults.contains(&(name.to_owned(), value.to_owned())), "{name}");
    }
    let settings = created(&world, &desk.post("/new-app", CODE_APP));
    assert_eq!((settings.name(), settings.description()), ("Web shop", "Sells\nthings."));
    assert_eq!(settings.flows(), [Flow::AuthorizationCode]);
    assert_eq!(settings.authentication(), &ClientAuthentication::ClientSecret);
    assert!(settings.issues_refresh_token() && settings.requires_consent());
    let lifetimes = (settings.access_token_lifetime(), settings.refresh_token_lifetime());
    assert_eq!(lifetimes, (86_400 + 600, 60 * 86_400));
    let events = world.events();
    let event = events.iter().find(|event| event.action.as_str() == "register_app").unwrap();
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
}

#[test]
fn a_jwt_bearer_app_gets_its_keys_pasted_or_as_a_file() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let (set, _) = public_key();
    let jwt = [
        ("authorization_code", ""),
        ("jwt_bearer", "on"),
        ("redirect_uris", ""),
        ("jwt_issuer", "https://backend.example"),
        ("jwt_audience", "https://as.example.com/x"),
        ("jwt_signed_by", "keys"),
        ("jwt_user_claim", "email"),
        ("jwt_allow", "members"),
        ("jwt_subjects", "ann\r\nbob"),
        ("jwt_groups", "staff"),
        ("jwt_except_groups", "admins"),
    ];
    let pasted = [&jwt[..], &[("jwt_keys", &*set)]].concat();
    let by_file = [&jwt[..], &[("jwt_keys", "ignored"), ("jwt_keys_file", &*set)]].concat();
    for (fields, is_multipart) in [(pasted, false), (by_file, true)] {
        let fields = with(&fields);
        let answer = if is_multipart {
            desk.send(multipart(&desk, "/new-app", &fields))
        } else {
            desk.post("/new-app", &fields)
        };
        let settings = created(&world, &answer);
        // The switch of a flow that was not chosen does not count.
        assert!(!settings.issues_refresh_token());
        let own = settings.jwt().unwrap();
        assert_eq!((own.issuer(), own.user_claim()), (Some("https://backend.example"), "email"));
        assert_eq!(own.audience(), Some("https://as.example.com/x"));
        assert!(
            matches!(own.assertion_keys(), AssertionKeys::Keys(keys) if keys.iter().count() == 1)
        );
        let policy = own.impersonation();
        let Impersonable::Members(members) = &policy.allow else { panic!("{policy:?}") };
        assert_eq!(
            (members.subjects.len(), members.groups.len(), policy.except.groups.len()),
            (2, 1, 1)
        );
    }
    let by_secret = with(&[("jwt_bearer", "on"), ("jwt_keys", "not read")]);
    let settings = created(&world, &desk.post("/new-app", &by_secret));
    assert_eq!(settings.jwt(), Some(&JwtSettings::signature_secret()));
}

/// A request as a browser sends a form with a file.
fn multipart(desk: &Desk<'_>, below: &str, fields: &[(&str, &str)]) -> http::Request<Vec<u8>> {
    let token = desk.token();
    let mut body = String::new();
    for (name, value) in [&[("token", &*token)], fields].concat() {
        let file = if name.ends_with("_file") {
            "; filename=\"keys.json\"\r\nContent-Type: application/json"
        } else {
            ""
        };
        body.push_str("----x\r\nContent-Disposition: form-data; name=\"");
        body.push_str(name);
        body.push('"');
        body.push_str(file);
        body.push_str("\r\n\r\n");
        body.push_str(value);
        body.push_str("\r\n");
    }
    body.push_str("----x--\r\n");
    desk.request("POST", &format!("{MOUNT}{below}"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "multipart/form-data; boundary=--x")
        .body(body.into_bytes())
        .unwrap()
}

#[test]
fn mistakes_stand_beside_their_fields_and_what_was_typed_stays() {
    let world = World::new();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let (_, private) = public_key();
    let long = "n".repeat(10_000);
    for (changed, field, sentence) in [
        (&[("name", "")][..], "name", "Give the app a name."),
        (&[("name", &*long)], "name", "Must have 1 to 100 characters"),
        (&[("description", &long)], "description", "Must have at most 1000 characters"),
        (&[("authorization_code", "")], "flows", "Choose at least one flow."),
        (&[("authentication", "")], "authentication", "Choose how the app proves who it is."),
        (&[("authentication", "none"), ("client_credentials", "on")], "flows", "for a public app"),
        (&[("authentication", "private_key_jwt")], "client_keys", "Paste a public key"),
        (
            &[("authentication", "private_key_jwt"), ("client_keys", &private)],
            "client_keys",
            "consider it leaked",
        ),
        (&[("redirect_uris", "")], "redirect_uris", "Add at least one URI"),
        (
            &[("redirect_uris", "https://a.example/\nhttp://b.example/")],
            "redirect_uris",
            "Line 2, http://b.example/: http is allowed on loopback only. Use https",
        ),
        (&[("redirect_uris", "http://localhost/")], "redirect_uris", "tick the box below"),
        (
            &[("redirect_uris", "javascript:alert(1)")],
            "redirect_uris",
            "its scheme is not one that an app owns",
        ),
        (&[("access_hours", "1.5")], "access", "Write whole numbers"),
        (
            &[("access_hours", "0"), ("access_minutes", "")],
            "access",
            "Must be 1 to 2592000 seconds.",
        ),
        (&[("refresh_days", "731")], "refresh", "Must be 1 to 63072000 seconds."),
        (&[("refresh_days", "99999999999")], "refresh", "Write whole numbers"),
        (&[("other_scopes", "a\n\"b\"")], "scope", "Line 2, "),
        (&[("jwt_bearer", "on"), ("jwt_signed_by", "keys")], "jwt_keys", "Paste a public key"),
        (
            &[("jwt_bearer", "on"), ("jwt_user_claim", "")],
            "jwt_user_claim",
            "Must be 1 to 64 bytes long.",
        ),
        (
            &[("jwt_bearer", "on"), ("jwt_authenticates", "on")],
            "jwt_authenticates",
            "Requires public keys.",
        ),
        (
            &[("jwt_bearer", "on"), ("jwt_allow", "members"), ("jwt_subjects", "a\n\u{7f}b")],
            "jwt_members",
            "Line 2, ",
        ),
    ] {
        let fields = with(changed);
        let answer = desk.post("/new-app", &fields);
        assert_eq!(answer.status, 422, "{changed:?}");
        check(&answer.body, MOUNT);
        let tags = tags(&answer.body);
        let place =
            tags.iter().position(|tag| tag.attribute("id") == Some(&*format!("{field}_error")));
        let place = place.unwrap_or_else(|| panic!("no mistake at {field}: {changed:?}"));
        let said: String = tags[place..place + 4].iter().map(|tag| tag.text.clone()).collect();
        assert!(said.contains(sentence), "{sentence}: {said}");
        // The cursor is in the first wrong field.
        let focused: Vec<_> =
            tags.iter().filter(|tag| tag.attribute("autofocus").is_some()).collect();
        assert!(focused.len() == 1 || field == "jwt_members", "{field}: {focused:?}");
        let again = typed(&answer.body);
        for (name, value) in fields {
            let value = value.trim().replace("\r\n", "\n");
            if !name.ends_with("_keys") && name != "token" {
                let found = again.iter().any(|(own, typed)| own == name && *typed == value);
                assert!(found || name == "authentication", "{name} {value:?} is lost: {again:?}");
            }
        }
    }
    assert!(world.events().iter().all(|event| event.action.as_str() != "register_app"));
}

#[test]
fn uris_are_explained_before_anything_is_saved() {
    let world = World::with(|builder| {
        builder.hosts(InstanceHosts::new(["a.example", "b.example"]).unwrap())
    });
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let uris =
        "https://%%HOST%%/cb\nhttps://c.example/cb\nhttp://127.0.0.1/cb\ncom.example.app:/cb";
    let answer = desk.post("/new-app", &with(&[("redirect_uris", uris), ("check", "on")]));
    assert_eq!(answer.status, 200);
    check(&answer.body, MOUNT);
    for text in [
        "https://a.example/cb",
        "https://b.example/cb",
        "your host names",
        "exactly this address",
        "any port on this machine",
        "an app on the device that has this scheme",
    ] {
        assert!(answer.body.contains(text), "{text}");
    }
    assert!(world.events().is_empty());
}

#[test]
fn scopes_are_ticked_in_the_catalog_or_written() {
    let endpoint = |method: &str, path: &str, scope: &str, title: &str| {
        let endpoint = Endpoint::new(method, path, ScopeToken::new(scope).unwrap()).unwrap();
        endpoint.with_title(title).with_group("Files")
    };
    let catalog = ApiCatalog::new([
        endpoint("GET", "/files", "files.read", "List files"),
        endpoint("GET", "/files/{id}", "files.read", "Read files"),
        endpoint("PUT", "/files/{id}", "files.write", "Write files"),
    ]);
    let world = World::with(|builder| builder.catalog(catalog));
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let page = desk.page("/new-app");
    check(&page, MOUNT);
    assert!(page.contains("List files, Read files"), "{page}");
    let ticked = with(&[("scope", "files.read"), ("other_scopes", "reports")]);
    let answer = desk.post("/new-app", &ticked);
    let settings = created(&world, &answer);
    assert_eq!(settings.scope().tokens().collect::<Vec<_>>(), ["files.read", "reports"]);
    let location = answer.header("location").unwrap().strip_prefix(MOUNT).unwrap();
    let path = location.split("/new-credentials").next().unwrap();
    let fields = typed(&desk.page(&format!("{path}/settings")));
    let of = |name: &str| {
        fields.iter().filter(|(own, _)| own == name).map(|(_, it)| &**it).collect::<Vec<_>>()
    };
    assert_eq!((of("scope"), of("other_scopes")), (vec!["files.read"], vec!["reports"]));
}
