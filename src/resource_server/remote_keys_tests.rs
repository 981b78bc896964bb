use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use async_lock::Semaphore;
use pollster::block_on;
use serde_json::{Map, json};

use super::*;
use crate::clock::ManualClock;
use crate::ids::{ClientId, GrantId, KeyId};
use crate::jwt::access_token::NewAccessToken;
use crate::jwt::{Algorithm, SigningKey, testing};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const ISSUER: &str = "https://as.example.com/tenant";
const METADATA: &str = "https://as.example.com/.well-known/oauth-authorization-server/tenant";
const JWKS: &str = "https://keys.example.com/jwks";

/// An authorization server, as a fetcher sees it.
struct Server {
    metadata: Mutex<Answer>,
    jwks: Mutex<Answer>,
    requests: Mutex<Vec<String>>,
    /// Permits for answers. Without one, a fetch hangs.
    open: Semaphore,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn json(body: impl Into<String>) -> Self {
        Self { status: 200, content_type: "application/json", body: body.into() }
    }
}

impl Fetch for Server {
    async fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
        _: usize,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        let url = request.uri().to_string();
        self.requests.lock().unwrap().push(url.clone());
        let _open = self.open.acquire().await;
        let answer = if url == METADATA { &self.metadata } else { &self.jwks };
        let answer = answer.lock().unwrap().clone();
        if answer.status == 0 {
            return Err(FetchError::new("connection refused"));
        }
        let response = http::Response::builder().status(answer.status);
        let response = response.header("content-type", answer.content_type);
        Ok(response.body(answer.body.into_bytes()).unwrap())
    }
}

fn metadata() -> serde_json::Value {
    json!({ "issuer": ISSUER, "jwks_uri": JWKS, "response_types_supported": ["code"] })
}

impl Server {
    fn with(keys: &[&SigningKey]) -> Arc<Self> {
        Arc::new(Self {
            metadata: Mutex::new(Answer::json(metadata().to_string())),
            jwks: Mutex::new(Answer::json(jwk_set(keys))),
            requests: Mutex::default(),
            open: Semaphore::new(1_000),
        })
    }

    fn publish(&self, keys: &[&SigningKey]) {
        *self.jwks.lock().unwrap() = Answer::json(jwk_set(keys));
    }

    /// Makes every request fail.
    fn fail(&self) {
        self.metadata.lock().unwrap().status = 0;
    }

    fn recover(&self) {
        self.metadata.lock().unwrap().status = 200;
    }

    /// Keeps answers back until the guards are dropped.
    fn hang(&self) -> VecDeque<async_lock::SemaphoreGuard<'_>> {
        std::iter::from_fn(|| self.open.try_acquire()).collect()
    }

    /// The number of times that the metadata were fetched.
    fn fetches(&self) -> usize {
        self.requests.lock().unwrap().iter().filter(|url| *url == METADATA).count()
    }
}

fn key(id: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA).unwrap().with_key_id(KeyId::new(id).unwrap())
}

fn jwk_set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.verifying_key()).collect();
    crate::jwt::jwk_set_json(&keys)
}

/// Returns the `Authorization` header with a token of this key that is valid for a year.
fn token(key: &SigningKey) -> String {
    let issuer = Issuer::new(ISSUER).unwrap();
    let new = NewAccessToken {
        subject: "alice",
        audience: ISSUER,
        further_audiences: &[],
        client_id: &ClientId::new("app").unwrap(),
        scope: "files.read",
        token_id: [1; 16],
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_hours(24 * 365)),
        grant_id: GrantId::from_bytes([7; 16]),
        authorized_at: NOW,
        auth_time: None,
        actor: None,
        device: None,
        circumstances: None,
        via: &[],
        extra: &Map::new(),
    };
    format!("Bearer {}", testing::access_token(key, &issuer, &new))
}

/// An API that has discovered `server` just now, and its clock.
struct Api {
    server: Arc<Server>,
    verifier: BearerVerifier,
    clock: Arc<ManualClock>,
}

impl Api {
    fn of(server: Arc<Server>) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let verifier = block_on(discover(&server)).unwrap().with_clock(Arc::clone(&clock));
        Self { server, verifier, clock }
    }

    fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    fn status(&self, header: &str) -> u16 {
        self.verifier.check(Some(header)).map_or_else(|challenge| challenge.status(), |_| 200)
    }

    /// Checks a token, and again after a fetch of the keys if that is due.
    async fn checked(&self, header: &str) -> u16 {
        let checked = self.verifier.check_again(|| self.verifier.check(Some(header))).await;
        checked.map_or_else(|challenge| challenge.status(), |_| 200)
    }
}

async fn discover(server: &Arc<Server>) -> Result<BearerVerifier, DiscoveryError> {
    BearerVerifier::discover(Issuer::new(ISSUER).unwrap(), Arc::clone(server)).await
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn the_keys_of_an_issuer_are_found_by_its_url() {
    let key = key("1");
    let api = Api::of(Server::with(&[&key]));
    assert_eq!(*api.server.requests.lock().unwrap(), [METADATA, JWKS]);
    for _ in 0..3 {
        assert_eq!(api.status(&token(&key)), 200);
    }
    assert_eq!(api.server.fetches(), 1);
}

/// Z40: a document that is not what it should be gives no verifier, and says why.
#[test]
fn documents_that_are_not_usable_are_refused() {
    use ServerDocument::JwkSet;
    let key = key("1");
    let set = |member: &str, value: serde_json::Value| {
        let mut metadata = metadata();
        metadata[member] = value;
        Answer::json(metadata.to_string())
    };
    let with =
        |status, content_type, body: &str| Answer { status, content_type, body: body.into() };
    let good = || Answer::json(metadata().to_string());
    let jwks = || Answer::json(jwk_set(&[&key]));
    let cases: [(Answer, Answer, &str); 17] = [
        (with(0, "", ""), jwks(), "the server's metadata cannot be fetched"),
        (with(404, "application/json", "{}"), jwks(), "metadata came with status 404"),
        (with(302, "text/html", ""), jwks(), "metadata came with status 302"),
        (with(200, "text/html", "<html>"), jwks(), "metadata has a content type"),
        (Answer::json("{\"issuer\""), jwks(), "metadata is malformed JSON"),
        (Answer::json("[]"), jwks(), "metadata is malformed JSON"),
        (set("issuer", json!("https://as.example.com")), jwks(), "state another `issuer`"),
        (set("issuer", json!("https://as.example.com/tenant/")), jwks(), "state another `issuer`"),
        (set("jwks_uri", json!(null)), jwks(), "have no `jwks_uri`"),
        (
            set("jwks_uri", json!("http://keys.example.com/jwks")),
            jwks(),
            "`jwks_uri` of the metadata",
        ),
        (set("jwks_uri", json!("/jwks")), jwks(), "`jwks_uri` of the metadata"),
        (good(), with(500, "application/json", "{}"), "JWK Set came with status 500"),
        (good(), with(200, "text/plain", "{}"), "JWK Set has a content type"),
        (good(), Answer::json("{\"keys\":"), "JWK Set is not usable"),
        (good(), Answer::json(r#"{"keys":[]}"#), "there is no usable key"),
        (good(), Answer::json(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), "a symmetric key"),
        (
            good(),
            Answer::json(format!("{}{}", jwk_set(&[&key]), " ".repeat(64 * 1024))),
            "larger than 65536",
        ),
    ];
    for (metadata, jwks, text) in cases {
        let server = Server::with(&[]);
        *server.metadata.lock().unwrap() = metadata;
        *server.jwks.lock().unwrap() = jwks;
        let error = block_on(discover(&server)).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(text), "{told} / {text}");
        let of_set = matches!(
            error,
            DiscoveryError::Keys(_)
                | DiscoveryError::Status { document: JwkSet, .. }
                | DiscoveryError::Fetch { document: JwkSet, .. }
                | DiscoveryError::ContentType(JwkSet)
                | DiscoveryError::Malformed(JwkSet)
        );
        assert_eq!(of_set, told.contains("JWK Set"), "{told}");
    }
}

#[test]
fn the_largest_documents_are_read() {
    let key = key("1");
    let padded = |text: String, size: usize| format!("{text}{}", " ".repeat(size - text.len()));
    let longest = |more| {
        let server = Server::with(&[&key]);
        let metadata = padded(metadata().to_string(), server_documents::MAX_METADATA + more);
        *server.metadata.lock().unwrap() = Answer::json(metadata);
        let jwks = padded(jwk_set(&[&key]), server_documents::MAX_JWK_SET);
        let content_type = "application/jwk-set+json; charset=utf-8";
        *server.jwks.lock().unwrap() = Answer { content_type, ..Answer::json(jwks) };
        block_on(discover(&server))
    };
    assert!(longest(0).is_ok());
    let error = longest(1).unwrap_err().to_string();
    assert!(error.contains("larger than 262144 bytes"), "{error}");
}

/// Z40: a hundred keys with one usable key are a set of one.
#[test]
fn keys_of_other_kinds_are_passed_over() {
    let key = key("1");
    let mut set: serde_json::Value = serde_json::from_str(&jwk_set(&[&key])).unwrap();
    let keys = set["keys"].as_array_mut().unwrap();
    for number in 0..99 {
        keys.push(json!({ "kty": "EC", "crv": "secp256k1", "kid": format!("other {number}"), "x": "", "y": "" }));
    }
    let server = Server::with(&[]);
    *server.jwks.lock().unwrap() = Answer::json(set.to_string());
    assert_eq!(Api::of(server).status(&token(&key)), 200);
}

/// Z40: an unknown `kid` costs one fetch a minute, and then its token is accepted.
#[test]
fn an_unknown_key_is_fetched_at_most_once_a_minute() {
    let (old, new, forged) = (key("1"), key("2"), key("3"));
    let api = Api::of(Server::with(&[&old]));
    api.server.publish(&[&old, &new]);
    let checked = |key: &SigningKey| block_on(api.checked(&token(key)));
    api.advance(59_999);
    assert_eq!((checked(&new), api.server.fetches()), (401, 1));
    api.advance(1);
    assert_eq!((checked(&new), api.server.fetches()), (200, 2));
    for _ in 0..100 {
        api.advance(599);
        assert_eq!([checked(&forged), checked(&new), checked(&old)], [401, 200, 200]);
    }
    assert_eq!(api.server.fetches(), 2);
    api.advance(100);
    assert_eq!((checked(&forged), api.server.fetches()), (401, 3));
}

/// Z40: another algorithm is another key. Other refusals fetch nothing, and neither do other verifiers.
#[test]
fn only_a_token_without_a_key_leads_to_a_fetch() {
    let old = key("1");
    let api = Api::of(Server::with(&[&old]));
    api.advance(60_000);
    for garbage in ["Bearer garbage", "Basic YTpi", "Bearer ", &token(&key("1"))] {
        assert_ne!(block_on(api.checked(garbage)), 200);
    }
    assert_eq!(api.server.fetches(), 1);
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    api.server.publish(&[&old, &other]);
    assert_eq!(block_on(api.checked(&token(&other))), 200);

    let plain = BearerVerifier::new(Issuer::new(ISSUER).unwrap(), old.verifying_key().into());
    let challenge = plain.check(Some(&*token(&other))).unwrap_err();
    assert!(!block_on(plain.refresh_after(&challenge)));
    block_on(plain.refresh_keys()).unwrap();
}

/// Z40: a key that is no longer published ends with the next fetch, also for cached tokens.
#[test]
fn a_removed_key_ends_with_the_next_fetch() {
    let (old, new) = (key("1"), key("2"));
    let api = Api::of(Server::with(&[&old, &new]));
    assert_eq!(api.status(&token(&old)), 200);
    api.server.publish(&[&new]);
    let refresh = || block_on(api.verifier.refresh_keys());
    api.advance(299_999);
    refresh().unwrap();
    assert_eq!((api.status(&token(&old)), api.server.fetches()), (200, 1));
    api.advance(1);
    refresh().unwrap();
    assert_eq!([api.status(&token(&old)), api.status(&token(&new))], [401, 200]);
    assert_eq!(api.server.fetches(), 2);
}

/// Z40: while fetches fail, the keys stay in use for an hour. They are tried once a minute.
#[test]
fn keys_stay_in_use_for_an_hour_while_fetches_fail() {
    let (known, new) = (key("1"), key("2"));
    let api = Api::of(Server::with(&[&known]));
    let header = token(&known);
    api.server.fail();
    api.advance(299_000);
    let mut failed = 0;
    for second in 300..=3_600 {
        api.advance(1_000);
        failed += usize::from(block_on(api.verifier.refresh_keys()).is_err());
        assert_eq!(api.status(&header), 200, "after {second} s");
    }
    assert_eq!((failed, api.server.fetches()), (56, 57));
    api.advance(1);
    let challenge = api.verifier.check(Some(&*token(&known))).unwrap_err();
    assert!(matches!(challenge.refusal(), Refusal::KeysStale));
    assert_eq!((challenge.status(), challenge.www_authenticate()), (503, None));
    api.server.recover();
    api.server.publish(&[&known, &new]);
    api.advance(9_998);
    assert_eq!(block_on(api.checked(&token(&known))), 503, "the last attempt was just now");
    api.advance(1);
    assert_eq!(block_on(api.checked(&token(&new))), 200, "the request waits for the keys");
    assert_eq!(api.status(&token(&known)), 200);
}

/// Z40, N10: a step of the clock, forward and back, costs one fetch each.
#[test]
fn a_step_of_the_clock_costs_one_fetch() {
    let known = key("1");
    let api = Api::of(Server::with(&[&known]));
    let step = |seconds: i64| {
        api.clock.set(UnixTime::from_millis(api.clock.now().as_millis() + seconds * 1_000));
        assert_eq!(api.status(&token(&known)), 503);
        block_on(api.checked(&token(&known)))
    };
    assert_eq!((step(7_200), api.server.fetches()), (200, 2));
    // The time since that fetch is not known, so it counts from now.
    assert_eq!((step(-7_200), api.server.fetches()), (503, 2));
    api.advance(10_000);
    assert_eq!((block_on(api.checked(&token(&known))), api.server.fetches()), (200, 3));
}

/// Z40: requests that need the same keys wait for one fetch, at most 64 of them, while tokens with a known
/// key do not wait.
#[test]
fn many_requests_share_one_fetch() {
    let (known, new) = (key("1"), key("2"));
    let api = Api::of(Server::with(&[&known]));
    api.server.publish(&[&known, &new]);
    api.advance(60_000);
    let header = token(&new);
    let closed = api.server.hang();
    let mut requests: Vec<_> = (0..100).map(|_| Box::pin(api.checked(&header))).collect();
    let refused: Vec<_> = requests.iter_mut().filter_map(poll).collect();
    assert_eq!(refused, [401; 36]);
    assert_eq!((api.status(&token(&known)), api.server.fetches()), (200, 2));
    drop(closed);
    let mut accepted = 0;
    for mut request in requests.drain(..64) {
        accepted += usize::from(poll(&mut request) == Some(200));
    }
    assert_eq!((accepted, api.server.fetches()), (64, 2));
    assert_eq!(block_on(api.checked(&header)), 200);
}

/// Z40: a client that disconnects does not end the fetch that others need: the next one goes on with it.
#[test]
fn a_fetch_outlives_the_request_that_began_it() {
    let (known, new) = (key("1"), key("2"));
    let api = Api::of(Server::with(&[&known]));
    api.server.publish(&[&known, &new]);
    api.advance(60_000);
    let header = token(&new);
    let abandon = || {
        let mut request = Box::pin(api.checked(&header));
        assert_eq!(poll(&mut request), None);
    };
    let closed = api.server.hang();
    abandon();
    abandon();
    assert_eq!(api.server.fetches(), 2);
    drop(closed);
    assert_eq!((block_on(api.checked(&header)), api.server.fetches()), (200, 2));
}

/// Z40: an abandoned fetch that fails is repeated after ten seconds, and one that does not end after a
/// minute.
#[test]
fn an_abandoned_fetch_holds_nothing_up() {
    let (known, new) = (key("1"), key("2"));
    let api = Api::of(Server::with(&[&known]));
    let header = token(&new);
    let abandon = || {
        let closed = api.server.hang();
        let mut request = Box::pin(api.checked(&header));
        assert_eq!(poll(&mut request), None);
        drop(request);
        drop(closed);
    };
    api.advance(60_000);
    abandon();
    api.server.fail();
    assert_eq!(block_on(api.checked(&header)), 401);
    api.server.recover();
    api.server.publish(&[&known, &new]);
    api.advance(9_999);
    assert_eq!((block_on(api.checked(&header)), api.server.fetches()), (401, 2));
    api.advance(1);
    abandon();
    assert_eq!(api.server.fetches(), 3);
    // An answer that was under way for a minute is not waited for.
    api.advance(60_000);
    assert_eq!((block_on(api.checked(&header)), api.server.fetches()), (200, 4));
}

/// Z40: a client of the host that panics is one that fails.
#[test]
fn a_panic_of_the_fetcher_is_a_failure() {
    struct Panics(Arc<Server>, AtomicUsize);

    impl Fetch for Panics {
        async fn fetch(
            &self,
            request: http::Request<Vec<u8>>,
            max_bytes: usize,
        ) -> Result<http::Response<Vec<u8>>, FetchError> {
            // The two requests of `discover` succeed.
            assert!(self.1.fetch_add(1, Ordering::SeqCst) < 2, "a defect");
            self.0.fetch(request, max_bytes).await
        }
    }

    let known = key("1");
    let panics = Panics(Server::with(&[&known]), AtomicUsize::new(0));
    let verifier =
        block_on(BearerVerifier::discover(Issuer::new(ISSUER).unwrap(), panics)).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let verifier = verifier.with_clock(Arc::clone(&clock));
    for _ in 0..2 {
        clock.advance(Duration::from_mins(5));
        let error = block_on(verifier.refresh_keys()).unwrap_err().to_string();
        assert!(error.ends_with("it panicked: a defect"), "{error}");
        assert!(verifier.check(Some(&*token(&known))).is_ok());
    }
}
