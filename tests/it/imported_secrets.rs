//! Client secrets that are known only as digests, and given ones for apps that exist.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use grantor::admin::{AdminError, ImportedApp};
use grantor::app::{GivenSecret, RateQuota, StoredSecret};
use grantor::clock::UnixTime;
use grantor::endpoint::FormRequest;
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::ids::ClientId;
use grantor::rate_limit::RateLimits;
use grantor::secret::ClientSecret;
use pollster::block_on;
use ring::{digest, pbkdf2};
use serde_json::json;

use crate::support::{Answer, App, START, World, basic, body_of, machine_app, public_app};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const LONG: &str = "a secret of 22 bytes..";
const SHORT: &str = "a secret of 21 bytes.";

/// A host that checks PBKDF2 digests of the form `pbkdf2:SALT:HEX`, and counts the checks.
#[derive(Default)]
struct Host {
    checks: Mutex<BTreeMap<String, usize>>,
    fails: AtomicBool,
    /// A check waits while this is set.
    waits: AtomicBool,
}

impl Host {
    fn checks(&self) -> usize {
        self.checks.lock().unwrap().values().sum()
    }
}

fn pbkdf2(secret: &str, salt: &str) -> String {
    let mut out = [0; 32];
    let rounds = 1_000.try_into().unwrap();
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, rounds, salt.as_bytes(), secret.as_bytes(), &mut out);
    format!("pbkdf2:{salt}:{}", hex(&out))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

impl Hooks for Host {
    async fn before_issue(&self, _: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        Ok(HookAnswer::Issue)
    }

    async fn check_slow_digest(
        &self,
        digest: &str,
        secret: &ClientSecret,
    ) -> Result<bool, HookError> {
        *self.checks.lock().unwrap().entry(digest.to_owned()).or_default() += 1;
        std::future::poll_fn(|_| {
            if self.waits.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        if self.fails.load(Ordering::Relaxed) {
            return Err(HookError::new("planted failure of a check"));
        }
        let salt = digest.split(':').nth(1).unwrap_or_default();
        Ok(pbkdf2(secret.expose_secret(), salt) == digest)
    }
}

fn world() -> (World<Arc<Host>>, Arc<Host>) {
    let host = Arc::new(Host::default());
    (World::with(|builder| builder.rate_limits(RateLimits::none()).hooks(Arc::clone(&host))), host)
}

fn import<H: Hooks + 'static>(world: &World<H>, secret: GivenSecret, plain: &str) -> App {
    let id = ClientId::new("imported").unwrap();
    let app = ImportedApp::new(id.clone(), machine_app().build().unwrap());
    block_on(world.server.admin("tester").import(app.with_client_secret(secret, None))).unwrap();
    App { id, secret: Some(plain.to_owned()), signature_secret: None }
}

fn stored<H: Hooks + 'static>(world: &World<H>, app: &App) -> StoredSecret {
    let app = block_on(world.server.admin("tester").find(&app.id)).unwrap().unwrap();
    app.credentials().client_secrets[0].clone()
}

fn liar(app: &App, secret: &str) -> App {
    App { secret: Some(secret.to_owned()), ..app.clone() }
}

/// Z23: a secret that is known as SHA-256 or SHA-512 authenticates its app. The first use replaces the
/// digest by the server's own.
#[test]
fn a_secret_known_by_a_fast_digest_is_renewed_at_its_first_use() {
    let sha256 = digest::digest(&digest::SHA256, LONG.as_bytes());
    let sha512 = digest::digest(&digest::SHA512, LONG.as_bytes());
    let texts = [hex(sha256.as_ref()), hex(sha512.as_ref())];
    for (given, text) in [
        (GivenSecret::sha256(&texts[0]).unwrap(), &texts[0]),
        (GivenSecret::sha512(&texts[1]).unwrap(), &texts[1]),
    ] {
        let world = World::unlimited();
        let app = import(&world, given, LONG);
        let before = stored(&world, &app);
        assert!(before.is_guessable() && before.imported);
        let json = serde_json::to_string(&before).unwrap();
        assert!(!json.contains(text.as_str()), "the store keeps an HMAC of the digest: {json}");
        for wrong in ["wrong", text, &format!("{LONG} ")] {
            world.post(&liar(&app, wrong), &[GRANT]).assert_error(401, "invalid_client");
        }
        assert_eq!(stored(&world, &app), before);
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
        assert_eq!(world.count("renew_digest"), 1);
        let after = stored(&world, &app);
        assert!(!after.is_guessable() && after.digest != before.digest);
        assert_eq!((after.created_at, after.expires_at), (before.created_at, before.expires_at));
        let header = basic(app.id.as_str(), LONG);
        let answer = world.post_form(Some(&header), "grant_type=client_credentials");
        assert_eq!(answer.status, 200, "{answer:?}");
        world.post(&liar(&app, text), &[GRANT]).assert_error(401, "invalid_client");
        assert_eq!(world.count("renew_digest"), 1);
    }
}

/// Z23: a digest is read from hexadecimal digits and from base64, and only in its own length.
#[test]
fn a_given_digest_is_read_in_every_usual_form() {
    for text in [
        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        "2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B",
        "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
        "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols",
        "K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols",
    ] {
        let world = World::unlimited();
        let given: GivenSecret = serde_json::from_value(json!({ "sha256": text })).unwrap();
        assert_eq!(format!("{given:?}"), "Sha256([redacted])");
        let app = import(&world, given, "secret");
        assert_eq!(world.post(&app, &[GRANT]).status, 200, "{text}");
    }
    for wrong in ["", "2bb8", &"g".repeat(64), &"a".repeat(63), &"+1".repeat(32), "K7gN U3sd"] {
        assert!(GivenSecret::sha256(wrong).is_err(), "{wrong}");
        assert!(GivenSecret::sha512(wrong).is_err(), "{wrong}");
    }
}

/// Z23: a secret that may be short is flagged: one given in clear by its length, a digest until its first
/// use.
#[test]
fn a_given_secret_is_flagged_while_it_may_be_short() {
    let sha256 = |text: &str| {
        GivenSecret::sha256(&hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
            .unwrap()
    };
    let plain = |text: &str| GivenSecret::Plain(ClientSecret::new(text));
    for (given, text, before, after) in [
        (plain(SHORT), SHORT, true, true),
        (plain(LONG), LONG, false, false),
        (sha256(SHORT), SHORT, true, true),
        (sha256(LONG), LONG, true, false),
        (GivenSecret::Slow(pbkdf2(SHORT, "s")), SHORT, true, true),
        (GivenSecret::Slow(pbkdf2(LONG, "s")), LONG, true, false),
    ] {
        let (world, _) = world();
        let app = import(&world, given, text);
        assert_eq!(stored(&world, &app).is_guessable(), before, "{text}");
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
        assert_eq!(stored(&world, &app).is_guessable(), after, "{text}");
    }
    let world = World::unlimited();
    let generated = world.register(machine_app());
    assert!(!stored(&world, &generated).is_guessable());
}

/// Z23: the host checks a slow digest until the first success, which replaces it.
#[test]
fn the_host_checks_a_slow_digest_until_its_first_success() {
    let (world, host) = world();
    let app = import(&world, GivenSecret::Slow(pbkdf2(LONG, "salt")), LONG);
    world.post(&liar(&app, "wrong"), &[GRANT]).assert_error(401, "invalid_client");
    host.fails.store(true, Ordering::Relaxed);
    world.post(&app, &[GRANT]).assert_error(500, "server_error");
    host.fails.store(false, Ordering::Relaxed);
    assert_eq!(host.checks(), 2);
    for _ in 0..3 {
        assert_eq!(world.post(&app, &[GRANT]).status, 200);
    }
    assert_eq!((host.checks(), world.count("renew_digest")), (3, 1));
    world.post(&liar(&app, "wrong"), &[GRANT]).assert_error(401, "invalid_client");
    let unknown = App { id: ClientId::new("unknown").unwrap(), ..app.clone() };
    world.post(&unknown, &[GRANT]).assert_error(401, "invalid_client");
    assert_eq!(host.checks(), 3, "the host is not asked for others");
    let digest = pbkdf2(LONG, "salt");
    world.post(&liar(&app, &digest), &[GRANT]).assert_error(401, "invalid_client");
}

/// Z23: without a hook, no slow digest matches.
#[test]
fn without_a_hook_a_slow_digest_matches_nothing() {
    let world = World::unlimited();
    let app = import(&world, GivenSecret::Slow("$2b$04$abcdefghijklmnopqrstuu".to_owned()), "x");
    for secret in ["x", "$2b$04$abcdefghijklmnopqrstuu"] {
        world.post(&liar(&app, secret), &[GRANT]).assert_error(401, "invalid_client");
    }
}

/// N3: a guess at a slow digest is charged before the host checks it.
#[test]
fn no_more_guesses_at_a_slow_digest_are_checked_than_the_budget_has() {
    let host = Arc::new(Host::default());
    let limits = RateLimits::none().with_failures(RateQuota::new(1, 2));
    let world = World::with(|builder| builder.rate_limits(limits).hooks(Arc::clone(&host)));
    let app = import(&world, GivenSecret::Slow(pbkdf2(LONG, "salt")), LONG);
    host.waits.store(true, Ordering::Relaxed);
    let body = body_of(&liar(&app, "a guess"), &[GRANT]);
    let request = FormRequest::new(&body).source(&world.source);
    let context = &mut Context::from_waker(Waker::noop());
    let mut guesses: Vec<_> = (0..4).map(|_| Box::pin(world.server.token(&request))).collect();
    let polled = guesses.iter_mut().map(|guess| guess.as_mut().poll(context));
    let waiting = polled.filter(Poll::is_pending).count();
    assert_eq!((waiting, host.checks()), (2, 2));
}

/// Z23: a slow digest that has expired is not checked.
#[test]
fn a_given_digest_ends_at_its_expiry() {
    for (millis, status) in [(59_999, 200), (60_000, 401)] {
        let (world, host) = world();
        let id = ClientId::new("imported").unwrap();
        let digest = GivenSecret::Slow(pbkdf2(LONG, "salt"));
        let app = ImportedApp::new(id.clone(), machine_app().build().unwrap());
        let app = app.with_client_secret(digest, Some(UnixTime::from_seconds(START + 60)));
        block_on(world.server.admin("tester").import(app)).unwrap();
        let app = App { id, secret: Some(LONG.to_owned()), signature_secret: None };
        world.clock.advance(Duration::from_millis(millis));
        assert_eq!(world.post(&app, &[GRANT]).status, status, "{millis} ms");
        assert_eq!(host.checks(), usize::from(status == 200));
    }
}

/// Z23: four slow checks run at a time. A fifth request is refused for a second, without a failure.
#[test]
fn four_slow_checks_run_at_a_time() {
    let host = Arc::new(Host::default());
    let one = RateQuota::new(1, 5);
    let limits = RateLimits::none().with_failures(one);
    let world = World::with(|builder| builder.rate_limits(limits).hooks(Arc::clone(&host)));
    let app = import(&world, GivenSecret::Slow(pbkdf2(LONG, "salt")), LONG);
    host.waits.store(true, Ordering::Relaxed);
    let body = body_of(&app, &[GRANT]);
    let request = FormRequest::new(&body).source(&world.source);
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(world.server.token(&request))).collect();
    let context = &mut Context::from_waker(Waker::noop());
    assert!(waiting.iter_mut().all(|request| request.as_mut().poll(context).is_pending()));
    for _ in 0..20 {
        let refused = Answer::from(block_on(world.server.token(&request)));
        refused.assert_error(429, "temporarily_unavailable");
        assert_eq!(refused.retry_after, Some(1));
        let reason = world.last_event().outcome.reason().map(str::to_owned);
        assert_eq!(reason.as_deref(), Some("too_many_slow_checks"));
    }
    // A dropped request frees its place.
    drop(waiting.pop());
    let mut next = pin!(world.server.token(&request));
    assert!(next.as_mut().poll(context).is_pending());
    host.waits.store(false, Ordering::Relaxed);
    assert_eq!(Answer::from(block_on(next)).status, 200);
    for request in waiting {
        assert_eq!(Answer::from(block_on(request)).status, 200);
    }
}

/// Z23, N2: over its failure budget, a slow digest is not checked at all.
#[test]
fn a_spent_failure_budget_spares_the_host() {
    let host = Arc::new(Host::default());
    let limits = RateLimits::none().with_failures(RateQuota::new(1, 3));
    let world = World::with(|builder| builder.rate_limits(limits).hooks(Arc::clone(&host)));
    let app = import(&world, GivenSecret::Slow(pbkdf2(LONG, "salt")), LONG);
    let statuses: Vec<_> =
        (0..20).map(|_| world.post(&liar(&app, "guess"), &[GRANT]).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3);
    assert_eq!(host.checks(), 3);
}

/// Z23: an administrator sets a given secret on an app that exists. The old one works until the overlap
/// ends, and doing it twice changes nothing.
#[test]
fn a_given_secret_is_set_with_an_overlap() {
    let world = World::unlimited();
    let app = world.register(machine_app());
    let admin = world.server.admin("tester");
    let status = |app: &App| world.post(app, &[GRANT]).status;
    let overlap = Duration::from_secs(100);
    let given = || GivenSecret::Plain(ClientSecret::new("the old server's secret"));
    let new = liar(&app, "the old server's secret");
    let version = block_on(admin.set_client_secret(&app.id, given(), None, overlap)).unwrap();
    assert_eq!((status(&app), status(&new)), (200, 200));
    for _ in 0..5 {
        let again = block_on(admin.set_client_secret(&app.id, given(), None, overlap)).unwrap();
        assert_eq!(again.version(), version.version(), "a step may be run twice");
    }
    world.advance(99);
    assert_eq!((status(&app), status(&new)), (200, 200));
    world.advance(1);
    assert_eq!((status(&app), status(&new)), (401, 200));
    assert_eq!(world.count("set_client_secret"), 6);

    let sha256 = digest::digest(&digest::SHA256, b"known as a digest");
    let digest = GivenSecret::Sha256(sha256.as_ref().try_into().unwrap());
    let ends = Some(UnixTime::from_seconds(START + 200));
    block_on(admin.set_client_secret(&app.id, digest, ends, Duration::ZERO)).unwrap();
    let last = liar(&app, "known as a digest");
    assert_eq!((status(&new), status(&last), status(&last)), (401, 200, 200));
    assert_eq!(stored(&world, &app).expires_at, ends);
    world.advance(100);
    assert_eq!(status(&last), 401);
}

/// Z23: a given secret is refused for an app without a client secret, and if it is malformed.
#[test]
fn a_malformed_given_secret_is_refused() {
    let world = World::unlimited();
    let admin = world.server.admin("tester");
    let (app, public) = (world.register(machine_app()), world.register(public_app()));
    let set = |app: &App, secret: GivenSecret| {
        let set = admin.set_client_secret(&app.id, secret, None, Duration::ZERO);
        match block_on(set) {
            Err(AdminError::Invalid(invalid)) => invalid.field(),
            other => panic!("{other:?}"),
        }
    };
    let plain = |text: &str| GivenSecret::Plain(ClientSecret::new(text));
    let slow = |text: &str| GivenSecret::Slow(text.to_owned());
    assert_eq!(set(&public, plain("secret")), "authentication");
    for text in ["", "a\nb", &"x".repeat(256)] {
        assert_eq!(set(&app, plain(text)), "client_secret");
        assert_eq!(set(&app, slow(text)), "client_secret");
    }
    assert_eq!(set(&app, slow("with space")), "client_secret");
    assert_eq!(world.post(&app, &[GRANT]).status, 200);
    let longest = || GivenSecret::Slow("x".repeat(255));
    assert!(block_on(admin.set_client_secret(&app.id, longest(), None, Duration::ZERO)).is_ok());
}
