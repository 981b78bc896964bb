//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use grantor::ids::Issuer;
use grantor::jwt::Algorithm;

use crate::store::StoreKind;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
An authorization server for trying things out: login, consent, an administrator's API, a protected API.

Usage: cargo run --example server --features axum -- [OPTIONS]

Without an option it listens on 127.0.0.1:8089, or on the next port that is free, has demo users and
demo apps, and prints what to try.

Options:
  --listen ADDR        IP address and port; with port 0 the system chooses one
  --issuer URL         the name of the server, where it is reached under another than http://ADDR
  --signing-alg ALG    ES256 (the default), EdDSA, RS256 or PS256, for a key that is made; for
                       RS256 and PS256 it is the demo key, which everybody knows
  --seed FILE          users, apps, resource servers and the API catalog, as JSON; what it may hold
                       stands in examples/server/seed.json
  --ready-file FILE    written once the server listens: {\"issuer\": \"http://..\", \"pid\": 1}
  --store KIND         where grants and apps are kept: memory, which is the default; sqlite:PATH
                       (--features axum,sqlite); or postgres://USER@HOST/DATABASE (--features
                       axum,postgres), over which any number of processes may run
  --keys FILE          secrets and signing keys that outlive the process, made if there are none.
                       Without it a durable store has them in PATH.keys beside the SQLite file, or in
                       grantor-example.keys in the working folder
  --no-limits          no rate limits, neither for tokens nor for logins
  --log                audit events and warnings go to the standard error stream
  --check              starts, runs what it would tell a person to try, and stops
  --help               this text
";

/// The ports that are tried if nobody says where to listen.
pub(crate) const PORTS: std::ops::Range<u16> = 8089..8189;

/// The command line, understood.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a command line has switches")]
pub(crate) struct Args {
    /// Where to listen; `None` is the first free one of [`PORTS`] on loopback.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) algorithm: Algorithm,
    /// `None`: the demo.
    pub(crate) seed: Option<PathBuf>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) store: StoreKind,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) limits: bool,
    pub(crate) log: bool,
    pub(crate) check: bool,
    pub(crate) help: bool,
}

impl Args {
    /// Reads the arguments that follow the name of the program.
    ///
    /// # Errors
    ///
    /// A sentence for the person who typed them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            listen: None,
            issuer: None,
            algorithm: Algorithm::ES256,
            seed: None,
            ready_file: None,
            store: StoreKind::Memory,
            keys: None,
            limits: true,
            log: false,
            check: false,
            help: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--no-limits" => args.limits = false,
                "--log" => args.log = true,
                "--check" => args.check = true,
                "--help" | "-h" => args.help = true,
                _ => {
                    let (option, value) = match argument.split_once('=') {
                        Some((option, value)) => (option, Some(value.to_owned())),
                        None => (argument.as_str(), arguments.next()),
                    };
                    args.set(option, value.as_deref())?;
                }
            }
        }
        Ok(args)
    }

    fn set(&mut self, option: &str, value: Option<&str>) -> Result<(), String> {
        let options = [
            "--listen",
            "--issuer",
            "--signing-alg",
            "--seed",
            "--ready-file",
            "--store",
            "--keys",
        ];
        if !options.contains(&option) {
            return Err(format!("{option} is no option of this program: see --help"));
        }
        let value = value.ok_or_else(|| format!("{option} needs a value"))?;
        let wrong = |why: &dyn std::fmt::Display| format!("{option} {value}: {why}");
        match option {
            "--listen" => {
                let needed = "an IP address and a port are needed, such as 127.0.0.1:8089";
                self.listen = Some(value.parse().map_err(|_| wrong(&needed))?);
            }
            "--issuer" => self.issuer = Some(Issuer::new(value).map_err(|why| wrong(&why))?),
            "--signing-alg" => {
                self.algorithm = match value {
                    "ES256" => Algorithm::ES256,
                    "EdDSA" => Algorithm::EdDSA,
                    "RS256" => Algorithm::RS256,
                    "PS256" => Algorithm::PS256,
                    _ => return Err(wrong(&"it must be ES256, EdDSA, RS256 or PS256")),
                };
            }
            "--seed" => self.seed = Some(value.into()),
            "--ready-file" => self.ready_file = Some(value.into()),
            "--keys" => self.keys = Some(value.into()),
            // Without the value, which may hold a password.
            _ => self.store = StoreKind::parse(value)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn an_option_takes_its_value_as_the_next_word_or_behind_an_equals_sign() {
        let args = parse("--listen 127.0.0.1:0 --signing-alg=PS256 --no-limits --store memory");
        let args = args.unwrap();
        assert_eq!(args.listen.map(|address| address.port()), Some(0));
        assert_eq!(args.algorithm, Algorithm::PS256);
        assert!(!args.limits && !args.log && args.seed.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("--verbose", "--verbose is no option of this program"),
            ("--seed", "--seed needs a value"),
            ("--listen localhost", "--listen localhost: an IP address and a port are needed"),
            ("--signing-alg HS256", "--signing-alg HS256: it must be ES256"),
            ("--issuer http://as.example.com", "--issuer http://as.example.com: "),
            ("--store paper", "--store must be memory, sqlite:PATH or postgres://…"),
        ] {
            let problem = parse(line).err().unwrap();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
