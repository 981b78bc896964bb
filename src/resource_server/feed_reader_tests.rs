use pollster::block_on;
use serde_json::{Value, json};

use super::*;
use crate::ids::{DeviceId, Subject};
use crate::store::{FeedCursor, Revocation, RevocationReason, RevocationTarget};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const ISSUER: &str = "https://as.example.com";

/// A server with these pages of the feed, one for each request.
struct Server {
    feed: &'static str,
    pages: Mutex<Vec<Value>>,
    /// Each URL with its `Authorization` header.
    requests: Mutex<Vec<(String, Option<HeaderValue>)>>,
}

impl Server {
    fn with(pages: &[Value]) -> Arc<Self> {
        let pages = Mutex::new(pages.iter().rev().cloned().collect());
        Arc::new(Self { feed: "https://as.example.com/feed", pages, requests: Mutex::default() })
    }

    fn requested(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(url, _)| url.clone()).collect()
    }
}

impl Fetch for Server {
    async fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
        _: usize,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        let (url, header) =
            (request.uri().to_string(), request.headers().get("authorization").cloned());
        let is_metadata = url.contains("well-known");
        self.requests.lock().unwrap().push((url, header));
        let metadata = json!({ "issuer": ISSUER, "revocation_feed_endpoint": self.feed });
        let body = if is_metadata { Some(metadata) } else { self.pages.lock().unwrap().pop() };
        let body = body.ok_or(FetchError::new("no page"))?;
        let status = if body.is_null() { 401 } else { 200 };
        let response = http::Response::builder().status(status);
        let response = response.header("content-type", "application/json");
        Ok(response.body(body.to_string().into_bytes()).unwrap())
    }
}

fn page(next: i64, more: bool) -> Value {
    json!({ "entries": [], "next": { "at": next, "tie": 0 }, "more": more })
}

fn reader(server: &Arc<Server>) -> FeedReader<Arc<Server>> {
    let (issuer, client_id) = (Issuer::new(ISSUER).unwrap(), ClientId::new("the api").unwrap());
    let list = Arc::new(RevocationList::new());
    FeedReader::new(issuer, Arc::clone(server), client_id, ClientSecret::new("s3cret:+"), list)
}

/// Z40: the reader follows the pages to their end, goes on from there, and reads the metadata once.
#[test]
fn the_feed_is_read_page_by_page_with_credentials() {
    let server = Server::with(&[page(1, true), page(2, false), page(3, false)]);
    let reader = reader(&server);
    for _ in 0..2 {
        block_on(reader.poll(NOW)).unwrap();
    }
    let feed = |cursor| format!("https://as.example.com/feed?cursor={cursor}");
    let metadata = "https://as.example.com/.well-known/oauth-authorization-server".to_owned();
    assert_eq!(server.requested(), [metadata, feed("0.0"), feed("1.0"), feed("2.0")]);
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests[0].1, None);
    let header = requests[1].1.as_ref().unwrap();
    let pair = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(pair, b"the+api:s3cret%3A%2B");
    assert!(header.is_sensitive());
    let shown = format!("{reader:?} {requests:?}");
    assert!(!shown.contains("s3cret") && !shown.contains(header.to_str().unwrap()), "{shown}");
}

/// Z40: a failure leaves the list as it was, and the next call reads the metadata again.
#[test]
fn a_failed_read_does_not_renew_the_list() {
    let server = Server::with(&[Value::Null, page(1, true)]);
    let reader = reader(&server);
    let error = block_on(reader.poll(NOW)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server's revocation feed came with status 401, not 200: check the client id and the secret of this \
         API's app"
    );
    assert!(block_on(reader.poll(NOW)).is_err(), "there is no second page");
    let metadata = |url: &&String| url.contains("well-known");
    assert_eq!(server.requested().iter().filter(metadata).count(), 2);
    let debug = format!("{:?}", reader.list);
    assert!(debug.contains(&i64::MIN.to_string()), "still closed: {debug}");
}

#[test]
fn a_page_that_leads_nowhere_is_an_error() {
    let reader = reader(&Server::with(&[page(1, true), page(1, true)]));
    let error = block_on(reader.poll(NOW)).unwrap_err();
    assert!(matches!(error, DiscoveryError::Malformed(ServerDocument::RevocationFeed)), "{error}");
}

#[test]
fn the_feed_of_an_https_issuer_is_https() {
    let server = Server {
        feed: "http://as.example.com/feed",
        ..Arc::into_inner(Server::with(&[])).unwrap()
    };
    let error = block_on(reader(&Arc::new(server)).poll(NOW)).unwrap_err();
    assert!(matches!(error, DiscoveryError::Url("revocation_feed_endpoint")), "{error}");
}

/// A page with as many and as long entries as there can be fits.
#[test]
fn the_largest_page_fits() {
    let name = "\"".repeat(255);
    let (app, subject) =
        (ClientId::new(name.clone()).unwrap(), Subject::new(name.clone()).unwrap());
    let target = RevocationTarget::Device(app, subject, DeviceId::new(name).unwrap());
    let until = NOW.plus(std::time::Duration::from_hours(24 * 730));
    let entry = Revocation { target, at: NOW, until, why: RevocationReason::RefreshTokenReused };
    let next = FeedCursor { at: UnixTime::MAX, tie: u64::MAX };
    let feed = RevocationFeed { entries: vec![entry; 1_000], next, more: true };
    let size = serde_json::to_string(&feed).unwrap().len();
    assert!(size > 1_500_000 && size <= MAX_FEED_PAGE, "{size}");
}
