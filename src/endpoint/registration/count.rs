//! The number of apps that have registered themselves.

use std::time::Duration;

use async_lock::Mutex;

use crate::clock::UnixTime;
use crate::store::{AppRegistry, StoreError};

/// How long a count is used. Other processes register and prune meanwhile.
const LIFETIME: Duration = Duration::from_mins(1);

/// The number of apps that have registered themselves, as this process knows it.
#[derive(Debug, Default)]
pub(super) struct AppCount(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    apps: usize,
    /// When the store was asked.
    at: Option<UnixTime>,
}

impl AppCount {
    /// Takes the place of one more app. Returns false if there are `most` already.
    ///
    /// Of several callers one counts, and the others wait for it.
    pub(super) async fn reserve<S: AppRegistry>(
        &self,
        store: &S,
        most: usize,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let mut counted = self.0.lock().await;
        let age = counted.at.map(|at| Duration::from_millis(now.millis_since(at).unsigned_abs()));
        if age.is_none_or(|age| age >= LIFETIME) {
            let apps = store.count_self_registered_apps(most).await?;
            *counted = Counted { apps, at: Some(now) };
        }
        if counted.apps >= most {
            return Ok(false);
        }
        counted.apps = counted.apps.saturating_add(1);
        Ok(true)
    }

    /// Gives places back.
    pub(super) async fn forget(&self, apps: usize) {
        let mut counted = self.0.lock().await;
        counted.apps = counted.apps.saturating_sub(apps);
    }
}
