//! Memory and speed while the number of live grants grows.
//!
//! Each library grows in a process of its own, so that the memory of one does not count for another.

use std::process::Command;

use grantor::jwt::Algorithm;

use crate::contest::{AnyContest, Contest};
use crate::grantor_peer;
use crate::oauth_as_peer::{OauthAs, Tokens};
use crate::oxide_auth_peer::OxideAuth;
use crate::{Options, rounded};

/// The libraries, by the name of their process.
const NAMES: [&str; 4] = ["grantor", "oauth-as-opaque", "oauth-as-jwt", "oxide-auth"];
/// Refreshes at each size. The client keeps as many tokens for each.
const SAMPLE: usize = 1_000;
/// Refresh tokens that are presented again, at each size.
const REUSES: usize = 5;

fn contest(name: &str) -> Box<dyn AnyContest> {
    match name {
        "grantor" => Box::new(Contest::new(grantor_peer::Http::new(Algorithm::HS256))),
        "oauth-as-opaque" => Box::new(Contest::new(OauthAs::new(Tokens::Opaque))),
        "oauth-as-jwt" => Box::new(Contest::new(OauthAs::new(Tokens::Ring))),
        "oxide-auth" => Box::new(Contest::new(OxideAuth::new())),
        other => panic!("no library {other}; there are {NAMES:?}"),
    }
}

/// Returns the resident memory of this process in bytes.
fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4_096
}

/// Runs each library in a process of its own, and prints their lines.
pub(crate) fn run(options: &Options) {
    if !options.json {
        println!(
            "| library | grants | bytes requested a grant | bytes resident a grant | us a grant \
             | longest request, ms | refresh p50, us | p99, us | max, us | reuse, us |"
        );
        println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    }
    for name in NAMES {
        if !name.contains(options.library.as_str()) {
            continue;
        }
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["grow-one", "--library", name, "--grants", &options.grants.to_string()]);
        let output = process.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if options.json {
                println!("{line}");
                continue;
            }
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let columns = [
                "library",
                "grants",
                "bytes",
                "resident",
                "us",
                "longest_ms",
                "refresh_p50",
                "refresh_p99",
                "refresh_max",
                "reuse_us",
            ];
            let cells = columns.map(|column| line[column].to_string().replace('"', ""));
            println!("| {} |", cells.join(" | "));
        }
    }
}

/// Grows one library in this process, and prints a line of JSON for each size.
#[expect(clippy::cast_precision_loss, reason = "figures are rounded")]
pub(crate) fn grow(name: &str, grants: usize) {
    let mut contest = contest(name);
    let (mut size, mut bytes, before) = (0, 0, resident());
    for target in [1_000, 10_000, 100_000, 300_000, 1_000_000] {
        if target > grants {
            break;
        }
        let added = target - size;
        let growth = contest.grow(added, (added / SAMPLE).max(1));
        size = target;
        bytes += growth.bytes;
        let us = growth.ns / 1_000.0 / added as f64;
        let longest = growth.longest_ns / 1_000_000.0;
        let resident = (resident() - before) as f64 / size as f64;
        let times = contest.single_refreshes(SAMPLE);
        let at = |part: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is small and positive"
            )]
            let index = (times.len() as f64 * part) as usize;
            rounded(times[index.min(times.len() - 1)] / 1_000.0)
        };
        let line = serde_json::json!({
            "library": name, "grants": size, "bytes": (bytes as f64 / size as f64).round(),
            "resident": resident.round(), "us": rounded(us), "longest_ms": rounded(longest),
            "refresh_p50": at(0.5), "refresh_p99": at(0.99), "refresh_max": at(1.0),
            "reuse_us": rounded(contest.reuses(REUSES)[REUSES / 2] / 1_000.0),
        });
        println!("{line}");
    }
}
