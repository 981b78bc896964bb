//! The example server as a process, and small clients for it.

mod browser;
mod client;
mod flows;
mod raw;
mod seed;
mod server;
mod webdriver;

pub(crate) use browser::Browser;
pub(crate) use client::{Answer, Http, basic, encode};
pub(crate) use flows::{code_url, parameters, redirect_uri};
pub(crate) use raw::{Connection, RawAnswer, exchange};
pub(crate) use seed::{Seed, seed_file};
pub(crate) use server::Server;
pub(crate) use webdriver::{Chrome, chrome_is_there};

use std::io::Write as _;
use std::path::PathBuf;

/// The folder in which cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// Says that a test does nothing because something is not installed; the test fails where that must
/// not be.
pub(crate) fn skip(test: &str, missing: &str) {
    let required = std::env::var_os("GRANTOR_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!required, "{test} needs {missing}: run .ci/install");
    // Not by a macro of the standard library, whose output is kept from people.
    let line = format!("skipped: {test} needs {missing} (.ci/install installs it)\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
