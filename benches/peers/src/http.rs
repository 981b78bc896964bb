//! The example server beside `oidc-provider` over HTTP: the CPU time of the process for each
//! request, user and system. `bash benches/peers/http` builds both and runs this.
//!
//! Both servers keep their state in a map, sign ES256 and rotate refresh tokens. They take turns in
//! short rounds, each alone on one core. Every access token is verified afterwards.
#![expect(clippy::cast_precision_loss, reason = "figures are rounded")]

#[path = "../../load/apps.rs"]
mod apps;
#[path = "../../load/client.rs"]
mod client;
#[path = "../../load/process.rs"]
#[expect(dead_code, reason = "the floors are of the bench http_load")]
mod process;
#[expect(dead_code, reason = "the servers have keys of their own")]
mod token;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::Client;
use process::{Server, on_one_core};
use token::TokenKey;

const SCOPE: &str = "files.read files.write profile";
const ROUNDS: usize = 41;
/// Warm-up rounds before them, which V8 needs to compile the hot functions.
const WARM_UP: usize = 10;
/// Requests per round.
const ROUND: usize = 200;

/// A running server, its client and the key of its tokens.
struct Contestant {
    server: Server,
    client: Client,
    key: TokenKey,
    /// Live refresh tokens.
    refresh_tokens: Vec<String>,
}

/// Returns the only key of a JWK Set.
fn key_of(server: &Server, client: &mut Client) -> TokenKey {
    let request = format!("GET /oauth/jwks HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    let keys: serde_json::Value = serde_json::from_str(&client.exchange(&request)).unwrap();
    let coordinate =
        |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    TokenKey::es256([vec![4], coordinate("x"), coordinate("y")].concat())
}

impl Contestant {
    fn new(
        server: Server,
        refresh_tokens: impl FnOnce(&Server, &mut Client) -> Vec<String>,
    ) -> Self {
        let mut client = Client::connect(server.address());
        let key = key_of(&server, &mut client);
        let refresh_tokens = refresh_tokens(&server, &mut client);
        Self { server, client, key, refresh_tokens }
    }

    fn grantor(program: &Path, root: &Path) -> Self {
        Self::new(Server::example_at(program, root), |server, client| {
            let form = |_| apps::jwt_bearer_form(apps::REFRESHING, server.issuer());
            let answers = (0..ROUND).map(form).map(|form| client.post(&form));
            answers.map(|json| apps::field(&json, "refresh_token").to_owned()).collect()
        })
    }

    fn oidc_provider(node: &Path, modules: &Path, root: &Path) -> Self {
        let tokens = modules.join("../refresh-tokens");
        let mut process = on_one_core(node);
        process
            .arg(root.join("benches/peers/oidc_provider.mjs"))
            .arg(&tokens)
            .arg(ROUND.to_string())
            .env("NODE_ENV", "production")
            .env("NODE_MODULES", modules);
        Self::new(Server::printing(process), |_, _| {
            std::fs::read_to_string(&tokens).unwrap().lines().map(str::to_owned).collect()
        })
    }

    /// Sends `bodies`, verifies the answers, and returns the CPU time per request in microseconds.
    fn round(&mut self, bodies: &[String]) -> (f64, Vec<String>) {
        let before = self.server.cpu_nanos();
        let answers: Vec<String> = bodies.iter().map(|body| self.client.post(body)).collect();
        let us = (self.server.cpu_nanos() - before) as f64 / bodies.len() as f64 / 1_000.0;
        for answer in &answers {
            let claims = self.key.verify(apps::field(answer, "access_token"));
            assert_eq!(claims["scope"], SCOPE);
        }
        (us, answers)
    }

    fn client_credentials(&mut self) -> f64 {
        let form = apps::client_credentials_form() + "&scope=files.read+files.write+profile";
        self.round(&vec![form; ROUND]).0
    }

    fn refresh(&mut self) -> f64 {
        let bodies: Vec<String> =
            self.refresh_tokens.iter().map(|token| apps::refresh_form(token)).collect();
        let (us, answers) = self.round(&bodies);
        let next = answers.iter().map(|it| apps::field(it, "refresh_token").to_owned());
        let next: Vec<String> = next.collect();
        assert!(next.iter().all(|it| !self.refresh_tokens.contains(it)), "tokens have to rotate");
        self.refresh_tokens = next;
        us
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let mut path = || paths.next().expect("run it by `bash benches/peers/http`");
    let (root, example, node, modules) = (path(), path(), path(), path());
    let json = paths.any(|argument| argument == Path::new("--json"));
    let mut grantor = Contestant::grantor(&example, &root);
    let mut peer = Contestant::oidc_provider(&node, &modules, &root);
    if !json {
        println!("| request, ES256 | grantor, us | oidc-provider, us | x grantor | quartiles |");
        println!("| --- | --: | --: | --: | --: |");
    }
    let operations: [(&str, fn(&mut Contestant) -> f64); 2] =
        [("client credentials", Contestant::client_credentials), ("refresh", Contestant::refresh)];
    for (name, run) in operations {
        let laps: Vec<[f64; 2]> =
            (0..WARM_UP + ROUNDS).map(|_| [run(&mut grantor), run(&mut peer)]).collect();
        let laps = &laps[WARM_UP..];
        let mut ratios: Vec<f64> = laps.iter().map(|[own, other]| other / own).collect();
        ratios.sort_by(f64::total_cmp);
        let [low, ratio, high] = [1, 2, 3].map(|quarter| ratios[ratios.len() * quarter / 4]);
        let own = median(laps.iter().map(|lap| lap[0]).collect());
        let other = median(laps.iter().map(|lap| lap[1]).collect());
        if json {
            let line = serde_json::json!({
                "operation": name, "us": own, "oidc_provider_us": other, "ratio": ratio,
                "quartiles": [low, high],
            });
            println!("{line}");
        } else {
            println!("| {name} | {own:.1} | {other:.1} | {ratio:.1} | {low:.1} – {high:.1} |");
        }
    }
}
