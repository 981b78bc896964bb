//! Errors of administrative calls.

use crate::app::InvalidApp;
use crate::error::Fault;
use crate::observe::{Outcome, Step};
use crate::random::RandomError;
use crate::store::StoreError;
use crate::users::DirectoryError;

/// The error of an administrative call.
///
/// The call changed nothing, with two exceptions: after [`Store`](Self::Store) it may have taken
/// effect, and [`disable`](super::Admin::disable) and [`delete`](super::Admin::delete) may have
/// revoked the app's grants before they failed with [`NotFound`](Self::NotFound) or
/// [`Conflict`](Self::Conflict).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The app, or the trusted issuer, does not exist.
    #[error("the app does not exist")]
    NotFound,
    /// Another administrator edited the app first. Read it again and repeat the edit.
    #[error("the app is at version {found}, not {expected}")]
    Conflict {
        /// The version that the edit is based on.
        expected: u64,
        /// The current version.
        found: u64,
    },
    /// Another app has this client id.
    #[error("an app with this client id already exists")]
    AlreadyExists,
    /// A setting is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidApp),
    /// The user directory cannot tell whether a user has the identifier of the app.
    #[error("the user directory cannot tell whether a user has this identifier")]
    Directory(#[from] DirectoryError),
    /// A token cannot be previewed: the user directory or a hook failed.
    #[error("the token cannot be previewed")]
    Preview(#[from] Fault),
    /// The server has no [devices](crate::ServerBuilder::devices).
    #[error("the server keeps no devices: give its builder a store of devices")]
    NoDevices,
    /// The server has no [trusted issuers](crate::ServerBuilder::trusted_issuers).
    #[error("the server trusts no issuers: give its builder a store of them")]
    NoTrustedIssuers,
    /// The device does not exist.
    #[error("the device does not exist")]
    UnknownDevice,
    /// The app would not obey an order to wipe its data, or it is deleted.
    #[error(
        "the app has no remote wipe: its setting `mobile_security.remote_wipe` is off, or it is deleted"
    )]
    NoRemoteWipe,
    /// There is no order to wipe the device that could be withdrawn.
    #[error(
        "no order to wipe can be withdrawn: the device has asked, or this caller may not withdraw one"
    )]
    WipeNotWithdrawable,
    /// The target of the revocation does not tell whose devices to wipe.
    #[error("the target names no devices: revoke an app, a user, both, a device, or everything")]
    NoDevicesOfTarget,
    /// No secret could be generated.
    #[error("no secret could be generated")]
    Random(#[from] RandomError),
    /// The change may or may not have taken effect. Every call except a registration can be
    /// repeated.
    #[error("the change may or may not have taken effect")]
    Store(#[from] StoreError),
}

impl AdminError {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound => Outcome::refused(Step::Claim, "app_not_found", None),
            Self::Conflict { .. } => Outcome::refused(Step::Claim, "app_version_conflict", None),
            Self::AlreadyExists => Outcome::refused(Step::Claim, "app_already_exists", None),
            Self::Invalid(invalid) => {
                Outcome::refused(Step::Parse, "invalid_setting", Some(invalid.field()))
            }
            Self::NoDevices => Outcome::refused(Step::Claim, "no_devices", None),
            Self::NoTrustedIssuers => Outcome::refused(Step::Claim, "no_trusted_issuers", None),
            Self::UnknownDevice => Outcome::refused(Step::Claim, "device_not_found", None),
            Self::NoRemoteWipe => {
                let setting = Some("mobile_security.remote_wipe");
                Outcome::refused(Step::Claim, "no_remote_wipe", setting)
            }
            Self::WipeNotWithdrawable => {
                Outcome::refused(Step::Claim, "wipe_not_withdrawable", None)
            }
            Self::NoDevicesOfTarget => Outcome::refused(Step::Parse, "no_devices_of_target", None),
            Self::Directory(_) => Outcome::failed(Step::Grant, self),
            Self::Preview(_) => Outcome::failed(Step::Hook, self),
            Self::Random(_) => Outcome::failed(Step::Mint, self),
            Self::Store(_) => Outcome::failed(Step::Claim, self),
        }
    }
}
