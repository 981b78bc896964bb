//! Texts of the frame.

/// The language of all texts, for `lang`.
pub(in super::super) const LANG: &str = "en";
pub(in super::super) const SKIP: &str = "Skip to the content";
pub(in super::super) const NAVIGATION: &str = "Console";
pub(in super::super) const BREADCRUMBS: &str = "You are here";
pub(in super::super) const TABS: &str = "Pages of this app";
pub(in super::super) const ISSUER_TABS: &str = "Pages of this issuer";
pub(in super::super) const APPS: &str = "Apps";
pub(in super::super) const ISSUERS: &str = "Trusted issuers";
pub(in super::super) const DEVICES: &str = "Devices";
pub(in super::super) const AUDIT: &str = "Audit log";
pub(in super::super) const PLAYGROUND: &str = "Playground";
pub(in super::super) const SERVER: &str = "Server";
pub(in super::super) const ACTIVITY: &str = "Activity";
pub(in super::super) const OVERVIEW: &str = "Overview";
pub(in super::super) const SETTINGS: &str = "Settings";
pub(in super::super) const CREDENTIALS: &str = "Credentials";
pub(in super::super) const IMPERSONATION: &str = "Impersonation";
pub(in super::super) const PREVIEW: &str = "Token preview";
pub(in super::super) const USAGE: &str = "Usage";
pub(in super::super) const USERS: &str = "Users";
pub(in super::super) const CHECK: &str = "Check evidence";
pub(in super::super) const DANGER: &str = "Danger zone";
pub(in super::super) const SCOPES: &str = "Scopes";
pub(in super::super) const SECURITY: &str = "Security";
pub(in super::super) const DISABLED: &str = "Disabled";
pub(in super::super) const EXPIRED: &str = "Expired";
pub(in super::super) const MAY_VIEW: &str = "may look";
pub(in super::super) const MAY_EDIT: &str = "may edit";
pub(in super::super) const MAY_SECURE: &str = "may edit and manage access";
pub(in super::super) const CREATED: &str = "The app is registered.";
pub(in super::super) const SAVED: &str = "The settings are saved.";
pub(in super::super) const SAVED_WITHOUT_KEYS: &str = "The settings are saved. Some keys cannot verify signatures and were left out: look at the keys.";
pub(in super::super) const ROTATED: &str = "The app has a new secret.";
pub(in super::super) const REGENERATED: &str =
    "The app has a new signature secret. The old one ended.";
pub(in super::super) const PLAYGROUND_READY: &str = "The playground's app is registered.";
pub(in super::super) const ENDED: &str = "Old secrets ended.";
pub(in super::super) const APP_DISABLED: &str = "The app is disabled, and its access ended.";
pub(in super::super) const REVOKED: &str = "Everything that the app had been granted ended.";
pub(in super::super) const ACCESS_ENDED: &str = "The access ended.";
pub(in super::super) const REVOKED_EVERYTHING: &str = "Everything that was granted before is revoked. Apps that verify tokens by themselves may accept \
     access tokens until they end.";
pub(in super::super) const DELETED: &str = "The app is deleted, and its access ended.";
pub(in super::super) const UNCHANGED: &str = "There was nothing to change.";
pub(in super::super) const ENABLED: &str = "The app is enabled. It can get tokens again.";
pub(in super::super) const COPY: &str = "Copy";
pub(in super::super) const COPIED: &str = "Copied";
/// In place of a secret, once its page was left.
pub(in super::super) const WIPED: &str = "(shown once)";
