//! Other processes: this test binary again, for one of its tests. The environment and the lines on its
//! input tell it what to do. Without that environment it passes at once.

use std::env;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{self, ChildStdin, ChildStdout, Stdio};

use crate::sandbox::command;

/// The first character of a line for the other side. The test harness writes other lines.
const MARK: char = '!';

/// Another process, killed with the value.
pub(crate) struct Child {
    process: process::Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts `test` with these variables.
    pub(crate) fn with(test: &str, variables: &[(&str, &str)]) -> Self {
        let mut process = command(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, lines }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Returns the next line that it says, or `None` once it is gone.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    /// Returns the next line of a process that has no reason to be gone.
    pub(crate) fn answer(&mut self) -> String {
        self.hear().unwrap_or_else(|| panic!("a child ended early; its output says why"))
    }

    /// Kills it (`kill -9`), at any point of its work.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Iterates over the lines of the parent, until the parent is gone.
pub(crate) fn told() -> impl Iterator<Item = String> {
    std::io::stdin().lines().map_while(Result::ok)
}

/// Tells the parent a line. One write to the pipe makes it whole or absent.
pub(crate) fn say(line: &str) {
    std::io::stdout().write_all(format!("{MARK}{line}\n").as_bytes()).unwrap();
}

/// Returns microseconds since 1970, which processes on one machine can compare.
#[expect(clippy::disallowed_methods, reason = "the clock of the library counts milliseconds")]
pub(crate) fn micros() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap()
}
