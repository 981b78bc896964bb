use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::app::{AppTemplate, AuthenticationMethodName, ClientMetadata, DocumentProblem};
use crate::protocol::scope::Scope;

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

/// Fetches the document of an app at `now`. It is fresh for 300 seconds.
async fn fetch(cache: &Cache, number: usize, class: Class, now: i64) {
    let fetch = async { Ok(Ok(description(now, now + 300))) };
    cache.fetched(&id(number), class, None, at(now), fetch).await.unwrap().unwrap();
}

/// L18: a failure of the fetch is every waiter's, and a refusal to fetch the caller's own. Neither stays behind.
#[tokio::test]
async fn a_failure_is_not_kept() {
    const GONE: Rejection = Rejection::ClientDocument(DocumentProblem::Gone);
    let cache = Cache::new(8);
    let answer = |result: Result<Fetched, EndpointError>| async { result };
    let failed = answer(Ok(Err(GONE)));
    let failed = cache.fetched(&id(1), Class::Stranger, None, at(1), failed).await;
    assert_eq!(failed.unwrap().unwrap_err(), GONE);
    let refused = answer(Err(Rejection::UnknownClient.into()));
    let refused = cache.fetched(&id(1), Class::Stranger, None, at(1), refused).await;
    assert!(refused.is_err());
    assert_eq!(cache.counts(), (0, 0));
}

/// L11: a fresh document is not fetched again, unless another process has seen the document later.
#[tokio::test]
async fn a_fresh_document_is_used_until_another_process_has_seen_a_newer_one() {
    let cache = Cache::new(8);
    let count = AtomicUsize::new(0);
    let ask = async |seen_at: Option<i64>, now: i64| {
        let fetch = async {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Ok(description(now, now + 300)))
        };
        let fetched = cache.fetched(&id(1), Class::Stranger, seen_at.map(at), at(now), fetch).await;
        fetched.unwrap().unwrap();
        count.load(Ordering::SeqCst)
    };
    assert_eq!(ask(None, 1_000).await, 1);
    assert_eq!(ask(None, 1_299).await, 1);
    assert_eq!(ask(Some(999), 1_299).await, 1);
    assert_eq!(ask(Some(1_000), 1_299).await, 2);
    assert_eq!(ask(None, 1_599).await, 3, "it has expired");
    assert_eq!(ask(None, 900).await, 4, "the clock was set back");
}

/// L18: a flood of documents, each fresh for longer, removes neither those of apps with a row nor one in use.
#[tokio::test]
async fn a_flood_of_documents_removes_none_in_use() {
    let cache = Cache::new(16);
    fetch(&cache, 1, Class::Vouched, 1).await;
    fetch(&cache, 2, Class::Stranger, 1).await;
    for number in 0..1_000 {
        let fetch = async { Ok(Ok(description(1, 100_000))) };
        let flood = cache.fetched(&id(5_000 + number), Class::Stranger, None, at(1), fetch).await;
        flood.unwrap().unwrap();
        assert!(cache.fresh(&id(2), Class::Stranger, None, at(2)).is_some());
        assert!(cache.counts().0 <= 17);
    }
    assert!(cache.fresh(&id(1), Class::Vouched, None, at(2)).is_some());
    assert!(cache.fresh(&id(5_000), Class::Stranger, None, at(2)).is_none());
}

/// L12: what is known of a gone document serves no new request, until it is fetched again.
#[tokio::test]
async fn a_gone_document_is_not_fresh() {
    for class in [Class::Stranger, Class::Vouched] {
        let cache = Cache::new(8);
        fetch(&cache, 1, class, 1).await;
        cache.note_failure(&id(1), class, Failure { at: at(2), is_gone: false });
        assert!(cache.fresh(&id(1), class, None, at(2)).is_some());
        cache.note_failure(&id(1), class, Failure { at: at(2), is_gone: true });
        assert!(cache.fresh(&id(1), class, None, at(2)).is_none());
        assert_eq!(cache.memory(&id(1)).description.is_some(), class == Class::Vouched);
        fetch(&cache, 1, class, 3).await;
        assert!(cache.fresh(&id(1), class, None, at(4)).is_some());
    }
}
