//! The servers of one upkeep.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Servers;
use super::job::{Done, Failure};
use crate::clock::UnixTime;
use crate::hooks::Hooks;
use crate::server::AuthorizationServer;
use crate::store::Store;
use crate::users::UserDirectory;

/// The server of an upkeep, and those of further issuers.
pub(super) struct AllServers<S, U, H> {
    pub(super) first: Arc<AuthorizationServer<S, U, H>>,
    pub(super) others: Option<Servers<S, U, H>>,
}

impl<S, U, H> Clone for AllServers<S, U, H> {
    fn clone(&self) -> Self {
        Self { first: Arc::clone(&self.first), others: self.others.clone() }
    }
}

impl<S, U, H> AllServers<S, U, H>
where
    S: Store + 'static,
    U: UserDirectory + 'static,
    H: Hooks + 'static,
{
    /// Returns the present servers, each once.
    fn now(&self) -> Vec<Arc<AuthorizationServer<S, U, H>>> {
        let mut all = self.others.as_ref().map_or_else(Vec::new, |others| others());
        all.retain(|server| !Arc::ptr_eq(server, &self.first));
        all.push(Arc::clone(&self.first));
        all
    }

    pub(super) fn each(&self, work: impl Fn(&AuthorizationServer<S, U, H>)) {
        self.now().iter().for_each(|server| work(server));
    }

    /// Returns a job that prunes a batch at each call, store by store. A store that fails has its next turn in
    /// the next round, so that it does not hold up the others.
    pub(super) fn pruning(
        &self,
    ) -> impl FnMut(UnixTime, usize) -> super::BoxFuture<Result<Done, Failure>> + Send + use<S, U, H>
    {
        let all = self.clone();
        let left: Arc<Mutex<Vec<_>>> = Arc::default();
        move |now, batch| {
            let (all, left) = (all.clone(), Arc::clone(&left));
            Box::pin(async move {
                let next = lock(&left).pop();
                let server = if let Some(server) = next {
                    server
                } else {
                    let mut present = all.now();
                    let server = present.pop();
                    lock(&left).append(&mut present);
                    let Some(server) = server else { return Ok(Done::All) };
                    server
                };
                let pruned = server.prune(now, batch).await?;
                let done = Done::from(pruned);
                let mut left = lock(&left);
                if matches!(done, Done::More) {
                    left.push(server);
                }
                Ok(if left.is_empty() { done } else { Done::More })
            })
        }
    }
}

/// No code panics while it holds the lock.
fn lock<T>(left: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}
