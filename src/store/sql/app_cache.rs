//! Apps that were read a moment ago, so that a token request need not read its app.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::app::CustomApp;
use crate::clock::Stopwatch;
use crate::ids::ClientId;

/// Apps by client id, each for a while. Nothing final is decided by them: whether an app is enabled
/// is asked in every statement that gives something.
pub(in crate::store) struct AppCache {
    lifetime: Duration,
    apps: RwLock<Apps>,
}

#[derive(Default)]
struct Apps {
    found: HashMap<ClientId, (Arc<CustomApp>, Stopwatch)>,
    /// Counts what was forgotten: what was read before may be older than it.
    forgotten: u64,
}

/// Stands for the instant at which a read began.
#[derive(Clone, Copy)]
pub(in crate::store) struct ReadBegun(u64);

impl AppCache {
    /// A cache that keeps an app for `lifetime`; none for zero.
    pub(in crate::store) fn new(lifetime: Duration) -> Self {
        Self { lifetime, apps: RwLock::default() }
    }

    /// The app, if it was read not too long ago.
    pub(in crate::store) fn find(&self, client_id: &ClientId) -> Option<Arc<CustomApp>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let (app, read) = apps.found.get(client_id)?;
        (read.elapsed() < self.lifetime).then(|| Arc::clone(app))
    }

    /// To be called before an app is read from the database.
    pub(in crate::store) fn begin_read(&self) -> ReadBegun {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        ReadBegun(apps.forgotten)
    }

    /// Keeps an app, unless one was changed since the read began: it may be the old one.
    pub(in crate::store) fn put(&self, begun: ReadBegun, app: &Arc<CustomApp>) {
        if self.lifetime.is_zero() {
            return;
        }
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        if apps.forgotten == begun.0 {
            let read = Stopwatch::start();
            apps.found.insert(app.client_id().clone(), (Arc::clone(app), read));
        }
    }

    /// Forgets an app when the answer is dropped: also when the call that changes it is dropped
    /// on its way.
    pub(in crate::store) fn forget_after(&self, client_id: &ClientId) -> impl Drop + Send {
        Forget { cache: self, client_id: client_id.clone() }
    }

    fn forget(&self, client_id: &ClientId) {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        apps.forgotten = apps.forgotten.wrapping_add(1);
        apps.found.remove(client_id);
    }
}

struct Forget<'c> {
    cache: &'c AppCache,
    client_id: ClientId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.cache.forget(&self.client_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{AppDraft, Credentials, Flow};
    use crate::clock::UnixTime;

    fn app() -> Arc<CustomApp> {
        let draft = AppDraft::confidential("App").flow(Flow::ClientCredentials);
        let client_id = ClientId::new("app").unwrap();
        let settings = draft.build().unwrap();
        Arc::new(CustomApp::new(client_id, settings, Credentials::default(), UnixTime::EPOCH))
    }

    #[test]
    fn an_app_that_was_changed_since_it_was_read_is_not_kept() {
        let (cache, app) = (AppCache::new(Duration::from_secs(60)), app());
        let begun = cache.begin_read();
        cache.put(begun, &app);
        assert!(cache.find(app.client_id()).is_some());
        drop(cache.forget_after(app.client_id()));
        assert!(cache.find(app.client_id()).is_none());
        cache.put(begun, &app);
        assert!(cache.find(app.client_id()).is_none());
        cache.put(cache.begin_read(), &app);
        assert!(cache.find(app.client_id()).is_some());
    }

    #[test]
    fn without_a_lifetime_nothing_is_kept() {
        let (cache, app) = (AppCache::new(Duration::ZERO), app());
        cache.put(cache.begin_read(), &app);
        assert!(cache.find(app.client_id()).is_none());
    }
}
