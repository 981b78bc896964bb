use pollster::block_on;
use serde_json::Map;

use super::*;
use crate::catalog::{ApiCatalog, Endpoint};
use crate::clock::{ManualClock, UnixTime};
use crate::ids::{ClientId, GrantId};
use crate::jwt::access_token::NewAccessToken;
use crate::jwt::{AccessTokenError, Algorithm, RingKey, SigningKey, testing};
use crate::protocol::scope::ScopeToken;
use crate::store::{
    FeedCursor, MemoryStore, Revocation, RevocationFeed, RevocationReason, RevocationTarget,
};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const ISSUER: &str = "https://as.example.com";
const API: &str = "https://api.example.com";

fn issuer() -> Issuer {
    Issuer::new(ISSUER).unwrap()
}

fn table() -> EnforcementTable {
    let endpoint = |method: &str, path: &str, scope: &str| {
        Endpoint::new(method, path, ScopeToken::new(scope).unwrap()).unwrap()
    };
    let catalog = ApiCatalog::new([
        endpoint("GET", "/users/{id}", "GET/users/*"),
        endpoint("PUT", "/users/{id}", "PUT/users/*"),
        endpoint("GET", "/files/{*path}", "files.read"),
    ]);
    catalog.compile().unwrap()
}

/// An API and the key of its authorization server.
struct Api {
    key: SigningKey,
    clock: Arc<ManualClock>,
    verifier: BearerVerifier,
}

fn api() -> Api {
    api_with(Algorithm::EdDSA, |verifier| verifier)
}

fn api_with(algorithm: Algorithm, configure: impl FnOnce(BearerVerifier) -> BearerVerifier) -> Api {
    let key = SigningKey::generate(algorithm).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let verifier = BearerVerifier::new(issuer(), key.verifying_key().into())
        .with_clock(Arc::clone(&clock))
        .with_resource(Resource::new(API).unwrap())
        .with_enforcement(table());
    Api { key, clock, verifier: configure(verifier) }
}

struct Token<'a> {
    issuer: Issuer,
    audience: &'a str,
    scope: &'a str,
    issued_at: UnixTime,
    expires_at: UnixTime,
}

impl Default for Token<'_> {
    fn default() -> Self {
        let expires_at = NOW.plus(Duration::from_mins(1));
        let scope = "GET/users/*";
        Self { issuer: issuer(), audience: API, scope, issued_at: NOW, expires_at }
    }
}

impl Token<'_> {
    /// Returns the `Authorization` header with this token.
    fn header(&self, key: &SigningKey) -> String {
        let new = NewAccessToken {
            subject: "alice",
            audience: self.audience,
            further_audiences: &[],
            client_id: &ClientId::new("app").unwrap(),
            scope: self.scope,
            token_id: [1; 16],
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            grant_id: GrantId::from_bytes([7; 16]),
            authorized_at: NOW,
            auth_time: None,
            actor: None,
            device: None,
            circumstances: None,
            via: &[],
            extra: &Map::new(),
        };
        format!("Bearer {}", testing::access_token(key, &self.issuer, &new))
    }
}

impl Api {
    fn header(&self) -> String {
        Token::default().header(&self.key)
    }

    /// Returns the status, `error` and header of the challenge for this `Authorization` header.
    fn refused(&self, header: &str) -> (u16, Option<&'static str>, String) {
        let challenge = self.verifier.check(Some(header)).unwrap_err();
        answer(&challenge)
    }
}

fn answer(challenge: &Challenge) -> (u16, Option<&'static str>, String) {
    let header = challenge.www_authenticate().unwrap_or_default();
    (challenge.status(), challenge.error(), header)
}

#[test]
fn a_valid_token_returns_its_claims_at_each_use() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::HS256] {
        let api = api_with(algorithm, |verifier| verifier);
        let header = api.header();
        let first = api.verifier.authorize("GET", "/users/42", Some(&*header)).unwrap();
        assert_eq!((first.subject.as_str(), first.scope.as_str()), ("alice", "GET/users/*"));
        let again = api.verifier.check(Some(&*header)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let uncached = api_with(algorithm, |verifier| verifier.with_cache(0));
        let header = uncached.header();
        let first = uncached.verifier.check(Some(&*header)).unwrap();
        assert!(!Arc::ptr_eq(&first, &uncached.verifier.check(Some(&*header)).unwrap()));
    }
}

/// S1: a request without a token, or with another scheme, gets a challenge with the scheme only.
#[test]
fn a_request_without_a_token_is_challenged_without_an_error_code() {
    let api = api();
    let expected = (401, None, format!("Bearer realm=\"{API}\""));
    assert_eq!(answer(&api.verifier.check(None).unwrap_err()), expected);
    for other in ["", "Basic YTpi", "Bearers x", "Bearer\tx", "DPoP x", "é"] {
        assert_eq!(api.refused(other), expected, "{other}");
    }
    let elsewhere = BearerRequest::new(None).with_token_elsewhere(true);
    assert_eq!(answer(&api.verifier.check(elsewhere).unwrap_err()), expected);
}

/// S2: an expired, foreign, revoked or malformed token is `invalid_token`.
#[test]
fn an_invalid_token_is_reported_as_invalid_token() {
    let api = api();
    let good = api.header();
    let other = SigningKey::generate(Algorithm::EdDSA).unwrap();
    let expired = Token { expires_at: NOW, issued_at: NOW, ..Token::default() };
    api.clock.set(NOW.plus(Duration::from_secs(5)));
    for bad in [
        "Bearer x",
        "Bearer a b",
        "Bearer é",
        "Bearer ..",
        &good[..good.len() - 1],
        &format!("{good}, {good}"),
        &good.replacen('.', ".x", 1),
        &Token::default().header(&other),
        &expired.header(&api.key),
    ] {
        let (status, error, header) = api.refused(bad);
        assert_eq!((status, error), (401, Some("invalid_token")), "{bad}");
        assert!(header.starts_with(&format!(
            "Bearer realm=\"{API}\", error=\"invalid_token\", error_description=\""
        )));
        assert!(!header.contains("scope="), "{header}");
    }
    assert!(api.refused(&expired.header(&api.key)).2.contains("expired"));
}

/// RFC 9728 section 5.1: the challenge leads a client to the authorization server.
#[test]
fn a_challenge_names_the_metadata_of_the_api() {
    let url = "https://api.example.com/.well-known/oauth-protected-resource";
    let api = api_with(Algorithm::EdDSA, |verifier| verifier.with_metadata_url(url));
    let header = api.verifier.check(None).unwrap_err().www_authenticate().unwrap();
    assert_eq!(header, format!("Bearer realm=\"{API}\", resource_metadata=\"{url}\""));
    let hostile = api_with(Algorithm::EdDSA, |it| it.with_metadata_url("x\", error=\"y"));
    let header = hostile.verifier.check(None).unwrap_err().www_authenticate().unwrap();
    assert_eq!(header, format!("Bearer realm=\"{API}\""));
}

/// S3, M17: insufficient scope is `insufficient_scope`, with a scope that allows the request.
#[test]
fn insufficient_scope_names_a_scope_that_allows_the_request() {
    let api = api();
    let header = api.header();
    let challenge = api.verifier.authorize("PUT", "/users/42", Some(&*header)).unwrap_err();
    assert_eq!((challenge.status(), challenge.error()), (403, Some("insufficient_scope")));
    let expected = format!(
        "Bearer realm=\"{API}\", error=\"insufficient_scope\", \
         error_description=\"the scope of the token is insufficient for this request\", \
         scope=\"PUT/users/*\""
    );
    assert_eq!(challenge.www_authenticate(), Some(expected));
    assert!(
        matches!(challenge.refusal(), Refusal::InsufficientScope { required } if required.as_str() == "PUT/users/*")
    );
    // Without a token the challenge does not mention scopes.
    let challenge = api.verifier.authorize("PUT", "/users/42", None).unwrap_err();
    assert_eq!(challenge.status(), 401);
}

/// S4: the scheme is case-insensitive.
#[test]
fn the_scheme_is_case_insensitive() {
    let api = api();
    let header = api.header();
    for scheme in ["bearer ", "BEARER ", "bEaReR   "] {
        let header = header.replacen("Bearer ", scheme, 1);
        assert!(api.verifier.check(Some(&*header)).is_ok(), "{scheme}");
    }
}

/// S5: two tokens, or a scheme without a token, are `invalid_request`.
#[test]
fn a_second_token_is_an_invalid_request() {
    let api = api();
    let header = api.header();
    let request = BearerRequest::new(Some(&header)).with_token_elsewhere(true);
    let (status, error, challenge) = answer(&api.verifier.check(request).unwrap_err());
    assert_eq!((status, error), (400, Some("invalid_request")));
    assert!(challenge.contains("error=\"invalid_request\""));
    assert!(!format!("{request:?}").contains("eyJ"));
    for empty in ["Bearer", "Bearer ", "bearer    "] {
        assert_eq!(api.refused(empty).1, Some("invalid_request"), "{empty:?}");
    }
}

/// S6: a token of another server or for another API is `invalid_token`.
#[test]
fn a_token_of_another_issuer_or_for_another_api_is_refused() {
    let api = api();
    let elsewhere = Issuer::new("https://other.example.com").unwrap();
    for (token, cause) in [
        (Token { issuer: elsewhere, ..Token::default() }, AccessTokenError::Iss),
        (Token { audience: ISSUER, ..Token::default() }, AccessTokenError::Aud),
        (
            Token { audience: "https://api.example.com/v1", ..Token::default() },
            AccessTokenError::Aud,
        ),
    ] {
        let header = token.header(&api.key);
        let challenge = api.verifier.check(Some(&*header)).unwrap_err();
        assert_eq!((challenge.status(), challenge.error()), (401, Some("invalid_token")));
        assert!(matches!(challenge.refusal(), Refusal::Token(error) if *error == cause));
    }
    // Without a resource the audience is the issuer.
    let own = BearerVerifier::new(issuer(), api.key.verifying_key().into())
        .with_clock(Arc::clone(&api.clock));
    let header = Token { audience: ISSUER, ..Token::default() }.header(&api.key);
    assert!(own.check(Some(&*header)).is_ok());
    let challenge = own.check(Some(&*api.header())).unwrap_err();
    assert!(challenge.www_authenticate().unwrap().contains(ISSUER));
    let both = api_with(Algorithm::EdDSA, |verifier| {
        verifier.with_resource(Resource::new("https://second.example.com").unwrap())
    });
    for audience in [API, "https://second.example.com"] {
        let header = Token { audience, ..Token::default() }.header(&both.key);
        assert!(both.verifier.check(Some(&*header)).is_ok(), "{audience}");
    }
}

/// S7: an unmapped request is denied with any scope.
#[test]
fn an_unmapped_request_is_denied_and_no_scope_is_named() {
    let api = api();
    let header = Token { scope: "*/* files.read", ..Token::default() }.header(&api.key);
    for (method, path) in
        [("GET", "/unknown"), ("DELETE", "/users/42"), ("GET", "/users/42?x"), ("GET", "")]
    {
        let challenge = api.verifier.authorize(method, path, Some(&*header)).unwrap_err();
        assert_eq!((challenge.status(), challenge.error()), (403, Some("insufficient_scope")));
        assert!(!challenge.www_authenticate().unwrap().contains("scope=\""));
        assert!(matches!(challenge.refusal(), Refusal::Unmapped));
    }
    let without = BearerVerifier::new(issuer(), api.key.verifying_key().into())
        .with_clock(Arc::clone(&api.clock))
        .with_resource(Resource::new(API).unwrap());
    assert!(without.check(Some(&*header)).is_ok());
    let challenge = without.authorize("GET", "/users/42", Some(&*header)).unwrap_err();
    assert!(matches!(challenge.refusal(), Refusal::Unmapped));
}

/// S2: a cached token is refused after its expiry, and before its start if the clock was set back.
#[test]
fn the_times_of_a_cached_token_are_checked_at_each_use() {
    let api = api();
    let header = api.header();
    let check_at = |seconds: i64| {
        api.clock.set(UnixTime::from_seconds(1_700_000_000 + seconds));
        match api.verifier.check(Some(&*header)) {
            Ok(_) => None,
            Err(challenge) => Some(answer(&challenge).2),
        }
    };
    assert_eq!((check_at(0), check_at(64)), (None, None));
    assert!(check_at(65).unwrap().contains("(`exp`)"));
    assert_eq!(check_at(-5), None);
    assert!(check_at(-6).unwrap().contains("not valid yet"));
    let exact = api_with(Algorithm::EdDSA, |verifier| verifier.with_clock_skew(Duration::ZERO));
    let header = exact.header();
    assert!(exact.verifier.check(Some(&*header)).is_ok());
    exact.clock.advance(Duration::from_mins(1));
    assert!(exact.verifier.check(Some(&*header)).is_err());
    let lenient = api_with(Algorithm::EdDSA, |verifier| verifier.with_clock_skew(Duration::MAX));
    lenient.clock.set(NOW.plus(Duration::from_secs(119)));
    assert!(lenient.verifier.check(Some(&*lenient.header())).is_ok());
    lenient.clock.set(NOW.plus(Duration::from_mins(2)));
    assert!(lenient.verifier.check(Some(&*lenient.header())).is_err());
}

#[test]
fn a_cached_token_is_refused_after_its_key_was_replaced() {
    let api = api();
    let header = api.header();
    let first = api.verifier.check(Some(&*header)).unwrap();
    api.verifier.replace_keys(api.key.verifying_key().into());
    assert!(Arc::ptr_eq(&first, &api.verifier.check(Some(&*header)).unwrap()));
    let next = SigningKey::generate(Algorithm::EdDSA).unwrap();
    let both = VerifyingKeys::new(vec![next.verifying_key(), api.key.verifying_key()]).unwrap();
    api.verifier.replace_keys(both);
    assert!(Arc::ptr_eq(&first, &api.verifier.check(Some(&*header)).unwrap()), "its key stays");
    api.verifier.replace_keys(next.verifying_key().into());
    let challenge = api.verifier.check(Some(&*header)).unwrap_err();
    assert!(matches!(challenge.refusal(), Refusal::Token(AccessTokenError::UnknownKey)));
    assert!(api.verifier.check(Some(&*Token::default().header(&next))).is_ok());
}

/// A key, and the same key for a ring.
fn key_pair() -> (SigningKey, RingKey) {
    let pem = SigningKey::generate_pem(Algorithm::EdDSA).unwrap();
    let key = || SigningKey::from_pem(Algorithm::EdDSA, pem.expose_secret()).unwrap();
    (key(), key().into())
}

/// A verifier that follows `ring`, with a clock.
fn follower(ring: &KeyRing) -> (BearerVerifier, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let verifier = BearerVerifier::following(issuer(), ring).with_clock(Arc::clone(&clock));
    (verifier.with_resource(Resource::new(API).unwrap()), clock)
}

/// Z32: each change of the ring is in force when it returns, for cached tokens too, and without a call to
/// the verifier.
#[test]
fn a_verifier_follows_the_ring_of_its_server() {
    let [(first, first_on_ring), (second, second_on_ring)] = [key_pair(), key_pair()];
    let of = |key: &SigningKey| Token::default().header(key);
    let ring = KeyRing::new(vec![first_on_ring.clone()]).unwrap();
    let (verifier, _) = follower(&ring);
    let is_accepted = |key: &SigningKey| verifier.check(Some(&*of(key))).is_ok();
    assert_eq!([is_accepted(&first), is_accepted(&second)], [true, false]);
    let cached = verifier.check(Some(&*of(&first))).unwrap();
    ring.replace(vec![second_on_ring.clone(), first_on_ring]).unwrap();
    assert_eq!([is_accepted(&first), is_accepted(&second)], [true, true]);
    let again = verifier.check(Some(&*of(&first))).unwrap();
    assert!(Arc::ptr_eq(&cached, &again), "a key that stays costs no second verification");
    ring.replace(vec![second_on_ring]).unwrap();
    assert_eq!([is_accepted(&first), is_accepted(&second)], [false, true]);
    // The ring decides alone.
    verifier.replace_keys(first.verifying_key().into());
    assert_eq!([is_accepted(&first), is_accepted(&second)], [false, true]);
    ring.publish(first.verifying_key());
    assert_eq!([is_accepted(&first), is_accepted(&second)], [true, true]);
}

/// Z32: a key ends at its instant, for cached tokens too, also if the clock moves back.
#[test]
fn a_verifier_follows_the_instants_of_the_keys() {
    let [(old, old_on_ring), (new, new_on_ring)] = [key_pair(), key_pair()];
    let gone = NOW.plus(Duration::from_secs(30));
    let ring = KeyRing::new(vec![old_on_ring.retire_after(gone), new_on_ring]).unwrap();
    let (verifier, clock) = follower(&ring);
    let header = |key: &SigningKey| Token::default().header(key);
    for (at, expected) in [(0, true), (29, true), (30, false), (29, true), (31, false)] {
        clock.set(NOW.plus(Duration::from_secs(at)));
        for _ in 0..2 {
            let is_accepted = verifier.check(Some(&*header(&old))).is_ok();
            assert_eq!(is_accepted, expected, "after {at} s");
            assert!(verifier.check(Some(&*header(&new))).is_ok(), "after {at} s");
        }
    }
}

/// Z32: while other threads verify, a token of a removed key is refused from the instant at which the
/// removal returns, and one of a present key never is.
#[test]
fn no_thread_accepts_a_removed_key_after_the_removal() {
    let [(stays, stays_on_ring), (leaves, leaves_on_ring)] = [key_pair(), key_pair()];
    let ring = KeyRing::new(vec![stays_on_ring.clone()]).unwrap();
    let (verifier, _) = follower(&ring);
    let [staying, leaving] = [&stays, &leaves].map(|key| Token::default().header(key));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    _ = verifier.check(Some(&*leaving));
                    assert!(verifier.check(Some(&*staying)).is_ok());
                }
            });
        }
        // The threads end before anything is asserted, so that a failure does not wait for them.
        let mut wrong = 0;
        for _ in 0..200 {
            ring.replace(vec![stays_on_ring.clone(), leaves_on_ring.clone()]).unwrap();
            wrong += usize::from(verifier.check(Some(&*leaving)).is_err());
            ring.replace(vec![stays_on_ring.clone()]).unwrap();
            wrong += usize::from(verifier.check(Some(&*leaving)).is_ok());
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(wrong, 0);
    });
}

fn end_of_everything() -> Revocation {
    Revocation {
        target: RevocationTarget::Everything,
        at: NOW,
        why: RevocationReason::Administrator,
        until: NOW.plus(Duration::from_mins(1)),
    }
}

/// S2: a revocation voids cached tokens, and a closed list accepts nothing.
#[test]
fn the_revocation_list_is_checked_at_each_use() {
    let list = Arc::new(RevocationList::new());
    let api = api_with(Algorithm::EdDSA, |verifier| verifier.with_revocations(Arc::clone(&list)));
    let header = api.header();
    let authorize = || api.verifier.authorize("GET", "/users/42", Some(&*header));
    let feed = |entries| RevocationFeed { entries, next: FeedCursor::default(), more: false };
    let closed = authorize().unwrap_err();
    assert_eq!(answer(&closed), (503, None, String::new()));
    list.apply(&feed(Vec::new()), NOW);
    assert!(authorize().is_ok());
    list.apply(&feed(vec![end_of_everything()]), NOW);
    let (status, error, header) = answer(&authorize().unwrap_err());
    assert_eq!((status, error), (401, Some("invalid_token")));
    assert!(header.contains("revoked"));
    api.clock.advance(Duration::from_secs(61));
    let stale = authorize().unwrap_err();
    assert!(matches!(stale.refusal(), Refusal::RevocationsUnknown(RevocationsUnknown::Stale)));
}

/// S2: a store at hand is asked at each use.
#[test]
fn the_store_is_asked_at_each_use() {
    block_on(async {
        let api = api();
        let store = MemoryStore::new();
        let header = api.header();
        // The store does not know the app, and treats its tokens as void.
        let unknown = api.verifier.check_with(&store, Some(&*header)).await.unwrap_err();
        assert!(matches!(unknown.refusal(), Refusal::Revoked));
        let call = api.verifier.authorize_with(&store, "PUT", "/users/42", None);
        assert!(matches!(call.await.unwrap_err().refusal(), Refusal::NoToken));
    });
}
