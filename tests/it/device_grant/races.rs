//! Users who decide at once, and polls beside them.

use std::sync::Barrier;
use std::thread;

use super::{Devices, tv};

/// D5, D12, D16: of two users who decide at once one wins. A poll beside them waits, or gets the answer to the winner.
#[test]
fn one_of_two_decisions_at_once_wins_for_every_poll() {
    let devices = Devices::new();
    let app = devices.world.register(tv());
    for round in 0..16 {
        let codes = devices.codes(&app);
        let (ann, bob) = (devices.prompt(&codes.user, "ann"), devices.prompt(&codes.user, "bob"));
        let of_bob = if round % 2 == 0 { "deny" } else { "approve" };
        let begin = Barrier::new(4);
        let (wins, polls) = thread::scope(|scope| {
            let decide = |ticket, user, decision| {
                let (begin, devices) = (&begin, &devices);
                scope.spawn(move || {
                    begin.wait();
                    devices.decide(ticket, user, decision, "a b c").status == 200
                })
            };
            let poll = || {
                scope.spawn(|| {
                    begin.wait();
                    [(); 3].map(|()| devices.poll(&app, &codes.device))
                })
            };
            let decisions =
                [decide(&ann.ticket, "ann", "approve"), decide(&bob.ticket, "bob", of_bob)];
            let polls = [poll(), poll()];
            (decisions.map(|it| it.join().unwrap()), polls.map(|it| it.join().unwrap()))
        });
        assert_ne!(wins[0], wins[1], "one decision is stored");
        let last = devices.poll(&app, &codes.device);
        if wins[0] || of_bob == "approve" {
            let winner = if wins[0] { "ann" } else { "bob" };
            assert_eq!(last.claims()["sub"], winner);
        } else {
            last.assert_error(400, "access_denied");
        }
        for poll in polls.as_flattened() {
            match last.json.get("refresh_token") {
                _ if poll.status == 400 && poll.text("error") != "access_denied" => {
                    let waits = ["authorization_pending", "slow_down"];
                    assert!(waits.contains(&poll.text("error")), "{poll:?}");
                }
                Some(token) => assert_eq!(poll.json.get("refresh_token"), Some(token)),
                None => poll.assert_error(400, "access_denied"),
            }
        }
    }
    let decided = devices.world.count("approve_device") + devices.world.count("deny_authorization");
    assert_eq!(decided, 32, "each decision has an event");
}
