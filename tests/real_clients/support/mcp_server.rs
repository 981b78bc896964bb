//! The MCP server of the examples, as a process of its own.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::DocumentHost;
use crate::sandbox::{Folder, command, wait_until};

/// A running `examples/mcp_server`. It ends with the value.
pub(crate) struct McpServer {
    child: Child,
    ready: Value,
    _folder: Folder,
}

impl McpServer {
    /// The program for [`skip`](super::skip).
    pub(crate) const NAME: &str = "examples/mcp_server, which `.ci/run` builds";

    /// Returns the example, a crate of its own that cargo builds into the same folder.
    pub(crate) fn program() -> Option<PathBuf> {
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().unwrap().parent().unwrap().join("mcp_server");
        program.is_file().then_some(program)
    }

    /// Starts it with more arguments. Returns `None` if it has not been built.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let folder = Folder::on_disk();
        let file = folder.file("ready.json");
        let mut child = command(Self::program()?)
            .args(["--listen", "127.0.0.1:0", "--folder"])
            .arg(folder.path())
            .arg("--ready-file")
            .arg(&file)
            .arg("--fetch-local")
            .arg(DocumentHost::authorities())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the MCP server is ready", || {
            assert!(child.try_wait().unwrap().is_none(), "the MCP server has ended");
            file.exists()
        });
        let ready = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        Some(Self { child, ready, _folder: folder })
    }

    /// Returns a member of what it says when it is ready.
    pub(crate) fn text(&self, member: &str) -> &str {
        self.ready[member].as_str().unwrap()
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
