//! Devices as rows.

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Names, unreadable};
use crate::clock::UnixTime;
use crate::ids::{ClientId, DeviceId, GrantId, Subject};
use crate::secret::Digest;
#[cfg(feature = "postgres")]
use crate::store::{AdvanceWipe, WipeStep};
use crate::store::{Device, DeviceFilter, DeviceKey, Page, StoreError, Wipe, WipeOrder};

/// The columns of a device.
pub(in crate::store) const DEVICE_COLUMNS: &str = "client_id, subject, device, name, first_seen, \
    last_seen, installed_at, wipe, ordered_at, ordered_by, wiped_at, policy, grant_id, salt_digest, \
    keep_until";

/// The states of a wipe in the column `wipe`. A number once given never changes.
pub(in crate::store) const NONE: i16 = 0;
pub(in crate::store) const REQUESTED: i16 = 1;
pub(in crate::store) const NOTIFIED: i16 = 2;
pub(in crate::store) const DONE: i16 = 3;

/// The number of other devices of a user that a sighting leaves, apart from those that are to be wiped.
pub(in crate::store) const MAX_OTHERS: i64 = 63;

/// The order in which the devices of a grant are found, as [`find_device_of`](crate::store::DeviceStore::find_device_of)
/// has it.
pub(in crate::store) const FIRST_OF_GRANT: &str =
    "ORDER BY wipe IN (1, 2) DESC, last_seen DESC, client_id, subject, device LIMIT 1";

/// A row of the devices.
pub(in crate::store) struct DeviceRow {
    pub(in crate::store) client_id: String,
    pub(in crate::store) subject: String,
    pub(in crate::store) device: String,
    pub(in crate::store) name: Option<String>,
    pub(in crate::store) first_seen: i64,
    pub(in crate::store) last_seen: i64,
    pub(in crate::store) installed_at: i64,
    pub(in crate::store) wipe: WipeColumns,
    pub(in crate::store) policy: Option<String>,
    pub(in crate::store) grant_id: Vec<u8>,
    pub(in crate::store) salt_digest: Vec<u8>,
    pub(in crate::store) keep_until: i64,
}

/// A wipe as columns.
pub(in crate::store) struct WipeColumns {
    pub(in crate::store) state: i16,
    pub(in crate::store) ordered_at: Option<i64>,
    pub(in crate::store) ordered_by: Option<String>,
    /// When the device was told, or has reported.
    pub(in crate::store) wiped_at: Option<i64>,
}

impl WipeColumns {
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn of(wipe: &Wipe) -> Self {
        let order = wipe.order();
        let (state, wiped_at) = match wipe {
            Wipe::None => (NONE, None),
            Wipe::Requested { .. } => (REQUESTED, None),
            Wipe::Notified { at, .. } => (NOTIFIED, Some(*at)),
            Wipe::Done { at, .. } => (DONE, Some(*at)),
        };
        Self {
            state,
            ordered_at: order.map(|order| order.at.as_millis()),
            ordered_by: order.map(|order| order.by.clone()),
            wiped_at: wiped_at.map(UnixTime::as_millis),
        }
    }

    fn into_wipe(self) -> Result<Wipe, StoreError> {
        let order = match (self.ordered_at, self.ordered_by) {
            (Some(at), Some(by)) => Some(WipeOrder { at: UnixTime::from_millis(at), by }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(unreadable("ordered_by")),
        };
        let at = self.wiped_at.map(UnixTime::from_millis);
        match (self.state, order, at) {
            (NONE, None, None) => Ok(Wipe::None),
            (REQUESTED, Some(order), None) => Ok(Wipe::Requested { order }),
            (NOTIFIED, Some(order), Some(at)) => Ok(Wipe::Notified { order, at }),
            (DONE, order, Some(at)) => Ok(Wipe::Done { order, at }),
            _ => Err(unreadable("wipe")),
        }
    }
}

impl DeviceRow {
    /// Reads the device, unless it is of another issuer.
    pub(in crate::store) fn into_device(self, names: &Names) -> Result<Option<Device>, StoreError> {
        let Some(client_id) = names.read(&self.client_id) else { return Ok(None) };
        let subject = names.read(&self.subject).ok_or_else(|| unreadable("subject"))?;
        let grant_id: [u8; 16] = self.grant_id.try_into().map_err(|_| unreadable("grant_id"))?;
        let salt = self.salt_digest.try_into().map_err(|_| unreadable("salt_digest"))?;
        Ok(Some(Device {
            key: DeviceKey {
                client_id: ClientId::new(client_id).map_err(|_| unreadable("client_id"))?,
                subject: Subject::new(subject).map_err(|_| unreadable("subject"))?,
                device_id: DeviceId::new(self.device).map_err(|_| unreadable("device"))?,
            },
            name: self.name,
            first_seen: UnixTime::from_millis(self.first_seen),
            last_seen: UnixTime::from_millis(self.last_seen),
            installed_at: UnixTime::from_millis(self.installed_at),
            wipe: self.wipe.into_wipe()?,
            policy_seen: self.policy,
            grant_id: GrantId::from_bytes(grant_id),
            salt_digest: Digest::from_bytes(salt),
            keep_until: UnixTime::from_millis(self.keep_until),
        }))
    }
}

/// Returns the answer of a step that did not advance a wipe, or `None` if it would. `state` is that of the wipe
/// if it has the order of the step.
#[cfg(feature = "postgres")]
pub(in crate::store) const fn not_advanced(
    step: WipeStep,
    state: Option<i16>,
) -> Option<AdvanceWipe> {
    match (step, state) {
        (_, Some(REQUESTED)) | (WipeStep::Finish | WipeStep::Abandon, Some(NOTIFIED)) => None,
        (WipeStep::Notify, Some(NOTIFIED)) | (WipeStep::Finish, Some(DONE)) => {
            Some(AdvanceWipe::Unchanged)
        }
        _ => Some(AdvanceWipe::Refused),
    }
}

/// Returns the statement that lists a page of devices, from one that `select` begins and that ends before the
/// condition.
pub(in crate::store) fn list_devices<DB: Database>(
    select: &str,
    names: &Names,
    filter: &DeviceFilter,
    page: &Page<DeviceKey>,
) -> QueryBuilder<DB>
where
    DB::Arguments: Default,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let written = |name: &str| names.write(name).into_owned();
    let mut text = QueryBuilder::new(select);
    text.push("client_id > ").push_bind(names.floor().to_owned());
    if let Some(ceiling) = names.ceiling() {
        text.push(" AND client_id < ").push_bind(ceiling.to_owned());
    }
    if let Some(after) = &page.after {
        text.push(" AND (client_id, subject, device) > (");
        text.push_bind(written(after.client_id.as_str())).push(", ");
        text.push_bind(written(after.subject.as_str())).push(", ");
        text.push_bind(after.device_id.as_str().to_owned()).push(")");
    }
    if let Some(client_id) = &filter.client_id {
        text.push(" AND client_id = ").push_bind(written(client_id.as_str()));
    }
    if let Some(subject) = &filter.subject {
        text.push(" AND subject = ").push_bind(written(subject.as_str()));
    }
    if filter.is_pending {
        text.push(" AND wipe IN (1, 2)");
    }
    // One more than the page holds, to detect the last page.
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
    text.push(" ORDER BY client_id, subject, device LIMIT ").push_bind(limit);
    text
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use super::*;
    #[cfg(feature = "postgres")]
    use crate::store::WipeAdvance;

    #[test]
    fn the_statements_leave_as_many_devices_as_the_rule() {
        assert_eq!(usize::try_from(MAX_OTHERS).unwrap() + 1, Device::MAX_OF_USER);
    }

    #[test]
    fn a_wipe_is_read_as_it_was_written() {
        let (at, other) = (UnixTime::from_millis(7), UnixTime::from_millis(9));
        let order = || WipeOrder { at, by: "root".to_owned() };
        for wipe in [
            Wipe::None,
            Wipe::Requested { order: order() },
            Wipe::Notified { order: order(), at: other },
            Wipe::Done { order: Some(order()), at: other },
            Wipe::Done { order: None, at: other },
        ] {
            let columns = WipeColumns::of(&wipe);
            assert_eq!(wipe.is_pending(), matches!(columns.state, 1 | 2));
            assert_eq!(columns.into_wipe().unwrap(), wipe);
        }
        let unknown = WipeColumns { state: 4, ..WipeColumns::of(&Wipe::None) };
        assert!(unknown.into_wipe().is_err());
    }

    /// W5, W6, W13: the statement of PostgreSQL answers as the rule does.
    #[cfg(feature = "postgres")]
    #[test]
    fn a_step_that_does_not_follow_is_answered_by_the_rule() {
        let at = UnixTime::from_millis(7);
        let order = || WipeOrder { at, by: "root".to_owned() };
        for wipe in [
            Wipe::None,
            Wipe::Requested { order: order() },
            Wipe::Notified { order: order(), at },
            Wipe::Done { order: Some(order()), at },
            Wipe::Done { order: None, at },
        ] {
            let steps = [WipeStep::Notify, WipeStep::Finish, WipeStep::Withdraw, WipeStep::Abandon];
            for step in steps {
                let mut device = device(wipe.clone());
                let key = device.key.clone();
                let advance = WipeAdvance { key, step, ordered_at: at, keep_until: at, now: at };
                let answer = device.advance_wipe(&advance);
                let state = wipe.order().map(|_| WipeColumns::of(&wipe).state);
                let told = not_advanced(step, state);
                assert_eq!(told.unwrap_or(AdvanceWipe::Advanced), answer, "{step:?} {wipe:?}");
            }
        }
        assert_eq!(not_advanced(WipeStep::Finish, None), Some(AdvanceWipe::Refused));
    }

    #[cfg(feature = "postgres")]
    fn device(wipe: Wipe) -> Device {
        let at = UnixTime::from_millis(1);
        Device {
            key: DeviceKey {
                client_id: ClientId::new("app").unwrap(),
                subject: Subject::new("ann").unwrap(),
                device_id: DeviceId::new("phone").unwrap(),
            },
            name: None,
            first_seen: at,
            last_seen: at,
            installed_at: at,
            wipe,
            policy_seen: None,
            grant_id: GrantId::from_bytes([1; 16]),
            salt_digest: Digest::from_bytes([1; 32]),
            keep_until: at,
        }
    }
}
