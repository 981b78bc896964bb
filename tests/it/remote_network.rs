//! An API that reaches its authorization server over the loopback interface, with the ready-made fetcher.

use std::sync::Arc;
use std::time::Duration;

use ::axum::Router;
use ::axum::body::Body;
use ::axum::response::Response;
use ::axum::routing::get;
use grantor::app::{AppDraft, Flow};
use grantor::clock::{Clock, ManualClock, UnixTime};
use grantor::endpoint::FormRequest;
use grantor::fetch::{FetchError, Fetcher};
use grantor::http::{HttpEndpoints, axum_router};
use grantor::jwt::KeyRing;
use grantor::resource_server::{
    Bearer, BearerLayer, BearerVerifier, DiscoveryError, FeedReader, RevocationList,
    RevocationsUnknown, ServerDocument,
};
use grantor::secret::ClientSecret;
use grantor::server_secret::ServerSecret;
use grantor::store::{AccessFacts, MemoryStore};
use grantor::users::MemoryUsers;
use grantor::{AuthorizationServer, Issuer, Scope};
use http::{Request, StatusCode};
use tokio::net::TcpListener;
use tower_service::Service as _;

use crate::support::{ROOT, START, body_of, new_key};

/// Serves `router` at an address of this machine until the end of the test.
async fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { ::axum::serve(listener, router).await });
    tokio::task::yield_now().await;
}

async fn listen() -> (TcpListener, Issuer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    (listener, Issuer::new(issuer).unwrap())
}

fn fetcher() -> Arc<Fetcher> {
    Arc::new(Fetcher::builder().allow_loopback_http().build().unwrap())
}

/// Z40: a token of a new key passes the layer and an extractor over real connections, because the request
/// waits while the keys are fetched.
#[tokio::test]
async fn a_request_with_a_new_key_waits_for_the_keys() {
    let (listener, issuer) = listen().await;
    let clock = Arc::new(ManualClock::new(UnixTime::from_seconds(START)));
    let ring = KeyRing::from(new_key());
    let (secret, users) = (ServerSecret::new(ROOT).unwrap(), MemoryUsers::default());
    let server = AuthorizationServer::builder(
        issuer.clone(),
        secret,
        ring.clone(),
        MemoryStore::new(),
        users,
    )
    .clock(Arc::clone(&clock))
    .build();
    let draft = AppDraft::confidential("Job").flow(Flow::ClientCredentials);
    let draft = draft.scope(Scope::parse("files.read").unwrap());
    let app = server.admin("tester").register(draft.build().unwrap()).await.unwrap();
    let app = crate::support::App::from(app);
    let server = Arc::new(server);
    let endpoints = HttpEndpoints::without_interaction(Arc::clone(&server));
    serve(listener, axum_router(&Arc::new(endpoints))).await;

    let verifier = BearerVerifier::discover(issuer, fetcher()).await.unwrap();
    let verifier = Arc::new(verifier.with_clock(Arc::clone(&clock)));
    let router = || Router::new().route("/", get(|_: Bearer| async { "in" }));
    let by_layer = router().layer(BearerLayer::authenticating(Arc::clone(&verifier)));
    let by_extractor = router().layer(::axum::Extension(Arc::clone(&verifier)));
    let form = body_of(&app, &[("grant_type", "client_credentials")]);
    for router in [by_layer, by_extractor] {
        ring.replace(vec![new_key().into()]).unwrap();
        clock.advance(Duration::from_mins(1));
        let token = server.token(&FormRequest::new(&form)).await.unwrap();
        let call = |token: &str| {
            let request = Request::get("/").header("authorization", format!("Bearer {token}"));
            router.clone().call(request.body(Body::empty()).unwrap())
        };
        let token = token.access_token.expose_secret();
        assert_eq!(call(token).await.unwrap().status(), StatusCode::OK);
        let forged = format!("{token}x");
        assert_eq!(call(&forged).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}

/// Serves one document at the path of the metadata, and returns its issuer.
async fn serving<F>(document: F) -> Issuer
where
    F: Fn(&Issuer) -> Response + Clone + Send + Sync + 'static,
{
    let (listener, issuer) = listen().await;
    let own = issuer.clone();
    let handler = move || {
        let answer = document(&own);
        async move { answer }
    };
    let router = Router::new().route("/.well-known/oauth-authorization-server", get(handler));
    serve(listener, router).await;
    issuer
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body.into()).unwrap()
}

async fn error_of(issuer: Issuer) -> DiscoveryError {
    BearerVerifier::discover(issuer, fetcher()).await.unwrap_err()
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Z40: an issuer whose documents are not usable gives no verifier, over real connections too.
#[tokio::test]
async fn an_issuer_that_is_not_usable_is_refused() {
    let (closed, unreachable) = listen().await;
    drop(closed);
    let error = error_of(unreachable).await;
    assert!(matches!(error, DiscoveryError::Fetch { .. }), "{error}");

    // A metadata service, in a link-local network.
    let to_private = [("location", "http://169.254.169.254/latest/meta-data")];
    let error = error_of(serving(move |_| answer(302, &to_private, "")).await).await;
    let document = ServerDocument::Metadata;
    assert!(
        matches!(error, DiscoveryError::Status { document: it, status: 302 } if it == document),
        "{error}"
    );

    let private = |issuer: &Issuer| {
        let jwks = "http://10.0.0.1/jwks";
        answer(200, &[JSON], format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks}"}}"#))
    };
    let error = error_of(serving(private).await).await;
    assert!(
        matches!(error, DiscoveryError::Fetch { error: FetchError::Address(_), .. }),
        "{error}"
    );

    let large = |_: &Issuer| answer(200, &[JSON], vec![b' '; 10_000_000]);
    let error = error_of(serving(large).await).await;
    assert!(
        matches!(error, DiscoveryError::Fetch { error: FetchError::TooLarge(262_144), .. }),
        "{error}"
    );

    let page = |_: &Issuer| answer(200, &[("content-type", "text/html")], "<html>");
    let error = error_of(serving(page).await).await;
    assert!(matches!(error, DiscoveryError::ContentType(_)), "{error}");

    let broken = |_: &Issuer| answer(200, &[JSON], r#"{"issuer": "#);
    let error = error_of(serving(broken).await).await;
    assert!(matches!(error, DiscoveryError::Malformed(_)), "{error}");

    let other = |_: &Issuer| answer(200, &[JSON], r#"{"issuer":"https://as.example.com"}"#);
    let error = error_of(serving(other).await).await;
    assert!(matches!(error, DiscoveryError::Issuer), "{error}");
}

/// Z40: a list stays closed while its feed cannot be read.
#[tokio::test]
async fn a_feed_that_cannot_be_read_leaves_the_list_closed() {
    let issuer = serving(|issuer| {
        let feed = format!("{issuer}/moved");
        answer(
            200,
            &[JSON],
            format!(r#"{{"issuer":"{issuer}","revocation_feed_endpoint":"{feed}"}}"#),
        )
    })
    .await;
    let list = Arc::new(RevocationList::new());
    let (app, secret) = ("api".parse().unwrap(), ClientSecret::new("secret"));
    let reader = FeedReader::new(issuer, fetcher(), app, secret, Arc::clone(&list));
    let clock = ManualClock::new(UnixTime::from_seconds(START));
    let error = reader.poll(clock.now()).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Status { status: 404, .. }), "{error}");
    let facts = AccessFacts {
        grant_id: grantor::ids::GrantId::from_bytes([0; 16]),
        client_id: &"app".parse().unwrap(),
        subject: &"ann".parse().unwrap(),
        device: None,
        session: None,
        evidence_issuer: None,
        via: &[],
        authorized_at: clock.now(),
    };
    assert_eq!(list.is_revoked(&facts, clock.now()), Err(RevocationsUnknown::NeverRead));
}
