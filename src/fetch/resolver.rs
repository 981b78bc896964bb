//! Names that resolve only to addresses that the policy allows.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::AddressPolicy;

/// The addresses of a name.
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks a name up.
pub(super) type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Looks names up as the system does: its hosts file, then its DNS servers.
pub(super) fn system() -> LookUp {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// A resolver that refuses a name if the policy does not allow each of its addresses. The client connects
/// to an address that it returned, so there is no second look-up that could differ.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    pub(super) policy: AddressPolicy,
    pub(super) look_up: LookUp,
}

/// The address that the policy refused.
#[derive(Debug, thiserror::Error)]
#[error("the address policy refuses {0}")]
pub(super) struct RefusedAddress(pub(super) IpAddr);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { policy, look_up } = self.clone();
        let found = look_up(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await?;
            if let Some(refused) = found.iter().find(|address| !policy.allows(**address)) {
                return Err(RefusedAddress(*refused).into());
            }
            // The port of the URL replaces 0.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
