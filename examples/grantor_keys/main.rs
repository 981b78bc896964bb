//! A tool for the key file of a server: it creates it, shows its keys and roots with their states, and takes
//! each step of `docs/runbooks.md` that changes the file.
//!
//! Run it with `cargo run --example grantor_keys -- help`. A server with an `Upkeep` reads the changes of
//! signing keys within seconds. It reads roots when it starts.

mod commands;

use std::io::Write as _;
use std::process::ExitCode;

use grantor::clock::{Clock as _, SystemClock};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A stream that is closed does not end the program, as it would with `println!`.
    match commands::run(&arguments, SystemClock::new().now()) {
        Ok(text) => {
            _ = write!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}
