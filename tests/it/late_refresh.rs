//! Refreshes that reach the store late: while they were under way, others have used their token, and its
//! successor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use grantor::AuthorizationServer;
use grantor::endpoint::FormRequest;
use grantor::ids::{GrantId, Subject};
use grantor::rate_limit::RateLimits;
use grantor::store::{GrantStore as _, MemoryStore};
use grantor::users::{DirectoryError, MemoryUsers, User, UserDirectory};
use pollster::block_on;

use crate::faulty_store::{FaultyStore, Method, faulty_server, post};
use crate::support::{Answer, App, World, body_of, code_app, new_key, public_app};

fn token(answer: &Answer) -> &str {
    answer.text("refresh_token")
}

fn refresh(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

fn is_alive(world: &World, tokens: &Answer) -> bool {
    let grant: GrantId = tokens.claims()["grant_id"].as_str().unwrap().parse().unwrap();
    block_on(world.store.find_grant(&grant)).unwrap().unwrap().revoked.is_none()
}

/// Refreshes `uses` times in turn, beginning with `first`. Returns what the last one gave, if any.
fn use_in_turn(world: &World, app: &App, first: &str, uses: usize) -> Option<String> {
    let mut newest = None;
    for _ in 0..uses {
        let answer = world.refresh(app, newest.as_deref().unwrap_or(first));
        newest = (answer.status == 200).then(|| token(&answer).to_owned());
        newest.as_ref()?;
    }
    newest
}

/// Lets another client use the token `uses` times in turn, right after the next call of `method`. Returns what
/// it then holds.
fn use_after(
    method: Method,
    store: &FaultyStore,
    (world, app): (&Arc<World>, &App),
    first: &Answer,
    uses: usize,
) -> Arc<Mutex<Option<String>>> {
    let newest = Arc::<Mutex<Option<String>>>::default();
    let (world, app, own) = (Arc::clone(world), app.clone(), Arc::clone(&newest));
    let first = token(first).to_owned();
    store.meanwhile(method, move || {
        *own.lock().unwrap() = use_in_turn(&world, &app, &first, uses);
    });
    newest
}

/// R24: a client gives a refresh up, asks again, and uses what it gets. The first request claims the rotation
/// after all of that, and revokes nothing. The same token in a request of now is a reuse.
#[test]
fn a_refresh_that_was_overtaken_revokes_nothing() {
    let world = Arc::new(World::unlimited());
    for app in [world.register(code_app()), world.register(public_app())] {
        for uses in 1..=4 {
            let server = faulty_server(&world);
            let first = world.tokens(&app);
            let newest = use_after(Method::FindGrant, server.store(), (&world, &app), &first, uses);
            let late = post(&server, &app, &refresh(token(&first)));
            let newest = newest.lock().unwrap().take().unwrap();
            if uses == 1 {
                assert_eq!((late.status, token(&late)), (200, &*newest));
            } else {
                late.assert_error(503, "temporarily_unavailable");
                assert!(late.json.get("refresh_token").is_none());
            }
            assert!(is_alive(&world, &first), "{uses}");
            let next = world.refresh(&app, &newest);
            assert_eq!(next.status, 200, "{uses}: {next:?}");
            post(&server, &app, &refresh(token(&first))).assert_error(400, "invalid_grant");
            assert!(world.is_revoked(&next));
        }
    }
}

/// R24: without a grace, each use of a spent token is a reuse, a late one too.
#[test]
fn without_a_grace_a_late_refresh_is_a_reuse() {
    let world = Arc::new(World::unlimited());
    let app = world.register(code_app().refresh_grace(Some(0)));
    for uses in 1..=2 {
        let server = faulty_server(&world);
        let first = world.tokens(&app);
        use_after(Method::FindGrant, server.store(), (&world, &app), &first, uses);
        post(&server, &app, &refresh(token(&first))).assert_error(400, "invalid_grant");
        assert!(!is_alive(&world, &first));
    }
}

/// R24: a thief uses the owner's token as often as `uses` at any await of the owner's refresh. The refreshes
/// that follow reveal the theft, whichever of the two goes on first.
#[test]
fn a_thief_who_overtakes_the_owner_is_found() {
    let world = Arc::new(World::unlimited());
    let app = world.register(code_app());
    for place in [Method::FindApp, Method::FindGrant, Method::Rotate] {
        for uses in 1..=4 {
            for owner_first in [true, false] {
                let what = format!("{uses} uses after {place:?}, the owner first: {owner_first}");
                let server = faulty_server(&world);
                let first = world.tokens(&app);
                let stolen = use_after(place, server.store(), (&world, &app), &first, uses);
                let mut answer = post(&server, &app, &refresh(token(&first)));
                if answer.status == 503 {
                    assert_eq!((place, uses > 1), (Method::FindGrant, true), "{what}");
                    answer = post(&server, &app, &refresh(token(&first)));
                }
                let stolen = stolen.lock().unwrap().take().unwrap();
                world.advance(31);
                if answer.status == 200 {
                    assert!(is_alive(&world, &first), "{what}");
                    let mut order = [token(&answer), &stolen];
                    if !owner_first {
                        order.reverse();
                    }
                    for token in order {
                        world.refresh(&app, token);
                        world.advance(31);
                    }
                } else {
                    answer.assert_error(400, "invalid_grant");
                }
                assert!(!is_alive(&world, &first), "{what}");
                assert_ne!(world.refresh(&app, &stolen).status, 200, "{what}");
            }
        }
    }
}

/// Counts the requests that have read their grant.
struct CountedUsers(Arc<MemoryUsers>, AtomicUsize);

impl UserDirectory for CountedUsers {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        let found = self.0.find_user(subject).await;
        self.1.fetch_add(1, Ordering::SeqCst);
        found
    }
}

/// R24, Z1: 20 or 200 refreshes of one token have read its grant, and their client goes on before any of them
/// claims. None of them revokes it, or gets a token.
#[test]
fn a_crowd_that_was_overtaken_revokes_nothing() {
    for callers in [20, 200] {
        let world = World::unlimited();
        let store = Arc::new(FaultyStore::new(Arc::<MemoryStore>::clone(&world.store)));
        let users = Arc::new(CountedUsers(Arc::clone(&world.users), AtomicUsize::new(0)));
        let server: AuthorizationServer<_, _> = world
            .beside(new_key(), Arc::clone(&store), Arc::clone(&users))
            .rate_limits(RateLimits::none())
            .build();
        let app = world.register(code_app());
        let (first, beside) = (world.tokens(&app), world.tokens(&app));
        let ask = |tokens: &Answer| {
            let body = body_of(&app, &refresh(token(tokens)));
            Answer::from(block_on(server.token(&FormRequest::new(&body))))
        };
        store.hold(Method::Rotate, callers + 1);
        let (late, newest) = thread::scope(|scope| {
            let crowd: Vec<_> = (0..callers).map(|_| scope.spawn(|| ask(&first))).collect();
            while users.1.load(Ordering::SeqCst) < callers {
                thread::yield_now();
            }
            let newest = use_in_turn(&world, &app, token(&first), 2).unwrap();
            // One call more, and all of them reach the store.
            assert_eq!(ask(&beside).status, 200);
            let late: Vec<_> = crowd.into_iter().map(|it| it.join().unwrap()).collect();
            (late, newest)
        });
        for answer in late {
            answer.assert_error(503, "temporarily_unavailable");
        }
        assert!(is_alive(&world, &first));
        assert_eq!(world.refresh(&app, &newest).status, 200);
        world.refresh(&app, token(&first)).assert_error(400, "invalid_grant");
        assert!(!is_alive(&world, &first));
    }
}
