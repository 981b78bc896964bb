//! The device authorization grant: RFC 8628. A device asks for two codes, a user approves one of them in a
//! browser, and the device polls the token endpoint with the other.
//!
//! ```text
//! device: request -> device code, user code        browser: login -> user code -> consent -> decision
//!            |                                                           |                      |
//!            +-> record under the digest of the user code <--------------+                      |
//!            +-> poll: no row, a denial or a grant <---- the row of the decision <---------------+
//! ```
//!
//! The request chooses the id and the salt of the grant. They travel in the sealed device code, so a poll of a
//! pending one reads one row that is not there, and writes nothing.

mod decide;
mod device_code;
mod prompt;
mod request;
mod user_code;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;

pub use decide::DeviceDecision;
pub(crate) use decide::device_binding;
pub(crate) use device_code::OpenedDeviceCode;
pub use prompt::DevicePrompt;
pub use request::DeviceAuthorization;
pub(crate) use user_code::UserCode;

use crate::rate_limit::DeviceGrantBudgets;
use crate::secret::Digest;
use crate::server_secret::Keys;
use crate::store::{PendingStore, Polling, SharedPending};

/// The settings of the device authorization grant (RFC 8628), for
/// [`ServerBuilder::device_grant`](crate::ServerBuilder::device_grant).
///
/// A stranger can send a user a code and ask for approval, so an app that is allowed the flow is an app that
/// users may be tricked into. See [the guide](crate::guide::device_grant).
#[derive(Clone)]
pub struct DeviceGrant {
    store: Arc<dyn SharedPending>,
    lifetime: Duration,
    interval: Duration,
}

impl DeviceGrant {
    /// The longest lifetime of the codes.
    pub const MAX_LIFETIME: Duration = Duration::from_mins(30);
    /// The longest interval between polls.
    pub const MAX_INTERVAL: Duration = Duration::from_mins(1);

    /// Returns the defaults: codes live for 600 seconds, and a device polls every 5 seconds. User codes are kept
    /// in `store`, which may be the server's own or any other that all processes of the server share.
    #[must_use]
    pub fn new(store: impl PendingStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            lifetime: Duration::from_mins(10),
            interval: Duration::from_secs(5),
        }
    }

    /// Sets the lifetime of the codes, in whole seconds: 1 to 1,800, else the nearest.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = whole(lifetime.clamp(Duration::from_secs(1), Self::MAX_LIFETIME));
        self
    }

    /// Sets the least time between two polls of a device, in whole seconds: 1 to 60, else the nearest.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = whole(interval.clamp(Duration::from_secs(1), Self::MAX_INTERVAL));
        self
    }
}

const fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

impl fmt::Debug for DeviceGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceGrant")
            .field("lifetime", &self.lifetime)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The device grant of a server.
pub(crate) struct DeviceGrants {
    pub(crate) store: Arc<dyn SharedPending>,
    lifetime: Duration,
    interval: Duration,
    verification_uri: String,
    user_codes: Keys<hmac::Key>,
    pub(crate) budgets: DeviceGrantBudgets,
}

impl DeviceGrants {
    /// The least time for which the answer to a redeemed device code is given again.
    const LEAST_GRACE: Duration = Duration::from_secs(30);

    pub(crate) fn new(
        settings: DeviceGrant,
        verification_uri: String,
        user_codes: Keys<hmac::Key>,
        budgets: impl FnOnce(Duration) -> DeviceGrantBudgets,
    ) -> Self {
        let DeviceGrant { store, lifetime, interval } = settings;
        let budgets = budgets(interval);
        Self { store, lifetime, interval, verification_uri, user_codes, budgets }
    }

    /// Returns the rule for a redeemed device code. A client that lost its answer asks again after an interval,
    /// or after two if it backs off (RFC 8628 section 3.5).
    pub(crate) fn polling(&self, clock_skew: Duration) -> Polling {
        let millis = |it: Duration| i64::try_from(it.as_millis()).unwrap_or(i64::MAX);
        let grace = self.interval.saturating_mul(3).max(Self::LEAST_GRACE);
        Polling { grace_millis: millis(grace), skew_millis: millis(clock_skew) }
    }

    /// Returns the key under which the record of a user code is kept.
    fn key_of(&self, code: UserCode) -> Digest {
        code.digest(&self.user_codes.newest().1)
    }

    /// Returns the keys under which the record of a user code may have been kept, the newest first.
    fn keys_of(&self, code: UserCode) -> impl Iterator<Item = Digest> {
        self.user_codes.all().map(move |key| code.digest(key))
    }
}

impl fmt::Debug for DeviceGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceGrants")
            .field("verification_uri", &self.verification_uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Issuer;
    use crate::rate_limit::RateLimits;
    use crate::server_secret::ServerSecret;
    use crate::store::MemoryStore;

    /// D9, D11, D16: the bounds of `docs/limits.md`.
    #[test]
    fn the_settings_of_the_grant_are_clamped() {
        let grant = || DeviceGrant::new(MemoryStore::new());
        let [second, long] = [1, 100_000].map(Duration::from_secs);
        assert_eq!(grant().lifetime(Duration::ZERO).lifetime, second);
        assert_eq!(grant().lifetime(long).lifetime, Duration::from_mins(30));
        assert_eq!(grant().interval(Duration::ZERO).interval, second);
        assert_eq!(grant().interval(long).interval, Duration::from_mins(1));
        assert_eq!(grant().lifetime(Duration::from_millis(2_900)).lifetime, 2 * second);
        let secret = ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let issuer = Issuer::new("https://as.example.com").unwrap();
        let grace = |grant: DeviceGrant| {
            let keys = secret.handle_keys("user code", issuer.as_str());
            let budgets = |interval| DeviceGrantBudgets::new(&RateLimits::none(), interval);
            let grants = DeviceGrants::new(grant, String::new(), keys, budgets);
            grants.polling(second).grace_millis
        };
        assert_eq!(grace(grant()), 30_000);
        assert_eq!(grace(grant().interval(Duration::from_secs(11))), 33_000);
        assert_eq!(grace(grant().interval(long)), 180_000);
    }
}
