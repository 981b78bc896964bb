//! An API in another process than the authorization server: it knows the issuer's URL, and has the keys and
//! the revocations from there.

use std::sync::Arc;
use std::time::Duration;

use grantor::app::{AppDraft, Flow};
use grantor::clock::{ManualClock, UnixTime};
use grantor::fetch::{Fetch, FetchError};
use grantor::hooks::NoHooks;
use grantor::http::{HttpEndpoints, NoInteraction};
use grantor::ids::{ClientId, Resource};
use grantor::jwt::KeyRing;
use grantor::rate_limit::RateLimits;
use grantor::resource_server::{
    BearerVerifier, FeedReader, Refusal, ResourceServer, RevocationList,
};
use grantor::secret::ClientSecret;
use grantor::store::MemoryStore;
use grantor::store::conformance::Threads;
use grantor::users::MemoryUsers;
use pollster::block_on;

use crate::support::{Answer, App, START, World, machine_app, new_key};

const API: &str = "https://api.example.com";

/// The HTTP endpoints of a server, without a network between.
struct InProcess(HttpEndpoints<Arc<MemoryStore>, Arc<MemoryUsers>, NoHooks, NoInteraction>);

impl Fetch for InProcess {
    async fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
        max_bytes: usize,
    ) -> Result<http::Response<Vec<u8>>, FetchError> {
        let answer = self.0.handle(request).await.ok_or(FetchError::Url("it has no endpoint"))?;
        if answer.body().len() > max_bytes {
            return Err(FetchError::TooLarge(max_bytes));
        }
        Ok(answer)
    }
}

/// A server with an API, and that API.
struct Scene {
    world: World,
    ring: KeyRing,
    verifier: BearerVerifier,
    reader: FeedReader<Arc<InProcess>>,
    machine: App,
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::new(UnixTime::from_seconds(START));
        let ring = KeyRing::from(new_key());
        let world = World::over(MemoryStore::new(), clock, Threads, ring.clone(), |builder| {
            let api =
                ResourceServer::new(Resource::new(API).unwrap(), ClientId::new("api").unwrap());
            builder.rate_limits(RateLimits::none()).resource_server(api)
        });
        let api = world.import("api", AppDraft::confidential("API").flow(Flow::ClientCredentials));
        let machine = world.register(machine_app().resources([Resource::new(API).unwrap()]));
        let fetch =
            Arc::new(InProcess(HttpEndpoints::without_interaction(Arc::clone(&world.server))));
        let (issuer, list) = (world.server.issuer().clone(), Arc::new(RevocationList::new()));
        let verifier = block_on(BearerVerifier::discover(issuer.clone(), Arc::clone(&fetch)));
        let verifier = verifier
            .unwrap()
            .with_clock(Arc::clone(&world.clock))
            .with_resource(Resource::new(API).unwrap())
            .with_revocations(Arc::clone(&list));
        let secret = ClientSecret::new(api.secret.unwrap());
        let reader = FeedReader::new(issuer, fetch, api.id, secret, list);
        Self { world, ring, verifier, reader, machine }
    }

    fn token(&self) -> Answer {
        self.world.post(&self.machine, &[("grant_type", "client_credentials"), ("resource", API)])
    }

    fn read_feed(&self) {
        block_on(self.reader.poll(self.world.clock_now())).unwrap();
    }

    /// Returns the status of a request with this token.
    fn status(&self, token: &Answer) -> u16 {
        let header = format!("Bearer {}", token.text("access_token"));
        let header = Some(&*header);
        let checked = match self.verifier.check(header) {
            Err(challenge) if block_on(self.verifier.refresh_after(&challenge)) => {
                self.verifier.check(header)
            }
            checked => checked,
        };
        checked.map_or_else(|challenge| challenge.status(), |_| 200)
    }
}

/// Z40: keys and revocations come from the URL of the issuer. The list is closed until the feed was read,
/// and when it is too old.
#[test]
fn an_api_follows_a_server_that_it_knows_by_its_url() {
    let scene = Scene::new();
    let (token, beside) = (scene.token(), scene.token());
    assert_eq!(scene.status(&token), 503);
    scene.read_feed();
    assert_eq!([scene.status(&token), scene.status(&beside)], [200, 200]);
    scene.world.revoke(&scene.machine, token.text("access_token"));
    assert_eq!(scene.status(&token), 200, "not read yet");
    scene.read_feed();
    assert_eq!([scene.status(&token), scene.status(&beside)], [401, 200]);
    scene.world.advance(61);
    assert_eq!(scene.status(&beside), 503);
    scene.read_feed();
    assert_eq!([scene.status(&token), scene.status(&beside)], [401, 200]);
}

/// Z40: the server's new key is accepted with its first token, and the removed one no longer after the
/// keys were fetched.
#[test]
fn an_api_follows_the_rotation_of_the_keys() {
    let scene = Scene::new();
    let old = scene.token();
    scene.read_feed();
    assert_eq!(scene.status(&old), 200);
    scene.ring.replace(vec![new_key().into()]).unwrap();
    scene.world.advance(60);
    scene.read_feed();
    let new = scene.token();
    assert_eq!([scene.status(&old), scene.status(&new), scene.status(&old)], [200, 200, 401]);
}

/// Z40: the step functions do all of it, without any request.
#[test]
fn the_steps_follow_the_server_without_a_request() {
    let scene = Scene::new();
    let old = scene.token();
    scene.ring.replace(vec![new_key().into()]).unwrap();
    scene.world.clock.advance(Duration::from_mins(5));
    block_on(scene.verifier.refresh_keys()).unwrap();
    scene.read_feed();
    let header = format!("Bearer {}", old.text("access_token"));
    let challenge = scene.verifier.check(Some(&*header)).unwrap_err();
    assert!(matches!(challenge.refusal(), Refusal::Token(_)), "{:?}", challenge.refusal());
    let header = format!("Bearer {}", scene.token().text("access_token"));
    assert!(scene.verifier.check(Some(&*header)).is_ok());
}
