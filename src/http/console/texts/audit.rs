//! Texts of the audit log: events as sentences.

pub(in super::super) const TITLE: &str = "Audit log";
pub(in super::super) const APP: &str = "App";
pub(in super::super) const APP_TERM: &str = "client_id";
pub(in super::super) const USER: &str = "User";
pub(in super::super) const USER_TERM: &str = "sub";
pub(in super::super) const ACTION: &str = "Action";
pub(in super::super) const EVERY_ACTION: &str = "Every action";
pub(in super::super) const FIND: &str = "Find events";
pub(in super::super) const OUTCOME: &str = "Outcome";
pub(in super::super) const ALL: &str = "All";
pub(in super::super) const SUCCEEDED: &str = "Succeeded";
pub(in super::super) const REFUSED: &str = "Refused";
pub(in super::super) const FAILED: &str = "Failed";
pub(in super::super) const ERRORS: &str = "Refused or failed";
pub(in super::super) const WHEN: &str = "When";
pub(in super::super) const EVENT: &str = "Event";
pub(in super::super) const SETTING: &str = "Decided by the setting";
pub(in super::super) const TRUSTED_ISSUER: &str = "Trusted issuer:";
pub(in super::super) const LATER: &str = "An event of a later version of the server";
pub(in super::super) const RAW: &str = "Raw event";
pub(in super::super) const PAGES: &str = "Pages of the log";
pub(in super::super) const NEWEST: &str = "Newest events";
pub(in super::super) const OLDER: &str = "Older events";
pub(in super::super) const CLEAR: &str = "Show all events";
pub(in super::super) const NO_LOG_TITLE: &str = "No audit log is connected";
pub(in super::super) const NO_LOG: &str = "The server reports events to the host, and this console cannot read them. Connect a store of events with \
     Console::with_audit_log.";
pub(in super::super) const NONE_TITLE: &str = "No events yet";
pub(in super::super) const NONE: &str =
    "Each token, each refusal and each change by an administrator becomes an event.";
pub(in super::super) const NONE_FOUND_TITLE: &str = "No event fits";
pub(in super::super) const NONE_FOUND: &str =
    "Names of apps and users are exact here. Take a filter away.";
pub(in super::super) const NONE_SO_FAR_TITLE: &str = "No event fits so far";
pub(in super::super) const NONE_SO_FAR: &str =
    "The newest of these events have been searched. Go on with older events.";

pub(in super::super) const AN_APP: &str = "an app";
pub(in super::super) const A_USER: &str = "a user";
pub(in super::super) const THE_APP: &str = "app ";
pub(in super::super) const ACTOR_APP: &str = "App ";
pub(in super::super) const ACTOR_USER: &str = "User ";
pub(in super::super) const ACTOR_ADMINISTRATOR: &str = "Administrator ";
pub(in super::super) const ACTOR_ISSUER: &str = "Trusted issuer ";
pub(in super::super) const ACTOR_SERVER: &str = "The server";
pub(in super::super) const ACTOR_UNKNOWN: &str = "An unknown caller";
pub(in super::super) const ACTOR_CLAIMED: &str = "A caller that claims to be ";
pub(in super::super) const BECAUSE: &str = ": ";

/// The sentence of a refusal.
pub(in super::super) fn refused(action: &str) -> &'static str {
    match action {
        "introspect" => "{actor} asked about a token that is not active",
        "revoke_token" => "{actor} asked to revoke a token, and there was nothing to revoke",
        _ => "{actor} was refused {attempt}",
    }
}

/// The sentence of a failure.
pub(in super::super) const BROKEN: &str = "{actor} tried {attempt}, and the server failed";

pub(in super::super) fn times(count: u64) -> String {
    format!(" ({count} times)")
}

/// An action: its name in events, its label, the sentence of a success, and what was attempted.
pub(in super::super) type Words = (&'static str, &'static str, &'static str, &'static str);

/// A token as a user.
pub(in super::super) const ISSUE_AS_USER: Words =
    ("issue_token", "Get a token", "{actor} got a token as {user}", "to act as {user}");

/// The report of a device that wiped itself.
pub(in super::super) const WIPED_ITSELF: Words = (
    "finish_wipe",
    "Finish a wipe",
    "{actor} reported that it has deleted its data on device {details} of {user} after too many wrong PINs",
    "to report that the data on a device is gone",
);

pub(in super::super) const ACTIONS: [Words; 42] = [
    ("issue_token", "Get a token", "{actor} got a token", "to get a token"),
    (
        "retry_refresh",
        "Repeat a refresh",
        "{actor} repeated a refresh and got the same tokens",
        "to repeat a refresh",
    ),
    (
        "detect_rewind",
        "Detect lost writes",
        "{actor} has a newer refresh token than the store: the store has lost writes",
        "to use a refresh token that is newer than the store",
    ),
    (
        "use_superseded_secret",
        "Use a superseded secret",
        "{actor} used a superseded client secret",
        "to use a superseded client secret",
    ),
    (
        "renew_digest",
        "Renew a digest",
        "{actor} renewed the digest of a client secret of {app}",
        "to renew the digest of a client secret of {app}",
    ),
    (
        "authorize",
        "Ask for authorization",
        "{actor} asked {user} for access",
        "to ask a user for access",
    ),
    (
        "require_login",
        "Require a login",
        "{actor} asked for access, and the user has to log in first",
        "to ask a user to log in",
    ),
    ("issue_code", "Issue a code", "{user} gave {app} access", "to get a code"),
    ("deny_authorization", "Deny access", "{user} denied {app} access", "to deny access"),
    (
        "authorize_device",
        "Ask for a device",
        "{app} asked for the code of a device",
        "to ask for the code of a device",
    ),
    (
        "enter_user_code",
        "Enter a code",
        "{user} entered the code of a device of {app}",
        "to enter the code of a device",
    ),
    (
        "approve_device",
        "Approve a device",
        "{user} gave a device of {app} access",
        "to give a device access",
    ),
    (
        "introspect",
        "Introspect a token",
        "{actor} asked about an active token",
        "to introspect a token",
    ),
    ("revoke_token", "Revoke a token", "{actor} revoked a token", "to revoke a token"),
    (
        "revoke_globally",
        "End the access of a user, as an issuer",
        "{actor} ended all access as {user}",
        "to end the access of a user",
    ),
    (
        "read_revocations",
        "Read revocations",
        "{actor} read the revocation feed",
        "to read the revocation feed",
    ),
    (
        "tell_wipe",
        "Tell a phone to wipe",
        "{actor} asked, and device {details} of {user} was told to wipe its data",
        "to ask whether a device has to wipe its data",
    ),
    (
        "finish_wipe",
        "Finish a wipe",
        "{actor} reported that its data on device {details} of {user} is gone",
        "to report that the data on a device is gone",
    ),
    (
        "read_policy",
        "Read the rules for phones",
        "{actor} read the rules for phones",
        "to read the rules for phones",
    ),
    (
        "read_registration",
        "Read its registration",
        "{actor} read its registration",
        "to read its registration",
    ),
    ("register_app", "Register an app", "{actor} registered {app}", "to register {app}"),
    ("import_app", "Import an app", "{actor} imported {app}", "to import {app}"),
    ("edit_app", "Edit an app", "{actor} edited {app}: {details}", "to edit {app}"),
    (
        "rotate_client_secret",
        "Rotate a client secret",
        "{actor} rotated the client secret of {app}",
        "to rotate the client secret of {app}",
    ),
    (
        "set_client_secret",
        "Set a client secret",
        "{actor} set a client secret of {app}",
        "to set a client secret of {app}",
    ),
    (
        "remove_superseded_secrets",
        "End superseded secrets",
        "{actor} ended the superseded client secrets of {app}",
        "to end the superseded client secrets of {app}",
    ),
    (
        "regenerate_signature_secret",
        "Regenerate a signature secret",
        "{actor} regenerated the signature secret of {app}",
        "to regenerate the signature secret of {app}",
    ),
    ("enable_app", "Enable an app", "{actor} enabled {app}", "to enable {app}"),
    ("disable_app", "Disable an app", "{actor} disabled {app}", "to disable {app}"),
    ("delete_app", "Delete an app", "{actor} deleted {app}", "to delete {app}"),
    (
        "set_app_origin",
        "Hand over an app",
        "{actor} handed over {app}: {details}",
        "to hand over {app}",
    ),
    ("revoke", "Revoke access", "{actor} revoked {target}", "to revoke {target}"),
    (
        "withdraw_consent",
        "Remove access",
        "{actor} removed the access of {app} to the account of {user}",
        "to remove the access of {app} to the account of {user}",
    ),
    (
        "order_wipe",
        "Order a wipe",
        "{actor} ordered {app} to wipe its data on device {details} of {user}",
        "to order a wipe of device {details} of {user}",
    ),
    (
        "add_trusted_issuer",
        "Trust an issuer",
        "{actor} let the server trust the issuer {details}",
        "to let the server trust the issuer {details}",
    ),
    (
        "edit_trusted_issuer",
        "Edit a trusted issuer",
        "{actor} edited the settings of the trusted issuer {details}",
        "to edit the settings of the trusted issuer {details}",
    ),
    (
        "remove_trusted_issuer",
        "End the trust in an issuer",
        "{actor} ended the trust in the issuer {details}, and the access on its evidence",
        "to end the trust in the issuer {details}",
    ),
    (
        "withdraw_wipe",
        "Withdraw a wipe",
        "{actor} withdrew the order to wipe the data of {app} on device {details} of {user}",
        "to withdraw the order to wipe device {details} of {user}",
    ),
    (
        "abandon_wipe",
        "Give up a wipe",
        "{actor} gave up the order to wipe the data of {app} on device {details} of {user}",
        "to give up the order to wipe device {details} of {user}",
    ),
    (
        "export_subject",
        "Export a user",
        "{actor} exported everything that is stored about {user}",
        "to export everything that is stored about {user}",
    ),
    (
        "drop_events",
        "Drop events",
        "{actor} dropped {details} events, because the audit queue was full",
        "to drop events",
    ),
    (
        "lose_events",
        "Lose events",
        "{actor} found that the log has lost events that were in it",
        "to look for lost events",
    ),
];

pub(in super::super) const EVERYTHING: &str = "all access";
pub(in super::super) const ACCESS_OF_APP: &str = "all access of {app}";
pub(in super::super) const ACCESS_AS_USER: &str = "all access as {user}";
pub(in super::super) const ACCESS_OF_APP_AS_USER: &str = "the access of {app} as {user}";
pub(in super::super) const ACCESS_ON_DEVICE: &str = "the access on device {details}";
pub(in super::super) const ACCESS_OF_SESSION: &str = "all access of a session";
pub(in super::super) const ACCESS_BY_EVIDENCE: &str = "all access on the evidence of {details}";
pub(in super::super) const ONE_GRANT: &str = "one grant";

/// Reasons in words.
const REASONS: [(&str, &str); 93] = [
    ("issuer_unknown", "the server trusts no such issuer"),
    ("issuer_token_replayed", "the token of the issuer was used twice"),
    ("issuer_not_allowed", "the issuer may not end the access of users"),
    ("subject_not_allowed", "the issuer may not name users like this"),
    ("issuer_user_unknown", "the issuer has no such user here"),
    ("user_not_covered", "the issuer may not end the access of this user"),
    ("issuer_not_trusted", "the server does not trust the issuer for this"),
    ("issuer_expired", "the trust in the issuer has expired"),
    ("app_not_named", "the server does not trust the issuer for this app"),
    ("no_workload_rule", "no rule admits the workload"),
    ("target_not_listed", "the policy does not list this resource"),
    ("no_target", "the request does not name the API"),
    ("subject_token_not_for_app", "the token was neither issued to the app nor meant for it"),
    ("actor_not_listed", "the policy does not list the actor"),
    ("not_may_act", "the token names another actor"),
    ("subject_token_invalid", "the token is not an access token of this server"),
    ("subject_token_expired", "the token has expired"),
    ("subject_token_revoked", "the token was revoked"),
    ("subject_token_bound", "the token is bound to a key"),
    ("subject_token_evidence", "the token of the issuer breaks a rule"),
    ("subject_token_issuer_unknown", "the server does not trust the issuer of the token"),
    ("subject_token_keys_unavailable", "the keys of the issuer of the token cannot be fetched"),
    ("subject_token_replayed", "the token was presented before"),
    ("subject_token_without_user", "the token is not of a user"),
    ("subject_token_user_inactive", "there is no such user, or the user is not active"),
    ("actor_token_invalid", "the token of the actor is not an access token of this server"),
    ("actor_token_expired", "the token of the actor has expired"),
    ("actor_token_revoked", "the token of the actor was revoked"),
    ("actor_token_bound", "the token of the actor is bound to a key"),
    ("actor_token_not_of_app", "the token of the actor is not an app's own"),
    ("scope_exceeds_subject_token", "the token or the target does not have this scope"),
    ("no_scope_left", "nothing is left of the scope of the token"),
    ("no_devices", "the server keeps no devices"),
    ("device_not_found", "there is no such device"),
    ("no_remote_wipe", "the app does not obey orders to wipe its data"),
    ("wipe_not_withdrawable", "there was no order that could be withdrawn"),
    ("no_devices_of_target", "the revocation does not tell whose devices to wipe"),
    ("impersonation_excepted", "excluded by the policy"),
    ("impersonation_not_listed", "not listed in the policy"),
    ("impersonation_none_allowed", "the policy allows no user"),
    ("impersonation_inactive", "the user is not active"),
    ("device_to_be_wiped", "the device has to be wiped first"),
    ("device_not_allowed", "there is no user at a device in this flow"),
    ("unknown_user", "there is no such user"),
    ("inactive_user", "there is no such user, or the user is not active"),
    ("subject_is_client_id", "the user has the same identifier as the app"),
    ("assertion", "the assertion is not one of the app about a user"),
    ("missing_parameter", "something is missing in the request"),
    ("unknown_client", "there is no such app"),
    ("app_disabled", "the app is disabled"),
    ("wrong_secret", "the client secret is wrong"),
    ("wrong_key", "the key is not one of the app"),
    ("no_credentials", "the request has no credentials"),
    ("flow_not_allowed", "the app may not use this flow"),
    ("refresh_not_allowed", "the app gets no refresh tokens"),
    ("redirect_uri", "the redirect URI is not registered"),
    ("code_replayed", "the code was used twice, and its access is revoked"),
    ("code_guessed", "the code was tried too often"),
    ("refresh_token_reused", "the refresh token was used twice, and its access is revoked"),
    ("assertion_replayed", "the assertion was used twice"),
    ("grant_unknown", "the access has ended"),
    ("grant_expired", "the access has expired"),
    ("grant_revoked", "the access was revoked"),
    ("expired_token", "the token has expired"),
    ("revoked_token", "the token was revoked"),
    ("unknown_token", "the token is not one of this server"),
    ("foreign_token", "the token belongs to another app"),
    ("scope_exceeds_app", "the app does not have this scope"),
    ("scope_exceeds_policy", "the policy does not allow this scope"),
    ("scope_exceeds_grant", "the user did not grant this scope"),
    ("scope_withdrawn", "the app may have no scope of what is allowed"),
    ("malformed_scope", "the scope is not a list of scopes with spaces between"),
    ("malformed_resource", "the resource is not an absolute URI without a fragment"),
    ("resource_not_granted", "the user did not grant access to this resource"),
    ("resource_not_allowed", "the app may not use this resource"),
    ("consent_denied", "the user denied it"),
    ("device_denied", "the user denied it"),
    ("device_code_expired", "the code of the device has expired"),
    ("device_code_spent", "the code of the device was used before"),
    ("unknown_user_code", "no device shows this code"),
    ("too_many_user_codes", "too many wrong codes were entered"),
    ("too_many_device_requests", "too many devices ask for a code"),
    ("login_required", "the user has to log in"),
    ("consent_required", "the user has to agree"),
    ("rate_limits", "the app sends too many requests"),
    ("too_many_failures", "the source has failed too often"),
    ("client_metadata", "what the app states of itself is not usable"),
    ("redirect_uris", "none of the redirect URIs is usable"),
    ("initial_access_token", "the token for registrations is absent or wrong"),
    ("registration_access_token", "the token of the registration is absent or wrong"),
    ("too_many_registrations", "the source registers too many apps"),
    ("too_many_registered_apps", "too many apps have registered themselves"),
    ("administered_registration", "an administrator has edited the app"),
];

/// Returns a reason in words.
pub(in super::super) fn reason(name: &str) -> String {
    let words = REASONS.iter().find(|(own, _)| *own == name);
    words.map_or_else(|| name.replace('_', " "), |(_, words)| (*words).to_owned())
}

/// Settings that decide, in words.
const SETTINGS: [(&str, &str); 21] = [
    ("trusted_issuers", "the issuers that the server trusts"),
    ("delegation", "the subject tokens that the app may exchange"),
    ("mobile_security.remote_wipe", "whether the app can be told to wipe its data"),
    ("registration", "how the server lets apps register themselves"),
    ("enabled", "whether the app is enabled"),
    ("client_secrets", "the client secrets of the app"),
    ("authentication", "how the app proves its identity"),
    ("rate_quota", "the number of requests that the app may send"),
    ("rate_limits", "the limits of the server"),
    ("flows", "the flows of the app"),
    ("refresh_token", "whether the app gets refresh tokens"),
    ("redirect_uris", "the redirect URIs of the app"),
    ("scope", "the scopes of the app"),
    ("resources", "the resources of the app"),
    ("hooks", "the host's own rule"),
    ("jwt.impersonation", "the users that the app may act as"),
    ("jwt.impersonation.scope", "the scopes that the app gets as a user"),
    ("jwt.keys", "the keys that verify the app's assertions"),
    ("jwt.issuer", "the issuer of the app's assertions"),
    ("jwt.audience", "the audience of the app's assertions"),
    ("jwt.user_claim", "the claim that names the user"),
];

/// Returns a setting in words, if there are some.
pub(in super::super) fn setting(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|(own, _)| *own == name).map(|(_, words)| *words)
}
