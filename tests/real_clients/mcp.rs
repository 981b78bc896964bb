//! MCP clients of other projects at `examples/mcp_server`, each with its own authorization: discovery, a code with
//! PKCE, tools, a refresh, and a step-up if the client makes one. Each is known to the server in three ways: an
//! administrator has registered it, it describes itself by a document, or it registers itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sandbox::{Folder, command, wait_until};
use crate::support::{DocumentHost, skip, target_folder};

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

/// A running MCP server. It ends with the value.
struct McpServer {
    child: Child,
    ready: Value,
    _folder: Folder,
}

impl McpServer {
    fn start(program: &Path) -> Self {
        let folder = Folder::on_disk();
        let file = folder.file("ready.json");
        let mut child = command(program)
            .args(["--listen", "127.0.0.1:0", "--folder"])
            .arg(folder.path())
            .arg("--ready-file")
            .arg(&file)
            .arg("--fetch-local")
            .arg(DocumentHost::authorities())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the MCP server is ready", || {
            assert!(child.try_wait().unwrap().is_none(), "the MCP server has ended");
            file.exists()
        });
        let ready = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        Self { child, ready, _folder: folder }
    }

    fn text(&self, member: &str) -> &str {
        self.ready[member].as_str().unwrap()
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the example, a crate of its own that cargo builds into the same folder.
fn program() -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("mcp_server");
    program.is_file().then_some(program)
}

/// Checks whether the command runs and succeeds.
fn works(program: &mut Command) -> bool {
    let silent = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Lets a client log in with this identity, unless a program is missing.
fn log_in(test: &str, missing: Option<&str>, client: Command, identity: Identity, at_least: usize) {
    if let Some(missing) = missing {
        return skip(test, missing);
    }
    let Some(program) = program() else {
        return skip(test, "examples/mcp_server, which `.ci/run` builds");
    };
    let (server, mut client) = (McpServer::start(&program), client);
    let documents = DocumentHost::start();
    let output = client
        .args([server.text("mcp"), server.text("user"), &identity.argument(&documents)])
        .env("MCP_PASSWORD", server.text("password"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let checks = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{checks}\n{errors}");
    let passed = checks.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= at_least && checks.ends_with("all checks passed\n"), "{checks}\n{errors}");
    let is_fetched = documents.fetches() > 0;
    assert_eq!(
        is_fetched,
        matches!(identity, Document),
        "the server fetches a document: {is_fetched}"
    );
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/mcp").join(name)
}

/// Lets a program for Node log in.
fn node(test: &str, package: &str, name: &str, identity: Identity, at_least: usize) {
    let modules = target_folder().join("interop/node_modules");
    let is_there = modules.join(package).is_dir() && works(command("node").arg("--version"));
    let missing = (!is_there).then(|| format!("Node with {package}"));
    let mut node = command("node");
    node.arg(script(name)).env("INTEROP_NODE_MODULES", modules);
    log_in(test, missing.as_deref(), node, identity, at_least);
}

fn python(test: &str, identity: Identity) {
    let python = target_folder().join("interop/venv/bin/python");
    let is_there = works(command(&python).args(["-c", "import mcp, requests"]));
    let missing = (!is_there).then_some("Python with mcp");
    let mut client = command(python);
    client.arg("-B").arg(script("python_sdk.py"));
    log_in(test, missing, client, identity, 15);
}

fn rust(test: &str, identity: Identity) {
    let mut client = command(program().unwrap_or_default());
    client.arg("--client");
    log_in(test, None, client, identity, 9);
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
