//! What a statement did to the row of a grant, as it writes it into the row: before version 18
//! `RETURNING` has no values from before the change.

pub(super) const REDEEMED: i16 = 1;
pub(super) const MISMATCH: i16 = 2;
/// A mismatch too many.
pub(super) const VOIDED: i16 = 3;
/// The code was presented again, and the grant has ended by it.
pub(super) const REPLAYED: i16 = 4;
/// The code was presented again; the grant had ended before.
pub(super) const REPLAYED_AGAIN: i16 = 5;
pub(super) const ROTATED: i16 = 6;
pub(super) const RETRIED: i16 = 7;
pub(super) const AHEAD: i16 = 8;
pub(super) const REUSED: i16 = 9;
