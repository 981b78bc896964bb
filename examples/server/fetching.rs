//! Fetches of the server: client metadata documents, and keys of apps and of trusted issuers at a URL.

use grantor::ServerBuilder;
use grantor::app::IssuerKeys;
use grantor::hooks::Hooks;
use grantor::store::Store;
use grantor::users::UserDirectory;

use crate::BoxError;
use crate::args::Args;
use crate::seed::Seed;

/// Lets the server fetch, if the seed or an option asks for it.
///
/// # Errors
///
/// A message for the user.
#[cfg(feature = "fetch")]
pub(crate) fn fetching<S: Store, U: UserDirectory, H: Hooks>(
    builder: ServerBuilder<S, U, H>,
    seed: &Seed,
    args: &Args,
) -> Result<ServerBuilder<S, U, H>, BoxError> {
    use std::sync::Arc;
    use std::time::Duration;

    use grantor::endpoint::ClientDocuments;
    use grantor::fetch::Fetcher;

    if !fetches(seed, args) {
        return Ok(builder);
    }
    let mut fetcher = Fetcher::builder();
    if let Some(path) = &args.fetch_ca {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| format!("--fetch-ca {}: {error}", path.display()))?;
        fetcher = fetcher.root_certificates(&pem)?;
    }
    if args.fetch_loopback {
        fetcher = fetcher.allow_network("127.0.0.0/8")?.allow_network("::1")?;
    }
    let fetcher = Arc::new(fetcher.build()?);
    let builder = builder.app_keys(Arc::clone(&fetcher));
    let Some(asked) = &seed.client_documents else { return Ok(builder) };
    let wrong = |error| format!("the seed, at client_documents.template: {error}");
    let mut documents = ClientDocuments::new(asked.template.clone(), fetcher).map_err(wrong)?;
    if !asked.allow_hosts.is_empty() {
        documents = documents.allow_hosts(&asked.allow_hosts);
    }
    documents = documents.deny_hosts(&asked.deny_hosts);
    if let Some(seconds) = asked.shortest_freshness {
        documents = documents.freshness(Duration::from_secs(seconds), Duration::from_hours(24));
    }
    Ok(builder.client_documents(documents))
}

/// Checks whether the seed or an option asks the server to fetch.
fn fetches(seed: &Seed, args: &Args) -> bool {
    let mut issuers = seed.trusted_issuers.iter().flatten();
    let keys_at_url = issuers.any(|it| matches!(it.keys(), IssuerKeys::Uri(_)));
    let documents = seed.client_documents.is_some();
    documents || keys_at_url || args.fetch_ca.is_some() || args.fetch_loopback
}

/// Refuses a seed or an option that asks the server to fetch.
#[cfg(not(feature = "fetch"))]
pub(crate) fn fetching<S: Store, U: UserDirectory, H: Hooks>(
    builder: ServerBuilder<S, U, H>,
    seed: &Seed,
    args: &Args,
) -> Result<ServerBuilder<S, U, H>, BoxError> {
    if !fetches(seed, args) {
        return Ok(builder);
    }
    Err("client_documents and keys of trusted_issuers at a URL in the seed, --fetch-ca and --fetch-loopback need \
        --features axum,fetch"
        .into())
}

/// Returns the warnings about options that are for tests only.
pub(crate) fn warnings(args: &Args) -> impl Iterator<Item = &'static str> {
    const CA: &str = "UNSAFE: --fetch-ca: fetches trust the authorities of that file, and those of the system no longer";
    const LOOPBACK: &str = "UNSAFE: --fetch-loopback: a client id that a stranger chose reaches the ports of this machine";
    let all = [(args.fetch_ca.is_some(), CA), (args.fetch_loopback, LOOPBACK)];
    all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, warning)| warning)
}
