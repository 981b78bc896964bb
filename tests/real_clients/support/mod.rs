//! The example server as a process, and small clients for it.

mod browser;
mod client;
#[cfg(feature = "console")]
mod devtools;
mod document_host;
mod flows;
mod identity_provider;
mod mcp_server;
mod raw;
pub(crate) mod scripts;
mod seed;
mod server;
mod webdriver;

pub(crate) use browser::Browser;
pub(crate) use client::{Answer, Http, basic, encode};
pub(crate) use document_host::DocumentHost;
pub(crate) use flows::{code_url, parameters, redirect_uri};
pub(crate) use identity_provider::IdentityProvider;
pub(crate) use mcp_server::McpServer;
pub(crate) use raw::{Connection, RawAnswer, exchange};
pub(crate) use seed::{Seed, seed_file};
pub(crate) use server::Server;
pub(crate) use webdriver::{Chrome, chrome_is_there};

use std::io::Write as _;
use std::path::PathBuf;

/// Returns the target folder of cargo.
pub(crate) fn target_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// Says that a test is skipped because a program is not installed. Panics if `GRANTOR_REQUIRE_SERVICES`
/// is `1`.
pub(crate) fn skip(test: &str, missing: &str) {
    let required = std::env::var_os("GRANTOR_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!required, "{test} needs {missing}: run .ci/install");
    // The harness captures the macros of the standard library.
    let line = format!("skipped: {test} needs {missing} (.ci/install installs it)\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
