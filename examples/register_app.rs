//! The life of an app: registration, edits, secret rotation, disabling, export and deletion. At the
//! end, its audit log.
//!
//! Run it with `cargo run --example register_app`.
#![expect(clippy::print_stdout, reason = "the example explains its steps")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use grantor::admin::AdminError;
use grantor::app::AppCredentials;
use grantor::audit::{AuditQuery, MemoryAudit};
use grantor::endpoint::FormRequest;
use grantor::jwt::Algorithm;
use grantor::random::OsRandom;
use grantor::store::{AppQuery, Page};
use grantor::users::MemoryUsers;
use grantor::{
    AppDraft, AuthorizationServer, Flow, Issuer, MemoryStore, Scope, ServerSecret, SigningKey,
};

type Server = AuthorizationServer<MemoryStore, MemoryUsers>;
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    pollster::block_on(run())
}

async fn run() -> Outcome {
    let audit = Arc::new(MemoryAudit::default());
    let server = AuthorizationServer::builder(
        Issuer::new("https://as.example.com")?,
        ServerSecret::generate(&OsRandom::new())?,
        SigningKey::generate(Algorithm::ES256)?,
        MemoryStore::new(),
        MemoryUsers::default(),
    )
    .audit(Arc::clone(&audit))
    .build();
    let admin = server.admin("alice");

    println!("\n== Register ==\n");
    let draft = AppDraft::confidential("Nightly job")
        .description("Moves yesterday's files into the archive.")
        .flow(Flow::ClientCredentials)
        .scope(Scope::parse("GET/files/* PUT/files/*")?);
    let Err(invalid) = draft.clone().access_token_lifetime(0).build() else {
        return Err("a lifetime of 0 seconds was accepted".into());
    };
    println!("An invalid draft is refused with the field at fault: {invalid}.");
    let app = admin.register(draft.build()?).await?;
    println!("The app is registered. Its credentials are returned once:");
    println!("  client id        {}", app.client_id);
    println!("  client secret    {}", text(&app));
    if let Some(secret) = &app.signature_secret {
        println!("  signature secret {}", secret.expose_secret());
    }

    println!("\n== Find ==\n");
    let archive = AppQuery::all().containing("archive");
    let found = admin.list(&archive, Page::first(20)).await?.items;
    let found = found.first().ok_or("the app is not found by its description")?;
    println!("Found by description: {} ({})", found.settings().name(), found.client_id());

    println!("\n== Edit ==\n");
    let read = admin.find(&app.client_id).await?.ok_or("the app was not found")?;
    let edit = |name: &str| AppDraft::from(read.settings()).name(name);
    let edited = admin.edit(&app.client_id, read.version(), edit("Nightly archive")).await?;
    println!("Its name is now \"{}\", at version {}.", edited.settings().name(), edited.version());
    let late = server.admin("bob").edit(&app.client_id, read.version(), edit("Archive job")).await;
    match late {
        Err(AdminError::Conflict { expected, found }) => {
            println!("Bob's edit of version {expected} is refused: the app is at version {found}.");
        }
        _ => return Err("an edit of an old version was accepted".into()),
    }

    println!("\n== Rotate the client secret ==\n");
    let day = Duration::from_hours(24);
    let new = admin.rotate_client_secret(&app.client_id, day).await?;
    println!("New client secret: {}", text(&new));
    expect_token(&server, &app, true, "with the old secret, valid for one more day").await?;
    expect_token(&server, &new, true, "with the new secret").await?;
    admin.remove_superseded_secrets(&app.client_id).await?;
    expect_token(&server, &app, false, "with the old secret after its removal").await?;

    println!("\n== Disable and enable ==\n");
    admin.disable(&app.client_id).await?;
    expect_token(&server, &new, false, "while the app is disabled").await?;
    admin.enable(&app.client_id).await?;
    expect_token(&server, &new, true, "after the app was enabled").await?;

    println!("\n== Export and delete ==\n");
    let export = serde_json::to_string_pretty(&admin.export(&app.client_id).await?)?;
    println!("The app as JSON, without any secret:\n{export}");
    admin.delete(&app.client_id).await?;
    expect_token(&server, &new, false, "after the app was deleted").await?;

    println!("\n== Audit log, oldest first ==\n");
    for event in audit.find(&AuditQuery::all().app(app.client_id)).iter().rev() {
        let (actor, outcome) = (event.actor.name().unwrap_or("unknown"), &event.outcome);
        let reason = outcome.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        println!("{} {actor} {} {}{reason}", event.at, event.action.as_str(), outcome.as_str());
    }
    Ok(())
}

/// Requests a token with the client secret in `app` and prints the result.
async fn expect_token(
    server: &Server,
    app: &AppCredentials,
    expected: bool,
    when: &str,
) -> Outcome {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", app.client_id.as_str())
        .append_pair("client_secret", text(app))
        .finish();
    let answer = server.token(&FormRequest::new(&body)).await;
    match &answer {
        Ok(token) => println!("Token for {} seconds ({when}).", token.expires_in),
        Err(error) => println!("No token: {} ({when}).", error.error_code()),
    }
    if answer.is_ok() == expected { Ok(()) } else { Err(format!("check failed: {when}").into()) }
}

fn text(app: &AppCredentials) -> &str {
    app.client_secret.as_ref().map_or("none", |secret| secret.expose_secret())
}
