use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::app::{AppTemplate, AuthenticationMethodName, ClientMetadata, DocumentProblem};
use crate::protocol::scope::Scope;

const BUSY: Rejection = Rejection::ClientDocument(DocumentProblem::TooMany);
const GONE: Rejection = Rejection::ClientDocument(DocumentProblem::Gone);

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn id(number: usize) -> ClientId {
    ClientId::new(format!("https://a{number}.example/c")).unwrap()
}

/// A description that was fetched at `fetched` and is fresh until `until`.
fn description(fetched: i64, until: i64) -> Arc<Description> {
    let metadata = ClientMetadata::parse(br#"{"redirect_uris":["https://a.example/"]}"#).unwrap();
    let template = AppTemplate::new(Scope::parse("a").unwrap());
    let method = AuthenticationMethodName::None;
    let settings = template.describe(&metadata, "x", method).unwrap().settings;
    Arc::new(Description { settings, document: MetadataDocument::new(at(fetched), at(until)) })
}

/// L18: callers for one URL share one fetch, also its failure, and nothing of it stays behind.
#[tokio::test]
async fn callers_share_one_fetch_and_its_failure() {
    for result in [Ok(description(0, 300)), Err(GONE)] {
        let cache = Arc::new(Cache::new(8));
        let fetches = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for _ in 0..58 {
            let (cache, fetches, result) =
                (Arc::clone(&cache), Arc::clone(&fetches), result.clone());
            tasks.push(tokio::spawn(async move {
                let fetch = async {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    result
                };
                cache.fetched(&id(1), None, at(1), BUSY, fetch).await.is_ok()
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), result.is_ok());
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        assert_eq!(cache.counts(), (usize::from(result.is_ok()), 0));
    }
}

/// L18: a caller that gives up leaves the fetch to the next, and the last one leaves nothing.
#[tokio::test]
async fn a_dropped_caller_leaves_nothing_behind() {
    let (cache, id) = (Cache::new(8), id(1));
    let hangs = cache.fetched(&id, None, at(1), BUSY, std::future::pending());
    let waited = tokio::time::timeout(std::time::Duration::ZERO, hangs).await;
    assert!(waited.is_err());
    assert_eq!(cache.counts(), (0, 0));
    let fetched = cache.fetched(&id, None, at(1), BUSY, async { Ok(description(1, 300)) });
    assert!(fetched.await.is_ok());
}

/// L11: a fresh document is not fetched again, unless another process has seen the document later.
#[tokio::test]
async fn a_fresh_document_is_used_until_another_process_has_seen_a_newer_one() {
    let cache = Cache::new(8);
    let fetches = Cell::new(0);
    let ask = async |seen_at: Option<i64>, now: i64| {
        let fetch = async {
            fetches.set(fetches.get() + 1);
            Ok(description(now, now + 300))
        };
        cache.fetched(&id(1), seen_at.map(at), at(now), BUSY, fetch).await.unwrap();
        fetches.get()
    };
    assert_eq!(ask(None, 1_000).await, 1);
    assert_eq!(ask(None, 1_299).await, 1);
    assert_eq!(ask(Some(999), 1_299).await, 1);
    assert_eq!(ask(Some(1_000), 1_299).await, 2);
    assert_eq!(ask(None, 1_599).await, 3, "it has expired");
    assert_eq!(ask(None, 900).await, 4, "the clock was set back");
}

/// L18: the cache has its capacity, and those that expire first make room.
#[tokio::test]
async fn the_cache_is_bounded_and_fetches_at_once_too() {
    let cache = Cache::new(16);
    for number in 0..1_000_usize {
        let until = 1_000 + i64::try_from(number).unwrap();
        let fetch = async { Ok(description(0, until)) };
        cache.fetched(&id(number), None, at(1), BUSY, fetch).await.unwrap();
        assert!(cache.counts().0 <= 16);
    }
    assert!(cache.fresh(&id(999), None, at(1)).is_some());
    let pending: Vec<_> =
        (0..ClientDocuments::MAX_FETCHES).map(|number| id(5_000 + number)).collect();
    let mut held: Vec<_> = pending
        .iter()
        .map(|id| Box::pin(cache.fetched(id, None, at(1), BUSY, std::future::pending())))
        .collect();
    for fetch in &mut held {
        let waited = tokio::time::timeout(std::time::Duration::ZERO, fetch).await;
        assert!(waited.is_err());
    }
    let last = id(9_000);
    let late = cache.fetched(&last, None, at(1), BUSY, async { Ok(description(1, 300)) });
    assert_eq!(late.await.unwrap_err(), BUSY);
    drop(held);
    let late = cache.fetched(&last, None, at(1), BUSY, async { Ok(description(1, 300)) });
    assert!(late.await.is_ok());
}
