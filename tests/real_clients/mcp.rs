//! MCP clients of other projects at `examples/mcp_server`, each with its own authorization: discovery, a code with
//! PKCE, tools, a refresh, and a step-up if the client makes one. Each is known to the server in three ways: an
//! administrator has registered it, it describes itself by a document, or it registers itself.

use std::process::Command;

use crate::sandbox::command;
use crate::support::{DocumentHost, McpServer, scripts, skip};

/// The ways in which a client is known at the server.
#[derive(Clone, Copy)]
enum Identity {
    Registered,
    Document,
    Register,
}
use Identity::{Document, Register, Registered};

impl Identity {
    /// The identity as the programs take it.
    fn argument(self, documents: &DocumentHost) -> String {
        match self {
            Registered => "registered=notes-cli".to_owned(),
            Document => format!("document={}", documents.url()),
            Register => "register".to_owned(),
        }
    }
}

/// Lets a client log in with this identity, unless a program is missing.
fn log_in(test: &str, client: Result<Command, String>, identity: Identity, at_least: usize) {
    let mut client = match client {
        Ok(client) => client,
        Err(missing) => return skip(test, &missing),
    };
    let documents = DocumentHost::start();
    let Some(server) = McpServer::start(&[]) else {
        return skip(test, McpServer::NAME);
    };
    client
        .args([server.text("mcp"), server.text("user"), &identity.argument(&documents)])
        .env("MCP_PASSWORD", server.text("password"));
    scripts::run(&mut client, at_least, String::new);
    let is_fetched = documents.fetches() > 0;
    assert_eq!(
        is_fetched,
        matches!(identity, Document),
        "the server fetches a document: {is_fetched}"
    );
}

/// Lets a program for Node log in.
fn node(test: &str, package: &str, name: &str, identity: Identity, at_least: usize) {
    log_in(test, scripts::node(&format!("mcp/{name}"), &[package]), identity, at_least);
}

fn python(test: &str, identity: Identity) {
    log_in(test, scripts::python("mcp/python_sdk.py", &["mcp", "requests"]), identity, 15);
}

fn rust(test: &str, identity: Identity) {
    let client = McpServer::program().map(|program| {
        let mut client = command(program);
        client.arg("--client");
        client
    });
    log_in(test, client.ok_or_else(|| McpServer::NAME.to_owned()), identity, 9);
}

/// M6, M17: the SDK for TypeScript 1.x. It shows the 403 to its caller if it has a refresh token, and steps up without.
#[test]
fn the_typescript_sdk_1_logs_in() {
    let test = "the_typescript_sdk_1_logs_in";
    node(test, "@modelcontextprotocol/sdk", "sdk_1.mjs", Registered, 19);
}

/// M6, M17: the client for TypeScript 2.x. It steps up by itself.
#[test]
fn the_typescript_client_2_logs_in_and_steps_up() {
    let test = "the_typescript_client_2_logs_in_and_steps_up";
    node(test, "@modelcontextprotocol/client", "client_2.mjs", Registered, 19);
}

/// M6, M17: mcp-remote. It logs in for a client that knows no authorization, and keeps its tokens.
#[test]
fn mcp_remote_logs_in_and_refreshes() {
    let test = "mcp_remote_logs_in_and_refreshes";
    node(test, "mcp-remote", "mcp_remote.mjs", Registered, 9);
}

/// M6, M17: the SDK for Python. It steps up by itself.
#[test]
fn the_python_sdk_logs_in_and_steps_up() {
    let test = "the_python_sdk_logs_in_and_steps_up";
    python(test, Registered);
}

/// M6, M17: the SDK for Rust. It names the scope of its step-up by the challenge. Its program is in the example.
#[test]
fn the_rust_sdk_logs_in_and_steps_up() {
    let test = "the_rust_sdk_logs_in_and_steps_up";
    rust(test, Registered);
}

/// Y5, Y13, M17: the SDK for TypeScript 1.x has no registration, and makes one.
#[test]
fn the_typescript_sdk_1_registers_itself_and_logs_in() {
    let test = "the_typescript_sdk_1_registers_itself_and_logs_in";
    node(test, "@modelcontextprotocol/sdk", "sdk_1.mjs", Register, 19);
}

/// Y5, Y13, M17: the client for TypeScript 2.x has no registration, and makes one.
#[test]
fn the_typescript_client_2_registers_itself_and_logs_in_and_steps_up() {
    let test = "the_typescript_client_2_registers_itself_and_logs_in_and_steps_up";
    node(test, "@modelcontextprotocol/client", "client_2.mjs", Register, 19);
}

/// Y5, Y13, M17: mcp-remote has no registration, and makes one.
#[test]
fn mcp_remote_registers_itself_and_logs_in_and_refreshes() {
    let test = "mcp_remote_registers_itself_and_logs_in_and_refreshes";
    node(test, "mcp-remote", "mcp_remote.mjs", Register, 9);
}

/// Y5, Y13, M17: the SDK for Python has no registration, and makes one.
#[test]
fn the_python_sdk_registers_itself_and_logs_in_and_steps_up() {
    let test = "the_python_sdk_registers_itself_and_logs_in_and_steps_up";
    python(test, Register);
}

/// Y5, Y13, M17: the SDK for Rust has no registration, and makes one.
#[test]
fn the_rust_sdk_registers_itself_and_logs_in_and_steps_up() {
    let test = "the_rust_sdk_registers_itself_and_logs_in_and_steps_up";
    rust(test, Register);
}

/// M7, M17: the client id of the SDK for TypeScript 1.x is the URL of its document.
#[test]
fn the_typescript_sdk_1_logs_in_by_a_document() {
    let test = "the_typescript_sdk_1_logs_in_by_a_document";
    node(test, "@modelcontextprotocol/sdk", "sdk_1.mjs", Document, 19);
}

/// M7, M17: the client id of the client for TypeScript 2.x is the URL of its document.
#[test]
fn the_typescript_client_2_logs_in_and_steps_up_by_a_document() {
    let test = "the_typescript_client_2_logs_in_and_steps_up_by_a_document";
    node(test, "@modelcontextprotocol/client", "client_2.mjs", Document, 19);
}

/// M7, M17: the client id of mcp-remote is the URL of its document.
#[test]
fn mcp_remote_logs_in_and_refreshes_by_a_document() {
    let test = "mcp_remote_logs_in_and_refreshes_by_a_document";
    node(test, "mcp-remote", "mcp_remote.mjs", Document, 9);
}

/// M7, M17: the client id of the SDK for Python is the URL of its document.
#[test]
fn the_python_sdk_logs_in_and_steps_up_by_a_document() {
    let test = "the_python_sdk_logs_in_and_steps_up_by_a_document";
    python(test, Document);
}

/// M7, M17: the client id of the SDK for Rust is the URL of its document.
#[test]
fn the_rust_sdk_logs_in_and_steps_up_by_a_document() {
    let test = "the_rust_sdk_logs_in_and_steps_up_by_a_document";
    rust(test, Document);
}
