//! A browser at the authorization endpoint.

use grantor::protocol::Scope;
use http::Request;

use super::Http;
use crate::support::{
    Answered, CALLBACK, START, code_app, code_query, encode, new_verifier, parameters, scope,
};

fn visit(http: &Http, uri: &str, cookie: Option<&str>) -> Answered {
    let mut request = Request::get(uri);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    http.send(request.body("").unwrap())
}

fn decide(http: &Http, cookie: &str, form: &[(&str, &str)], more: &[(&str, &str)]) -> Answered {
    let mut headers = vec![("cookie", cookie), ("host", "as.example.com")];
    headers.extend(more);
    http.post("/oauth/decision", &headers, &encode(form))
}

fn location(answer: &Answered) -> (String, std::collections::HashMap<String, String>) {
    assert_eq!(answer.status, 303, "{answer:?}");
    let location = answer.header("location").unwrap();
    (location.split('?').next().unwrap().to_owned(), parameters(location))
}

/// Sends a request that needs consent, and returns the ticket and the scopes of its page.
fn asked() -> (Http, String, String, grantor::protocol::CodeVerifier, crate::support::App) {
    let http = Http::new();
    let app = http.world.register(code_app());
    let verifier = new_verifier();
    let query = code_query(&app, &verifier, &[("state", "a b&c")]);
    let page = visit(&http, &format!("/oauth/authorize?{query}"), Some("ann"));
    assert_eq!(page.status, 200, "{page:?}");
    let parts: Vec<_> = page.body.split('|').map(str::to_owned).collect();
    assert_eq!(parts[0], "/oauth/decision");
    (http, parts[1].clone(), parts[2].clone(), verifier, app)
}

#[test]
fn a_user_logs_in_consents_and_lands_on_the_redirect_uri_with_a_code() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let verifier = new_verifier();
    let query = code_query(&app, &verifier, &[("state", "xyz")]);
    let login = visit(&http, &format!("/oauth/authorize?{query}"), None);
    assert_eq!(login.status, 200);
    let (_, return_to) = login.body.split_once('|').unwrap();
    assert!(return_to.starts_with("/oauth/authorize?"), "{return_to}");

    let consent = visit(&http, return_to, Some("ann"));
    let parts: Vec<_> = consent.body.split('|').collect();
    let mut form = vec![("ticket", parts[1]), ("decision", "approve")];
    form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
    let (uri, given) = location(&decide(&http, "ann", &form, &[]));
    assert_eq!(uri, CALLBACK);
    assert_eq!((given["state"].as_str(), given["iss"].as_str()), ("xyz", "https://as.example.com"));
    // The same form again, as by a double click, gives the same code.
    let (_, again) = location(&decide(&http, "ann", &form, &[]));
    assert_eq!(again["code"], given["code"]);
    let tokens = http.world.redeem(&app, &given["code"], verifier.expose_secret());
    assert_eq!(tokens.status, 200);
    let spent = decide(&http, "ann", &form, &[]);
    assert_eq!((spent.status, spent.body.as_str()), (400, "error already_decided"));
}

/// A27: a denial is redirected to the app.
#[test]
fn a_user_denies() {
    let (http, ticket, _, _, _) = asked();
    let denied = decide(&http, "ann", &[("ticket", &ticket), ("decision", "deny")], &[]);
    let (uri, given) = location(&denied);
    assert_eq!((uri.as_str(), given["error"].as_str()), (CALLBACK, "access_denied"));
    assert_eq!(given["state"], "a b&c");
}

#[test]
fn scopes_left_unticked_are_not_granted() {
    let (http, ticket, scopes, verifier, app) = asked();
    let first = scopes.split(' ').next().unwrap();
    let form = [("ticket", ticket.as_str()), ("decision", "approve"), ("scope", first)];
    let (_, given) = location(&decide(&http, "ann", &form, &[]));
    let tokens = http.world.redeem(&app, &given["code"], verifier.expose_secret());
    assert_eq!(tokens.text("scope"), first);

    let (http, ticket, _, _, _) = asked();
    let nothing = [("ticket", ticket.as_str()), ("decision", "approve")];
    let (_, given) = location(&decide(&http, "ann", &nothing, &[]));
    assert_eq!(given["error"], "access_denied");
}

#[test]
fn a_decision_needs_a_page_of_this_server_and_the_session_of_its_user() {
    let (http, ticket, scopes, _, _) = asked();
    let mut form = vec![("ticket", ticket.as_str()), ("decision", "approve")];
    form.extend(scopes.split(' ').map(|scope| ("scope", scope)));
    let refused = |cookie: &str, more: &[(&str, &str)]| {
        let answer = decide(&http, cookie, &form, more);
        assert_eq!((answer.status, answer.body.as_str()), (400, "error invalid_ticket"));
    };
    refused("ann", &[("sec-fetch-site", "cross-site")]);
    refused("ann", &[("sec-fetch-site", "same-site")]);
    refused("ann", &[("origin", "https://evil.example.com")]);
    refused("ann", &[("origin", "null")]);
    refused("bob", &[]);
    for (name, more) in [("decision", "maybe"), ("decision", ""), ("ticket", "gtk_x")] {
        let mut form = form.clone();
        form.retain(|(own, _)| *own != name);
        form.push((name, more));
        assert_eq!(decide(&http, "ann", &form, &[]).status, 400);
    }
    let same_origin = [("sec-fetch-site", "same-origin"), ("origin", "https://as.example.com")];
    assert_eq!(decide(&http, "ann", &form, &same_origin).status, 303);
}

/// A1, A3: without a trusted redirect URI the user gets an error page.
#[test]
fn an_unknown_app_or_redirect_uri_is_shown_and_never_redirected() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let verifier = new_verifier();
    let query = code_query(&app, &verifier, &[]);
    let elsewhere = query.replace("app.example.com", "evil.example.com");
    let unknown = query.replace(app.id.as_str(), "unknown");
    for (query, reason) in [
        (elsewhere, "redirect_uri"),
        (unknown, "unknown_client"),
        (String::new(), "missing_parameter"),
    ] {
        let page = visit(&http, &format!("/oauth/authorize?{query}"), Some("ann"));
        assert_eq!((page.status, page.body), (400, format!("error {reason}")));
        assert_eq!(page.headers.get("location"), None);
    }
}

#[test]
fn pages_cannot_be_framed_or_cached() {
    let (http, _, _, _, app) = asked();
    let query = code_query(&app, &new_verifier(), &[]);
    let authorize = format!("/oauth/authorize?{query}");
    for page in [
        visit(&http, &authorize, None),
        visit(&http, &authorize, Some("ann")),
        visit(&http, "/oauth/authorize", None),
    ] {
        assert_eq!(page.header("content-security-policy"), Some("frame-ancestors 'none'"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        // With `no-referrer` browsers would send `Origin: null` with the form.
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    }
}

#[test]
fn a_request_may_come_in_a_form() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[]);
    let page = http.post("/oauth/authorize", &[("cookie", "ann")], &query);
    assert!(page.status == 200 && page.body.starts_with("/oauth/decision|"), "{page:?}");
    let json = http.post("/oauth/authorize", &[("content-type", "application/json")], "{}");
    json.assert_error(400, "invalid_request");
}

#[test]
fn a_directory_failure_is_a_server_error() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[]);
    let page = visit(&http, &format!("/oauth/authorize?{query}"), Some("broken"));
    assert_eq!((page.status, page.body.as_str()), (500, "error failed"));
}

/// An app that requires a fresh login gets one, and the user is asked once.
#[test]
fn a_fresh_login_is_asked_for_once() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[("prompt", "login")]);
    let old = format!("ann@{}", START - 100);
    let page = visit(&http, &format!("/oauth/authorize?{query}"), Some(&old));
    let (what, return_to) = page.body.split_once('|').unwrap();
    assert!(what.starts_with("login for"), "{what}");
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap();
    let still_old = visit(&http, return_to, Some(&format!("{old}; {cookie}")));
    assert!(still_old.body.starts_with("login for"), "{still_old:?}");
    http.world.advance(5);
    let fresh = visit(&http, return_to, Some(&format!("ann@{}; {cookie}", START + 5)));
    assert!(fresh.body.starts_with("/oauth/decision|"), "{fresh:?}");

    let query = code_query(&app, &new_verifier(), &[("prompt", "none")]);
    let (_, given) = location(&visit(&http, &format!("/oauth/authorize?{query}"), None));
    assert_eq!(given["error"], "login_required");
    let (_, given) = location(&visit(&http, &format!("/oauth/authorize?{query}"), Some("ann")));
    assert_eq!(given["error"], "consent_required");
}

/// A decision refused before its ticket is opened is audited, too.
#[test]
fn a_decision_refused_unread_is_audited() {
    let (http, ticket, _, _, app) = asked();
    let form = [("ticket", ticket.as_str()), ("decision", "approve")];
    let query = code_query(&app, &new_verifier(), &[]);
    let last = |answer: Answered, status: u16| {
        assert_eq!(answer.status, status);
        let event = http.world.last_event();
        let outcome = (event.outcome.as_str(), event.outcome.reason().unwrap().to_owned());
        (event.action.as_str(), outcome.0, outcome.1)
    };
    let forged = decide(&http, "ann", &form, &[("sec-fetch-site", "cross-site")]);
    let expected = ("issue_code", "refused", "invalid_ticket".to_owned());
    assert_eq!(last(forged, 400), expected);
    let signed_out = http.post("/oauth/decision", &[], &encode(&form));
    assert_eq!(last(signed_out, 400), expected);
    let malformed = decide(&http, "ann", &form[1..], &[]);
    assert_eq!(last(malformed, 400).2, "missing_parameter");
    let (action, outcome, reason) = last(decide(&http, "broken", &form, &[]), 500);
    assert_eq!((action, outcome), ("issue_code", "failed"));
    assert!(reason.contains("no directory"), "{reason}");
    let broken = visit(&http, &format!("/oauth/authorize?{query}"), Some("broken"));
    let (action, outcome, _) = last(broken, 500);
    assert_eq!((action, outcome), ("authorize", "failed"));
}

/// Z39: a login returns to the authorization endpoint, and to no place that a stranger chose.
#[test]
fn a_way_back_from_the_login_leads_to_the_authorization_endpoint_only() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let leads_back = |path: &str| http.endpoints.server().is_return_to(path);
    for more in [&[][..], &[("prompt", "login")], &[("login_hint", "\u{e4} b\r\n&=//")]] {
        let query = code_query(&app, &new_verifier(), more);
        let page = visit(&http, &format!("/oauth/authorize?{query}"), None);
        let (_, return_to) = page.body.split_once('|').unwrap();
        assert!(return_to.starts_with("/oauth/authorize?") && leads_back(return_to), "{page:?}");
    }
    for foreign in [
        "",
        "/",
        "/oauth/authorize",
        "/oauth/authorize/?a",
        "/oauth/authorize.evil.example?a",
        "//evil.example/oauth/authorize?a",
        "https://evil.example/oauth/authorize?a",
        "https://as.example.com/oauth/authorize?a",
        "/\\evil.example?a",
        " /oauth/authorize?a",
        "/oauth/authorize?a\r\nset-cookie: b=c",
        "/oauth/authorize?a b",
        "/oauth/token?a",
    ] {
        assert!(!leads_back(foreign), "{foreign}");
    }
}

/// The form holds a field for each scope, up to the largest number that an app may have.
#[test]
fn a_user_consents_to_as_many_scopes_as_an_app_can_ask_for() {
    let http = Http::new();
    let all: Vec<_> = (0..Scope::MAX_TOKENS).map(|n| format!("files.read{n}")).collect();
    let app = http.world.register(code_app().scope(scope(&all.join(" "))));
    let query = code_query(&app, &new_verifier(), &[("scope", "")]);
    let page = visit(&http, &format!("/oauth/authorize?{query}"), Some("ann"));
    let parts: Vec<_> = page.body.split('|').collect();
    let mut form = vec![("ticket", parts[1]), ("decision", "approve"), ("remember", "yes")];
    form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
    assert_eq!(form.len(), 3 + Scope::MAX_TOKENS);
    let (_, given) = location(&decide(&http, "ann", &form, &[]));
    assert!(given.contains_key("code"), "{given:?}");
    form.extend([("scope", "a"); Scope::MAX_TOKENS]);
    assert_eq!(decide(&http, "ann", &form, &[]).status, 400);
}

/// T14: an oversized form is 413 at the authorization endpoint, too.
#[test]
fn a_form_that_is_too_large_is_413() {
    let http = Http::new();
    for uri in ["/oauth/authorize", "/oauth/decision"] {
        let request =
            Request::post(uri).header("content-type", "application/x-www-form-urlencoded");
        let answer = http.send(request.body(vec![0xff; 64 * 1024 + 1]).unwrap());
        assert_eq!((answer.status, answer.body.as_str()), (413, "error form_too_large"), "{uri}");
    }
}

/// N14: a cookie of the library's own binds the way back from a required login to one browser.
#[test]
fn a_cookie_binds_the_way_back_from_a_login() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[("prompt", "login")]);
    let uri = format!("/oauth/authorize?{query}");
    let old = format!("ann@{}", START - 100);
    let page = visit(&http, &uri, Some(&old));
    let cookie = page.header("set-cookie").unwrap().to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-grantor-browser=") && pair.len() == 23 + 22, "{pair}");
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
    let (_, return_to) = page.body.split_once('|').unwrap();
    http.world.advance(60);
    let new = format!("ann@{}", START + 30);
    // A victim follows the link, without the cookie or with one that an attacker planted.
    for cookies in [
        new.clone(),
        format!("{new}; __Host-grantor-browser={}", "A".repeat(22)),
        format!("{new}; {pair}x"),
        format!("{new}; x{pair}"),
        format!("{new}; __Host-grantor-browser="),
    ] {
        let page = visit(&http, return_to, Some(&cookies));
        assert!(page.body.starts_with("login for"), "{cookies}: {page:?}");
        assert!(page.header("set-cookie").is_some());
    }
    // The browser that was sent there, and another tab of it.
    let own = format!("{new}; {pair}");
    let page = visit(&http, &uri, Some(&own));
    assert_eq!(page.header("set-cookie"), Some(&*cookie));
    let page = visit(&http, return_to, Some(&own));
    assert!(page.body.starts_with("/oauth/decision|"), "{page:?}");
    assert_eq!(page.header("set-cookie"), None);
    // A request that demands nothing sets none.
    let query = code_query(&app, &new_verifier(), &[]);
    for cookies in [None, Some("ann")] {
        let page = visit(&http, &format!("/oauth/authorize?{query}"), cookies);
        assert_eq!((page.status, page.header("set-cookie")), (200, None));
    }
}

/// Z12: over HTTP, a user who is logged in visits the login page once and may come back as another.
#[test]
fn a_user_chooses_the_account_once() {
    let http = Http::new();
    let app = http.world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[("prompt", "select_account")]);
    let page = visit(&http, &format!("/oauth/authorize?{query}"), Some("ann"));
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let (login, return_to) = page.body.split_once('|').unwrap();
    assert_eq!(login, "login for Reports");
    for user in ["bob", "ann"] {
        let page = visit(&http, return_to, Some(&format!("{user}; {cookie}")));
        assert!(page.body.starts_with("/oauth/decision|"), "{page:?}");
    }
}
