//! Servers whose standard error is a full disk, or closed.

use super::apps::administrator;
use super::client::{Client, get, post};
use super::cluster::own_cluster;
use super::sandbox::wait_until;
use super::servers::{Errors, Servers};

/// The requests of each kind.
const REQUESTS: usize = 25;

/// Returns the number of events with this outcome among the latest in the log of the database, or nothing if
/// the server cannot tell.
fn audited(client: &mut Client, bearer: &str, outcome: &str) -> Option<usize> {
    let answer =
        client.request(&get("/admin/audit?limit=200", &[("Authorization", bearer)])).unwrap();
    let json = answer.json();
    let events = json["events"].as_array()?.iter();
    Some(events.filter(|event| event["outcome"] == outcome).count())
}

/// Z27: every request is answered although no line can be written, and the audit writer goes on after the
/// database was away, although its failure cannot be reported.
#[test]
fn a_log_that_cannot_be_written_ends_no_request() {
    let _turn = super::turn();
    let refused = post("/oauth/token", "grant_type=password");
    for errors in [Errors::Full, Errors::Closed] {
        let Some(cluster) = own_cluster() else { return };
        let servers = Servers::logging_to(errors, &cluster);
        let mut client = servers.clients().remove(0);
        let token = client.request(&administrator()).unwrap().text("access_token");
        let bearer = format!("Bearer {token}");
        let before = audited(&mut client, &bearer, "refused").unwrap();
        for _ in 0..REQUESTS {
            assert_eq!(client.request(&administrator()).unwrap().status, 200);
            assert_eq!(client.request(&refused).unwrap().status, 400);
        }
        assert_eq!(audited(&mut client, &bearer, "refused"), Some(before + REQUESTS), "{errors:?}");

        cluster.stop();
        for _ in 0..REQUESTS {
            assert_eq!(client.request(&refused).unwrap().status, 400);
        }
        // The query lets the writer try, which fails and is reported.
        assert_eq!(audited(&mut client, &bearer, "refused"), None);
        cluster.start();
        wait_until("the events that waited are in the log", || {
            audited(&mut client, &bearer, "refused") == Some(before + 2 * REQUESTS)
        });
        assert!(servers.have_stayed());
    }
}
