//! Turns the export of another server into a declaration of apps, and prints what is dropped, narrower,
//! wider or left to decide. It writes nothing anywhere: check the report, complete the declaration, and
//! apply it with `Admin::apply`.
//!
//! ```console
//! $ cargo run --example migrate_clients -- keycloak realm-export.json
//! $ cargo run --example migrate_clients -- keycloak realm-export.json --json >apps.json
//! ```
//!
//! With `--json`, the declaration goes to standard output, **with its secrets**, and the report to standard
//! error. It ends with status 1 if a client cannot be migrated. Without arguments it shows a small example.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program reports to its user")]

use std::error::Error;
use std::process::ExitCode;

use grantor::admin::DeclaredApps;
use grantor::migrate::{self, ExportFormat, Migration};
use grantor::random::OsRandom;
use grantor::users::MemoryUsers;
use grantor::{AuthorizationServer, Issuer, MemoryStore, ServerSecret, SigningKey, jwt};

const USAGE: &str = "usage: migrate_clients hydra|keycloak|duende|auth0|kiteworks FILE [--json]";

/// The export of the example: a client of Keycloak.
const EXAMPLE: &str = r#"{
    "clientId": "portal",
    "name": "Portal",
    "secret": "Wq1bQd0kK2y0y7Z8s3xv9w6t5u4r3e2p",
    "redirectUris": ["https://portal.example.com/callback", "https://portal.example.com/*"],
    "publicClient": false,
    "standardFlowEnabled": true,
    "directAccessGrantsEnabled": true,
    "fullScopeAllowed": true,
    "defaultClientScopes": ["web-origins", "profile"],
    "optionalClientScopes": ["offline_access", "files"]
}"#;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Returns the number of clients that cannot be migrated.
fn run(args: &[String]) -> Result<usize, Box<dyn Error>> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => {
            let migration = migrate::read(ExportFormat::Keycloak, EXAMPLE)?;
            println!("{}\n{}", migration.report, migration.declared.to_json());
            pollster::block_on(show_plan(&migration.declared))?;
            Ok(migration.report.refused())
        }
        [format, file] => {
            let Migration { report, .. } = read(format, file)?;
            println!("{report}");
            Ok(report.refused())
        }
        [format, file, "--json"] => {
            let migration = read(format, file)?;
            eprintln!("{}", migration.report);
            println!("{}", migration.declared.to_json());
            Ok(migration.report.refused())
        }
        _ => Err(USAGE.into()),
    }
}

fn read(format: &str, file: &str) -> Result<Migration, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(migrate::read(format.parse()?, &text)?)
}

/// Shows the effect that the declaration would have on a server.
async fn show_plan(declared: &DeclaredApps) -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::new("https://as.example.com")?;
    let secret = ServerSecret::generate(&OsRandom::new())?;
    let key = SigningKey::generate(jwt::Algorithm::ES256)?;
    let (store, users) = (MemoryStore::new(), MemoryUsers::default());
    let server = AuthorizationServer::builder(issuer, secret, key, store, users).build();
    let planned = server.admin("migration").plan(declared).await?;
    println!("\nA dry run inserts {:?}.", planned.inserted);
    Ok(())
}
