//! The playground, as far as the server makes it. `tests/real_clients` runs it in a browser.

use std::sync::Arc;

use grantor::app::{ClientType, Flow, Pkce};
use grantor::audit::Actor;
use grantor::catalog::ApiCatalog;
use grantor::hooks::NoHooks;
use grantor::http::console::{Console, Playground};
use grantor::ids::{ClientId, Resource};
use grantor::protocol::{RedirectUri, ServerEndpoint, WebOrigin};
use grantor::resource_server::ResourceServer;
use grantor::store::{GrantFilter, Page, RevocationTarget};

use super::desk::{Desk, Desks, MOUNT, Staff, console, reported};
use super::html::{check, tags};
use crate::support::{App, World, code_query, new_verifier, scope, subject};

const CALLBACK: &str = "https://as.example.com/admin/oauth/playground/callback";

pub(super) fn with_playground(world: &World) -> Desks {
    console(world).with_playground(Playground::new())
}

fn catalog() -> ApiCatalog {
    serde_json::from_str(
        r#"{"base_path": "/rest", "endpoints": [
            {"method": "GET", "path": "/files/{id}", "scope": "GET/files/*", "title": "See a <file>", "group": "Files"},
            {"method": "PUT", "path": "/files/{*path}", "scope": "PUT/files/*", "group": "Files"},
            {"method": "GET", "path": "/calls/{call-sid}.json", "scope": "calls"}
        ]}"#,
    )
    .unwrap()
}

fn with_catalog() -> World {
    let api = Resource::new("https://api.example.com/rest").unwrap();
    let api = ResourceServer::new(api, ClientId::new("api").unwrap());
    World::<NoHooks>::with(|builder| builder.catalog(catalog()).resource_server(api))
}

/// The playground's app as its page knows it.
fn own_app() -> App {
    let id = ClientId::new(Playground::CLIENT_ID).unwrap();
    App { id, secret: None, signature_secret: None }
}

/// The attribute of the element that the script reads.
fn attribute(page: &str, name: &str) -> String {
    let tags = tags(page);
    let root = tags.iter().find(|tag| tag.attribute("id") == Some("playground"));
    root.unwrap_or_else(|| panic!("{page}")).attribute(name).unwrap().to_owned()
}

/// H18: without the switch there is no path, no link and no script.
#[test]
fn the_playground_is_off_unless_the_host_switches_it_on() {
    let world = with_catalog();
    let off = console(&world);
    let on = with_playground(&world);
    let (desk, with) = (Desk::new(&off, "security"), Desk::new(&on, "security"));
    assert_eq!(with.post("/playground/app", &[]).status, 303);
    let page = with.page("/playground");
    let script = tags(&page).into_iter().filter_map(|tag| tag.attribute("src").map(str::to_owned));
    let script = script.into_iter().find(|it| it.contains("/playground-")).unwrap();
    let script = script.strip_prefix(MOUNT).unwrap();
    assert_eq!(with.get(script).status, 200);
    for below in ["/playground", "/playground/callback", script] {
        assert_eq!(desk.get(below).status, 404, "{below}");
    }
    assert_eq!(desk.post("/playground/app", &[]).status, 404);
    assert!(!desk.page("/apps").contains("/playground"));
    assert!(with.page("/apps").contains("/playground"));
}

/// H18: the app is registered by one button, public and with PKCE, audited under the administrator's name.
#[test]
fn one_button_registers_the_playgrounds_app() {
    let world = with_catalog();
    let console = with_playground(&world);
    let view = Desk::new(&console, "view");
    let page = view.page("/playground");
    check(&page, MOUNT);
    assert!(
        page.contains("needs an app of its own") && !page.contains("method=\"post\""),
        "{page}"
    );
    assert_eq!(view.post("/playground/app", &[]).status, 403);
    let desk = Desk::new(&console, "edit");
    let page = desk.page("/playground");
    check(&page, MOUNT);
    assert!(page.contains("Register the playground"), "{page}");

    let answer = desk.post("/playground/app", &[]);
    assert_eq!(reported(&answer), format!("{MOUNT}/playground?done=playground-ready"));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("import_app", "success"));
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    let app = world.block_on(world.server.admin("x").find(&own_app().id)).unwrap().unwrap();
    let settings = app.settings();
    assert_eq!((settings.client_type(), settings.pkce()), (ClientType::Public, Pkce::Required));
    assert_eq!(settings.flows(), [Flow::AuthorizationCode]);
    assert_eq!(settings.redirect_uris(), [RedirectUri::parse(CALLBACK).unwrap()]);
    assert_eq!(settings.scope(), &scope("GET/files/* PUT/files/* calls"));
    assert_eq!(settings.resources()[0].as_str(), "https://api.example.com/rest");
    assert!(settings.issues_refresh_token() && settings.requires_consent());
    assert!(app.credentials().client_secrets.is_empty());

    // A second press, from a page that another administrator had open, changes nothing.
    let again = desk.post("/playground/app", &[]);
    let here = format!("{MOUNT}/playground");
    assert_eq!((again.status, again.header("location")), (303, Some(&*here)));
    let page = view.page("/playground");
    check(&page, MOUNT);
    for (name, value) in [
        ("data-authorize", "https://as.example.com/oauth/authorize"),
        ("data-token", "https://as.example.com/oauth/token"),
        ("data-revoke", "https://as.example.com/oauth/revoke"),
        ("data-issuer", "https://as.example.com"),
        ("data-client", Playground::CLIENT_ID),
        ("data-redirect", CALLBACK),
    ] {
        assert_eq!(attribute(&page, name), value);
    }
}

/// H20: the page offers the endpoints of the catalog, and its policy allows calls of the issuer and the listed APIs.
/// No other page may call anything.
#[test]
fn only_the_page_of_the_playground_may_call_and_only_the_listed_origins() {
    let world = with_catalog();
    let listed = WebOrigin::new("https://api.example.com").unwrap();
    let console = console(&world).with_playground(Playground::new().with_api(listed));
    let desk = Desk::new(&console, "edit");
    desk.post("/playground/app", &[]);
    let answer = desk.get("/playground");
    let policies: Vec<_> = answer.headers.get_all("content-security-policy").iter().collect();
    assert_eq!(
        policies,
        [
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
          frame-ancestors 'none'; base-uri 'none'; connect-src 'self' https://as.example.com https://api.example.com"
        ]
    );
    for below in ["/apps", "/playground/callback", &format!("/apps/{}", Playground::CLIENT_ID)] {
        let policy = desk.get(below).header("content-security-policy").unwrap().to_owned();
        assert!(!policy.contains("connect-src"), "{below}: {policy}");
    }
    let tags = tags(&answer.body);
    let calls = tags.iter().filter_map(|tag| {
        let of = |name| tag.attribute(name);
        Some((of("data-method")?, of("data-path")?, of("data-scope")?))
    });
    assert_eq!(
        calls.collect::<Vec<_>>(),
        [
            ("GET", "/rest/calls/{call-sid}.json", "calls"),
            ("GET", "/rest/files/{id}", "GET/files/*"),
            ("PUT", "/rest/files/{*path}", "PUT/files/*"),
        ]
    );
    let parts: Vec<_> = tags.iter().filter_map(|tag| tag.attribute("data-part")).collect();
    assert_eq!(parts, ["call-sid", "id", "*path"]);
    let bodies = tags.iter().filter(|tag| tag.attribute("data-body").is_some()).count();
    assert_eq!(bodies, 1, "only PUT has a body");
    let origins = tags.iter().skip_while(|tag| tag.attribute("id") != Some("origin")).skip(1);
    let origins: Vec<_> =
        origins.take_while(|tag| tag.name == "option").map(|tag| &*tag.text).collect();
    assert_eq!(origins, ["https://as.example.com", "https://api.example.com"]);
}

/// H19: the script has no storage, no markup from texts, and no address with a token. The page that receives the code
/// neither repeats it nor tells it to others.
#[test]
fn tokens_have_no_place_but_the_memory_of_the_page() {
    let world = with_catalog();
    let console = with_playground(&world);
    let desk = Desk::new(&console, "edit");
    desk.post("/playground/app", &[]);
    let page = desk.page("/playground");
    let script = tags(&page).into_iter().filter_map(|tag| tag.attribute("src").map(str::to_owned));
    let script = script.into_iter().find(|it| it.contains("/playground-")).unwrap();
    let script = desk.get(script.strip_prefix(MOUNT).unwrap());
    assert_eq!(script.header("cache-control"), Some("private, max-age=31536000, immutable"));
    for other in [
        "localStorage",
        "sessionStorage",
        "indexedDB",
        "document.cookie",
        "caches",
        "pushState",
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "DOMParser",
        "eval(",
        "new Function",
        "console.",
        "http:",
        "https:",
        "import",
        "WebSocket",
        "sendBeacon",
        "XMLHttpRequest",
    ] {
        assert!(!script.body.contains(other), "the script has {other}");
    }
    assert_eq!(script.body.matches("fetch(").count(), 1);
    let callback = desk.get("/playground/callback?code=the-code&state=the-state&iss=x");
    assert_eq!((callback.status, callback.header("referrer-policy")), (200, Some("no-referrer")));
    assert_eq!(callback.header("cache-control"), Some("no-store"));
    check(&callback.body, MOUNT);
    assert!(!callback.body.contains("the-code") && !callback.body.contains("the-state"));
}

/// H18: an app that does not fit is not used, and the page says what to change.
#[test]
fn an_app_that_does_not_fit_is_named_with_what_to_change() {
    type Change = fn(&World, &App);
    let cases: [(&str, Change); 4] = [
        ("disabled", |world, app| {
            world.block_on(world.server.admin("x").disable(&app.id)).unwrap();
        }),
        ("not a public app with the code flow", |world, app| {
            world.block_on(world.server.admin("x").delete(&app.id)).unwrap();
            world.import(Playground::CLIENT_ID, crate::support::code_app());
        }),
        ("does not have the redirect URI", |world, app| {
            let other = RedirectUri::parse("https://other.example.com/cb").unwrap();
            world.edit(app, |draft| draft.redirect_uris([other.clone()]));
        }),
        ("are not asked whether they agree", |world, app| {
            world.edit(app, |draft| draft.require_consent(false));
        }),
    ];
    for (words, change) in cases {
        let world = with_catalog();
        let console = with_playground(&world);
        let desk = Desk::new(&console, "edit");
        desk.post("/playground/app", &[]);
        change(&world, &own_app());
        let page = desk.page("/playground");
        check(&page, MOUNT);
        assert!(page.contains(words), "{words}: {page}");
        assert!(!page.contains("data-token") && !page.contains("method=\"post\""), "{page}");
        assert_eq!(page.contains(CALLBACK), words.contains("redirect"));
        assert!(page.contains(&format!("{MOUNT}/apps/{}", Playground::CLIENT_ID)));
    }
    let world = World::<NoHooks>::with(|builder| {
        let paths = grantor::protocol::Paths::default();
        builder.paths(paths.without(ServerEndpoint::Authorization))
    });
    let console = with_playground(&world);
    let page = Desk::new(&console, "edit").page("/playground");
    check(&page, MOUNT);
    assert!(page.contains("The host has not mounted both"), "{page}");
    let plain = WebOrigin::new("capacitor://localhost").unwrap();
    let console = Console::new(Arc::clone(&world.server), Staff, MOUNT).unwrap();
    let console = console.with_playground(Playground::new().with_console_origin(plain));
    let desk = Desk::new(&console, "edit");
    assert!(desk.page("/playground").contains("by https, or on this machine"));
    assert_eq!(desk.post("/playground/app", &[]).status, 400);
}

/// H23: a token of the playground is an ordinary grant, which is listed, and revoked with the user.
#[test]
fn a_token_of_the_playground_is_an_ordinary_grant() {
    let world = with_catalog();
    let console = with_playground(&world);
    Desk::new(&console, "edit").post("/playground/app", &[]);
    let (app, verifier) = (own_app(), new_verifier());
    let query = code_query(&app, &verifier, &[("redirect_uri", CALLBACK), ("scope", "calls")]);
    let back = world.approve(&query).unwrap();
    assert_eq!(back["iss"], "https://as.example.com");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*back["code"]),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.expose_secret()),
    ];
    let tokens = world.post(&app, &form);
    assert_eq!((tokens.status, tokens.text("scope")), (200, "calls"));
    let admin = world.server.admin("tester");
    let filter = GrantFilter::default();
    let grants = world.block_on(admin.grants(&filter, Page::first(10))).unwrap().items;
    assert_eq!((grants.len(), &grants[0].client_id), (1, &app.id));
    assert!(!world.is_revoked(&tokens));
    let viewer = Desk::new(&console, "view");
    let told = |token: &str| {
        let answer = viewer.post("/playground/introspect", &[("presented", token)]);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        answer.body
    };
    let active = told(tokens.text("access_token"));
    assert!(
        active.contains("\"active\":true") && active.contains("\"scope\":\"calls\""),
        "{active}"
    );
    let other = world.register(crate::support::code_app());
    for foreign in ["", "x", world.tokens(&other).text("access_token")] {
        assert_eq!(told(foreign), "{\"active\":false}");
    }
    let without = [("presented", tokens.text("access_token"))];
    assert_eq!(viewer.post_with("/playground/introspect", "x", &without).status, 403);
    let user = RevocationTarget::Subject(subject("ann"));
    world.block_on(admin.revoke(user)).unwrap();
    assert!(world.is_revoked(&tokens));
    assert_eq!(told(tokens.text("access_token")), "{\"active\":false}");
    world.refresh(&app, tokens.text("refresh_token")).assert_error(400, "invalid_grant");
}
