//! Libraries in other languages: the scripts in `tests/interop`.

use std::process::Command;

use crate::support::{Server, scripts, seed_file, skip};

/// Runs a script against a server, unless a program is missing.
fn run(test: &str, client: Result<Command, String>, at_least: usize) {
    let mut client = match client {
        Ok(client) => client,
        Err(missing) => return skip(test, &missing),
    };
    let server = Server::start();
    client.arg(&server.issuer).arg(seed_file());
    scripts::run(&mut client, at_least, || server.output());
}

/// M1 and M2: a client finds every endpoint by the metadata and uses it.
#[test]
fn authlib_goes_through_every_flow() {
    let client = scripts::python("authlib_client.py", &["authlib", "joserfc", "requests"]);
    run("authlib_goes_through_every_flow", client, 90);
}

/// Z3, Z4: google-auth impersonates without `jti`, and MSAL authenticates for ten minutes at the URL of the
/// token endpoint, each by the settings of its app. Authlib, in the test above, signs for an hour.
#[test]
fn google_auth_and_msal_present_their_assertions() {
    let client = scripts::python("assertion_clients.py", &["google.auth", "msal", "requests"]);
    run("google_auth_and_msal_present_their_assertions", client, 17);
}

/// Z41: the parser of another project reads the metrics.
#[test]
fn prometheus_client_reads_the_metrics() {
    let client = scripts::python("metrics_scraper.py", &["prometheus_client", "requests"]);
    run("prometheus_client_reads_the_metrics", client, 9);
}

/// W3 to W9, W12, W13: phones that speak Nextcloud's remote wipe are wiped by an administrator, or not.
#[test]
fn phones_of_nextclouds_protocol_obey_an_administrator() {
    let client = scripts::python("nextcloud_wipe_client.py", &["requests"]);
    run("phones_of_nextclouds_protocol_obey_an_administrator", client, 70);
}

/// Y4, Y5, Y7, Y8, Y9 and Y14: a strict client registers an app, gets tokens with it, reads, changes and deletes it.
/// Another registers and logs in by itself.
#[test]
fn oauth4webapi_and_openid_client_register_apps() {
    let client = scripts::node("registration_client.mjs", &["oauth4webapi", "openid-client"]);
    run("oauth4webapi_and_openid_client_register_apps", client, 23);
}

/// M1 and M2: a strict client finds every endpoint by the metadata and uses it.
#[test]
fn oauth4webapi_goes_through_every_flow() {
    let client = scripts::node("oauth4webapi_client.mjs", &["oauth4webapi"]);
    run("oauth4webapi_goes_through_every_flow", client, 90);
}

/// D8 to D10, D12, D14 to D16: two clients of devices, one strict and one that polls by itself, and a browser
/// without scripts.
#[test]
fn oauth4webapi_and_openid_client_connect_devices() {
    let client = scripts::node("device_clients.mjs", &["oauth4webapi", "openid-client"]);
    run("oauth4webapi_and_openid_client_connect_devices", client, 16);
}

/// X9, X15, X17, X18, X23: two clients exchange a token of a user, one strict.
#[test]
fn oauth4webapi_and_openid_client_exchange_tokens() {
    let client = scripts::node("exchange_clients.mjs", &["oauth4webapi", "openid-client"]);
    run("oauth4webapi_and_openid_client_exchange_tokens", client, 12);
}
