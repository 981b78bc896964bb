//! `oidc-provider` (npm) as an issuer that the example servers trust.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::sandbox::Folder;
use crate::sandbox::faketime::{self, SharedClocks};
use crate::support::{IdentityProvider, McpServer, Server, scripts, seed_file, skip};

/// Returns the demo seed with an app whose users come from the provider. `ann`, `carol` and `dave` have the same names
/// there; the policy allows staff.
fn seed(provider: &IdentityProvider) -> Value {
    let mut seed: Value = serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap();
    for user in seed["users"].as_array_mut().unwrap() {
        user["links"] = json!([{ "issuer": provider.issuer, "subject": user["name"] }]);
    }
    let staff = json!({ "allow": { "members": { "groups": ["staff"] } } });
    let app = json!({
        "client_id": "acme-wiki",
        "client_secret": "acme-wiki-secret-0123456789abcdefghijk",
        "settings": {
            "name": "Acme Wiki", "flows": ["jwt_bearer", "token_exchange"],
            "scope": "profile files.list reports.read",
            "resources": ["%%ISSUER%%/api", "https://reports.example.com/"],
            // It signs no assertions of its own.
            "jwt": { "keys": "signature_secret" },
            "delegation": {
                "issuers": [provider.issuer], "targets": ["https://reports.example.com/"], "users": staff,
            },
        },
    });
    seed["apps"].as_array_mut().unwrap().push(app);
    seed["trusted_issuers"] = json!([{
        "issuer": provider.issuer,
        "name": "Acme",
        "keys": { "uri": provider.keys() },
        "algorithms": ["ES256"],
        "id_jag": {
            "apps": ["acme-wiki"],
            "requires_resource": true,
            "policy": staff,
        },
        "subject_tokens": { "apps": ["acme-wiki"], "policy": staff },
    }]);
    seed
}

/// J32, J37 to J41, J44, J46, X27 to X30: users of an `oidc-provider` get access by its identity assertions, for an app
/// and a server that it names. Its access tokens are exchanged. It rotates its keys, and is down.
#[test]
fn users_of_an_oidc_provider_get_access_by_its_identity_assertions() {
    let test = "users_of_an_oidc_provider_get_access_by_its_identity_assertions";
    let client = scripts::node("trusted_issuer_clients.mjs", &["oauth4webapi"]);
    let (mut client, provider) = match (client, IdentityProvider::start("acme-wiki")) {
        (Ok(client), Ok(provider)) => (client, provider),
        (Err(missing), _) | (_, Err(missing)) => return skip(test, &missing),
    };
    let Some(library) = faketime::library() else { return skip(test, "libfaketime") };
    let folder = Folder::on_disk();
    let [file, clock] = ["seed.json", "clock"].map(|name| folder.file(name));
    std::fs::write(&file, seed(&provider).to_string()).unwrap();
    std::fs::write(&clock, "+0\n").unwrap();
    let _shared = SharedClocks;
    let authorities = IdentityProvider::authorities();
    let server = Server::in_environment(
        &[
            "--no-limits",
            "--fetch-loopback",
            "--fetch-ca",
            authorities.to_str().unwrap(),
            "--seed",
            file.to_str().unwrap(),
        ],
        &[
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap().to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ],
        Stdio::piped(),
    );
    let server = server.unwrap_or_else(|problem| panic!("{problem}"));
    client
        .args([&server.issuer, file.to_str().unwrap(), &provider.issuer, &provider.pid()])
        .arg(&clock)
        .env("NODE_EXTRA_CA_CERTS", &authorities);
    scripts::run(&mut client, 33, || server.output());
}

/// A seed may not have two records of one issuer.
#[test]
fn a_seed_names_an_issuer_once() {
    let folder = Folder::on_disk();
    let path = folder.file("seed.json");
    let mut seed: Value = serde_json::from_slice(&std::fs::read(seed_file()).unwrap()).unwrap();
    let issuers = seed["trusted_issuers"].as_array_mut().unwrap();
    issuers.push(issuers[0].clone());
    std::fs::write(&path, seed.to_string()).unwrap();
    let problem = Server::try_with(&["--seed", path.to_str().unwrap()]).err().unwrap();
    let expected = "the seed, at trusted_issuers[1]: a second record of this issuer";
    assert!(problem.contains(expected), "{problem}");
}

/// Lets a client of MCP get access by the identity assertions of an `oidc-provider`.
fn manage_by_enterprise(test: &str, client: Result<Command, String>, at_least: usize) {
    let (mut client, provider) = match (client, IdentityProvider::start("notes-desk")) {
        (Ok(client), Ok(provider)) => (client, provider),
        (Err(missing), _) | (_, Err(missing)) => return skip(test, &missing),
    };
    let secret = "notes-desk-secret-0123456789abcdefghij";
    let folder = Folder::on_disk();
    let file = folder.file("provider.json");
    let settings = json!({
        "issuer": provider.issuer, "jwks_uri": provider.keys(),
        "client_id": "notes-desk", "client_secret": secret,
    });
    std::fs::write(&file, settings.to_string()).unwrap();
    let options = ["--identity-provider", file.to_str().unwrap()];
    let Some(server) = McpServer::start(&options) else { return skip(test, McpServer::NAME) };
    client
        .args([server.text("mcp"), &provider.issuer, "notes-desk"])
        .env("MCP_CLIENT_SECRET", secret)
        .envs(
            ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"]
                .map(|it| (it, IdentityProvider::authorities())),
        );
    scripts::run(&mut client, at_least, String::new);
}

/// J32, J40, J41: the client of MCP for TypeScript gets access and steps up by identity assertions alone.
#[test]
fn the_typescript_client_2_gets_access_by_the_identity_provider_of_a_company() {
    let test = "the_typescript_client_2_gets_access_by_the_identity_provider_of_a_company";
    let packages = ["@modelcontextprotocol/client", "oauth4webapi"];
    manage_by_enterprise(test, scripts::node("mcp/enterprise.mjs", &packages), 10);
}

/// J32, J40, J41: the SDK of MCP for Python gets access and steps up by identity assertions alone.
#[test]
fn the_python_sdk_gets_access_by_the_identity_provider_of_a_company() {
    let test = "the_python_sdk_gets_access_by_the_identity_provider_of_a_company";
    let modules = ["authlib", "mcp", "requests"];
    manage_by_enterprise(test, scripts::python("mcp/enterprise_client.py", &modules), 8);
}
