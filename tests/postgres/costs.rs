//! Statements of the store for each token, counted in the log of the server.

use std::fs;
use std::path::Path;

use super::cluster::{new_store, own_cluster, pool, runtime};
use super::world::World;

/// Counts the reads and the writes in the log after its first `before` bytes.
fn statements(log: &Path, before: usize) -> (usize, usize) {
    let text = fs::read(log).unwrap();
    let text = String::from_utf8_lossy(&text[before..]).into_owned();
    // A prepared statement with its parameters is one line. Tests of a connection are other lines.
    let run: Vec<_> = text.lines().filter(|line| line.contains("execute sqlx_s_")).collect();
    let is_write =
        |line: &&&str| ["UPDATE ", "INSERT ", "DELETE "].iter().any(|word| line.contains(word));
    let writes = run.iter().filter(is_write).count();
    (run.len() - writes, writes)
}

#[test]
fn a_token_costs_at_most_one_read_and_one_write() {
    let Some(cluster) = own_cluster() else { return };
    let runtime = runtime();
    let options = cluster.options().options([("log_statement", "all")]);
    let pool = pool(&runtime, options, 1);
    let store = new_store(&runtime, &pool).with_known_grants(10);
    let world = World::new(runtime, store);
    // Reads the app into the cache.
    world.post(&[("grant_type", "client_credentials")]).unwrap();
    let cost = |request: &dyn Fn() -> String| {
        let before = fs::read(cluster.log()).unwrap().len();
        let answer = request();
        (statements(&cluster.log(), before), answer)
    };

    let (code, verifier) = world.code();
    let refresh_token =
        |answer: serde_json::Value| answer["refresh_token"].as_str().unwrap().to_owned();
    let (spent, token) = cost(&|| refresh_token(world.redeem(&code, &verifier).unwrap()));
    assert_eq!(spent, (1, 1), "a code");
    let (spent, token) = cost(&|| refresh_token(world.refresh(&token).unwrap()));
    assert_eq!(spent, (1, 1), "a refresh");
    let (spent, _) = cost(&|| refresh_token(world.refresh(&token).unwrap()));
    assert_eq!(spent, (0, 1), "a refresh of a known grant");
    let (spent, _) = cost(&|| world.impersonate().unwrap().to_string());
    assert_eq!(spent, (0, 1), "a JWT bearer grant");
    let (spent, _) =
        cost(&|| world.post(&[("grant_type", "client_credentials")]).unwrap().to_string());
    assert_eq!(spent, (0, 0), "client credentials");
}
