//! The programs of `tests/interop`, for Node and Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::target_folder;
use crate::sandbox::command;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// Checks whether the command runs and succeeds.
fn works(program: &mut Command) -> bool {
    let silent = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Prepares a script for Node. Returns the name of a missing program if it is not installed with all `packages`.
pub(crate) fn node(name: &str, packages: &[&str]) -> Result<Command, String> {
    let modules = target_folder().join("interop/node_modules");
    let are_there = packages.iter().all(|package| modules.join(package).is_dir());
    if !are_there || !works(command("node").arg("--version")) {
        return Err(format!("Node with {}", packages.join(" and ")));
    }
    let mut node = command("node");
    node.arg(script(name)).env("INTEROP_NODE_MODULES", modules);
    Ok(node)
}

/// Checks whether Node has what an expression needs.
pub(crate) fn node_evaluates(expression: &str) -> bool {
    works(command("node").args(["-e", expression]))
}

/// Prepares a script for Python. Returns the name of a missing program if it is not installed with all `modules`.
pub(crate) fn python(name: &str, modules: &[&str]) -> Result<Command, String> {
    let python = target_folder().join("interop/venv/bin/python");
    if !works(command(&python).args(["-c", &format!("import {}", modules.join(", "))])) {
        return Err(format!("Python with {}", modules.join(" and ")));
    }
    let mut python = command(python);
    python.arg("-B").arg(script(name));
    Ok(python)
}

/// Runs a script, and fails if one of its checks fails, or if it makes fewer than `at_least`. `servers` returns the
/// output of the servers.
pub(crate) fn run(client: &mut Command, at_least: usize, servers: impl FnOnce() -> String) {
    let output = client.stdin(Stdio::null()).output().unwrap();
    let checks = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{checks}\n{errors}\nthe servers:\n{}", servers());
    let passed = checks.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= at_least && checks.ends_with("all checks passed\n"), "{checks}\n{errors}");
}
