//! Texts of the server.

use crate::protocol::paths::ServerEndpoint;
use crate::server::UpkeepJob;
use crate::server_secret::KeyState;

type Text = &'static str;

pub(in super::super) const ABOUT: Text = "What it is";
pub(in super::super) const ISSUER: Text = "Issuer";
pub(in super::super) const LIBRARY: Text = "Version of grantor";
pub(in super::super) const SCHEMA: Text = "Tables of the store";
pub(in super::super) const NO_TABLES: Text = "none, or unknown";
pub(in super::super) const LIMITS: Text = "Rate limits";
pub(in super::super) const LIMITS_OFF: Text = "off";
pub(in super::super) const LIMITS_DEFAULT: Text = "on, with the default quotas";
pub(in super::super) const LIMITS_OWN: Text = "on, with quotas of the host";
pub(in super::super) const CATALOG: Text = "Operations in the API catalog";
pub(in super::super) const RESOURCE_SERVERS: Text = "Resource servers";
pub(in super::super) const AUDIT_LOG: Text = "Audit log";
pub(in super::super) const NONE: Text = "none";
pub(in super::super) const CONNECTED: Text = "connected";
pub(in super::super) const NOT_CONNECTED: Text = "not connected to this console";
pub(in super::super) const ENDPOINTS: Text = "Switched on";
pub(in super::super) const THIS_PROCESS: Text = "Keys and upkeep are those of the process that answered. Others behind the same name have pages of \
     their own.";

pub(in super::super) const KEYS: Text = "Signing keys";
pub(in super::super) const KEY: Text = "Key";
pub(in super::super) const ALGORITHM: Text = "Algorithm";
pub(in super::super) const STATE: Text = "State";
pub(in super::super) const SIGNS_FROM: Text = "Signs from";
pub(in super::super) const KEPT_UNTIL: Text = "Kept until";
pub(in super::super) const ALWAYS: Text = "its start";
pub(in super::super) const UNTIL_REPLACED: Text = "it is replaced";
pub(in super::super) const FINGERPRINT: Text = "fingerprint";

pub(in super::super) const ROOTS: Text = "Roots";
pub(in super::super) const ROOTS_HINT: Text = "They seal what the store holds. These are their fingerprints, by which the store and the key file know \
     them.";
pub(in super::super) const ROOT_SEALS: (Text, Text) = ("Active", "good");
pub(in super::super) const ROOT_OPENS: (Text, Text) = ("Retiring, opens only", "");

pub(in super::super) const UPKEEP: Text = "Upkeep";
pub(in super::super) const NO_UPKEEP: Text =
    "This console does not know how the upkeep goes. Give its handle to Console::with_upkeep.";
pub(in super::super) const STOPPED: Text = "The upkeep does not run. Keys are not rotated, revocations are not followed, and no event is \
     written. Look at the log of this process.";
pub(in super::super) const JOB: Text = "Job";
pub(in super::super) const LAST_SUCCESS: Text = "Last success";
pub(in super::super) const NOT_YET: Text = "not yet";
pub(in super::super) const ON_TIME: Text = "On time";
/// Before a time.
pub(in super::super) const LATE: Text = "Late by";
pub(in super::super) const FAILURES: Text = "failures since the last success, the last one";

pub(in super::super) const MOVE: Text = "Export and import";
pub(in super::super) const MOVE_HINT: Text = "The export is a file of all apps without their secrets. An import shows what it would do before \
     anything is written.";
pub(in super::super) const EXPORT: Text = "Export all apps";
pub(in super::super) const IMPORT: Text = "Import apps";

pub(in super::super) const REVOKE: Text = "Revoke everything";
pub(in super::super) const REVOKE_HINT: Text =
    "For an emergency: every token of every app ends. It has a page that says what ends.";
pub(in super::super) const REVOKE_HAPPENS: Text = "All codes, refresh tokens and access tokens of all apps and users are revoked. Apps and their \
     credentials stay, and may ask for new tokens at once.";
pub(in super::super) const REVOKE_COUNTED: Text = "Grants that an earlier revocation ended are counted until they are removed. Apps without grants \
     lose their access tokens, too.";
pub(in super::super) const REVOKE_WHEN: Text = "How long it takes";
pub(in super::super) const REVOKE_AT_ONCE: Text =
    "At once: codes and refresh tokens, and access tokens at an API that asks this server.";
pub(in super::super) const REVOKE_SECONDS: Text =
    "Within seconds: access tokens at an API that follows the revocations of this server.";
pub(in super::super) const REVOKE_LATER: Text = "At the end of its lifetime: an access token at an API that does neither. The settings of each \
     app have the lifetime.";
pub(in super::super) const REVOKE_UNDO: Text =
    "Revoked access does not come back. Every user signs in again, in every app.";
pub(in super::super) const TYPE_WORD: Text = "Type this word to confirm";
pub(in super::super) const WORD: Text = "everything";
pub(in super::super) const WORD_DIFFERS: Text = "This is not the word.";

/// Returns a state of a key with its tone.
pub(in super::super) const fn key_state(state: KeyState) -> (Text, Text) {
    match state {
        KeyState::Published => ("Published, signs later", ""),
        KeyState::Active => ("Active", "good"),
        KeyState::Retiring => ("Retiring, verifies only", ""),
        KeyState::Retired => ("Retired", "bad"),
    }
}

pub(in super::super) const fn job(job: UpkeepJob) -> Text {
    match job {
        UpkeepJob::Keys => "Read and rotate keys",
        UpkeepJob::Revocations => "Follow revocations",
        UpkeepJob::Apps => "Follow changes of apps",
        UpkeepJob::Prune => "Remove expired rows",
        UpkeepJob::PruneEvents => "Remove old audit events",
        UpkeepJob::Repeats => "Count equal audit events",
        UpkeepJob::Audit => "Write audit events",
    }
}

pub(in super::super) const fn endpoint(endpoint: ServerEndpoint) -> Text {
    match endpoint {
        ServerEndpoint::Authorization => "Authorization",
        ServerEndpoint::Decision => "Decision of the user",
        ServerEndpoint::Token => "Token",
        ServerEndpoint::Revocation => "Revocation",
        ServerEndpoint::Introspection => "Introspection",
        ServerEndpoint::GlobalRevocation => "End of the access of a user, for issuers",
        ServerEndpoint::Revocations => "Feed of revocations",
        ServerEndpoint::DeviceAuthorization => "Codes for devices",
        ServerEndpoint::DeviceVerification => "Page for the code of a device",
        ServerEndpoint::DeviceWipeCheck => "Question of a phone about its wipe",
        ServerEndpoint::DeviceWipeSuccess => "Report of a wiped phone",
        ServerEndpoint::DevicePolicy => "Rules for phones",
        ServerEndpoint::Registration => "Registration of apps by themselves",
        ServerEndpoint::ClientConfiguration => "Registration of an app, for the app",
        ServerEndpoint::JwkSet => "Public keys",
        ServerEndpoint::Metadata => "Metadata",
        ServerEndpoint::ResourceMetadata => "Metadata of APIs",
    }
}
