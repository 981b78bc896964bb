//! Phones at the example server.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sandbox::Folder;
use crate::support::{Http, Seed, Server, basic, seed_file};

const CHECK: [&str; 2] = ["/oauth/device/wipe/check", "/index.php/core/wipe/check"];
const SUCCESS: [&str; 2] = ["/oauth/device/wipe/success", "/index.php/core/wipe/success"];

/// Returns the token of an administrator.
fn admin_token(server: &Server, seed: &Seed, http: &Http) -> String {
    let secret = seed.client_secret("demo-admin").unwrap();
    let header = basic("demo-admin", secret);
    let form = [("grant_type", "client_credentials")];
    let answer = http.post(&server.url("/oauth/token"), &[("authorization", &header)], &form);
    format!("Bearer {}", answer.text("access_token"))
}

/// Starts a server with another value for `devices` in the seed.
fn start(devices: &Value) -> Result<Server, String> {
    let folder = Folder::on_disk();
    let path = folder.file("seed.json");
    let mut seed: Value = serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap();
    seed["devices"] = devices.clone();
    std::fs::write(&path, seed.to_string()).unwrap();
    Server::try_with(&["--no-limits", "--seed", path.to_str().unwrap()])
}

/// Without devices in the seed, the metadata name none of their endpoints, and none answers.
#[test]
fn phones_cannot_be_wiped_unless_the_seed_says_so() {
    let (seed, http) = (Seed::read(), Arc::new(Http::new()));
    for (devices, own, nextcloud) in [
        (json!(null), false, false),
        (json!({}), true, false),
        (json!({ "nextcloud": [] }), true, false),
        (json!({ "nextcloud": ["demo-native"] }), true, true),
    ] {
        let server = start(&devices).unwrap();
        let metadata = http.get(&server.url("/.well-known/oauth-authorization-server"));
        assert_eq!(metadata.body.contains("device_wipe_check_endpoint"), own, "{devices}");
        assert_eq!(metadata.body.contains("device_policy_endpoint"), own, "{devices}");
        for paths in [CHECK, SUCCESS] {
            for (path, expected) in paths.into_iter().zip([own, nextcloud]) {
                let form = [("token", "garbage"), ("client_id", "demo-native")];
                let answer = http.post(&server.url(path), &[], &form);
                let answered = (answer.status, answer.body.as_str()) == (404, "[]");
                assert_eq!(answered, expected, "{devices} {path} {answer:?}");
            }
        }
        let token = admin_token(&server, &seed, &http);
        let url = server.url("/admin/devices");
        let answer = http.request(http::Method::GET, &url, &[("authorization", &token)]);
        if own {
            assert_eq!((answer.status, answer.json()["devices"].clone()), (200, json!([])));
        } else {
            answer.assert_error(404, "no_devices");
        }
    }
    let many: Vec<_> = (0..9).map(|number| format!("app-{number}")).collect();
    let problem = start(&json!({ "nextcloud": many })).err().unwrap();
    assert!(problem.contains("the seed, at devices: "), "{problem}");
}

/// W7: by default an address asks ten times in five minutes.
#[test]
fn an_address_that_asks_too_often_has_to_wait() {
    let (server, http) = (Server::with(&[]), Http::new());
    for path in CHECK.into_iter().cycle().take(10) {
        let form = [("token", "garbage"), ("client_id", "demo-native")];
        assert_eq!(http.post(&server.url(path), &[], &form).status, 404);
    }
    for path in [CHECK, SUCCESS].concat() {
        let answer = http.post(&server.url(path), &[], &[("token", "garbage")]);
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(answer.status == 429 && (1..=60).contains(&wait), "{answer:?}");
    }
}
