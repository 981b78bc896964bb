//! Logins: their time, fresh logins, and the demands of an app.

use grantor::clock::UnixTime;
use grantor::endpoint::{AuthorizationError, Caller, Decision, Login, LoginNeeded, NextStep};
use grantor::error::{EndpointError, Fault};
use pollster::block_on;
use proptest::prelude::*;
use serde_json::json;

use crate::authorization_request::query;
use crate::consent::{approve, ask, code_of, decide, edit, rows};
use crate::support::{
    App, CALLBACK, ISSUER, START, World, ann, code_app, encode, parameters, redirected, shown,
    subject,
};

/// `ann`, logged in at this second.
fn ann_since(seconds: i64) -> Login {
    ann().with_auth_time(UnixTime::from_seconds(seconds))
}

/// R23: an access token states in seconds when the user logged in. A refresh does not change it,
/// even after another login.
#[test]
fn auth_time_is_in_the_token_and_survives_a_refresh() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (prompt, verifier) = ask(&world, &app, &[]);
    let login = ann().with_auth_time(UnixTime::from_millis((START - 100) * 1_000 + 999));
    let response = decide(&world, &prompt.ticket, &login, Decision::approve()).unwrap();
    assert_eq!(rows(&world)[0].auth_time, Some(UnixTime::from_seconds(START - 100)));
    let mut tokens = world.redeem(&app, &code_of(&response), &verifier);
    for _ in 0..5 {
        assert_eq!(tokens.claims()["auth_time"], json!(START - 100));
        world.advance(100);
        // Another login makes another grant.
        let (prompt, _) = ask(&world, &app, &[("prompt", "consent")]);
        decide(&world, &prompt.ticket, &ann_since(START), Decision::approve()).unwrap();
        tokens = world.refresh(&app, tokens.text("refresh_token"));
    }
}

/// If the host gives no login time, no token has one.
#[test]
fn without_a_login_time_from_the_host_the_token_has_no_auth_time() {
    let world = World::new();
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    assert_eq!(tokens.claims().get("auth_time"), None);
    let refreshed = world.refresh(&app, tokens.text("refresh_token"));
    assert_eq!(refreshed.claims().get("auth_time"), None);
}

fn prompt(
    world: &World,
    query: &str,
    login: Option<&Login>,
) -> Result<NextStep, AuthorizationError> {
    prompt_in(world, "browser", query, login)
}

fn prompt_in(
    world: &World,
    browser: &str,
    query: &str,
    login: Option<&Login>,
) -> Result<NextStep, AuthorizationError> {
    let request =
        block_on(world.server.authorization_request(query, Caller::default().at(&world.source)))?;
    block_on(world.server.authorize(request.with_browser(browser), login))
}

/// Asserts that the user has to log in, and returns the reason and the return query.
#[track_caller]
fn log_in(world: &World, query: &str, login: Option<&Login>) -> LoginNeeded {
    match prompt(world, query, login).unwrap() {
        NextStep::LogIn(needed) => needed,
        NextStep::AskConsent(_) | NextStep::Redirect(_) => {
            panic!("the user does not have to log in")
        }
    }
}

#[track_caller]
fn asked(world: &World, query: &str, login: &Login) -> String {
    match prompt(world, query, Some(login)).unwrap() {
        NextStep::AskConsent(prompt) => prompt.ticket,
        NextStep::LogIn(_) | NextStep::Redirect(_) => panic!("the user is not asked"),
    }
}

/// Asserts that the app gets `code` with `state` and `iss`, and the audit log the reason.
#[track_caller]
fn assert_told(world: &World, query: &str, login: Option<&Login>, code: &str, reason: &str) {
    let error = prompt(world, query, login).unwrap_err();
    let (to, parameters) = redirected(&error);
    assert_eq!((&*to, &*parameters["error"]), (CALLBACK, code), "{query}");
    assert_eq!((&*parameters["state"], &*parameters["iss"]), ("s", ISSUER));
    assert!(!parameters.contains_key("code"));
    world.assert_refused("grant", reason, None);
    let event = &world.events()[0];
    assert_eq!(
        (event.action.as_str(), event.actor.name()),
        ("authorize", login.map(|login| login.subject().as_str()),)
    );
}

/// Returns the marker of a query.
fn marker(query: &str) -> String {
    let mut parameters = parameters(&format!("https://as.example.com/?{query}"));
    parameters.remove("login_after").unwrap()
}

/// Without a login the user has to log in, and returns with the same query.
#[test]
fn without_a_login_the_user_has_to_log_in() {
    let world = World::new();
    let app = world.register(code_app().require_consent(false));
    let first = query(&app, &[("state", "a b&c"), ("ui_locales", "de"), ("scope", "a")]);
    let needed = log_in(&world, &first, None);
    assert_eq!(needed.return_query, first);
    assert_eq!(needed.request.app().settings().name(), "Reports");
    let event = &world.events()[0];
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("require_login", "success"));
    assert_eq!((event.actor.kind(), event.client_id.as_ref()), ("unknown", Some(&app.id)));
    assert_eq!(event.source, Some(world.source.clone()));
    // The request demands nothing of the login, so that its time may be unknown.
    let NextStep::Redirect(response) = prompt(&world, &first, Some(&ann())).unwrap() else {
        panic!("the user is asked");
    };
    assert_eq!(parameters(response.location())["state"], "a b&c");
    let logged = format!("{needed:?}");
    assert!(!logged.contains("a+b") && !logged.contains("a b"), "{logged}");
}

/// OpenID Connect Core section 3.1.2.1: `prompt=login` demands one more login of a logged-in user.
#[test]
fn a_demanded_login_is_demanded_once() {
    let world = World::new();
    let app = world.register(code_app());
    for demand in [("prompt", "login"), ("prompt", "consent login"), ("max_age", "0")] {
        let first = query(&app, &[demand, ("state", "s")]);
        for before in [None, Some(ann_since(START - 1)), Some(ann_since(START - 9_999))] {
            let needed = log_in(&world, &first, before.as_ref());
            assert!(needed.return_query.starts_with(&format!("{first}&login_after=glm_")));
            assert_eq!(world.events()[0].action.as_str(), "require_login");
            let back = needed.return_query;
            // A user who returns without a new login has to log in, with the same marker.
            for stale in [None, Some(&ann_since(START - 1))] {
                assert_eq!(log_in(&world, &back, stale).return_query, back);
            }
            // The first second counts, for a host that keeps no fractions.
            for since in [START, START + 1] {
                asked(&world, &back, &ann_since(since));
            }
            // Another user's login serves, too.
            let bob = Login::new(subject("bob"), "b").with_auth_time(UnixTime::from_seconds(START));
            asked(&world, &back, &bob);
        }
        // The first request still demands a login.
        world.advance(1);
        log_in(&world, &first, Some(&ann_since(START)));
        world.clock.set(UnixTime::from_seconds(START));
    }
}

/// A marker expires within an hour. Its time is that of the first demand, so that a slow host clock
/// demands at most a second login.
#[test]
fn a_marker_expires_after_an_hour() {
    let world = World::new();
    let app = world.register(code_app());
    let first = query(&app, &[("prompt", "login")]);
    let back = log_in(&world, &first, None).return_query;
    world.advance(3_599);
    assert_eq!(log_in(&world, &back, Some(&ann_since(START - 2))).return_query, back);
    asked(&world, &back, &ann_since(START + 5));
    world.advance(1);
    let again = log_in(&world, &back, Some(&ann_since(START + 3_599))).return_query;
    assert_ne!(again, back);
    assert_eq!(again.matches("login_after").count(), 1);
    asked(&world, &again, &ann_since(START + 3_600));
}

/// `max_age`: an older login is refused, to the second. A demanded login has a minute to return.
#[test]
fn a_login_older_than_max_age_is_refused() {
    let world = World::new();
    let app = world.register(code_app());
    let first = query(&app, &[("max_age", "100")]);
    asked(&world, &first, &ann_since(START));
    asked(&world, &first, &ann_since(START - 100));
    asked(&world, &first, &ann_since(START + 60));
    let back = log_in(&world, &first, Some(&ann_since(START - 101))).return_query;
    world.advance(101);
    log_in(&world, &back, Some(&ann_since(START)));
    asked(&world, &back, &ann_since(START + 1));

    let short = query(&app, &[("max_age", "1")]);
    let back = log_in(&world, &short, None).return_query;
    let login = ann_since(START + 101);
    world.advance(60);
    log_in(&world, &short, Some(&login));
    asked(&world, &back, &login);
    world.advance(1);
    log_in(&world, &back, Some(&login));
    for endless in ["18446744073709551615", "99999999999999999999999999"] {
        asked(&world, &query(&app, &[("max_age", endless)]), &ann_since(-START));
    }
}

/// If the host does not state the login time, another login would not help. The app gets an error;
/// the request neither loops nor passes.
#[test]
fn a_login_of_unknown_time_is_never_fresh() {
    let world = World::new();
    let app = world.register(code_app());
    for demand in [("prompt", "login"), ("max_age", "0"), ("max_age", "3600")] {
        let first = query(&app, &[demand, ("state", "s")]);
        let back = log_in(&world, &first, None).return_query;
        for query in [&first, &back] {
            assert_told(&world, query, Some(&ann()), "login_required", "auth_time_unknown");
        }
    }
    assert_eq!(rows(&world).len(), 0);
}

/// OpenID Connect Core section 3.1.2.6: with `prompt=none` no page is shown, and the app gets the
/// error of the page that would have been.
#[test]
fn with_prompt_none_the_app_gets_an_error_instead_of_a_page() {
    let world = World::new();
    let app = world.register(code_app());
    let login = ann_since(START - 100);
    let none = |more: &[(&str, &str)]| {
        query(&app, &[&[("prompt", "none"), ("state", "s"), ("scope", "a")], more].concat())
    };
    assert_told(&world, &none(&[]), None, "login_required", "login_required");
    assert_told(&world, &none(&[]), Some(&ann()), "consent_required", "consent_required");
    for late in ["0", "99"] {
        let late = none(&[("max_age", late)]);
        assert_told(&world, &late, Some(&login), "login_required", "login_required");
        assert_told(&world, &late, Some(&ann()), "login_required", "auth_time_unknown");
    }
    let in_time = none(&[("max_age", "100")]);
    assert_told(&world, &in_time, Some(&login), "consent_required", "consent_required");
    assert_eq!(rows(&world).len(), 0);
    let (prompted, _) = ask(&world, &app, &[("scope", "a")]);
    approve(&world, &prompted.ticket).unwrap();
    for silent in [none(&[]), in_time] {
        let NextStep::Redirect(response) = prompt(&world, &silent, Some(&login)).unwrap() else {
            panic!("a page is shown");
        };
        assert!(parameters(response.location()).contains_key("code"));
        assert_eq!(world.events()[0].action.as_str(), "issue_code");
    }
    let wider = none(&[("scope", "a b")]);
    let wider = wider.replacen("&scope=a&", "&", 1);
    assert_told(&world, &wider, Some(&login), "consent_required", "consent_required");
}

/// A marker belongs to one request, one app and one server. Any other is ignored, also in the query
/// it came from.
#[test]
fn a_marker_of_another_request_is_ignored() {
    let world = World::new();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let login = ann_since(START);
    let first = query(&app, &[("prompt", "login"), ("state", "s"), ("scope", "a b")]);
    let back = log_in(&world, &first, None).return_query;
    asked(&world, &back, &login);
    let ours = marker(&back);
    let (code, _) = world.code(&app);
    let (prompted, _) = ask(&world, &app, &[]);
    world.advance(10);
    let mut markers: Vec<String> = vec![
        String::new(),
        "glm_".to_owned(),
        "0".to_owned(),
        "9999999999".to_owned(),
        ours.replace("glm_", "gti_"),
        ours[4..].to_owned(),
        format!("{ours}A"),
        code.replace("gac_", "glm_"),
        prompted.ticket.replace("gti_", "glm_"),
        code,
        prompted.ticket,
        format!("glm_{}", "A".repeat(12_000)),
        marker(&log_in(&world, &query(&app, &[("prompt", "login")]), None).return_query),
        marker(&log_in(&world, &query(&other, &[("prompt", "login")]), None).return_query),
    ];
    markers.extend((4..ours.len()).map(|at| {
        let flipped = if &ours[at..=at] == "A" { "B" } else { "A" };
        format!("{}{flipped}{}", &ours[..at], &ours[at + 1..])
    }));
    for bad in markers {
        let bad = format!("{first}&{}", encode(&[("login_after", &bad)]));
        let needed = log_in(&world, &bad, Some(&login));
        assert_eq!(needed.return_query.matches("login_after").count(), 1, "{bad}");
    }
    let moved = |from: &str, to: &str| {
        assert!(back.contains(from), "{from} is not in {back}");
        log_in(&world, &back.replacen(from, to, 1), Some(&login));
    };
    for (from, to) in [
        ("state=s", "state=t"),
        ("&state=s", ""),
        ("&state=s", "&state=s&x=1"),
        ("scope=a+b", "scope=a"),
        ("prompt=login", "prompt=login+consent"),
        (app.id.as_str(), other.id.as_str()),
    ] {
        moved(from, to);
    }
    // The position of the marker in the query does not matter.
    asked(&world, &format!("{}&{first}", encode(&[("login_after", &ours)])), &login);
}

/// A marker is sealed with the server's secret, so that another server's is ignored.
#[test]
fn a_marker_of_another_server_is_ignored() {
    const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";
    let world = World::new();
    let app = world.register(code_app());
    let back = log_in(&world, &query(&app, &[("prompt", "login")]), None).return_query;
    let secret = || grantor::server_secret::ServerSecret::new(OTHER).unwrap();
    for (secret, known) in
        [(secret(), false), (secret().accepting(crate::support::ROOT).unwrap(), true)]
    {
        let server = world.sibling(secret);
        let request = block_on(server.authorization_request(&back, Caller::default())).unwrap();
        let request = request.with_browser("browser");
        let prompted = block_on(server.authorize(request, Some(&ann_since(START)))).unwrap();
        assert_eq!(matches!(prompted, NextStep::AskConsent(_)), known);
        assert_eq!(matches!(prompted, NextStep::LogIn(_)), !known);
    }
}

/// A query too long to return is shown an error before the login.
#[test]
fn a_query_too_long_to_return_is_refused_before_the_login() {
    let world = World::new();
    let app = world.register(code_app());
    let long = "é".repeat(8_000);
    let raw = format!("{}&x={long}&y={long}", query(&app, &[("prompt", "login")]));
    assert_eq!(shown(&prompt(&world, &raw, None).unwrap_err()), "invalid_request");
    asked(&world, &raw.replace("prompt=login", "prompt=consent"), &ann());
    let many = (0..58).map(|n| format!("&p{n}=1")).collect::<Vec<_>>().concat();
    let full = format!("{}{many}", query(&app, &[("prompt", "login")]));
    assert_eq!(shown(&prompt(&world, &full, None).unwrap_err()), "invalid_request");
    log_in(&world, &full.replace("prompt=login", "prompt=consent"), None);
}

/// If the app was disabled or lost its redirect URI meanwhile, no user is sent to log in or
/// redirected to it.
#[test]
fn a_disabled_app_sends_no_user_to_log_in() {
    let world = World::new();
    let app = world.register(code_app());
    let queries = [query(&app, &[]), query(&app, &[("prompt", "none")])];
    let requests = queries.map(|query| {
        block_on(world.server.authorization_request(&query, Caller::default())).unwrap()
    });
    let moved = grantor::protocol::RedirectUri::parse("https://app.example.com/new").unwrap();
    edit(&world, &app, |draft| draft.redirect_uris([moved]));
    for request in requests {
        let error = block_on(world.server.authorize(request, None)).unwrap_err();
        assert_eq!(shown(&error), "invalid_request");
    }
}

proptest! {
    /// Every return query gives the same request, and its marker is valid.
    #[test]
    fn a_return_query_reads_back_to_the_same_request(
        state in "[^\0]{0,40}",
        others in prop::collection::btree_map("x[^\0]{0,6}", "[^\0]{0,20}", 0..6),
        scopes in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3),
        demand in prop::sample::select(vec!["prompt=login", "max_age=0", "max_age=7", "prompt=consent", ""]),
        foreign in prop::option::of("[ -~]{0,20}"),
    ) {
        thread_local! {
            static WORLD: (World, App) = {
                let world = World::new();
                let app = world.register(code_app());
                (world, app)
            };
        }
        WORLD.with(|(world, app)| {
            let scopes = scopes.join(" ");
            let mut more: Vec<_> = others.iter().map(|(name, value)| (&**name, &**value)).collect();
            more.extend([("state", &*state), ("scope", &*scopes)]);
            more.extend(foreign.as_deref().map(|text| ("login_after", text)));
            let first = format!("{}&{demand}", query(app, &more));
            let needed = log_in(world, &first, None);
            let back = &needed.return_query;
            prop_assert!(back.is_ascii() && !back.contains(|c: char| c <= ' ' || c == '#'));
            let pairs = |query: &str| -> Vec<_> {
                let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
                pairs.filter(|(name, _)| name != "login_after").collect()
            };
            prop_assert_eq!(pairs(back), pairs(&first));
            let again = log_in(world, back, None);
            prop_assert_eq!(&again.return_query, back);
            prop_assert_eq!(again.request.scope(), needed.request.scope());
            prop_assert_eq!(again.request.redirect_uri(), needed.request.redirect_uri());
            let ticket = asked(world, back, &ann_since(START));
            let denied = decide(world, &ticket, &ann(), Decision::Deny).unwrap_err();
            let (_, told) = redirected(&denied);
            prop_assert_eq!(told.get("state").map_or("", |state| state), &state);
            Ok(())
        })?;
    }

    /// Arbitrary text is not a marker, and none panics.
    #[test]
    fn arbitrary_text_is_not_a_marker(text in "(glm_)?[A-Za-z0-9_-]{0,120}|[^\0]{0,40}") {
        let world = World::new();
        let app = world.register(code_app());
        let first = query(&app, &[("prompt", "login"), ("login_after", &text)]);
        log_in(&world, &first, Some(&ann_since(START + 1_000)));
    }
}

/// Z12: `prompt=select_account` sends also a user who is logged in to the login page, once.
#[test]
fn the_host_is_asked_to_let_the_user_choose_the_account() {
    let world = World::new();
    let app = world.register(code_app());
    for words in ["select_account", "select_account consent"] {
        let first = query(&app, &[("prompt", words)]);
        for login in [None, Some(ann())] {
            let needed = log_in(&world, &first, login.as_ref());
            assert!(needed.request.selects_account());
            // The host knows no login time. The user may choose the same account.
            asked(&world, &needed.return_query, &ann());
            asked(&world, &needed.return_query, &Login::new(subject("bob"), "session"));
            // Another request asks again.
            let other = format!("{}&x=y", needed.return_query);
            log_in(&world, &other, login.as_ref());
        }
    }
    let both = query(&app, &[("prompt", "login select_account")]);
    let needed = log_in(&world, &both, Some(&ann_since(START)));
    world.advance(2);
    log_in(&world, &needed.return_query, Some(&ann_since(START - 1)));
    asked(&world, &needed.return_query, &ann_since(START + 1));
    assert!(!log_in(&world, &query(&app, &[("prompt", "login")]), None).request.selects_account());
    assert_told(
        &world,
        &query(&app, &[("state", "s"), ("prompt", "login")]),
        Some(&ann()),
        "login_required",
        "auth_time_unknown",
    );
}

/// N14: the way back from a required login is bound to the browser that was sent there. A host that
/// names no browser gets an error that says so, not a marker for everyone.
#[test]
fn the_way_back_from_a_login_belongs_to_one_browser() {
    let world = World::new();
    let app = world.register(code_app());
    let step = |browser: &str, query: &str, login: &Login| {
        prompt_in(&world, browser, query, Some(login)).unwrap()
    };
    for demand in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "1")] {
        let first = query(&app, &[demand]);
        let NextStep::LogIn(needed) = step("one", &first, &ann_since(START - 100)) else {
            panic!("the user does not have to log in");
        };
        world.advance(60);
        // A login of another browser that is newer than the marker.
        let newer = ann_since(world.clock_now().as_seconds() - 30);
        let other = step("two", &needed.return_query, &newer);
        assert!(matches!(other, NextStep::LogIn(_)), "{demand:?}");
        let own = step("one", &needed.return_query, &newer);
        assert!(matches!(own, NextStep::AskConsent(_)), "{demand:?}");
        let request =
            block_on(world.server.authorization_request(&first, Caller::default())).unwrap();
        let old = ann_since(START - 100);
        let error = block_on(world.server.authorize(request, Some(&old))).unwrap_err();
        assert_eq!(shown(&error), "server_error");
        assert!(matches!(
            &error,
            AuthorizationError::Show { error: EndpointError::Failed(Fault::UnknownBrowser), .. }
        ));
    }
}
