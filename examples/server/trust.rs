//! The trusted issuers of the seed in the store.

use std::fmt::Display;

use grantor::ServerBuilder;
use grantor::admin::AdminError;
use grantor::app::TrustedIssuer;
use grantor::hooks::Hooks;
use grantor::store::{AnyStore, Store};
use grantor::users::UserDirectory;

use crate::{BoxError, Causes, Server};

/// Has the server trust issuers, and offer global token revocation if one of them may end access by it.
pub(crate) fn trusting<S: Store, U: UserDirectory, H: Hooks>(
    builder: ServerBuilder<S, U, H>,
    issuers: &[TrustedIssuer],
    store: &AnyStore,
) -> ServerBuilder<S, U, H> {
    let builder = builder.trusted_issuers(store.clone());
    if issuers.iter().any(|it| it.global_revocation().is_some()) {
        builder.global_token_revocation(store.clone())
    } else {
        builder
    }
}

/// Stores the trusted issuers of the seed, each as the seed has it. Others stay: they are an administrator's.
pub(crate) async fn trust(server: &Server, issuers: &[TrustedIssuer]) -> Result<(), BoxError> {
    for (position, settings) in issuers.iter().enumerate() {
        let wrong = |why: &dyn Display| format!("the seed, at trusted_issuers[{position}]: {why}");
        let mut earlier = issuers.iter().take(position);
        if earlier.any(|it| it.issuer() == settings.issuer()) {
            return Err(wrong(&"a second record of this issuer").into());
        }
        put(server, settings).await.map_err(|error| wrong(&Causes(&error)))?;
    }
    Ok(())
}

async fn put(server: &Server, settings: &TrustedIssuer) -> Result<(), AdminError> {
    let admin = server.admin("seed");
    loop {
        let stored = admin.trusted_issuers().await?;
        let stored = stored.into_iter().find(|it| it.settings.issuer() == settings.issuer());
        let put = match stored {
            None => admin.add_trusted_issuer(settings.clone()).await,
            Some(stored) if stored.settings == *settings => return Ok(()),
            Some(stored) => admin.edit_trusted_issuer(stored.version, settings.clone()).await,
        };
        match put {
            // Another process with the same seed was first.
            Err(AdminError::AlreadyExists | AdminError::Conflict { .. }) => {}
            put => return put.map(drop),
        }
    }
}
