//! Counters.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the counters, each with the words under which it is printed.
macro_rules! counts {
    ($($name:ident: $words:literal,)*) => {
        /// Counters that all threads share.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: Count,)*
        }

        impl fmt::Display for Counts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "  {:>9} {}", self.$name.get(), $words)?;)*
                Ok(())
            }
        }
    };
}

counts! {
    requests: "requests",
    codes: "tokens by authorization code",
    refreshes: "tokens by refresh token",
    retries: "refresh retries answered by the grace window",
    recovered: "lost answers that were asked for again and came",
    families: "tokens by assertion, with a refresh token",
    assertions: "tokens by assertion",
    refused_codes: "codes that were spent already",
    refused_assertions: "assertions that were spent already",
    reuses: "reuses detected",
    revocations: "revocations",
    races: "races",
    server_kills: "kills of a server",
    database_kills: "kills of the database",
    failures: "answers 5xx",
    lost: "answers lost",
    violations: "violations",
}

impl Counts {
    /// Returns the number of tokens of any kind.
    pub(crate) fn tokens(&self) -> u64 {
        let all = [&self.codes, &self.refreshes, &self.families, &self.assertions];
        all.into_iter().map(Count::get).sum()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
