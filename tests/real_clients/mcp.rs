//! MCP clients of other projects at `examples/mcp_server`, each with its own authorization: discovery, a code with
//! PKCE, tools, a refresh, and a step-up if the client makes one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sandbox::{Folder, command, wait_until};
use crate::support::{skip, target_folder};

/// The ways in which a client is known at the server, as its program takes them.
const REGISTERED: &str = "registered=notes-cli";

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
fn log_in(test: &str, missing: Option<&str>, client: Command, identity: &str, at_least: usize) {
    if let Some(missing) = missing {
        return skip(test, missing);
    }
    let Some(program) = program() else {
        return skip(test, "examples/mcp_server, which `.ci/run` builds");
    };
    let (server, mut client) = (McpServer::start(&program), client);
    let output = client
        .args([server.text("mcp"), server.text("user"), identity])
        .env("MCP_PASSWORD", server.text("password"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let checks = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{checks}\n{errors}");
    let passed = checks.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= at_least && checks.ends_with("all checks passed\n"), "{checks}\n{errors}");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/mcp").join(name)
}

/// Lets a program for Node log in.
fn node(test: &str, package: &str, name: &str, identity: &str, at_least: usize) {
    let modules = target_folder().join("interop/node_modules");
    let is_there = modules.join(package).is_dir() && works(command("node").arg("--version"));
    let missing = (!is_there).then(|| format!("Node with {package}"));
    let mut node = command("node");
    node.arg(script(name)).env("INTEROP_NODE_MODULES", modules);
    log_in(test, missing.as_deref(), node, identity, at_least);
}

/// M6, M17: the SDK for TypeScript 1.x. It shows the 403 to its caller if it has a refresh token, and steps up without.
#[test]
fn the_typescript_sdk_1_logs_in() {
    let test = "the_typescript_sdk_1_logs_in";
    node(test, "@modelcontextprotocol/sdk", "sdk_1.mjs", REGISTERED, 19);
}

/// M6, M17: the client for TypeScript 2.x steps up by itself.
#[test]
fn the_typescript_client_2_logs_in_and_steps_up() {
    let test = "the_typescript_client_2_logs_in_and_steps_up";
    node(test, "@modelcontextprotocol/client", "client_2.mjs", REGISTERED, 19);
}

/// M17: mcp-remote logs in for a client that knows no authorization, keeps its tokens and refreshes them.
#[test]
fn mcp_remote_logs_in_and_refreshes() {
    let test = "mcp_remote_logs_in_and_refreshes";
    node(test, "mcp-remote", "mcp_remote.mjs", REGISTERED, 9);
}

/// M6, M17: the SDK for Python steps up by itself.
#[test]
fn the_python_sdk_logs_in_and_steps_up() {
    let python = target_folder().join("interop/venv/bin/python");
    let is_there = works(command(&python).args(["-c", "import mcp, requests"]));
    let missing = (!is_there).then_some("Python with mcp");
    let mut client = command(python);
    client.arg("-B").arg(script("python_sdk.py"));
    log_in("the_python_sdk_logs_in_and_steps_up", missing, client, REGISTERED, 15);
}

/// M6, M17: the SDK for Rust names the scope of its step-up by the challenge. Its program is in the example.
#[test]
fn the_rust_sdk_logs_in_and_steps_up() {
    let mut client = command(program().unwrap_or_default());
    client.arg("--client");
    log_in("the_rust_sdk_logs_in_and_steps_up", None, client, REGISTERED, 9);
}
