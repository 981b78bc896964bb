//! The outcome of a statement, which it writes into the row of the grant: before PostgreSQL 18,
//! `RETURNING` has no old values.

pub(super) const REDEEMED: i16 = 1;
pub(super) const MISMATCH: i16 = 2;
/// The last mismatch allowed: the code is void.
pub(super) const VOIDED: i16 = 3;
/// The code was presented again, which ended the grant.
pub(super) const REPLAYED: i16 = 4;
/// The code was presented again; the grant had ended before.
pub(super) const REPLAYED_AGAIN: i16 = 5;
pub(super) const ROTATED: i16 = 6;
pub(super) const RETRIED: i16 = 7;
pub(super) const AHEAD: i16 = 8;
pub(super) const REUSED: i16 = 9;
