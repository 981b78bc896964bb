use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fetch::{Fetch, FetchError};
use crate::jwt::{Algorithm, SigningKey, jwk_set_json};

/// A server of keys: it answers with the set, or not at all.
#[derive(Default)]
struct Keys {
    set: Mutex<Option<String>>,
    requests: AtomicUsize,
}

impl Keys {
    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.verifying_key()).collect();
        *lock(&self.set) = Some(jwk_set_json(&keys));
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
        let set = lock(&self.set).clone().ok_or(FetchError::Url("down"))?;
        Ok(http::Response::new(set.into_bytes()))
    }
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_700_000_000 + seconds)
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
        let found = keys.at(&uri, need, at(seconds)).await;
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
    *lock(&server.set) = None;
    let hour = 70 + 3_600;
    assert_eq!(ask(Need::Use, 2 * hour).await, (2, 5), "down again");
    assert_eq!(ask(Need::Use, hour + 86_400).await.0, 2);
    assert_eq!(ask(Need::Use, hour + 86_401).await.0, 0, "a day has passed");
    *lock(&server.set) = Some("<html>".to_owned());
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
            keys.at(&uri, need, at(0)).await.is_some()
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn the_sets_of_keys_are_bounded() {
    let (_, keys, _) = app_keys();
    for number in 0..1_100 {
        let uri = JwksUri::new(&format!("https://a{number}.example/jwks")).unwrap();
        assert!(keys.at(&uri, Need::Use, at(0)).await.is_none());
        assert!(keys.count() <= MAX_SETS);
    }
}

#[tokio::test]
async fn a_key_set_has_its_largest_size() {
    let (server, keys, uri) = app_keys();
    let set = jwk_set_json(&[SigningKey::generate(Algorithm::ES256).unwrap().verifying_key()]);
    for (bytes, found) in [(MAX_BYTES + 1, false), (MAX_BYTES, true)] {
        let padding = " ".repeat(bytes - set.len());
        *lock(&server.set) = Some(format!("{set}{padding}"));
        let seconds = if found { 10 } else { 0 };
        assert_eq!(keys.at(&uri, Need::Use, at(seconds)).await.is_some(), found, "{bytes}");
    }
}
