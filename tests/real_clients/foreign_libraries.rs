//! Libraries in other languages: the scripts in `tests/interop`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sandbox::command;
use crate::support::{Server, seed_file, skip, target_folder};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// Checks whether the command runs and succeeds.
fn works(program: &mut Command) -> bool {
    let silent = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Runs a script against a server, and fails if the script fails.
fn run(program: &mut Command, at_least: usize) {
    let server = Server::start();
    let output =
        program.arg(&server.issuer).arg(seed_file()).stdin(Stdio::null()).output().unwrap();
    let checks = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{checks}\n{errors}\nthe server:\n{}", server.output());
    let passed = checks.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= at_least && checks.ends_with("all checks passed\n"), "{checks}");
}

/// M1 and M2: a client finds every endpoint by the metadata and uses it.
#[test]
fn authlib_goes_through_every_flow() {
    let python = target_folder().join("interop/venv/bin/python");
    if !works(command(&python).args(["-c", "import authlib, joserfc, requests"])) {
        return skip("authlib_goes_through_every_flow", "Python with Authlib");
    }
    run(command(python).arg("-B").arg(script("authlib_client.py")), 90);
}

/// Z3, Z4: google-auth impersonates without `jti`, and MSAL authenticates for ten minutes at the URL of the
/// token endpoint, each by the settings of its app. Authlib, in the test above, signs for an hour.
#[test]
fn google_auth_and_msal_present_their_assertions() {
    let python = target_folder().join("interop/venv/bin/python");
    if !works(command(&python).args(["-c", "import google.auth, msal, requests"])) {
        return skip("google_auth_and_msal_present_their_assertions", "google-auth and MSAL");
    }
    run(command(python).arg("-B").arg(script("assertion_clients.py")), 17);
}

/// Z41: the parser of another project reads the metrics.
#[test]
fn prometheus_client_reads_the_metrics() {
    let python = target_folder().join("interop/venv/bin/python");
    if !works(command(&python).args(["-c", "import prometheus_client, requests"])) {
        return skip("prometheus_client_reads_the_metrics", "Python with prometheus_client");
    }
    run(command(python).arg("-B").arg(script("metrics_scraper.py")), 9);
}

/// W3 to W9, W12, W13: phones that speak Nextcloud's remote wipe are wiped by an administrator, or not.
#[test]
fn phones_of_nextclouds_protocol_obey_an_administrator() {
    let python = target_folder().join("interop/venv/bin/python");
    if !works(command(&python).args(["-c", "import requests"])) {
        return skip("phones_of_nextclouds_protocol_obey_an_administrator", "Python with requests");
    }
    run(command(python).arg("-B").arg(script("nextcloud_wipe_client.py")), 70);
}

/// Y4, Y5, Y7, Y8, Y9 and Y14: a strict client registers an app, gets tokens with it, reads, changes and deletes it.
/// Another registers and logs in by itself.
#[test]
fn oauth4webapi_and_openid_client_register_apps() {
    let modules = target_folder().join("interop/node_modules");
    let are_there = ["oauth4webapi", "openid-client"].map(|name| modules.join(name).is_dir());
    if are_there != [true; 2] || !works(command("node").arg("--version")) {
        let wanted = "Node with oauth4webapi and openid-client";
        return skip("oauth4webapi_and_openid_client_register_apps", wanted);
    }
    let mut node = command("node");
    node.arg(script("registration_client.mjs")).env("INTEROP_NODE_MODULES", modules);
    run(&mut node, 23);
}

/// M1 and M2: a strict client finds every endpoint by the metadata and uses it.
#[test]
fn oauth4webapi_goes_through_every_flow() {
    let modules = target_folder().join("interop/node_modules");
    let there = modules.join("oauth4webapi").is_dir();
    if !there || !works(command("node").arg("--version")) {
        return skip("oauth4webapi_goes_through_every_flow", "Node with oauth4webapi");
    }
    let mut node = command("node");
    node.arg(script("oauth4webapi_client.mjs")).env("INTEROP_NODE_MODULES", modules);
    run(&mut node, 90);
}

/// D8 to D10, D12, D14 to D16: two clients of devices, one strict and one that polls by itself, and a browser
/// without scripts.
#[test]
fn oauth4webapi_and_openid_client_connect_devices() {
    let modules = target_folder().join("interop/node_modules");
    let are_there = ["oauth4webapi", "openid-client"].map(|name| modules.join(name).is_dir());
    if are_there != [true; 2] || !works(command("node").arg("--version")) {
        let wanted = "Node with oauth4webapi and openid-client";
        return skip("oauth4webapi_and_openid_client_connect_devices", wanted);
    }
    let mut node = command("node");
    node.arg(script("device_clients.mjs")).env("INTEROP_NODE_MODULES", modules);
    run(&mut node, 16);
}

/// X9, X15, X17, X18, X23: two clients exchange a token of a user, one strict.
#[test]
fn oauth4webapi_and_openid_client_exchange_tokens() {
    let modules = target_folder().join("interop/node_modules");
    let are_there = ["oauth4webapi", "openid-client"].map(|name| modules.join(name).is_dir());
    if are_there != [true; 2] || !works(command("node").arg("--version")) {
        let wanted = "Node with oauth4webapi and openid-client";
        return skip("oauth4webapi_and_openid_client_exchange_tokens", wanted);
    }
    let mut node = command("node");
    node.arg(script("exchange_clients.mjs")).env("INTEROP_NODE_MODULES", modules);
    run(&mut node, 12);
}
