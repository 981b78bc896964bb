//! The quotas that a host may set.

use crate::app::RateQuota;

/// The quotas of the server's budgets.
///
/// | budget | default |
/// | --- | --- |
/// | requests of an app without a quota of its own | 6,000 a minute, 1,000 at once |
/// | uses of a grant of a public app | 120 a minute, 300 at once |
/// | failures of a client id and source | 10 a minute, 10 at once |
/// | failures of a source | 120 a minute, 120 at once |
/// | reads of the policy document with the access tokens of a grant | 120 a minute, 300 at once |
/// | requests of a source about wipes, with a token that proves nothing | 2 a minute, 10 at once |
/// | questions of a device about its wipe | 2 a minute, 10 at once |
/// | reports of a device about its wipe | 2 a minute, 10 at once |
/// | requests of a source for device codes, by public apps | 20 a minute, 60 at once |
/// | wrong user codes of a user | 5 a minute, 10 at once |
/// | wrong user codes of a source | 60 a minute, 120 at once |
/// | wrong user codes of all | 300 a minute, 300 at once |
/// | client metadata documents that a source asks for and that are not fresh | 60 a minute, 120 at once |
/// | registrations of apps from a source, their updates and deletions | 30 a minute, 60 at once |
/// | audit events of unauthenticated callers | 600 a minute, 1,000 at once |
///
/// ```
/// use grantor::app::RateQuota;
/// use grantor::rate_limit::RateLimits;
///
/// let limits = RateLimits::default().with_volume(RateQuota::new(600, 100));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    pub(super) volume: Option<RateQuota>,
    pub(super) grants: Option<RateQuota>,
    pub(super) failures: Option<RateQuota>,
    pub(super) source_failures: Option<RateQuota>,
    pub(super) source_wipes: Option<RateQuota>,
    pub(super) device_wipes: Option<RateQuota>,
    pub(super) device_requests: Option<RateQuota>,
    pub(super) user_codes: Option<RateQuota>,
    pub(super) source_user_codes: Option<RateQuota>,
    pub(super) all_user_codes: Option<RateQuota>,
    pub(super) source_documents: Option<RateQuota>,
    pub(super) source_registrations: Option<RateQuota>,
    pub(super) stranger_events: Option<RateQuota>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::none()
            .with_volume(RateQuota::new(6_000, 1_000))
            .with_grants(RateQuota::new(120, 300))
            .with_failures(RateQuota::new(10, 10))
            .with_source_failures(RateQuota::new(120, 120))
            .with_source_wipes(RateQuota::new(2, 10))
            .with_device_wipes(RateQuota::new(2, 10))
            .with_device_requests(RateQuota::new(20, 60))
            .with_user_codes(RateQuota::new(5, 10))
            .with_source_user_codes(RateQuota::new(60, 120))
            .with_all_user_codes(RateQuota::new(300, 300))
            .with_source_documents(RateQuota::new(60, 120))
            .with_source_registrations(RateQuota::new(30, 60))
            .with_stranger_events(RateQuota::new(600, 1_000))
    }
}

impl RateLimits {
    /// No limits, except for an app with a quota of its own. Every refusal has an audit event.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            volume: None,
            grants: None,
            failures: None,
            source_failures: None,
            source_wipes: None,
            device_wipes: None,
            device_requests: None,
            user_codes: None,
            source_user_codes: None,
            all_user_codes: None,
            source_documents: None,
            source_registrations: None,
            stranger_events: None,
        }
    }

    /// Sets the quota of requests for an app without one of its own. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_volume(mut self, quota: RateQuota) -> Self {
        self.volume = Some(quota);
        self
    }

    /// Sets the quota of uses of one grant of a public app. A page that refreshes one token from many
    /// scripts at once uses it as often. Reads of the policy document, with the access tokens of a grant of
    /// any app, count apart and have the same quota. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_grants(mut self, quota: RateQuota) -> Self {
        self.grants = Some(quota);
        self
    }

    /// Sets the quota of failures for a client id and source. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_failures(mut self, quota: RateQuota) -> Self {
        self.failures = Some(quota);
        self
    }

    /// Sets the quota of failures for a source, over all endpoints and client ids. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_failures(mut self, quota: RateQuota) -> Self {
        self.source_failures = Some(quota);
        self
    }

    /// Sets the quota of requests about wipes for a source, with tokens that prove nothing: 10 in 300 seconds
    /// by default. Requests with a genuine token, live or dead, cost the source nothing. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_wipes(mut self, quota: RateQuota) -> Self {
        self.source_wipes = Some(quota);
        self
    }

    /// Sets the quota of questions about the wipe of one device, and that of its reports, from all sources. A
    /// device counts by the grant of its token. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_device_wipes(mut self, quota: RateQuota) -> Self {
        self.device_wipes = Some(quota);
        self
    }

    /// Sets the quota of requests for device codes from a source, by public apps. Requests of one public app from
    /// all sources have the quota of the app, or else of [`with_volume`](Self::with_volume), in a budget of their own,
    /// so that strangers who know a client id spend nothing of the app's tokens. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_device_requests(mut self, quota: RateQuota) -> Self {
        self.device_requests = Some(quota);
        self
    }

    /// Sets the quota of wrong user codes of one user, at the page of the device grant. Beyond it no code is looked
    /// up. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_user_codes(mut self, quota: RateQuota) -> Self {
        self.user_codes = Some(quota);
        self
    }

    /// Sets the quota of wrong user codes of all users at one source. Beyond it no code from there is looked up, so it
    /// should be several times the quota of a user. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_user_codes(mut self, quota: RateQuota) -> Self {
        self.source_user_codes = Some(quota);
        self
    }

    /// Sets the quota of wrong user codes of all users and sources together. A code has 34 bits, so at 300 a minute
    /// and 1,000 pending codes a guess is right once in two months. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_all_user_codes(mut self, quota: RateQuota) -> Self {
        self.all_user_codes = Some(quota);
        self
    }

    /// Sets the quota of client metadata documents that a source asks for and that are not fresh, so that they are
    /// fetched. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_documents(mut self, quota: RateQuota) -> Self {
        self.source_documents = Some(quota);
        self
    }

    /// Sets the quota of registrations from one source, refused ones included, and of their updates and deletions. A
    /// public app that a source registers again with the same metadata costs nothing. A 0 in it counts as 1.
    #[must_use]
    pub const fn with_source_registrations(mut self, quota: RateQuota) -> Self {
        self.source_registrations = Some(quota);
        self
    }

    /// Sets the quota of audit events of unauthenticated callers, over all sources. Beyond it, events are
    /// only counted, and one event a minute for each kind states the count, without source or app. A 0 in it
    /// counts as 1.
    ///
    /// This also switches on that equal refusals from one source become one event with a count.
    #[must_use]
    pub const fn with_stranger_events(mut self, quota: RateQuota) -> Self {
        self.stranger_events = Some(quota);
        self
    }
}
