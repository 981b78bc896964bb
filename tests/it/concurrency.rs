//! Races: real threads over one store, and steps of other processes placed exactly between read and
//! claim.

use std::sync::{Arc, Barrier, Mutex};

use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::ids::GrantId;
use grantor::server_secret::ServerSecret;
use grantor::store::GrantStore as _;
use pollster::block_on;

use crate::ends::End;
use crate::support::{
    Answer, App, CALLBACK, ROOT, Server, World, ask, body_of, code_app, encode, fan_out,
    machine_app, public_app,
};

pub(crate) const THREADS: usize = 16;

/// Runs `THREADS` threads that begin at the same instant, and returns their results.
pub(crate) fn race<T: Send>(act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS);
    let run = |index| {
        start.wait();
        act(index)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|index| scope.spawn(move || run(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Two processes on one store.
pub(crate) fn two(world: &World) -> [Server; 2] {
    [(); 2].map(|()| world.sibling(ServerSecret::new(ROOT).unwrap()))
}

fn redemption(app: &App, code: &str, verifier: &str) -> String {
    body_of(
        app,
        &[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ],
    )
}

pub(crate) fn refreshment(app: &App, token: &str) -> String {
    body_of(app, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

fn token(answer: &Answer) -> &str {
    answer.text("refresh_token")
}

fn grant_id(answer: &Answer) -> GrantId {
    answer.claims()["grant_id"].as_str().unwrap().parse().unwrap()
}

/// Returns the ways in which access ends and the app stays.
fn ends() -> impl Iterator<Item = End> + Clone {
    End::ALL.into_iter().filter(|end| *end != End::Deleted)
}

/// Returns the answers that gave a token. Every other answer must be `invalid_grant`.
fn won(answers: &[Answer]) -> Vec<&Answer> {
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_error(400, "invalid_grant");
    }
    answers.iter().filter(|answer| answer.status == 200).collect()
}

/// G13, G14: of sixteen redemptions of one code exactly one gets tokens, and all others fail with
/// `invalid_grant`. They are replays, so no token lives afterwards.
#[test]
fn one_concurrent_redemption_wins_and_the_replays_revoke_its_tokens() {
    let world = World::unlimited();
    let servers = two(&world);
    for (app, rounds) in [(world.register(code_app()), 200), (world.register(public_app()), 100)] {
        for _ in 0..rounds {
            let (code, verifier) = world.code(&app);
            let body = redemption(&app, &code, &verifier);
            let answers = race(|index| ask(&servers[index % 2], &body));
            let winners = won(&answers);
            assert_eq!(winners.len(), 1);
            assert!(world.is_revoked(winners[0]));
            world.refresh(&app, token(winners[0])).assert_error(400, "invalid_grant");
        }
    }
}

/// P11: concurrent wrong verifiers are counted one by one. The code is void, and the audit log says
/// so.
#[test]
fn concurrent_guesses_are_all_counted() {
    let world = World::unlimited();
    let app = world.register(public_app());
    let servers = two(&world);
    for round in 1..=50 {
        let (code, verifier) = world.code(&app);
        let answers = race(|index| {
            let guess = format!("{index:02}{}", "x".repeat(41));
            ask(&servers[index % 2], &redemption(&app, &code, &guess))
        });
        assert!(won(&answers).is_empty());
        world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
        world.assert_refused("claim", "grant_revoked", None);
        let events = world.events();
        let guessed = events.iter().filter(|it| it.outcome.reason() == Some("code_guessed"));
        assert!(guessed.count() >= round);
    }
}

/// R12, R15, Z1: of sixteen refreshes of one token one rotates, and within the grace the others get the
/// same answer and the grant stays live. Without grace all but one are reuse.
#[test]
fn concurrent_refreshes_leave_one_live_token_at_most() {
    let world = World::unlimited();
    let servers = two(&world);
    for (grace, expected) in [(30, THREADS), (0, 1)] {
        let app = world.register(code_app().refresh_grace(Some(grace)));
        for _ in 0..100 {
            let tokens = world.tokens(&app);
            let body = refreshment(&app, token(&tokens));
            let answers = race(|index| ask(&servers[index % 2], &body));
            let winners = won(&answers);
            assert_eq!(winners.len(), expected);
            assert!(winners.iter().all(|answer| token(answer) == token(winners[0])));
            assert!(winners.iter().all(|answer| world.is_revoked(answer) == (grace == 0)));
            let status = world.refresh(&app, token(winners[0])).status;
            assert_eq!(status, if grace == 0 { 400 } else { 200 });
        }
    }
}

/// Z1: 20 or 200 refreshes of one token at once get the same successor, which goes on. Each burst is
/// audited as one event.
#[test]
fn a_page_that_fans_out_keeps_its_grant() {
    for (callers, rounds) in [(20, 10), (200, 2)] {
        let world = World::unlimited();
        let app = world.register(code_app());
        let tokens = world.tokens(&app);
        let refresh = |token: &str| world.refresh(&app, token);
        let last = fan_out((callers, rounds), token(&tokens), refresh);
        assert_eq!(world.count("retry_refresh"), rounds);
        let row = block_on(world.store.find_grant(&grant_id(&tokens))).unwrap().unwrap();
        assert_eq!((row.revoked, usize::from(row.retries)), (None, (callers - 1).min(255)));
        assert_eq!(world.refresh(&app, &last).status, 200);
    }
}

/// R13, R15: an ancestor and the live token are presented concurrently. In either order the family
/// ends, and at most one successor was given.
#[test]
fn reuse_during_a_rotation_revokes_the_family() {
    let world = World::unlimited();
    let servers = two(&world);
    let app = world.register(code_app());
    for _ in 0..100 {
        let first = world.tokens(&app);
        let second = world.refresh(&app, token(&first));
        let third = world.refresh(&app, token(&second));
        let bodies = [refreshment(&app, token(&first)), refreshment(&app, token(&third))];
        let answers = race(|index| {
            (index < 6).then(|| ask(&servers[index % 2], &bodies[usize::from(index > 2)]))
        });
        let answers: Vec<Answer> = answers.into_iter().flatten().collect();
        for answer in won(&answers).iter().chain(&[&third]) {
            assert!(world.is_revoked(answer));
            world.refresh(&app, token(answer)).assert_error(400, "invalid_grant");
        }
    }
}

/// R20: if access ends while tokens are rotated and codes redeemed, no earlier authorization lives
/// afterwards.
#[test]
fn revocation_during_rotation_leaves_no_live_token() {
    let world = World::unlimited();
    let servers = two(&world);
    let app = world.register(code_app());
    for end in ends().cycle().take(140) {
        let first = world.tokens(&app);
        let (code, verifier) = world.code(&app);
        let body = redemption(&app, &code, &verifier);
        let answers = Mutex::new(Vec::new());
        race(|index| match index {
            0 => end.happen(&servers[0], &app.id, Some(grant_id(&first))),
            1 => {
                let mut last = refreshment(&app, token(&first));
                for _ in 0..4 {
                    let answer = ask(&servers[1], &last);
                    if answer.status == 200 {
                        last = refreshment(&app, token(&answer));
                        answers.lock().unwrap().push(answer);
                    }
                }
            }
            // The pending code belongs to another grant.
            2 if end != End::Grant => {
                let answer = ask(&servers[1], &body);
                if answer.status == 200 {
                    answers.lock().unwrap().push(answer);
                }
            }
            _ => {}
        });
        let answers = answers.into_inner().unwrap();
        for answer in answers.iter().chain(std::iter::once(&first)) {
            assert!(world.is_revoked(answer), "{end:?}");
            world.refresh(&app, token(answer)).assert_error(400, "invalid_grant");
        }
    }
}

/// C23: of many concurrent uses of one client assertion one succeeds.
#[test]
fn one_of_many_concurrent_uses_of_a_client_assertion_wins() {
    use grantor::app::ClientAuthentication;
    use grantor::jwt::VerifyingKeys;

    let world = World::unlimited();
    let servers = two(&world);
    let public = include_str!("../fixtures/test_only_ed25519_public.pem");
    let private = include_bytes!("../fixtures/test_only_ed25519_private.pem");
    let keys = VerifyingKeys::from_pem(public).unwrap();
    let draft = machine_app().authentication(ClientAuthentication::PrivateKeyJwt(keys));
    let apps = [world.register(draft.clone()), world.register(draft)];
    let key = jsonwebtoken::EncodingKey::from_ed_pem(private).unwrap();
    for round in 0..50 {
        let bodies = apps.each_ref().map(|app| {
            let id = app.id.as_str();
            let claims = serde_json::json!({
                "iss": id, "sub": id, "aud": crate::support::ISSUER,
                "exp": crate::support::START + 60, "jti": round.to_string(),
            });
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
            encode(&[
                ("grant_type", "client_credentials"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &jsonwebtoken::encode(&header, &claims, &key).unwrap()),
            ])
        });
        // C24: two apps use the same `jti`, and one use of each wins.
        let answers = race(|index| ask(&servers[index % 2], &bodies[index / 8]));
        for half in answers.chunks(8) {
            assert_eq!(half.iter().filter(|answer| answer.status == 200).count(), 1);
            for answer in half.iter().filter(|answer| answer.status != 200) {
                answer.assert_error(401, "invalid_client");
            }
        }
    }
}

/// C14: many concurrent authentications with a stale digest all succeed, and it is renewed once.
#[test]
fn concurrent_authentications_renew_a_digest_once() {
    let next = b"fedcba9876543210fedcba9876543210";
    let world = World::unlimited();
    let both = || ServerSecret::new(next).unwrap().accepting_pepper(ROOT).unwrap();
    let servers = [world.sibling(both()), world.sibling(both())];
    for round in 1..=20 {
        let app = world.register(machine_app());
        let body = body_of(&app, &[("grant_type", "client_credentials")]);
        let answers = race(|index| ask(&servers[index % 2], &body));
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        assert_eq!(world.count("renew_digest"), round);
        let retired = world.sibling(ServerSecret::new(next).unwrap());
        assert_eq!(ask(&retired, &body).status, 200);
    }
}

/// A step of another process, after all reads of a request and before its claim.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Meanwhile {
    fn set(&self, act: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(act));
    }
}

impl Hooks for Meanwhile {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        let act = self.0.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        Ok(HookAnswer::Issue)
    }
}

/// A world in which a step can be placed before the claim, and another process to take it.
fn interrupted() -> (World<Arc<Meanwhile>>, Arc<Meanwhile>, Arc<Server>) {
    let meanwhile = Arc::new(Meanwhile::default());
    let hooks = Arc::clone(&meanwhile);
    let limits = grantor::rate_limit::RateLimits::none();
    let world = World::with(|builder| builder.rate_limits(limits).hooks(hooks));
    let other = Arc::new(world.sibling(ServerSecret::new(ROOT).unwrap()));
    (world, meanwhile, other)
}

/// G14: if another process redeems the code after this request has read it, this request is the
/// replay and the other's tokens are dead.
#[test]
fn a_code_redeemed_by_a_concurrent_request_is_a_replay() {
    let (world, meanwhile, other) = interrupted();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let theirs = Arc::new(Mutex::new(None));
    let (body, slot) = (redemption(&app, &code, &verifier), Arc::clone(&theirs));
    meanwhile.set(move || *slot.lock().unwrap() = Some(ask(&other, &body)));
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "code_replayed", None);
    let theirs = theirs.lock().unwrap().take().unwrap();
    assert_eq!(theirs.status, 200);
    assert!(world.is_revoked(&theirs));
}

/// R15: if another process rotates the token after this request has read it, both get the same
/// successor. Without grace the family ends.
#[test]
fn a_token_rotated_by_a_concurrent_request_is_a_retry() {
    for grace in [30, 0] {
        let (world, meanwhile, other) = interrupted();
        let app = world.register(code_app().refresh_grace(Some(grace)));
        let tokens = world.tokens(&app);
        let theirs = Arc::new(Mutex::new(None));
        let (body, slot) = (refreshment(&app, token(&tokens)), Arc::clone(&theirs));
        meanwhile.set(move || *slot.lock().unwrap() = Some(ask(&other, &body)));
        let ours = world.refresh(&app, token(&tokens));
        let theirs = theirs.lock().unwrap().take().unwrap();
        if grace > 0 {
            assert_eq!(token(&ours), token(&theirs));
            assert_eq!(world.count("retry_refresh"), 1);
        } else {
            ours.assert_error(400, "invalid_grant");
            world.assert_refused("claim", "refresh_token_reused", None);
            assert!(world.is_revoked(&theirs));
        }
    }
}

/// R20, G16: if access ends after this request has read the grant, it gets no token.
#[test]
fn a_revocation_during_a_request_applies_at_the_claim() {
    let (world, meanwhile, other) = interrupted();
    let app = world.register(code_app());
    for end in ends() {
        for refresh in [false, true] {
            if !refresh && end == End::Grant {
                continue;
            }
            let tokens = world.tokens(&app);
            let (code, verifier) = world.code(&app);
            let (server, id, grant) = (Arc::clone(&other), app.id.clone(), grant_id(&tokens));
            meanwhile.set(move || end.happen(&server, &id, Some(grant)));
            let answer = if refresh {
                world.refresh(&app, token(&tokens))
            } else {
                world.redeem(&app, &code, &verifier)
            };
            answer.assert_error(400, "invalid_grant");
            world.assert_refused("claim", "grant_revoked", None);
        }
    }
    let tokens = world.tokens(&app);
    let (server, id) = (Arc::clone(&other), app.id.clone());
    meanwhile.set(move || block_on(server.admin("tester").delete(&id)).unwrap());
    world.refresh(&app, token(&tokens)).assert_error(400, "invalid_grant");
    assert!(world.is_revoked(&tokens));
}
