//! Names that resolve only to addresses that the policy allows.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use async_lock::Semaphore;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::AddressPolicy;

/// The addresses of a name.
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks a name up.
pub(super) type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// The look-ups at once: half of the threads that a runtime has for work that blocks.
const MAX_LOOK_UPS: usize = 256;

/// Looks names up as the system does: its hosts file, then its DNS servers.
pub(super) fn system() -> LookUp {
    bounded(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Looks names up with a call that blocks. No deadline of a request ends it, and a stranger may own the DNS server of a
/// name: it counts until it has ended, so that names which are never answered take no more threads than this.
fn bounded(look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> LookUp {
    let (look_up, places) = (Arc::new(look_up), Arc::new(Semaphore::new(MAX_LOOK_UPS)));
    Arc::new(move |name| {
        let (look_up, place) = (Arc::clone(&look_up), places.try_acquire_arc());
        Box::pin(async move {
            let place =
                place.ok_or_else(|| io::Error::other("too many names are being looked up"))?;
            let found = tokio::task::spawn_blocking(move || {
                let found = look_up(&name);
                drop(place);
                found
            });
            found.await.map_err(io::Error::other)?
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Condvar, Mutex};

    use super::*;

    type Gate = Arc<(Mutex<bool>, Condvar)>;

    /// Opens a gate when it is dropped, also after a failure.
    struct Opens(Gate);

    impl Drop for Opens {
        fn drop(&mut self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }
    }

    /// Z40: look-ups that do not end have a bound, also after their requests were given up.
    #[tokio::test]
    async fn look_ups_that_do_not_end_have_a_bound() {
        let gate = Gate::default();
        let opens = Opens(Arc::clone(&gate));
        let look_up = bounded(move |name| {
            let is_open = gate.0.lock().unwrap();
            drop(gate.1.wait_while(is_open, |is_open| name == "slow" && !*is_open).unwrap());
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        });
        assert!(look_up("fast".to_owned()).await.is_ok());
        for _ in 0..MAX_LOOK_UPS {
            let slow = tokio::spawn(look_up("slow".to_owned()));
            tokio::task::yield_now().await;
            slow.abort();
        }
        let refused = look_up("fast".to_owned()).await.unwrap_err();
        assert_eq!(refused.to_string(), "too many names are being looked up");
        drop(opens);
        while look_up("fast".to_owned()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
