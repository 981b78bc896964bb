//! The rules of a device's row. A store that locks the row may call them and write the row back.

use super::{
    AdvanceWipe, Device, DeviceSighting, SeeDevice, Wipe, WipeOrder, WipeRequest, WipeStep,
};
use crate::clock::UnixTime;

impl Device {
    /// Creates the row of a device that is seen for the first time.
    #[must_use]
    pub fn first(sighting: &DeviceSighting) -> Self {
        Self {
            key: sighting.key.clone(),
            name: sighting.name.clone(),
            first_seen: sighting.now,
            last_seen: sighting.now,
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
        if self.wipe != Wipe::None {
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

    /// Applies the promise of [`DeviceStore::request_wipe`](super::DeviceStore::request_wipe) to the row.
    /// Returns whether the row has changed. The store ends the access of the device in any case.
    pub fn order_wipe(&mut self, request: &WipeRequest) -> bool {
        let at = request.now;
        match &request.by {
            Some(_) if self.wipe.is_pending() => return false,
            Some(by) => self.wipe = Wipe::Requested { order: WipeOrder { at, by: by.clone() } },
            None => self.wipe = Wipe::Done { order: self.wipe.order().cloned(), at },
        }
        self.keep_until = self.keep_until.max(request.keep_until);
        true
    }

    /// Applies the promise of [`DeviceStore::advance_wipe`](super::DeviceStore::advance_wipe) to the row.
    /// It has changed if the answer is [`AdvanceWipe::Advanced`].
    pub fn advance_wipe(
        &mut self,
        step: WipeStep,
        keep_until: UnixTime,
        now: UnixTime,
    ) -> AdvanceWipe {
        let next = match (step, &self.wipe) {
            (WipeStep::Notify, Wipe::Requested { order }) => {
                Wipe::Notified { order: order.clone(), at: now }
            }
            (WipeStep::Finish, Wipe::Requested { order } | Wipe::Notified { order, .. }) => {
                Wipe::Done { order: Some(order.clone()), at: now }
            }
            (WipeStep::Withdraw, Wipe::Requested { .. }) => Wipe::None,
            (WipeStep::Notify, Wipe::Notified { .. }) | (WipeStep::Finish, Wipe::Done { .. }) => {
                return AdvanceWipe::Unchanged;
            }
            (WipeStep::Notify, Wipe::None | Wipe::Done { .. })
            | (WipeStep::Finish, Wipe::None)
            | (WipeStep::Withdraw, Wipe::None | Wipe::Notified { .. } | Wipe::Done { .. }) => {
                return AdvanceWipe::Refused;
            }
        };
        self.wipe = next;
        self.keep_until = self.keep_until.max(keep_until);
        AdvanceWipe::Advanced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClientId, DeviceId, GrantId, Subject};
    use crate::secret::Digest;
    use crate::store::{DeviceKey, RevocationReason};

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

    fn ordered(now: i64) -> Device {
        let mut device = seen(now);
        assert!(device.order_wipe(&request(Some("root"), now)));
        device
    }

    /// W5, W6, W13: a wipe goes forward only, and can be withdrawn until the device has asked.
    #[test]
    fn a_wipe_advances_and_never_goes_back() {
        let is = |device: &mut Device, step, answer| {
            assert_eq!(device.advance_wipe(step, at(9_000), at(5)), answer, "{step:?} {device:?}");
        };
        let mut device = seen(0);
        for step in [WipeStep::Notify, WipeStep::Finish, WipeStep::Withdraw] {
            is(&mut device, step, AdvanceWipe::Refused);
        }
        assert_eq!(device, seen(0));

        let mut withdrawn = ordered(0);
        is(&mut withdrawn, WipeStep::Withdraw, AdvanceWipe::Advanced);
        assert_eq!(withdrawn.wipe, Wipe::None);

        let mut device = ordered(0);
        is(&mut device, WipeStep::Notify, AdvanceWipe::Advanced);
        is(&mut device, WipeStep::Notify, AdvanceWipe::Unchanged);
        is(&mut device, WipeStep::Withdraw, AdvanceWipe::Refused);
        is(&mut device, WipeStep::Finish, AdvanceWipe::Advanced);
        is(&mut device, WipeStep::Finish, AdvanceWipe::Unchanged);
        for step in [WipeStep::Notify, WipeStep::Withdraw] {
            is(&mut device, step, AdvanceWipe::Refused);
        }
        assert_eq!(device.wipe.order().unwrap().by, "root");
        assert_eq!(device.keep_until, at(9_000));

        // A device may report before the answer of its question was stored.
        is(&mut ordered(0), WipeStep::Finish, AdvanceWipe::Advanced);
    }

    #[test]
    fn a_second_order_leaves_the_first_as_it_was() {
        let mut device = ordered(10);
        assert!(!device.order_wipe(&request(Some("another"), 20)));
        let order = WipeOrder { at: at(10), by: "root".to_owned() };
        assert_eq!(device.wipe, Wipe::Requested { order });
    }

    /// W12: a device that is to be wiped gets no access; once it is wiped it is a new installation.
    #[test]
    fn a_device_is_seen_again_only_after_its_wipe() {
        let mut device = ordered(0);
        device.policy_seen = Some("v".to_owned());
        let before = device.clone();
        assert_eq!(device.see(&sighting(2, 50)), SeeDevice::ToBeWiped);
        assert_eq!(device, before);
        device.advance_wipe(WipeStep::Finish, at(60), at(60));
        assert_eq!(device.see(&sighting(2, 70)), SeeDevice::Seen);
        assert_eq!((device.wipe, device.policy_seen), (Wipe::None, None));
        assert_eq!(device.grant_id, GrantId::from_bytes([2; 16]));
        assert_eq!((device.first_seen, device.last_seen), (at(0), at(70)));
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
        assert!(device.order_wipe(&request(None, 5)));
        assert_eq!(device.wipe, Wipe::Done { order: None, at: at(5) });
        let mut device = ordered(0);
        assert!(device.order_wipe(&request(None, 5)));
        assert_eq!(device.wipe.order().unwrap().by, "root");
        assert!(!device.wipe.is_pending());
    }
}
