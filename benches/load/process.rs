//! Servers as separate processes, with their CPU time from the kernel.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    issuer: String,
}

impl Server {
    /// Starts the example server, built with the profile of this bench.
    pub(crate) fn example() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Command::new(env!("CARGO"))
            .current_dir(root)
            .args(["build", "--quiet", "--profile", "bench", "--features", "axum"])
            .args(["--example", "server"])
            .status();
        assert!(built.unwrap().success(), "the example server does not build");
        Self::example_at(&scratch().join("../examples/server"), root)
    }

    /// Starts the example server `program` with the apps of this bench in the checkout at `root`.
    pub(crate) fn example_at(program: &Path, root: &Path) -> Self {
        let ready = scratch().join("ready.json");
        _ = fs::remove_file(&ready);
        let process = on_one_core(program)
            .args(["--listen", "127.0.0.1:0", "--no-limits", "--signing-alg", "ES256", "--seed"])
            .arg(root.join("benches/load/seed.json"))
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let issuer = loop {
            std::thread::sleep(Duration::from_millis(20));
            let json = fs::read(&ready).ok();
            let json = json.and_then(|it| serde_json::from_slice::<serde_json::Value>(&it).ok());
            if let Some(issuer) = json.as_ref().and_then(|json| json["issuer"].as_str()) {
                break issuer.to_owned();
            }
        };
        let address = issuer.trim_start_matches("http://").parse().unwrap();
        Self { process, address, issuer }
    }

    /// Starts this program again as a floor.
    pub(crate) fn floor(kind: &str) -> Self {
        let mut floor = on_one_core(&std::env::current_exe().unwrap());
        floor.env("GRANTOR_BENCH_FLOOR", kind);
        Self::printing(floor)
    }

    /// Starts a program that prints its address as its first line.
    pub(crate) fn printing(mut program: Command) -> Self {
        let mut process = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().unwrap();
        Self { process, address, issuer: String::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the CPU time of all threads so far.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let spent = threads.map(|thread| {
            let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            stat.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        spent.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Runs `program` on the last core, away from the client. Wake-ups across cores are random and cost
/// more than the measured work. `taskset` is part of util-linux.
pub(crate) fn on_one_core(program: &Path) -> Command {
    let last = std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1);
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(last.to_string()).arg(program);
    command
}

/// Returns the folder of this build, beside the examples of its profile.
fn scratch() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}
