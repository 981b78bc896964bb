//! Access ends at each await of a request: nothing that the request gets lives, and nothing is dead on arrival.

use std::sync::{Arc, Mutex};

use grantor::AuthorizationServer;
use grantor::endpoint::{
    AuthorizationError, AuthorizationRequest, ConsentPrompt, FormRequest, Login,
};
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::http::{HttpEndpoints, Interaction, Page};
use grantor::ids::{ClientId, GrantId, Subject};
use grantor::rate_limit::RateLimits;
use grantor::store::{MemoryStore, RevocationTarget};
use grantor::users::{DirectoryError, MemoryUsers, User, UserDirectory};
use http::Request;
use http::request::Parts;
use pollster::block_on;
use serde_json::json;

use crate::assertions::{JWT_BEARER, backend_app, backend_jwt};
use crate::ends::End;
use crate::faulty_store::{FaultyStore, Method};
use crate::support::{
    Answer, Answered, App, CALLBACK, Lines, World, body_of, code_app, code_query, encode,
    machine_app, new_key, new_verifier, parameters, subject,
};

/// A step of another process, which happens once.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<Act>>>);

type Act = Box<dyn FnOnce() + Send>;

impl Meanwhile {
    fn set(&self, act: Act) {
        *self.0.lock().unwrap() = Some(act);
    }

    fn happen(&self) {
        let act = self.0.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
    }
}

/// A directory whose answer is under way while others act.
struct SlowUsers(Arc<MemoryUsers>, Meanwhile);

impl UserDirectory for SlowUsers {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        let found = self.0.find_user(subject).await;
        self.1.happen();
        found
    }
}

struct SlowHook(Meanwhile);

impl Hooks for SlowHook {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        self.0.happen();
        Ok(HookAnswer::Issue)
    }
}

/// A host that takes long to check a session.
struct SlowPages(Meanwhile);

impl Interaction for SlowPages {
    async fn login(&self, request: &Parts) -> Result<Option<Login>, DirectoryError> {
        let login = Lines.login(request).await;
        self.0.happen();
        login
    }

    async fn login_page(&self, request: &Parts, asked: &AuthorizationRequest, to: &str) -> Page {
        Lines.login_page(request, asked, to).await
    }

    async fn consent_page(&self, request: &Parts, prompt: &ConsentPrompt, action: &str) -> Page {
        Lines.consent_page(request, prompt, action).await
    }

    async fn error_page(&self, request: &Parts, error: &AuthorizationError) -> Page {
        Lines.error_page(request, error).await
    }
}

/// An await of a request. The step happens after the read, and before the request goes on.
#[derive(Clone, Copy, Debug)]
enum Await {
    Store(Method),
    Directory,
    Hook,
    Login,
}

use Await::{Directory, Hook, Login as Session, Store};

/// Ends access as an administrator of another process. The host deactivates the user meanwhile, and makes the
/// user active again, so that nothing but the revocation ends the access.
fn end_access(world: &World, how: End, app: &ClientId, grant: Option<GrantId>) {
    let ann = block_on(world.users.find_user(&subject("ann"))).unwrap().unwrap();
    world.users.put(ann.clone().with_active(false));
    how.happen(&world.server, app, grant);
    world.users.put(ann);
}

type Process = AuthorizationServer<Arc<FaultyStore>, SlowUsers, SlowHook>;

/// A process whose awaits are interrupted, beside another that ends access.
struct Scene {
    world: Arc<World>,
    process: Arc<Process>,
    directory: Meanwhile,
    hook: Meanwhile,
    session: Meanwhile,
    happened: Meanwhile,
}

impl Scene {
    fn new() -> Self {
        let world = World::unlimited();
        let [directory, hook, session, happened] = [(); 4].map(|()| Meanwhile::default());
        let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
        let process = world
            .beside(new_key(), store, SlowUsers(Arc::clone(&world.users), directory.clone()))
            .rate_limits(RateLimits::none())
            .hooks(SlowHook(hook.clone()))
            .build();
        let (world, process) = (Arc::new(world), Arc::new(process));
        Self { world, process, directory, hook, session, happened }
    }

    /// Ends access at the next `place`.
    fn interrupt(&self, place: Await, how: End, app: &App, grant: Option<GrantId>) {
        let (world, id, happened) =
            (Arc::clone(&self.world), app.id.clone(), self.happened.clone());
        happened.set(Box::new(|| ()));
        let act = Box::new(move || {
            end_access(&world, how, &id, grant);
            happened.happen();
        });
        match place {
            Store(method) => self.process.store().meanwhile(method, act),
            Directory => self.directory.set(act),
            Hook => self.hook.set(act),
            Session => self.session.set(act),
        }
    }

    fn has_happened(&self) -> bool {
        self.happened.0.lock().unwrap().is_none()
    }

    fn ask(&self, app: &App, form: &[(&str, &str)]) -> Answer {
        let body = body_of(app, form);
        Answer::from(block_on(self.process.token(&FormRequest::new(&body))))
    }

    /// Asserts that an answer gives nothing that lives.
    fn is_dead(&self, answer: &Answer, app: &App, what: &str) {
        assert!(self.has_happened(), "{what}: there is no such await");
        if answer.status != 200 {
            if !what.contains("Deleted") {
                answer.assert_error(400, "invalid_grant");
            }
            return;
        }
        assert!(self.world.is_revoked(answer), "{what}: a token survives");
        if let Some(token) = answer.json.get("refresh_token") {
            assert_ne!(self.world.refresh(app, token.as_str().unwrap()).status, 200, "{what}");
        }
    }

    fn is_alive(&self, answer: &Answer, what: &str) {
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert!(!self.world.is_revoked(answer), "{what}: dead on arrival");
    }
}

/// N1, R20, G16: a code and a refresh token are as old as the decision of the user.
#[test]
fn no_code_and_no_refresh_token_outlives_an_end_at_any_await() {
    let scene = Scene::new();
    let codes = [Method::FindApp, Method::FindGrant, Method::RedeemCode];
    let tokens = [Method::FindApp, Method::FindGrant, Method::Rotate];
    for (refreshes, methods) in [(false, codes), (true, tokens)] {
        for place in methods.map(Store).into_iter().chain([Directory, Hook]) {
            for end in End::ALL {
                let app = scene.world.register(code_app());
                let what = format!("{end:?} at {place:?}, refresh: {refreshes}");
                let answer = if refreshes {
                    let tokens = scene.world.tokens(&app);
                    let grant = tokens.claims()["grant_id"].as_str().unwrap().parse().unwrap();
                    scene.interrupt(place, end, &app, Some(grant));
                    let token = ("refresh_token", tokens.text("refresh_token"));
                    scene.ask(&app, &[("grant_type", "refresh_token"), token])
                } else if end == End::Grant {
                    // No party knows the grant of a code yet.
                    continue;
                } else {
                    let (code, verifier) = scene.world.code(&app);
                    scene.interrupt(place, end, &app, None);
                    let form = [
                        ("grant_type", "authorization_code"),
                        ("code", &code),
                        ("redirect_uri", CALLBACK),
                        ("code_verifier", &verifier),
                    ];
                    scene.ask(&app, &form)
                };
                scene.is_dead(&answer, &app, &what);
                if end != End::Deleted {
                    scene.is_alive(&scene.world.tokens(&app), &what);
                }
            }
        }
    }
}

/// N1: the user is active when the directory answers, and access ends before the claim. The token is
/// refused, with its assertion unused, or void; the next one lives.
#[test]
fn no_impersonation_outlives_an_end_at_any_await() {
    let scene = Scene::new();
    let methods = [Method::FindApp, Method::ClaimAssertion];
    for place in methods.map(Store).into_iter().chain([Directory, Hook]) {
        for refreshes in [false, true] {
            for end in End::ALL.into_iter().filter(|end| *end != End::Grant) {
                let jwt = backend_jwt().with_refresh_token(refreshes);
                let app = scene.world.register(backend_app().refresh_token(refreshes).jwt(jwt));
                let what = format!("{end:?} at {place:?}, refresh: {refreshes}");
                let assertion = scene.world.assertion(&app, &json!({}));
                let form = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
                scene.interrupt(place, end, &app, None);
                let answer = scene.ask(&app, &form);
                scene.is_dead(&answer, &app, &what);
                assert_eq!(
                    answer.json.get("refresh_token").is_some(),
                    refreshes && answer.status == 200
                );
                if end == End::Deleted {
                    continue;
                }
                if answer.status != 200 {
                    scene.is_alive(&scene.ask(&app, &form), &what);
                }
                let assertion = scene.world.assertion(&app, &json!({}));
                let form = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
                scene.is_alive(&scene.ask(&app, &form), &what);
            }
        }
    }
}

/// N1: client credentials claim nothing, and are dated before the app is looked up.
#[test]
fn no_token_of_an_app_outlives_an_end_at_any_await() {
    let scene = Scene::new();
    for place in [Store(Method::FindApp), Hook] {
        for end in End::ALL.into_iter().filter(|end| *end != End::Grant) {
            let app = scene.world.register(machine_app());
            let what = format!("{end:?} at {place:?}");
            let form = [("grant_type", "client_credentials")];
            scene.interrupt(place, end, &app, None);
            scene.is_dead(&scene.ask(&app, &form), &app, &what);
            if end != End::Deleted {
                scene.is_alive(&scene.ask(&app, &form), &what);
            }
        }
    }
}

type Endpoints = HttpEndpoints<Arc<FaultyStore>, SlowUsers, SlowHook, SlowPages>;

fn send(endpoints: &Endpoints, request: http::request::Builder, body: String) -> Answered {
    let request = request.header("cookie", "ann").body(body).unwrap();
    Answered::from(block_on(endpoints.handle(request)).unwrap())
}

fn decide(endpoints: &Endpoints, page: &Answered) -> Answered {
    let parts: Vec<_> = page.body.split('|').collect();
    let mut form = vec![("ticket", parts[1]), ("decision", "approve")];
    form.extend(parts[2].split(' ').map(|scope| ("scope", scope)));
    let request = Request::post(parts[0]);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    send(endpoints, request, encode(&form))
}

fn code_of(answer: &Answered) -> Option<String> {
    parameters(answer.header("location")?).remove("code")
}

/// N1: the host's check of the session is under way, over HTTP, or anything else behind a consent page, when
/// access ends. The decision is refused or its code is dead, and the user who agrees again at once succeeds.
#[test]
fn no_decision_outlives_an_end_at_any_await() {
    let scene = Scene::new();
    let pages = SlowPages(scene.session.clone());
    let endpoints = HttpEndpoints::new(Arc::clone(&scene.process), pages);
    let methods = [Method::Instant, Method::FindApp, Method::InsertGrant];
    for unasked in [false, true] {
        for place in methods.map(Store).into_iter().chain([Session]) {
            if unasked && matches!(place, Store(Method::Instant)) {
                // A code without a prompt asks the store for no instant.
                continue;
            }
            for end in End::ALL.into_iter().filter(|end| *end != End::Grant) {
                let what = format!("{end:?} at {place:?}, unasked: {unasked}");
                let app = scene.world.register(code_app().require_consent(!unasked));
                let visit = || {
                    let verifier = new_verifier();
                    let query = code_query(&app, &verifier, &[]);
                    let request = Request::get(format!("/oauth/authorize?{query}"));
                    (send(&endpoints, request, String::new()), verifier)
                };
                let redeem = |code: &str, verifier: &grantor::protocol::CodeVerifier| {
                    scene.world.redeem(&app, code, verifier.expose_secret())
                };
                let (answer, verifier) = if unasked {
                    scene.interrupt(place, end, &app, None);
                    visit()
                } else {
                    let (page, verifier) = visit();
                    scene.interrupt(place, end, &app, None);
                    (decide(&endpoints, &page), verifier)
                };
                assert!(scene.has_happened(), "{what}: there is no such await");
                if let Some(code) = code_of(&answer) {
                    assert_ne!(redeem(&code, &verifier).status, 200, "{what}: a code survives");
                }
                if end == End::Deleted {
                    continue;
                }
                let (page, verifier) = visit();
                let answer = if page.status == 303 { page } else { decide(&endpoints, &page) };
                let code = code_of(&answer).unwrap_or_else(|| panic!("{what}: {answer:?}"));
                scene.is_alive(&redeem(&code, &verifier), &what);
            }
        }
    }
}

/// N1: a date costs no store call, and that of a decision one.
#[test]
fn a_decision_asks_the_store_once_for_its_date_and_a_token_never() {
    let scene = Scene::new();
    let endpoints =
        HttpEndpoints::new(Arc::clone(&scene.process), SlowPages(scene.session.clone()));
    let app = scene.world.register(code_app());
    let query = code_query(&app, &new_verifier(), &[]);
    let calls = || scene.process.store().take_calls();
    let page = send(&endpoints, Request::get(format!("/oauth/authorize?{query}")), String::new());
    assert!(!calls().contains(&Method::Instant));
    assert!(code_of(&decide(&endpoints, &page)).is_some());
    assert_eq!(calls(), [Method::Instant, Method::FindApp, Method::InsertGrant]);
    let back_end = scene.world.register(backend_app());
    let assertion = scene.world.assertion(&back_end, &json!({}));
    scene.ask(&back_end, &[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
    assert_eq!(calls(), [Method::FindApp, Method::ClaimAssertion]);
    let machine = scene.world.register(machine_app());
    scene.ask(&machine, &[("grant_type", "client_credentials")]);
    assert_eq!(calls(), [Method::FindApp]);
}

/// N1: a host whose clock is an hour ahead, or was for a while, gains no hour in which revocation misses.
#[test]
fn a_clock_that_is_an_hour_ahead_gains_nothing() {
    use std::time::Duration;

    let scene = Scene::new();
    let machine = scene.world.register(machine_app());
    let back_end = scene.world.register(backend_app());
    let started = scene.world.clock_now();
    scene.world.advance(3_600);
    let credentials = [("grant_type", "client_credentials")];
    let assertion = scene.world.assertion(&back_end, &json!({}));
    let form = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
    let ahead = [scene.ask(&machine, &credentials), scene.ask(&back_end, &form)];
    let with_code = scene.world.tokens(&scene.world.register(code_app()));
    // The clock is right again, and access ends.
    scene.world.clock.set(started.plus(Duration::from_secs(1)));
    let admin = scene.world.server.admin("tester");
    block_on(admin.revoke(RevocationTarget::Everything)).unwrap();
    for answer in ahead.iter().chain([&with_code]) {
        assert_eq!(answer.status, 200);
        assert!(scene.world.is_revoked(answer));
    }
    scene.is_alive(&scene.ask(&machine, &credentials), "after the clock was ahead");
}
