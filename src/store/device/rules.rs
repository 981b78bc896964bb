//! The rules of a device's row. A store that locks the row may call them and write the row back.

use super::{
    AdvanceWipe, Device, DeviceKey, DeviceSighting, RequestWipe, Revoked, SeeDevice, Wipe,
    WipeAdvance, WipeOrder, WipeRequest, WipeStep,
};

impl Device {
    /// The greatest number of devices of one app and user that are not to be wiped.
    pub const MAX_OF_USER: usize = 64;

    /// Creates the row of a device that is seen for the first time.
    #[must_use]
    pub fn first(sighting: &DeviceSighting) -> Self {
        Self {
            key: sighting.key.clone(),
            name: sighting.name.clone(),
            first_seen: sighting.now,
            last_seen: sighting.now,
            installed_at: sighting.authorized_at,
            wipe: Wipe::None,
            policy_seen: None,
            grant_id: sighting.grant_id,
            salt_digest: sighting.salt_digest,
            keep_until: sighting.keep_until,
        }
    }

    /// Applies the promise of [`DeviceStore::see_device`](super::DeviceStore::see_device) to a row that
    /// exists. A device whose wipe is done begins anew.
    pub fn see(&mut self, sighting: &DeviceSighting) -> SeeDevice {
        if self.wipe.is_pending() {
            return SeeDevice::ToBeWiped;
        }
        if self.wipe == Wipe::None {
            self.installed_at = self.installed_at.min(sighting.authorized_at);
        } else {
            self.installed_at = sighting.authorized_at;
            self.policy_seen = None;
        }
        self.wipe = Wipe::None;
        if sighting.name.is_some() {
            self.name.clone_from(&sighting.name);
        }
        self.last_seen = self.last_seen.max(sighting.now);
        self.grant_id = sighting.grant_id;
        self.salt_digest = sighting.salt_digest;
        self.keep_until = self.keep_until.max(sighting.keep_until);
        SeeDevice::Seen
    }

    /// Returns the devices that a sighting of `seen` removes: those of its app and user that were seen longest
    /// ago, beyond [`MAX_OF_USER`](Self::MAX_OF_USER). On a tie the lesser id is removed first. The device
    /// that is seen stays, and so do devices that are to be wiped.
    #[must_use]
    pub fn crowded_out<'a>(
        seen: &DeviceKey,
        devices: impl IntoIterator<Item = &'a Self>,
    ) -> Vec<DeviceKey> {
        let is_rival = |device: &&Self| {
            let key = &device.key;
            let of_user = key.client_id == seen.client_id && key.subject == seen.subject;
            of_user && key.device_id != seen.device_id && !device.wipe.is_pending()
        };
        let mut rivals: Vec<_> = devices.into_iter().filter(is_rival).collect();
        rivals.sort_unstable_by(|one, other| {
            (other.last_seen, &other.key).cmp(&(one.last_seen, &one.key))
        });
        rivals.into_iter().skip(Self::MAX_OF_USER - 1).map(|it| it.key.clone()).collect()
    }

    /// Applies the promise of [`DeviceStore::request_wipe`](super::DeviceStore::request_wipe) to the row, and
    /// returns the answer for the revocation with which the store ends the access of the device.
    pub fn order_wipe(&mut self, request: &WipeRequest) -> fn(Revoked) -> RequestWipe {
        let at = request.now;
        let answer: fn(Revoked) -> RequestWipe = match (&request.by, &self.wipe) {
            (_, Wipe::Done { .. }) => return RequestWipe::Wiped,
            (Some(_), Wipe::Requested { .. } | Wipe::Notified { .. }) => RequestWipe::Pending,
            (Some(by), Wipe::None) => {
                self.wipe = Wipe::Requested { order: WipeOrder { at, by: by.clone() } };
                RequestWipe::Requested
            }
            (None, wipe) => {
                self.wipe = Wipe::Done { order: wipe.order().cloned(), at };
                RequestWipe::Requested
            }
        };
        self.keep_until = self.keep_until.max(request.keep_until);
        answer
    }

    /// Applies the promise of [`DeviceStore::advance_wipe`](super::DeviceStore::advance_wipe) to the row.
    /// It has changed if the answer is [`AdvanceWipe::Advanced`].
    pub fn advance_wipe(&mut self, advance: &WipeAdvance) -> AdvanceWipe {
        if self.wipe.order().is_none_or(|order| order.at != advance.ordered_at) {
            return AdvanceWipe::Refused;
        }
        let at = advance.now;
        let next = match (advance.step, &self.wipe) {
            (WipeStep::Notify, Wipe::Requested { order }) => {
                Wipe::Notified { order: order.clone(), at }
            }
            (WipeStep::Finish, Wipe::Requested { order } | Wipe::Notified { order, .. }) => {
                Wipe::Done { order: Some(order.clone()), at }
            }
            (WipeStep::Withdraw | WipeStep::Abandon, Wipe::Requested { .. })
            | (WipeStep::Abandon, Wipe::Notified { .. }) => Wipe::None,
            (WipeStep::Notify, Wipe::Notified { .. }) | (WipeStep::Finish, Wipe::Done { .. }) => {
                return AdvanceWipe::Unchanged;
            }
            (WipeStep::Notify | WipeStep::Abandon, Wipe::None | Wipe::Done { .. })
            | (WipeStep::Finish, Wipe::None)
            | (WipeStep::Withdraw, Wipe::None | Wipe::Notified { .. } | Wipe::Done { .. }) => {
                return AdvanceWipe::Refused;
            }
        };
        self.wipe = next;
        self.keep_until = self.keep_until.max(advance.keep_until);
        AdvanceWipe::Advanced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::ids::{ClientId, DeviceId, GrantId, Subject};
    use crate::secret::Digest;
    use crate::store::RevocationReason;

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_millis(millis)
    }

    fn key() -> DeviceKey {
        DeviceKey {
            client_id: ClientId::new("app").unwrap(),
            subject: Subject::new("ann").unwrap(),
            device_id: DeviceId::new("phone").unwrap(),
        }
    }

    fn sighting(grant: u8, now: i64) -> DeviceSighting {
        DeviceSighting {
            key: key(),
            name: None,
            grant_id: GrantId::from_bytes([grant; 16]),
            salt_digest: Digest::from_bytes([grant; 32]),
            authorized_at: at(i64::from(grant)),
            keep_until: at(now + 100),
            now: at(now),
        }
    }

    fn request(by: Option<&str>, now: i64) -> WipeRequest {
        WipeRequest {
            key: key(),
            by: by.map(str::to_owned),
            why: RevocationReason::Administrator,
            until: at(now + 50),
            keep_until: at(now + 1_000),
            now: at(now),
        }
    }

    fn seen(now: i64) -> Device {
        Device::first(&sighting(1, now))
    }

    /// Gives the order of `request`, and returns the answer.
    fn give(device: &mut Device, request: &WipeRequest) -> RequestWipe {
        device.order_wipe(request)(Revoked { at: at(0) })
    }

    fn ordered(now: i64) -> Device {
        let mut device = seen(now);
        let answer = give(&mut device, &request(Some("root"), now));
        assert!(matches!(answer, RequestWipe::Requested(_)));
        device
    }

    /// A step of an order that was given at 0.
    fn step(step: WipeStep, now: i64) -> WipeAdvance {
        WipeAdvance { key: key(), step, ordered_at: at(0), keep_until: at(9_000), now: at(now) }
    }

    /// W5, W6, W13: a wipe goes forward only. It can be withdrawn until the device has asked, and abandoned
    /// until it has reported.
    #[test]
    fn a_wipe_advances_and_never_goes_back() {
        let is = |device: &mut Device, taken, answer| {
            assert_eq!(device.advance_wipe(&step(taken, 5)), answer, "{taken:?} {device:?}");
        };
        let mut device = seen(0);
        for step in [WipeStep::Notify, WipeStep::Finish, WipeStep::Withdraw, WipeStep::Abandon] {
            is(&mut device, step, AdvanceWipe::Refused);
        }
        assert_eq!(device, seen(0));

        for end in [WipeStep::Withdraw, WipeStep::Abandon] {
            let mut ended = ordered(0);
            is(&mut ended, end, AdvanceWipe::Advanced);
            assert_eq!(ended.wipe, Wipe::None);
        }

        let mut device = ordered(0);
        is(&mut device, WipeStep::Notify, AdvanceWipe::Advanced);
        is(&mut device, WipeStep::Notify, AdvanceWipe::Unchanged);
        is(&mut device, WipeStep::Withdraw, AdvanceWipe::Refused);
        let mut abandoned = device.clone();
        is(&mut abandoned, WipeStep::Abandon, AdvanceWipe::Advanced);
        assert_eq!(abandoned.wipe, Wipe::None);
        assert_eq!(abandoned.see(&sighting(2, 6)), SeeDevice::Seen);
        is(&mut device, WipeStep::Finish, AdvanceWipe::Advanced);
        is(&mut device, WipeStep::Finish, AdvanceWipe::Unchanged);
        for step in [WipeStep::Notify, WipeStep::Withdraw, WipeStep::Abandon] {
            is(&mut device, step, AdvanceWipe::Refused);
        }
        assert_eq!(device.wipe.order().unwrap().by, "root");
        assert_eq!(device.keep_until, at(9_000));

        // A device may report before the answer of its question was stored.
        is(&mut ordered(0), WipeStep::Finish, AdvanceWipe::Advanced);
    }

    /// W6: a report of an order that was withdrawn does not end the next one.
    #[test]
    fn a_step_of_another_order_is_refused() {
        let before = ordered(7);
        for taken in [WipeStep::Notify, WipeStep::Finish, WipeStep::Withdraw, WipeStep::Abandon] {
            let mut device = before.clone();
            assert_eq!(device.advance_wipe(&step(taken, 9)), AdvanceWipe::Refused);
            assert_eq!(device, before);
        }
    }

    /// W3, W18: a second order keeps the row for longer, and changes nothing else.
    #[test]
    fn a_second_order_leaves_the_first_as_it_was() {
        let mut device = ordered(10);
        let answer = give(&mut device, &request(Some("another"), 20));
        assert!(matches!(answer, RequestWipe::Pending(_)));
        let order = WipeOrder { at: at(10), by: "root".to_owned() };
        assert_eq!(device.wipe, Wipe::Requested { order });
        assert_eq!(device.keep_until, at(1_020));
        give(&mut device, &request(Some("another"), 5));
        assert_eq!(device.keep_until, at(1_020));
    }

    /// W3: an order does not lock the id of a device that has nothing left to wipe, nor a report that comes twice.
    #[test]
    fn a_wiped_device_is_not_ordered_to_wipe_again() {
        let mut device = ordered(0);
        device.advance_wipe(&step(WipeStep::Finish, 1));
        let before = device.clone();
        for by in [Some("root"), None] {
            let answer = give(&mut device, &request(by, 2));
            assert!(matches!(answer, RequestWipe::Wiped(_)), "{answer:?}");
            assert_eq!(device, before);
        }
        assert_eq!(device.see(&sighting(2, 3)), SeeDevice::Seen);
    }

    /// W12: a device that is to be wiped gets no access; once it is wiped it is a new installation.
    #[test]
    fn a_device_is_seen_again_only_after_its_wipe() {
        let mut device = ordered(0);
        device.policy_seen = Some("v".to_owned());
        let before = device.clone();
        assert_eq!(device.see(&sighting(2, 50)), SeeDevice::ToBeWiped);
        assert_eq!(device, before);
        device.advance_wipe(&step(WipeStep::Finish, 60));
        assert_eq!(device.see(&sighting(2, 70)), SeeDevice::Seen);
        assert_eq!((device.wipe, device.policy_seen), (Wipe::None, None));
        assert_eq!(device.grant_id, GrantId::from_bytes([2; 16]));
        assert_eq!((device.first_seen, device.last_seen), (at(0), at(70)));
        assert_eq!(device.installed_at, at(2));
    }

    /// W5: an installation is as old as its earliest grant, and no older than the wipe before it.
    #[test]
    fn an_installation_begins_with_its_earliest_grant_after_a_wipe() {
        let mut device = Device::first(&sighting(5, 10));
        for (grant, expected) in [(7, 5), (3, 3), (4, 3)] {
            device.see(&sighting(grant, 20));
            assert_eq!(device.installed_at, at(expected));
        }
        give(&mut device, &request(None, 30));
        device.see(&sighting(9, 40));
        assert_eq!(device.installed_at, at(9));
    }

    #[test]
    fn a_user_has_64_devices_at_an_app_at_most() {
        let device = |number: i64| {
            let device_id = DeviceId::new(format!("{number:03}")).unwrap();
            let (key, last_seen) = (DeviceKey { device_id, ..key() }, at(number / 2));
            Device { key, last_seen, ..seen(0) }
        };
        let mut devices: Vec<_> = (0..64).map(device).collect();
        let of_bob = DeviceKey { subject: Subject::new("bob").unwrap(), ..key() };
        devices.push(Device { key: of_bob, ..seen(0) });
        devices.push(ordered(0));
        let removed = |seen: i64, devices: &[Device]| -> Vec<String> {
            let keys = Device::crowded_out(&device(seen).key, devices);
            keys.iter().map(|key| key.device_id.to_string()).collect()
        };
        assert!(removed(63, &devices).is_empty());
        assert_eq!(removed(64, &devices), ["000"]);
        devices.push(device(64));
        assert_eq!(removed(65, &devices), ["001", "000"]);
        assert_eq!(removed(0, &devices), ["001"]);
    }

    #[test]
    fn a_sighting_keeps_what_it_does_not_tell() {
        let mut device = seen(100);
        let named = DeviceSighting { name: Some("Ann's phone".into()), ..sighting(1, 110) };
        device.see(&named);
        // A clock that was set back.
        device.see(&sighting(3, 90));
        assert_eq!(device.name.as_deref(), Some("Ann's phone"));
        assert_eq!((device.last_seen, device.keep_until), (at(110), at(210)));
    }

    /// W17: the wipe of a device that has wiped itself is done, with or without an order.
    #[test]
    fn a_device_may_report_a_wipe_of_its_own() {
        let mut device = seen(0);
        assert!(matches!(give(&mut device, &request(None, 5)), RequestWipe::Requested(_)));
        assert_eq!(device.wipe, Wipe::Done { order: None, at: at(5) });
        let mut device = ordered(0);
        assert!(matches!(give(&mut device, &request(None, 5)), RequestWipe::Requested(_)));
        assert_eq!(device.wipe.order().unwrap().by, "root");
        assert!(!device.wipe.is_pending());
    }
}
