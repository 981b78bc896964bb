//! The actor and the action, the first two members of an event.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::AppOrigin;
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, EvidenceIssuer, Subject};
use crate::protocol::grant_type::GrantType;
use crate::store::RevocationTarget;

/// The actor of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "actor", content = "actor_name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// An app that authenticated, or a public app identified by its client id.
    App(ClientId),
    /// A user authenticated by the host.
    User(Subject),
    /// An administrator, by the host's name for them.
    Administrator(Arc<str>),
    /// A trusted issuer that authenticated.
    Issuer(EvidenceIssuer),
    /// The server itself.
    Server,
    /// An unauthenticated caller. The event's app is then only a claim.
    Unknown,
}

impl Actor {
    /// Returns the kind, the one used in serialization, such as `app`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::User(_) => "user",
            Self::Administrator(_) => "administrator",
            Self::Issuer(_) => "issuer",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the name, if the actor has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::App(client_id) => Some(client_id.as_str()),
            Self::User(subject) => Some(subject.as_str()),
            Self::Administrator(name) => Some(name),
            Self::Issuer(issuer) => Some(issuer.as_str()),
            Self::Server | Self::Unknown => None,
        }
    }
}

/// The action of an event. Its [`Outcome`](crate::observe::Outcome) says whether the action succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// A token request.
    IssueToken {
        /// The grant type, if the server supports it.
        grant_type: Option<GrantType>,
    },
    /// A retry with a spent refresh token got the same successor within the grace period. Recorded
    /// in addition to [`IssueToken`](Self::IssueToken).
    RetryRefresh,
    /// A refresh token was newer than the store's record: the store lost writes, for example
    /// through a restored backup.
    DetectRewind,
    /// An app authenticated with a superseded client secret. When these events stop, the old secret
    /// can be removed.
    UseSupersededSecret,
    /// A client secret's digest was renewed under the newest pepper.
    RenewDigest,
    /// An authorization request. Success means that the user gets a prompt.
    Authorize,
    /// An authorization request that needs a login first.
    RequireLogin,
    /// The user approved the request now or earlier, and a code was issued.
    IssueCode,
    /// The user denied the request.
    DenyAuthorization,
    /// A device asked for a device code and a user code.
    AuthorizeDevice,
    /// A user entered the code of a device. Success means that the user gets a prompt.
    EnterUserCode,
    /// The user approved the request of a device.
    ApproveDevice,
    /// An introspection request. Success means an active token; a refusal says why the token is
    /// inactive.
    Introspect,
    /// A revocation request. The client gets the same response if there was nothing to revoke; the
    /// refusal says why.
    RevokeToken,
    /// A trusted issuer asked to end all access of a user (global token revocation).
    RevokeGlobally,
    /// An API polled the revocation feed.
    ReadRevocations,
    /// A phone asked, and was told to wipe its data. Recorded once an order.
    TellWipe {
        /// The device, once the request has proved it.
        device: Option<DeviceId>,
    },
    /// A phone reported that its data is gone. Recorded once a wipe.
    FinishWipe {
        /// The device, once the request has proved it.
        device: Option<DeviceId>,
        /// Whether it wiped itself after too many wrong PINs.
        pin: bool,
    },
    /// A phone asked for the rules of its app. Only refusals and failures are recorded.
    ReadPolicy,
    /// An app asked for its own registration. Only refusals and failures are recorded.
    ReadRegistration,
    /// An app was registered: by an administrator, by the first consent of a user to its document, or by itself, an
    /// unknown actor.
    RegisterApp,
    /// An app was registered under an existing client id.
    ImportApp,
    /// The settings of an app were edited.
    EditApp {
        /// The settings that changed, by their names in JSON.
        changed: Vec<String>,
    },
    /// An app got a new client secret.
    RotateClientSecret,
    /// An administrator set a client secret of an app.
    SetClientSecret,
    /// The superseded client secrets of an app were removed.
    RemoveSupersededSecrets,
    /// An app got a new signature secret.
    RegenerateSignatureSecret,
    /// An app was enabled.
    EnableApp,
    /// An app was disabled.
    DisableApp,
    /// An app was deleted.
    DeleteApp,
    /// An app was handed over between administrators and the host's configuration.
    SetAppOrigin {
        /// The party that manages it from now on.
        origin: AppOrigin,
    },
    /// Tokens were revoked.
    Revoke {
        /// The target of the revocation.
        target: RevocationTarget,
    },
    /// A user withdrew consent, which also revoked the tokens.
    WithdrawConsent,
    /// The wipe of a device was ordered, and its access ended.
    OrderWipe {
        /// The device of the event's app and user.
        device: DeviceId,
    },
    /// The order to wipe a device was withdrawn.
    WithdrawWipe {
        /// The device of the event's app and user.
        device: DeviceId,
    },
    /// The order to wipe a device was given up, because it will never report.
    AbandonWipe {
        /// The device of the event's app and user.
        device: DeviceId,
    },
    /// Another issuer was trusted.
    AddTrustedIssuer {
        /// The issuer.
        issuer: EvidenceIssuer,
    },
    /// The settings of a trusted issuer were edited.
    EditTrustedIssuer {
        /// The issuer.
        issuer: EvidenceIssuer,
    },
    /// The trust in an issuer ended, and with it the access that was granted on its evidence.
    RemoveTrustedIssuer {
        /// The issuer.
        issuer: EvidenceIssuer,
    },
    /// Everything that is stored about a user was exported.
    ExportSubject,
    /// The audit queue was full and dropped events.
    DropEvents {
        /// The number of dropped events.
        dropped: u64,
    },
    /// The log has lost events that were in it. The store was restored, or a replica without them has
    /// taken its place.
    LoseEvents {
        /// The instant of the newest event that is left. The log has a gap from then on.
        since: UnixTime,
    },
}

impl Action {
    /// Returns the stable name, the one used in serialization, such as `issue_token`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::IssueToken { .. } => "issue_token",
            Self::RetryRefresh => "retry_refresh",
            Self::DetectRewind => "detect_rewind",
            Self::UseSupersededSecret => "use_superseded_secret",
            Self::RenewDigest => "renew_digest",
            Self::Authorize => "authorize",
            Self::RequireLogin => "require_login",
            Self::IssueCode => "issue_code",
            Self::DenyAuthorization => "deny_authorization",
            Self::AuthorizeDevice => "authorize_device",
            Self::EnterUserCode => "enter_user_code",
            Self::ApproveDevice => "approve_device",
            Self::Introspect => "introspect",
            Self::RevokeToken => "revoke_token",
            Self::RevokeGlobally => "revoke_globally",
            Self::ReadRevocations => "read_revocations",
            Self::TellWipe { .. } => "tell_wipe",
            Self::FinishWipe { .. } => "finish_wipe",
            Self::ReadPolicy => "read_policy",
            Self::ReadRegistration => "read_registration",
            Self::RegisterApp => "register_app",
            Self::ImportApp => "import_app",
            Self::EditApp { .. } => "edit_app",
            Self::RotateClientSecret => "rotate_client_secret",
            Self::SetClientSecret => "set_client_secret",
            Self::RemoveSupersededSecrets => "remove_superseded_secrets",
            Self::RegenerateSignatureSecret => "regenerate_signature_secret",
            Self::EnableApp => "enable_app",
            Self::DisableApp => "disable_app",
            Self::DeleteApp => "delete_app",
            Self::SetAppOrigin { .. } => "set_app_origin",
            Self::Revoke { .. } => "revoke",
            Self::WithdrawConsent => "withdraw_consent",
            Self::OrderWipe { .. } => "order_wipe",
            Self::WithdrawWipe { .. } => "withdraw_wipe",
            Self::AbandonWipe { .. } => "abandon_wipe",
            Self::AddTrustedIssuer { .. } => "add_trusted_issuer",
            Self::EditTrustedIssuer { .. } => "edit_trusted_issuer",
            Self::RemoveTrustedIssuer { .. } => "remove_trusted_issuer",
            Self::ExportSubject => "export_subject",
            Self::DropEvents { .. } => "drop_events",
            Self::LoseEvents { .. } => "lose_events",
        }
    }
}
