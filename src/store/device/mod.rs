//! Devices: the installations of an app on the phones of its users, and the wipe of their data.

mod rules;
mod shared;
mod store;

pub(crate) use shared::SharedDevices;
pub use store::DeviceStore;

use serde::{Deserialize, Serialize};

use super::{Revocation, RevocationReason, RevocationTarget, Revoked};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Subject};
use crate::secret::Digest;

/// The name of a device in a store: an installation of one app at one user. The same device id at another
/// app or user names another device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct DeviceKey {
    /// The app.
    pub client_id: ClientId,
    /// The user.
    pub subject: Subject,
    /// The identifier that the app, or the host, gave the installation.
    pub device_id: DeviceId,
}

/// An installation of an app at a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct Device {
    /// Primary key.
    #[serde(flatten)]
    pub key: DeviceKey,
    /// The name for people, if the app told one: 1 to 128 characters without control characters.
    pub name: Option<String>,
    /// When it was first seen.
    pub first_seen: UnixTime,
    /// The date of the first grant of this installation. A grant of an earlier date belongs to an installation
    /// that was wiped, and proves nothing about this one.
    pub installed_at: UnixTime,
    /// When it was last seen, to the day.
    pub last_seen: UnixTime,
    /// How far the wipe of its data is.
    pub wipe: Wipe,
    /// The version of the policy document that it has read.
    pub policy_seen: Option<String>,
    /// The grant under which it was last seen.
    pub grant_id: GrantId,
    /// The [`salt_digest`](super::Grant::salt_digest) of that grant. A token of the grant proves by its
    /// salt that it comes from this device, also after the row of the grant is gone.
    pub salt_digest: Digest,
    /// From this instant on the row may be removed.
    pub keep_until: UnixTime,
}

/// The order to wipe a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "hosts' stores make it")]
pub struct WipeOrder {
    /// When it was given.
    pub at: UnixTime,
    /// The administrator or the user who gave it, as the audit log names them.
    pub by: String,
}

/// How far the wipe of a device is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wipe {
    /// None is ordered.
    #[default]
    None,
    /// It is ordered, and the device has not asked since.
    Requested {
        /// The order.
        order: WipeOrder,
    },
    /// The device has asked, and was told to wipe.
    Notified {
        /// The order.
        order: WipeOrder,
        /// When the device was first told.
        at: UnixTime,
    },
    /// The device has reported that its data is gone.
    Done {
        /// The order; `None` if the device wiped itself, for example after too many wrong PINs.
        order: Option<WipeOrder>,
        /// When it reported.
        at: UnixTime,
    },
}

impl Wipe {
    /// Checks whether the device has still to be wiped: ordered, and not reported as done.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Requested { .. } | Self::Notified { .. })
    }

    /// Returns the order, if one was given.
    #[must_use]
    pub const fn order(&self) -> Option<&WipeOrder> {
        match self {
            Self::Requested { order } | Self::Notified { order, .. } => Some(order),
            Self::Done { order, .. } => order.as_ref(),
            Self::None => None,
        }
    }
}

/// The argument of [`DeviceStore::see_device`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct DeviceSighting {
    /// The device.
    pub key: DeviceKey,
    /// The name that the app told in this request.
    pub name: Option<String>,
    /// The grant of the request.
    pub grant_id: GrantId,
    /// The digest of the salt of that grant.
    pub salt_digest: Digest,
    /// The [date](super::Grant::authorized_at) of that grant.
    pub authorized_at: UnixTime,
    /// Until when the row is kept at least.
    pub keep_until: UnixTime,
    /// The present instant.
    pub now: UnixTime,
}

/// The answer of [`DeviceStore::see_device`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeeDevice {
    /// The device is known from now on. It may have access.
    Seen,
    /// A wipe of the device is pending. Nothing changed, and the device must not get access.
    ToBeWiped,
}

/// The argument of [`DeviceStore::request_wipe`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct WipeRequest {
    /// The device.
    pub key: DeviceKey,
    /// The administrator or user who orders it; `None` if the device reports that it has wiped itself, which
    /// ends the wipe.
    pub by: Option<String>,
    /// Why access ends, for the feed of revocations.
    pub why: RevocationReason,
    /// The latest expiry of a token that the revocation covers.
    pub until: UnixTime,
    /// Until when the row is kept at least.
    pub keep_until: UnixTime,
    /// The present instant.
    pub now: UnixTime,
}

impl WipeRequest {
    /// Returns the revocation that comes in force with the order.
    #[must_use]
    pub fn revocation(&self) -> Revocation {
        let DeviceKey { client_id, subject, device_id } = self.key.clone();
        let target = RevocationTarget::Device(client_id, subject, device_id);
        Revocation { target, at: self.now, why: self.why, until: self.until }
    }
}

/// The answer of [`DeviceStore::request_wipe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestWipe {
    /// This call has put the order in force, and ended the access of the device.
    Requested(Revoked),
    /// An order was pending and stays as it was. The access of the device has ended.
    Pending(Revoked),
    /// The device has reported that its data is gone, and was not seen since. The wipe stays done. The access
    /// of the device has ended.
    Wiped(Revoked),
    /// The store knows no such device. Nothing changed.
    Unknown,
}

/// A step of a wipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WipeStep {
    /// The device has asked, and is told to wipe.
    Notify,
    /// The device reports that its data is gone.
    Finish,
    /// The order is withdrawn, while the device has not asked.
    Withdraw,
    /// The administrator gives the order up, because the device will never report: it is lost or broken, or
    /// another one has its id. The id may get access again. Its earlier grants stay dead.
    Abandon,
}

/// The argument of [`DeviceStore::advance_wipe`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts call the store in their own tests")]
pub struct WipeAdvance {
    /// The device.
    pub key: DeviceKey,
    /// The step.
    pub step: WipeStep,
    /// The [instant](WipeOrder::at) of the order that the caller has read. A step of another order is refused.
    pub ordered_at: UnixTime,
    /// Until when the row is kept at least.
    pub keep_until: UnixTime,
    /// The present instant.
    pub now: UnixTime,
}

/// The answer of [`DeviceStore::advance_wipe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdvanceWipe {
    /// This call, and no other, took the step.
    Advanced,
    /// The wipe was there before: the device was told, or has reported. Nothing changed.
    Unchanged,
    /// The step does not follow from where the wipe is, the order is another one, or the store knows no such
    /// device. Nothing changed.
    Refused,
}

/// A selection of devices to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceFilter {
    /// Only devices of this app.
    pub client_id: Option<ClientId>,
    /// Only devices of this user.
    pub subject: Option<Subject>,
    /// Only devices whose wipe is pending.
    pub is_pending: bool,
}

impl DeviceFilter {
    /// Selects every device.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects only devices of this app.
    #[must_use]
    pub fn of_app(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Selects only devices of this user.
    #[must_use]
    pub fn of_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Selects only devices whose wipe is pending.
    #[must_use]
    pub fn to_be_wiped(mut self) -> Self {
        self.is_pending = true;
        self
    }

    /// Checks whether the filter selects `device`.
    #[must_use]
    pub fn admits(&self, device: &Device) -> bool {
        self.client_id.as_ref().is_none_or(|id| *id == device.key.client_id)
            && self.subject.as_ref().is_none_or(|subject| *subject == device.key.subject)
            && (!self.is_pending || device.wipe.is_pending())
    }
}
