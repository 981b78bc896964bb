//! The apps of the seed in the store.

use grantor::admin::{DeclaredApps, ImportedApp};
use grantor::app::{AssertionKeys, ClientAuthentication, JwtSettings};
use grantor::random::SecureRandom;
use grantor::secret::{ClientSecret, SignatureSecret};

use crate::seed::Seed;
use crate::sessions::random_text;
use crate::{BoxError, Causes, Server};

/// Makes the store agree with the apps of the seed, and returns their number.
pub(crate) async fn declare(
    server: &Server,
    seed: &Seed,
    random: &dyn SecureRandom,
) -> Result<usize, BoxError> {
    let admin = server.admin("seed");
    let apps = seed.declared()?.into_apps();
    let count = apps.len();
    let mut own = Vec::new();
    for app in apps {
        match admin.find(app.client_id()).await? {
            None => own.push(with_secrets(app, random)?),
            Some(stored) if stored.origin().is_declared() => own.push(app),
            // The administrator's API keeps what it registered.
            Some(_) => {}
        }
    }
    let applied = admin.apply(&DeclaredApps::new(own)?).await;
    applied.map_err(|error| format!("the seed: {}", Causes(&error)))?;
    Ok(count)
}

/// Generates the secrets that a new app needs and the seed omits. They cannot be read: rotate them.
fn with_secrets(mut app: ImportedApp, random: &dyn SecureRandom) -> Result<ImportedApp, BoxError> {
    let settings = app.settings().clone();
    let client_secret = match settings.authentication() {
        ClientAuthentication::PrivateKeyJwt(_)
        | ClientAuthentication::PrivateKeyJwtUri(_)
        | ClientAuthentication::None => false,
        ClientAuthentication::ClientSecret
        | ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretPost
        | _ => !app.has_client_secret(),
    };
    if client_secret {
        app = app.with_client_secret(ClientSecret::new(random_text(random)?), None);
    }
    let keys = settings.jwt().map(JwtSettings::assertion_keys);
    if keys == Some(&AssertionKeys::SignatureSecret) && !app.has_signature_secret() {
        app = app.with_signature_secret(SignatureSecret::new(random_text(random)?));
    }
    Ok(app)
}
