//! The instants of a grant in 19 bytes, with high bits that grants share.

use crate::clock::UnixTime;
use crate::store::Grant;

/// The instants of a grant, and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instants {
    pub(super) authorized_at: UnixTime,
    pub(super) code_expires_at: UnixTime,
    pub(super) expires_at: UnixTime,
    pub(super) auth_time: Option<UnixTime>,
    pub(super) generation: u32,
    pub(super) rotated_at: UnixTime,
}

/// The low bits, with the generation.
#[derive(Clone, Copy)]
pub(super) struct Low {
    // In bytes, so that no padding comes after it.
    generation: [u8; 4],
    authorized_at: [u8; 6],
    rotated_at: [u8; 5],
    expires_at: [u8; 3],
    code_expires_at: [u8; 3],
    auth_time: [u8; 2],
}

/// The bits above the low ones. Both together hold every instant exactly.
///
/// Grants with the same lifetimes mostly have the same: the low bits count the date until the year 10889,
/// rotations for 17 years from the date on, expiries for 4.6 hours, and the age of the login for 18 hours.
/// After that, the high bits differ.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct High {
    authorized_at: i64,
    rotated_at: i64,
    expires_at: i64,
    code_expires_at: i64,
    /// With the milliseconds of a login that was not at a whole second.
    auth_time: Option<(i64, i64)>,
}

/// Keeps the high bits the same if the host's clock was behind the store's.
const ROTATION_BIAS: i64 = 1 << 39;

impl Instants {
    pub(super) const fn of(grant: &Grant) -> Self {
        Self {
            authorized_at: grant.authorized_at,
            code_expires_at: grant.code_expires_at,
            expires_at: grant.expires_at,
            auth_time: grant.auth_time,
            generation: grant.generation,
            rotated_at: grant.rotated_at,
        }
    }

    pub(super) fn split(self) -> (Low, High) {
        let date = self.authorized_at.as_millis();
        let from = |base: i64, instant: UnixTime| instant.as_millis().wrapping_sub(base);
        let rotation = from(rotation_base(self.generation, date), self.rotated_at);
        let (authorized_at, date_high) = split(date);
        let (rotated_at, rotation_high) = split(rotation.wrapping_add(ROTATION_BIAS));
        let (expires_at, expiry_high) = split(from(date, self.expires_at));
        let (code_expires_at, code_high) = split(from(date, self.code_expires_at));
        let (auth_time, auth_high) = self.auth_time.map_or(([0; 2], None), |at| {
            let age = login_base(date).wrapping_sub(at.as_millis());
            let (low, high) = split(age.div_euclid(1_000));
            (low, Some((high, age.rem_euclid(1_000))))
        });
        let generation = self.generation.to_ne_bytes();
        let high = High {
            authorized_at: date_high,
            rotated_at: rotation_high,
            expires_at: expiry_high,
            code_expires_at: code_high,
            auth_time: auth_high,
        };
        (
            Low { generation, authorized_at, rotated_at, expires_at, code_expires_at, auth_time },
            high,
        )
    }

    pub(super) fn join(low: &Low, high: &High) -> Self {
        let generation = u32::from_ne_bytes(low.generation);
        let date = join(low.authorized_at, high.authorized_at);
        let at = |base: i64, offset: i64| UnixTime::from_millis(base.wrapping_add(offset));
        let rotation = join(low.rotated_at, high.rotated_at).wrapping_sub(ROTATION_BIAS);
        Self {
            authorized_at: UnixTime::from_millis(date),
            code_expires_at: at(date, join(low.code_expires_at, high.code_expires_at)),
            expires_at: at(date, join(low.expires_at, high.expires_at)),
            auth_time: high.auth_time.map(|(high, millis)| {
                let age = join(low.auth_time, high).wrapping_mul(1_000).wrapping_add(millis);
                UnixTime::from_millis(login_base(date).wrapping_sub(age))
            }),
            generation,
            rotated_at: at(rotation_base(generation, date), rotation),
        }
    }
}

/// Returns the base of `rotated_at`, which is the epoch until the code is redeemed.
const fn rotation_base(generation: u32, date: i64) -> i64 {
    if generation == 0 { 0 } else { date }
}

/// Returns the base of `auth_time`, a whole second.
const fn login_base(date: i64) -> i64 {
    date.div_euclid(1_000).wrapping_mul(1_000)
}

/// Splits off the lowest bytes.
fn split<const BYTES: usize>(value: i64) -> ([u8; BYTES], i64) {
    let low = value.to_le_bytes().first_chunk().copied().unwrap_or([0; BYTES]);
    (low, value >> (8 * BYTES))
}

fn join<const BYTES: usize>(low: [u8; BYTES], high: i64) -> i64 {
    let mut bytes = (high << (8 * BYTES)).to_le_bytes();
    if let Some(room) = bytes.first_chunk_mut() {
        *room = low;
    }
    i64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_123;
    const SECOND: i64 = 1_000;
    const DAY: i64 = 86_400 * SECOND;

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_millis(millis)
    }

    fn rotated(since: i64) -> Instants {
        Instants {
            authorized_at: at(NOW),
            code_expires_at: at(NOW + 60 * SECOND + 7),
            expires_at: at(NOW + 60 * DAY + 7),
            auth_time: Some(at(NOW - 123 - 9 * SECOND)),
            generation: 1,
            rotated_at: at(NOW + since),
        }
    }

    #[test]
    fn every_instant_comes_back_as_it_was() {
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, NOW, i64::MAX - 1, i64::MAX];
        for (date, other) in ends.iter().flat_map(|date| ends.map(|other| (*date, other))) {
            for generation in [0, 1] {
                let instants = Instants {
                    authorized_at: at(date),
                    code_expires_at: at(other),
                    expires_at: at(other),
                    auth_time: Some(at(other)),
                    generation,
                    rotated_at: at(other),
                };
                for instants in [instants, Instants { auth_time: None, ..instants }] {
                    let (low, high) = instants.split();
                    assert_eq!(Instants::join(&low, &high), instants);
                }
            }
        }
    }

    #[test]
    fn grants_of_one_app_have_the_same_high_bits_for_their_whole_lives() {
        let (_, high) = rotated(0).split();
        let pending = Instants { generation: 0, rotated_at: UnixTime::EPOCH, ..rotated(0) };
        assert!(pending.split().1 == high);
        for since in [-SECOND, 1, DAY, 5_000 * DAY] {
            assert!(rotated(since).split().1 == high, "{since}");
        }
        let later = Instants {
            authorized_at: at(NOW + 90 * DAY),
            code_expires_at: at(NOW + 90 * DAY + 60 * SECOND),
            expires_at: at(NOW + 150 * DAY),
            auth_time: Some(at(NOW - 123 + 90 * DAY - 60_000 * SECOND)),
            generation: 1,
            rotated_at: at(NOW + 100 * DAY),
        };
        assert!(later.split().1 == high);
    }
}
