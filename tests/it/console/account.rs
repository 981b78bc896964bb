//! The user's page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grantor::app::{AppDraft, Flow};
use grantor::audit::Actor;
use grantor::catalog::{ApiCatalog, Endpoint};
use grantor::endpoint::{AuthorizationError, AuthorizationRequest, ConsentPrompt, Login};
use grantor::hooks::NoHooks;
use grantor::http::console::{AccountAccess, AccountPages, ConsoleBrand};
use grantor::http::{Interaction, Page};
use grantor::ids::{RequestId, Source};
use grantor::protocol::ScopeToken;
use grantor::store::{MemoryStore, Store};
use grantor::users::{DirectoryError, MemoryUsers};
use http::request::Parts;
use http::{HeaderMap, Request, Response};

use super::hostile_texts::texts;
use super::html::{check, tags, value_of};
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{
    Answered, App, CALLBACK, Lines, Server, World, code_app, encode, new_key, public_app, scope,
    subject,
};

pub(super) const MOUNT: &str = "/my/apps";

/// Users are known by a cookie: `user=name.session`.
#[derive(Default)]
pub(super) struct Users {
    /// Whether the sessions of the host cannot be ended.
    is_broken: AtomicBool,
    ended: AtomicBool,
}

impl Interaction for Users {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let cookie = request.headers.get("cookie").map(|it| it.to_str().unwrap());
        let Some((name, session)) = cookie.and_then(|it| it.strip_prefix("user=")?.split_once('.'))
        else {
            return Ok(None);
        };
        if name == "broken" {
            return Err(DirectoryError::new("no directory"));
        }
        Ok(Some(Login::new(subject(name), session)))
    }

    async fn login_page(&self, parts: &Parts, asked: &AuthorizationRequest, to: &str) -> Page {
        Lines.login_page(parts, asked, to).await
    }

    async fn consent_page(&self, parts: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        Lines.consent_page(parts, prompt, action).await
    }

    async fn error_page(&self, parts: &Parts, error: &AuthorizationError) -> Page {
        Lines.error_page(parts, error).await
    }
}

impl AccountAccess for Users {
    async fn no_login(&self, request: &Parts) -> Page {
        let to = format!("/login?return_to={}", request.uri.path());
        Response::builder().status(303).header("location", to).body(Vec::new()).unwrap()
    }

    async fn end_sessions(&self, _: &Parts, login: &Login) -> Result<HeaderMap, DirectoryError> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(DirectoryError::new("planted"));
        }
        assert_eq!(login.subject().as_str(), "ann");
        self.ended.store(true, Ordering::Relaxed);
        let mut headers = HeaderMap::new();
        headers.insert("set-cookie", "user=; Max-Age=0".parse().unwrap());
        Ok(headers)
    }
}

pub(super) type Pages<S = MemoryStore> =
    AccountPages<Arc<S>, Arc<MemoryUsers>, NoHooks, Arc<Users>>;

pub(super) fn pages(world: &World) -> Pages {
    pages_of(&world.server, &Arc::default())
}

fn pages_of<S: Store>(server: &Arc<Server<S>>, users: &Arc<Users>) -> Pages<S> {
    AccountPages::new(Arc::clone(server), Arc::clone(users), MOUNT).unwrap()
}

/// A world whose catalog knows `a` and `b`.
fn world() -> World {
    let endpoint = |path: &str, scope: &str, title: &str| {
        let scope = ScopeToken::new(scope).unwrap();
        Endpoint::new("GET", path, scope).unwrap().with_title(title)
    };
    let catalog = ApiCatalog::new([endpoint("/a", "a", "Read A"), endpoint("/b", "b", "Read B")]);
    World::with(|builder| builder.catalog(catalog))
}

/// The browser of a user.
pub(super) struct Browser<'a, S = MemoryStore> {
    pages: &'a Pages<S>,
    cookie: String,
}

impl<'a, S: Store> Browser<'a, S> {
    pub(super) fn new(pages: &'a Pages<S>) -> Self {
        Self { pages, cookie: "user=ann.session of ann".to_owned() }
    }

    fn send(&self, request: Request<Vec<u8>>) -> Answered {
        pollster::block_on(self.pages.handle(request)).unwrap().into()
    }

    pub(super) fn request(&self, method: &str, below: &str) -> http::request::Builder {
        let uri = format!("{MOUNT}{below}");
        Request::builder().method(method).uri(uri).header("cookie", &self.cookie)
    }

    pub(super) fn get(&self, below: &str) -> Answered {
        self.send(self.request("GET", below).body(Vec::new()).unwrap())
    }

    #[track_caller]
    pub(super) fn page(&self, below: &str) -> String {
        let answer = self.get(below);
        assert_eq!(answer.status, 200, "{below}: {}", answer.body);
        check(&answer.body, MOUNT);
        answer.body
    }

    /// Returns the token of this session's forms.
    pub(super) fn token(&self) -> String {
        value_of(&self.page("/sign-out"), "token")
    }

    pub(super) fn post(&self, below: &str) -> Answered {
        self.post_with(below, &self.token())
    }

    fn post_with(&self, below: &str, token: &str) -> Answered {
        let request = self.request("POST", below).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(encode(&[("token", token)]).into_bytes()).unwrap())
    }
}

/// Follows the redirect after a form.
#[track_caller]
pub(super) fn location(answer: &Answered) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header("location").unwrap().strip_prefix(MOUNT).unwrap()
}

pub(super) fn removal(app: &App) -> String {
    format!("/remove/{}", app.id)
}

/// Z36: the page shows each app with its scope in words, since when, and its last use.
#[test]
fn a_user_sees_the_connected_apps_and_what_each_may_do() {
    let world = world();
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    let empty = ann.page("");
    assert!(empty.contains("No app keeps access to your account"));
    assert_eq!(tags(&empty).iter().filter(|tag| tag.name == "form").count(), 0);
    let (reports, phone) = (world.register(code_app()), world.register(public_app()));
    world.tokens(&reports);
    world.advance(3 * 86_400);
    let tokens = world.tokens(&phone);
    world.advance(7_200);
    assert_eq!(world.refresh(&phone, tokens.text("refresh_token")).status, 200);
    let page = ann.page("");
    for text in [
        "Reports",
        "Writes reports.",
        "Phone",
        "Read A",
        "Read B",
        "<code>c</code>",
        "3 days ago",
        "2 hours ago",
        "just now",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let links: Vec<_> = tags(&page)
        .into_iter()
        .filter_map(|tag| tag.attribute("href").map(str::to_owned))
        .filter(|link| link.contains("/remove/"))
        .collect();
    assert_eq!(links.len(), 2);
    // A user with another subject sees none of it, nor the pages that end it.
    let bob = Browser { pages: &pages, cookie: "user=bob.session of bob".to_owned() };
    assert!(bob.page("").contains("No app keeps access"));
    assert_eq!(bob.get(&removal(&reports)).status, 404);
    let admin = world.server.admin("tester");
    world.block_on(admin.disable(&reports.id)).unwrap();
    let page = ann.page("");
    assert!(!page.contains("Reports") && page.contains("Phone"), "its grants ended");
}

/// Z36: an app that is remembered, and one that is disabled, say so; a deleted app is gone.
#[test]
fn states_of_an_app_are_words() {
    let world = world();
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    let app = world.register(code_app());
    let login = Login::new(subject("ann"), "session");
    let login = login.with_moment(world.block_on(world.server.moment()).unwrap());
    let query = crate::support::code_query(&app, &crate::support::new_verifier(), &[]);
    let prompt = world.prompt(&query, &login);
    let (decision, caller) = (grantor::endpoint::Decision::approve(), <_>::default());
    world.block_on(world.server.decide(&prompt.ticket, &login, decision, caller)).unwrap();
    assert!(ann.page("").contains("it gets access again without a question"));
    let admin = world.server.admin("tester");
    world.block_on(admin.disable(&app.id)).unwrap();
    let page = ann.page("");
    assert!(page.contains("An administrator has disabled this app") && page.contains("Disabled"));
    check(&ann.page(&removal(&app)), MOUNT);
    world.block_on(admin.delete(&app.id)).unwrap();
    assert!(ann.page("").contains("No app keeps access"));
    let gone = ann.get(&removal(&app));
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("This app has no access"));
    check(&gone.body, MOUNT);
    assert_eq!(ann.post(&removal(&app)).status, 404);
}

/// Z36, H9: a removal has a page of its own, ends the access at once, says for how long a token may be accepted,
/// and is audited as the user's.
#[test]
fn a_user_removes_an_app_after_a_page_that_says_what_ends() {
    let world = world();
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    let (reports, phone) = (world.register(code_app()), world.register(public_app()));
    world.edit(&reports, |draft| draft.access_token_lifetime(600));
    let (tokens, kept) = (world.tokens(&reports), world.tokens(&phone));
    let page = ann.page(&removal(&reports));
    for text in ["Reports", "Read A", "for at most 10 minutes.", "has to ask you again"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!world.is_revoked(&tokens));
    let request = ann.request("POST", &removal(&reports));
    let request = request
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .extension(Source::new("192.0.2.7").unwrap())
        .extension(RequestId::new("request-7").unwrap());
    let form = encode(&[("token", &ann.token())]).into_bytes();
    let answer = ann.send(request.body(form).unwrap());
    let page = ann.page(location(&answer));
    for text in ["no longer has access", "ended at once", "for at most 10 minutes."] {
        assert!(page.contains(text), "{text}");
    }
    assert!(world.is_revoked(&tokens) && !world.is_revoked(&kept));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("withdraw_consent", "success"));
    assert_eq!(event.actor, Actor::User(subject("ann")));
    assert_eq!(event.source.unwrap().as_str(), "192.0.2.7");
    assert_eq!(event.request_id.unwrap().as_str(), "request-7");
    // A link cannot say that an app with access has none.
    let page = ann.page(&format!("?removed={}", phone.id));
    assert!(!page.contains("no longer has access"));
    assert!(!ann.page("?removed=unknown").contains("no longer has access"));
    // Nor does it tell the name of an app that never had access, with or without the mark of another removal.
    let secret = world.register(code_app().name("Secret plan"));
    let mark = location(&answer).split_once("&mark=").unwrap().1;
    for mark in ["", mark] {
        let page = ann.page(&format!("?removed={}&mark={mark}", secret.id));
        assert!(!page.contains("Secret plan"), "{page}");
    }
    assert!(page.contains("Not listed: apps that your administrator"));
    // A form that is sent twice is no problem.
    assert_eq!(ann.post(&removal(&reports)).status, 303);
}

/// Z36, H9: *Sign out everywhere* ends the sessions of the host and the access of every app.
#[test]
fn a_user_signs_out_everywhere() {
    let world = world();
    let users = Arc::new(Users::default());
    let pages = pages_of(&world.server, &users);
    let ann = Browser::new(&pages);
    let (reports, phone) = (world.register(code_app()), world.register(public_app()));
    world.edit(&reports, |draft| draft.access_token_lifetime(600));
    world.edit(&phone, |draft| draft.access_token_lifetime(1_200));
    let (first, second) = (world.tokens(&reports), world.tokens(&phone));
    let page = ann.page("/sign-out");
    assert!(page.contains("including this one") && page.contains("for at most 20 minutes."));
    users.is_broken.store(true, Ordering::Relaxed);
    let failed = ann.post("/sign-out");
    assert_eq!((failed.status, failed.header("retry-after")), (503, Some("10")));
    check(&failed.body, MOUNT);
    assert!(!world.is_revoked(&first));
    users.is_broken.store(false, Ordering::Relaxed);
    let answer = ann.post("/sign-out");
    assert_eq!(answer.status, 200, "{}", answer.body);
    check(&answer.body, MOUNT);
    assert!(answer.body.contains("You are signed out everywhere"));
    assert!(answer.body.contains("for at most 20 minutes."));
    assert_eq!(answer.header("set-cookie"), Some("user=; Max-Age=0"));
    assert!(users.ended.load(Ordering::Relaxed));
    assert!(world.is_revoked(&first) && world.is_revoked(&second));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.actor), ("revoke", Actor::User(subject("ann"))));
    // The style of this page needs no login.
    let style = tags(&answer.body).into_iter().find(|tag| tag.name == "link").unwrap();
    let style = style.attribute("href").unwrap().strip_prefix(MOUNT).unwrap();
    let stranger = Browser { pages: &pages, cookie: String::new() };
    assert_eq!(stranger.get(style).status, 200);
}

/// H2, H3: the page has no login of its own, and takes forms of its own session only.
#[test]
fn strangers_and_forged_forms_change_nothing() {
    let world = world();
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let stranger = Browser { pages: &pages, cookie: String::new() };
    for below in ["", "/sign-out", "/nothing", &removal(&app)] {
        let answer = stranger.get(below);
        let to = format!("/login?return_to={MOUNT}{below}");
        assert_eq!((answer.status, answer.header("location")), (303, Some(&*to)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let broken = Browser { pages: &pages, cookie: "user=broken.s".to_owned() };
    assert_eq!(broken.get("").status, 503);
    let events = world.events().len();
    let token = ann.token();
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[],
    ] {
        let mut request = ann.request("POST", &removal(&app));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let form = encode(&[("token", &token)]).into_bytes();
        let answer = ann.send(request.body(form).unwrap());
        assert_eq!(answer.status, 403, "{headers:?}");
        check(&answer.body, MOUNT);
    }
    let later = Browser { pages: &pages, cookie: "user=ann.another session".to_owned() };
    let bob = Browser { pages: &pages, cookie: "user=bob.session of ann".to_owned() };
    for token in ["", "guessed", &later.token(), &bob.token()] {
        for below in ["/sign-out", &removal(&app)] {
            let answer = ann.post_with(below, token);
            assert_eq!(answer.status, 403, "{token}");
            assert!(answer.body.contains("from an earlier session"));
        }
    }
    // A login without a session has nothing to bind a form to.
    let unbound = Browser { pages: &pages, cookie: "user=ann.".to_owned() };
    assert_eq!(unbound.post("/sign-out").status, 403);
    assert_eq!(world.events().len(), events);
    assert!(!world.is_revoked(&tokens));
    let put = ann.send(ann.request("PUT", "").body(Vec::new()).unwrap());
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
    let head = ann.send(ann.request("HEAD", "").body(Vec::new()).unwrap());
    assert_eq!((head.status, &*head.body), (200, ""));
}

/// H1, H4: every answer has the policy of the console, under any path.
#[test]
fn the_page_is_mounted_anywhere_and_has_the_headers_of_the_console() {
    let world = world();
    let app = world.register(code_app());
    world.tokens(&app);
    for (mount, prefix, path) in
        [("/account", "", "/account"), ("/", "", ""), ("/my/apps/", "/my", "/apps")]
    {
        let pages: Pages =
            AccountPages::new(Arc::clone(&world.server), Arc::default(), mount).unwrap();
        let pages = pages.behind_prefix(prefix).unwrap();
        assert_eq!(pages.path(), path);
        let request = Request::get(if path.is_empty() { "/" } else { path });
        let request = request.header("cookie", "user=ann.s").body(Vec::new()).unwrap();
        let answer = Answered::from(pollster::block_on(pages.handle(request)).unwrap());
        assert_eq!(answer.status, 200);
        check(&answer.body, mount.trim_end_matches('/'));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("form-action 'self'"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert!(
            pollster::block_on(pages.handle(Request::get("/other").body("").unwrap())).is_none()
                || path.is_empty()
        );
    }
}

/// H5: hostile texts of apps stay texts.
#[test]
fn the_page_shows_hostile_texts_as_texts() {
    for text in texts() {
        let world = World::new();
        let short: String = text.chars().take(90).collect();
        let draft = AppDraft::confidential(&short)
            .description(text.chars().take(1_000).collect::<String>())
            .flow(Flow::AuthorizationCode)
            .redirect_uri(grantor::RedirectUri::parse(CALLBACK).unwrap())
            .scope(scope("<script>alert(1)</script> javascript:alert(1)"));
        let app = world.register(draft);
        world.tokens(&app);
        let pages = pages(&world).with_brand(ConsoleBrand::new(&text));
        let ann = Browser::new(&pages);
        let page = ann.page("");
        assert!(tags(&page).iter().any(|tag| tag.name == "bdi" && tag.text == short.trim()));
        ann.page(&removal(&app));
        let query = encode(&[("removed", &short)]);
        let answer = ann.get(&format!("?{query}"));
        check(&answer.body, MOUNT);
        ann.page(location(&ann.post(&removal(&app))));
    }
}

/// A user with many abilities sees the first ones, and the rest behind a fold.
#[test]
fn a_long_list_of_abilities_is_folded() {
    let world = World::new();
    let tokens = |count: usize| {
        let tokens: Vec<_> = (0..count).map(|number| format!("t{number}")).collect();
        scope(&tokens.join(" "))
    };
    let pages = pages(&world);
    let ann = Browser::new(&pages);
    for (count, folds) in [(7, 0), (8, 1)] {
        let app = world.register(code_app().scope(tokens(count)));
        world.tokens(&app);
        let page = ann.page(&removal(&app));
        let folded = tags(&page).iter().filter(|tag| tag.name == "details").count();
        assert_eq!(folded, folds, "{count}");
        assert_eq!(page.matches("Use what it calls").count(), count);
    }
}

/// A store that fails is a page that says so, and the removal can be repeated.
#[test]
fn a_failed_removal_says_that_it_may_not_have_taken_effect() {
    let world = world();
    let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
    let server = world.beside(new_key(), Arc::clone(&store), Arc::clone(&world.users));
    let server = Arc::new(server.build());
    let pages = pages_of(&server, &Arc::default());
    let ann = Browser::new(&pages);
    let app = world.register(code_app());
    let tokens = world.tokens(&app);
    let token = ann.token();
    store.fail_before(Method::WithdrawConsent, 1);
    let answer = ann.post_with(&removal(&app), &token);
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("may or may not") && !answer.body.contains("planted"));
    check(&answer.body, MOUNT);
    assert_eq!(ann.post_with(&removal(&app), &token).status, 303);
    assert!(world.is_revoked(&tokens));
}
