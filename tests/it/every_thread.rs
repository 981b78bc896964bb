//! Threads that serve requests of one server: each keeps counters and locks of its own, and none a stale view.

use std::sync::mpsc;
use std::time::Duration;

use grantor::protocol::GrantType;
use grantor::users::User;
use pollster::block_on;

use crate::concurrency::{THREADS, refreshment};
use crate::support::{
    Answer, App, World, ask, body_of, code_app, machine_app, new_key, scope, subject,
};

/// A thread that sends the bodies that it is given, and returns the answers.
type Worker = (mpsc::Sender<String>, mpsc::Receiver<Answer>);

/// Lets each worker send the body that `body` returns for its number.
fn ask_all(workers: &[Worker], body: impl Fn(usize) -> String) -> Vec<Answer> {
    let send = |(number, (bodies, _)): (usize, &Worker)| bodies.send(body(number)).unwrap();
    workers.iter().enumerate().for_each(send);
    workers.iter().map(|(_, answers)| answers.recv().unwrap()).collect()
}

fn key_id(answer: &Answer) -> Option<String> {
    jsonwebtoken::decode_header(answer.text("access_token")).unwrap().kid
}

/// Z42: each thread has been served before every change, and its first request afterwards sees the change.
#[test]
fn every_thread_sees_a_change_at_its_next_request() {
    let world = World::unlimited();
    let admin = world.server.admin("tester");
    let (app, user_app) = (world.register(machine_app()), world.register(code_app()));
    let tokens: Vec<_> = (0..THREADS).map(|_| world.tokens(&user_app)).collect();
    std::thread::scope(|threads| {
        let worker = |_| {
            let ((bodies, received), (send, answers)) =
                (mpsc::channel::<String>(), mpsc::channel());
            let server = &world.server;
            threads.spawn(move || {
                for body in received {
                    send.send(ask(server, &body)).unwrap();
                }
            });
            (bodies, answers)
        };
        let workers: Vec<Worker> = (0..THREADS).map(worker).collect();
        let own = |app: &App| {
            let body = body_of(app, &[("grant_type", "client_credentials")]);
            ask_all(&workers, |_| body.clone())
        };
        let granted = |answers: &[Answer]| {
            assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        };
        let refused = |answers: &[Answer], status, error| {
            for answer in answers {
                answer.assert_error(status, error);
            }
        };

        granted(&own(&app));
        block_on(admin.disable(&app.id)).unwrap();
        refused(&own(&app), 401, "invalid_client");
        block_on(admin.enable(&app.id)).unwrap();
        granted(&own(&app));

        let rotated = block_on(admin.rotate_client_secret(&app.id, Duration::ZERO)).unwrap();
        refused(&own(&app), 401, "invalid_client");
        let app = App::from(rotated);
        granted(&own(&app));

        world.edit(&app, |draft| draft.scope(scope("a")));
        assert!(own(&app).iter().all(|answer| answer.text("scope") == "a"));

        let key = new_key();
        let id = key.key_id().as_str().to_owned();
        world.server.key_ring().replace(vec![key.into()]).unwrap();
        assert!(own(&app).iter().all(|answer| key_id(answer).as_ref() == Some(&id)));

        let refresh = || {
            ask_all(&workers, |number| refreshment(&user_app, tokens[number].text("refresh_token")))
        };
        granted(&refresh());
        world.users.remove(&subject("ann"));
        refused(&refresh(), 400, "invalid_grant");
        world.users.put(User::new(subject("ann")));
        granted(&refresh());
        block_on(admin.delete(&user_app.id)).unwrap();
        refused(&refresh(), 401, "invalid_client");

        let usage = world.server.usage(&app.id);
        assert_eq!(usage.issued[&GrantType::ClientCredentials], 5 * THREADS as u64);
        block_on(admin.delete(&app.id)).unwrap();
        refused(&own(&app), 401, "invalid_client");
    });
}
