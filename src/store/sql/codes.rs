//! The numbers that stand for the variants of enums. A number once given never changes.

use super::unreadable;
use crate::store::{AssertionPurpose, RevocationReason, StoreError};

/// Returns the number of a reason, from 1.
pub(in crate::store) const fn reason_code(why: RevocationReason) -> i16 {
    match why {
        RevocationReason::Denied => 1,
        RevocationReason::CodeReplayed => 2,
        RevocationReason::CodeGuessed => 3,
        RevocationReason::RefreshTokenReused => 4,
        RevocationReason::Client => 5,
        RevocationReason::ConsentWithdrawn => 6,
        RevocationReason::Administrator => 7,
        RevocationReason::AppDisabled => 8,
        RevocationReason::AppDeleted => 9,
    }
}

/// Reads what [`reason_code`] wrote.
pub(in crate::store) fn reason_of(code: i64) -> Result<RevocationReason, StoreError> {
    Ok(match code {
        1 => RevocationReason::Denied,
        2 => RevocationReason::CodeReplayed,
        3 => RevocationReason::CodeGuessed,
        4 => RevocationReason::RefreshTokenReused,
        5 => RevocationReason::Client,
        6 => RevocationReason::ConsentWithdrawn,
        7 => RevocationReason::Administrator,
        8 => RevocationReason::AppDisabled,
        9 => RevocationReason::AppDeleted,
        _ => return Err(unreadable("why")),
    })
}

/// Returns the number of the purpose of an assertion, from 1.
pub(in crate::store) const fn purpose_code(purpose: AssertionPurpose) -> i16 {
    match purpose {
        AssertionPurpose::Grant => 1,
        AssertionPurpose::ClientAuthentication => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_was_written() {
        for code in 1..=9 {
            assert_eq!(i64::from(reason_code(reason_of(code).unwrap())), code);
        }
        for bad in [0, 10, -1] {
            assert!(reason_of(bad).is_err(), "{bad}");
        }
    }
}
