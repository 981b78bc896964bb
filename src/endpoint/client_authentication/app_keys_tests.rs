use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as Polling, Poll, Waker};

use super::*;
use crate::app::DocumentProblem;
use crate::fetch::{Fetch, FetchError};
use crate::jwt::{Algorithm, SigningKey, jwk_set_json};

/// A server of keys: it answers with the set, or not at all.
#[derive(Default)]
struct Keys {
    set: Mutex<Option<String>>,
    requests: AtomicUsize,
    hangs: AtomicBool,
}

impl Keys {
    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.verifying_key()).collect();
        self.answer(Some(jwk_set_json(&keys)));
    }

    fn answer(&self, set: Option<String>) {
        *self.set.lock().unwrap() = set;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Fetch for Arc<Keys> {
    async fn fetch(
        &self,
        _: http::Request<Vec<u8>>,
        _: usize,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let set = self.set.lock().unwrap().clone().ok_or(FetchError::Url("down"))?;
        Ok(http::Response::new(set.into_bytes()))
    }
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_700_000_000 + seconds)
}

/// Asks for keys on behalf of an app that describes itself. Every fetch is admitted.
async fn ask(
    keys: &AppKeys,
    uri: &JwksUri,
    need: Need,
    seconds: i64,
) -> Option<Arc<VerifyingKeys>> {
    keys.at(uri, need, Class::Stranger, at(seconds), || Ok(())).await.unwrap()
}

/// Polls a future once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match std::pin::Pin::new(future).poll(&mut Polling::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn uri_of(number: usize) -> JwksUri {
    JwksUri::new(&format!("https://a{number}.example/jwks")).unwrap()
}

fn app_keys() -> (Arc<Keys>, Arc<AppKeys>, JwksUri) {
    let server = Arc::new(Keys::default());
    let keys = Arc::new(AppKeys::new(Arc::new(Arc::clone(&server))));
    (server, keys, JwksUri::new("https://app.example/jwks").unwrap())
}

/// C30, L15: an unknown key leads to one fetch a minute, and known keys are used for a day while fetches fail.
#[tokio::test]
async fn keys_are_fetched_once_a_minute_and_used_for_a_day() {
    let (server, keys, uri) = app_keys();
    let [old, new] = [(); 2].map(|()| SigningKey::generate(Algorithm::ES256).unwrap());
    let ask = async |need, seconds| {
        let found = ask(&keys, &uri, need, seconds).await;
        (found.map_or(0, |keys| keys.iter().count()), server.requests())
    };
    assert_eq!(ask(Need::Use, 0).await, (0, 1), "the server of keys is down");
    assert_eq!(ask(Need::Use, 9).await, (0, 1));
    server.publish(&[&old]);
    assert_eq!(ask(Need::Use, 10).await, (1, 2));
    for seconds in [11, 60, 3_609] {
        assert_eq!(ask(Need::Use, seconds).await, (1, 2), "fresh");
    }
    server.publish(&[&old, &new]);
    assert_eq!(ask(Need::Newer, 69).await, (1, 2), "a minute has not passed");
    assert_eq!(ask(Need::Newer, 70).await, (2, 3));
    for seconds in 71..130 {
        assert_eq!(ask(Need::Newer, seconds).await, (2, 3));
    }
    assert_eq!(ask(Need::Use, 70 + 3_600).await, (2, 4), "an hour has passed");
    server.answer(None);
    let hour = 70 + 3_600;
    assert_eq!(ask(Need::Use, 2 * hour).await, (2, 5), "down again");
    assert_eq!(ask(Need::Use, hour + 86_400).await.0, 2);
    assert_eq!(ask(Need::Use, hour + 86_401).await.0, 0, "a day has passed");
    server.answer(Some("<html>".to_owned()));
    assert_eq!(ask(Need::Use, hour + 90_000).await.0, 0);
    server.publish(&[&new]);
    assert_eq!(ask(Need::Use, hour + 90_060).await.0, 1);
}

/// L15, L18: requests at once share the fetch.
#[tokio::test]
async fn requests_at_once_share_the_fetch_of_keys() {
    let (server, keys, uri) = app_keys();
    server.publish(&[&SigningKey::generate(Algorithm::ES256).unwrap()]);
    let mut tasks = Vec::new();
    for number in 0..40 {
        let (keys, uri) = (Arc::clone(&keys), uri.clone());
        tasks.push(tokio::spawn(async move {
            let need = if number % 2 == 0 { Need::Use } else { Need::Newer };
            ask(&keys, &uri, need, 0).await.is_some()
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(server.requests(), 1);
}

/// L15: a key set without a usable key ends the keys of before. Another answer is a failure.
#[tokio::test]
async fn a_key_set_without_a_usable_key_ends_those_of_before() {
    for (answer, expected) in [
        (r#"{"keys":[]}"#, Some(0)),
        (r#"{"keys":[{"kty":"EC","crv":"P-521"}]}"#, Some(0)),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, Some(0)),
        (r#"{"error":"maintenance"}"#, Some(1)),
        ("[]", Some(1)),
    ] {
        let (server, keys, uri) = app_keys();
        server.publish(&[&SigningKey::generate(Algorithm::ES256).unwrap()]);
        assert!(ask(&keys, &uri, Need::Use, 0).await.is_some());
        server.answer(Some(answer.to_owned()));
        let found = ask(&keys, &uri, Need::Use, 3_600).await;
        assert_eq!(found.map(|keys| keys.iter().count()), expected, "{answer}");
    }
}

/// L15: while the host of the keys hangs, known keys verify. Only a request without usable keys, or with an unknown key,
/// waits; it goes on with the fetch if the one before it hangs up.
#[tokio::test]
async fn a_slow_fetch_holds_up_no_request_with_known_keys() {
    let (server, keys, uri) = app_keys();
    server.publish(&[&SigningKey::generate(Algorithm::ES256).unwrap()]);
    assert!(ask(&keys, &uri, Need::Use, 0).await.is_some());
    server.hangs.store(true, Ordering::SeqCst);
    let mut first = Box::pin(ask(&keys, &uri, Need::Use, 3_600));
    while server.requests() < 2 {
        assert!(poll_once(&mut first).is_none());
    }
    for _ in 0..3 {
        let mut other = Box::pin(ask(&keys, &uri, Need::Use, 3_600));
        assert!(poll_once(&mut other).flatten().is_some(), "keys are known");
    }
    let mut unknown = Box::pin(ask(&keys, &uri, Need::Newer, 3_600));
    assert!(poll_once(&mut unknown).is_none());
    assert_eq!(server.requests(), 2, "one fetch");
    drop(first);
    server.hangs.store(false, Ordering::SeqCst);
    assert!(unknown.await.is_some());
    assert_eq!(server.requests(), 3);
}

/// A stranger who asks and hangs up keeps no other from the keys.
#[tokio::test]
async fn a_caller_that_hangs_up_leaves_no_pause() {
    let (server, keys, uri) = app_keys();
    server.publish(&[&SigningKey::generate(Algorithm::ES256).unwrap()]);
    let mut dropped = Box::pin(ask(&keys, &uri, Need::Use, 0));
    assert!(poll_once(&mut dropped).is_none());
    drop(dropped);
    assert!(ask(&keys, &uri, Need::Use, 0).await.is_some());
    assert_eq!(server.requests(), 2);
}

/// L18: if a fetch is refused, known keys are used. Without any the caller gets the refusal, and the next may ask.
#[tokio::test]
async fn a_refused_fetch_leaves_the_known_keys_in_use() {
    let (server, keys, uri) = app_keys();
    server.publish(&[&SigningKey::generate(Algorithm::ES256).unwrap()]);
    let spent = || Err::<(), _>(Rejection::ClientDocument(DocumentProblem::TooMany).into());
    let refused = keys.at(&uri, Need::Use, Class::Stranger, at(0), spent).await;
    assert!(refused.is_err());
    assert!(ask(&keys, &uri, Need::Use, 0).await.is_some());
    let known = keys.at(&uri, Need::Use, Class::Stranger, at(3_600), spent).await;
    assert!(known.unwrap().is_some());
    assert_eq!(server.requests(), 1);
}

/// L18: a flood of URLs removes neither the keys of a registered app, nor those that verify assertions.
#[tokio::test]
async fn a_flood_of_urls_removes_no_keys_in_use() {
    let (server, keys, used) = app_keys();
    server.publish(&[&SigningKey::generate(Algorithm::ES256).unwrap()]);
    let registered = JwksUri::new("https://registered.example/jwks").unwrap();
    let found = keys.at(&registered, Need::Use, Class::Vouched, at(0), || Ok(())).await;
    assert!(found.unwrap().is_some());
    assert!(ask(&keys, &used, Need::Use, 0).await.is_some());
    for number in 0..2_100 {
        assert!(ask(&keys, &uri_of(number), Need::Use, 0).await.is_some());
        keys.note_use(&used, Class::Stranger);
        assert!(keys.sets().len() <= MAX_SETS + 1);
    }
    let before = server.requests();
    assert!(ask(&keys, &used, Need::Use, 1).await.is_some());
    assert!(ask(&keys, &registered, Need::Use, 1).await.is_some());
    assert_eq!(server.requests(), before);
    assert!(ask(&keys, &uri_of(0), Need::Use, 1).await.is_some());
    assert_eq!(server.requests(), before + 1, "it had to make room");
}

#[tokio::test]
async fn a_key_set_has_its_largest_size() {
    let (server, keys, uri) = app_keys();
    let set = jwk_set_json(&[SigningKey::generate(Algorithm::ES256).unwrap().verifying_key()]);
    for (bytes, found) in [(MAX_BYTES + 1, false), (MAX_BYTES, true)] {
        let padding = " ".repeat(bytes - set.len());
        server.answer(Some(format!("{set}{padding}")));
        let seconds = if found { 10 } else { 0 };
        assert_eq!(ask(&keys, &uri, Need::Use, seconds).await.is_some(), found, "{bytes}");
    }
}
