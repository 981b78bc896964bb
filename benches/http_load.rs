//! The cost of a token over HTTP: the CPU time of the example server per request, beside two floors
//! on the same axum version.
//!
//! * *bare*: a handler that parses the form and returns fixed JSON;
//! * *signing*: a handler that also signs a token of that size and, for the JWT bearer grant,
//!   verifies the assertion, with bare `ring` and parsed keys.
//!
//! The three are separate processes that take turns in short rounds over loopback. The figure is
//! the CPU time of the process, user and system, as the kernel counts it for each thread. Run
//! `cargo bench --bench http_load --features axum`; `-- --json` prints one JSON object per line.
//! Linux only.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]
#![expect(clippy::indexing_slicing, reason = "a bench stops at the first failure")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded")]

mod load;

use load::apps::{self, field};
use load::client::Client;
use load::process::Server;

const ROUNDS: usize = 41;
/// Warm-up rounds before them.
const WARM_UP: usize = 3;
/// Requests per round.
const ROUND: usize = 400;
const TOKEN: &str = "/oauth/token";

/// A row of the table, in microseconds of CPU time per request.
struct Figure {
    name: &'static str,
    grantor: f64,
    signing: f64,
    bare: f64,
}

/// Returns the CPU time of `server` per request in microseconds, and its responses.
fn round(
    server: &Server,
    client: &mut Client,
    path: &str,
    bodies: &[String],
) -> (f64, Vec<String>) {
    let before = server.cpu_nanos();
    let answers = bodies.iter().map(|body| client.post_to(path, body)).collect();
    ((server.cpu_nanos() - before) as f64 / bodies.len() as f64 / 1_000.0, answers)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the three servers in turns. `next` makes the bodies from grantor's last responses.
fn figure(
    name: &'static str,
    path: &str,
    [grantor, signing, bare]: [&Server; 3],
    mut next: impl FnMut(&[String]) -> Vec<String>,
) -> Figure {
    let mut clients = [grantor, signing, bare].map(|server| Client::connect(server.address()));
    let [own, beside, below] = &mut clients;
    let mut times = [const { Vec::new() }; 3];
    let mut answers = Vec::new();
    for turn in 0..WARM_UP + ROUNDS {
        let bodies = next(&answers);
        let (took, given) = round(grantor, own, path, &bodies);
        let is_good =
            |json: &String| json.contains("access_token") || json.contains("active\":true");
        assert!(given.iter().all(is_good), "{}", given[0]);
        answers = given;
        let took =
            [took, round(signing, beside, path, &bodies).0, round(bare, below, path, &bodies).0];
        if turn >= WARM_UP {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    let [grantor, signing, bare] = times.map(median);
    Figure { name, grantor, signing, bare }
}

fn main() {
    if load::floor::is_wanted() {
        return load::floor::serve();
    }
    let json = std::env::args().any(|argument| argument == "--json");
    let grantor = Server::example();
    let [bare, signing, verifying] = ["bare", "sign", "verify"].map(Server::floor);
    let mut client = Client::connect(grantor.address());
    let mut token = || {
        let answer = client.post(&apps::client_credentials_form());
        field(&answer, "access_token").to_owned()
    };
    let tokens: Vec<String> = (0..ROUND).map(|_| token()).collect();
    let figures = [
        figure("http/client_credentials/ES256", TOKEN, [&grantor, &signing, &bare], |_| {
            vec![apps::client_credentials_form(); ROUND]
        }),
        figure("http/refresh/ES256", TOKEN, [&grantor, &signing, &bare], |answers| {
            let first = || {
                let mut client = Client::connect(grantor.address());
                let form = |_| apps::jwt_bearer_form(apps::REFRESHING, grantor.issuer());
                (0..ROUND).map(form).map(|form| client.post(&form)).collect::<Vec<_>>()
            };
            let answers = if answers.is_empty() { &first() } else { answers };
            answers.iter().map(|json| apps::refresh_form(field(json, "refresh_token"))).collect()
        }),
        figure("http/jwt_bearer/ES256", TOKEN, [&grantor, &verifying, &bare], |_| {
            (0..ROUND).map(|_| apps::jwt_bearer_form(apps::PLAIN, grantor.issuer())).collect()
        }),
        // Verified in the first round, which is not measured. Nothing is signed.
        figure("http/introspection/ES256", "/oauth/introspect", [&grantor, &bare, &bare], |_| {
            tokens.iter().map(|token| apps::introspection_form(token)).collect()
        }),
    ];
    if !json {
        println!("| request | us | signing floor, us | bare floor, us | ratio to signing |");
        println!("| --- | --: | --: | --: | --: |");
    }
    for Figure { name, grantor, signing, bare } in figures {
        let ratio = grantor / signing;
        if json {
            let rounded = (ratio * 1_000.0).round() / 1_000.0;
            let line = serde_json::json!({
                "name": name, "us": grantor, "floor_us": signing, "bare_us": bare, "ratio": rounded,
            });
            println!("{line}");
        } else {
            println!("| `{name}` | {grantor:.1} | {signing:.1} | {bare:.1} | {ratio:.3} |");
        }
    }
}
