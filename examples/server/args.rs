//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use grantor::Issuer;
use grantor::jwt::Algorithm;

/// The output of `--help`.
pub(crate) const USAGE: &str = "\
An authorization server to try out: login, consent, an administrator's API, a protected API.

Usage: cargo run --example server --features axum,console -- [OPTIONS]

Without options it listens on 127.0.0.1:8089 or the next free port, has demo users and demo apps, and
prints commands to try.

Options:
  --listen ADDR        IP address and port; port 0 lets the system choose
  --issuer URL         the issuer, if clients reach the server by another URL than http://ADDR
  --signing-alg ALG    the algorithm of a generated key: ES256 (the default), EdDSA, RS256 or
                       PS256; RS256 and PS256 use the demo key, which is public
  --seed FILE          users, apps, resource servers, the API catalog, and whether phones can be
                       wiped, as JSON; see examples/server/seed.json
  --ready-file FILE    written once the server listens: {\"issuer\": \"http://..\", \"pid\": 1}
  --store URL          the store of grants and apps: memory: (the default), sqlite:PATH
                       (--features axum,sqlite), or postgres://USER@HOST/DATABASE (--features
                       axum,postgres), which any number of processes may share
  --keys FILE          the file of the server secret and the signing keys, created if missing. The
                       default with a durable store is PATH.keys beside the SQLite file, or
                       grantor-example.keys in the working folder
  --plain-http         accepts an --issuer with http on any host, for a network of containers; codes,
                       tokens and secrets can be read on it
  --group-readable-keys
                       accepts a key file that its group may read, as in the volume of a secret
  --fetch-ca FILE      trusts the authorities of a PEM file, instead of the system's, when it fetches documents
                       and keys of apps; for tests (--features axum,fetch)
  --fetch-loopback     also fetches from this machine; for tests
  --no-limits          disables every rate limit, for tokens and for logins
  --playground         adds a page to the console that runs the code flow in the browser; without
                       --seed it is there anyway (--features axum,console)
  --log                writes audit events and warnings to standard error
  --check              starts, runs the commands that it would print, and stops
  --help               prints this text
";

/// The ports to try without `--listen`.
pub(crate) const PORTS: std::ops::Range<u16> = 8089..8189;

/// The parsed command line.
#[expect(clippy::struct_excessive_bools, reason = "each switch is an option of the command line")]
pub(crate) struct Args {
    /// The address to listen on. `None` means the first free port of [`PORTS`] on loopback.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) algorithm: Algorithm,
    /// The seed file. `None` means the demo seed.
    pub(crate) seed: Option<PathBuf>,
    pub(crate) ready_file: Option<PathBuf>,
    /// A URL, which may hold a password.
    pub(crate) store: String,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) group_readable_keys: bool,
    /// The file with the authorities that fetches trust.
    pub(crate) fetch_ca: Option<PathBuf>,
    pub(crate) fetch_loopback: bool,
    pub(crate) limits: bool,
    pub(crate) playground: bool,
    pub(crate) log: bool,
    pub(crate) check: bool,
    pub(crate) help: bool,
}

impl Args {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// A message for the user.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            listen: None,
            issuer: None,
            algorithm: Algorithm::ES256,
            seed: None,
            ready_file: None,
            store: "memory:".to_owned(),
            keys: None,
            group_readable_keys: false,
            fetch_ca: None,
            fetch_loopback: false,
            limits: true,
            playground: false,
            log: false,
            check: false,
            help: false,
        };
        let (mut plain_http, mut issuer) = (false, None);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--plain-http" => plain_http = true,
                "--group-readable-keys" => args.group_readable_keys = true,
                "--fetch-loopback" => args.fetch_loopback = true,
                "--no-limits" => args.limits = false,
                "--playground" => args.playground = true,
                "--log" => args.log = true,
                "--check" => args.check = true,
                "--help" | "-h" => args.help = true,
                _ => {
                    let (option, value) = match argument.split_once('=') {
                        Some((option, value)) => (option, Some(value.to_owned())),
                        None => (argument.as_str(), arguments.next()),
                    };
                    if option == "--issuer" {
                        issuer = Some(value.ok_or("--issuer needs a value")?);
                    } else {
                        args.set(option, value.as_deref())?;
                    }
                }
            }
        }
        if let Some(issuer) = issuer {
            let new = if plain_http { Issuer::with_plain_http } else { Issuer::new };
            let invalid = |why| format!("--issuer {issuer}: {why}");
            args.issuer = Some(new(issuer.as_str()).map_err(invalid)?);
        }
        Ok(args)
    }

    fn set(&mut self, option: &str, value: Option<&str>) -> Result<(), String> {
        let options = [
            "--listen",
            "--signing-alg",
            "--seed",
            "--ready-file",
            "--store",
            "--keys",
            "--fetch-ca",
        ];
        if !options.contains(&option) {
            return Err(format!("unknown option {option}, see --help"));
        }
        let value = value.ok_or_else(|| format!("{option} needs a value"))?;
        let wrong = |why: &dyn std::fmt::Display| format!("{option} {value}: {why}");
        match option {
            "--listen" => {
                let needed = "expected an IP address and a port, such as 127.0.0.1:8089";
                self.listen = Some(value.parse().map_err(|_| wrong(&needed))?);
            }
            "--signing-alg" => {
                self.algorithm = match value {
                    "ES256" => Algorithm::ES256,
                    "EdDSA" => Algorithm::EdDSA,
                    "RS256" => Algorithm::RS256,
                    "PS256" => Algorithm::PS256,
                    _ => return Err(wrong(&"expected ES256, EdDSA, RS256 or PS256")),
                };
            }
            "--seed" => self.seed = Some(value.into()),
            "--ready-file" => self.ready_file = Some(value.into()),
            "--fetch-ca" => self.fetch_ca = Some(value.into()),
            "--keys" => self.keys = Some(value.into()),
            _ => {
                let url = if value == "memory" { "memory:" } else { value };
                url.clone_into(&mut self.store);
            }
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
    fn an_option_takes_its_value_as_the_next_argument_or_after_an_equals_sign() {
        let line =
            "--listen 127.0.0.1:0 --signing-alg=PS256 --no-limits --playground --store memory";
        let args = parse(line);
        let args = args.unwrap();
        assert_eq!(args.listen.map(|address| address.port()), Some(0));
        assert_eq!(args.algorithm, Algorithm::PS256);
        assert!(!args.limits && args.playground && !args.log && args.seed.is_none());
    }

    /// Z17: in any order of the options.
    #[test]
    fn plain_http_is_for_the_issuer_that_asks_for_it() {
        for line in
            ["--issuer http://auth:8080 --plain-http", "--plain-http --issuer=http://auth:8080"]
        {
            let args = parse(line).unwrap();
            assert_eq!(args.issuer.unwrap().as_str(), "http://auth:8080");
        }
        assert!(parse("--issuer http://auth:8080").is_err());
    }

    #[test]
    fn an_error_names_the_option() {
        for (line, expected) in [
            ("--verbose", "unknown option --verbose"),
            ("--seed", "--seed needs a value"),
            ("--listen localhost", "--listen localhost: expected an IP address and a port"),
            ("--signing-alg HS256", "--signing-alg HS256: expected ES256"),
            ("--issuer http://as.example.com", "--issuer http://as.example.com: "),
        ] {
            let problem = parse(line).err().unwrap();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
