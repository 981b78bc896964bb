//! The causes for which the device grant refuses (RFC 8628).

use super::ErrorCode as C;
use super::rejection_table::{Entry, entry};
use crate::observe::Step as S;

/// The cause for which the device grant refuses a request, a poll or a user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceGrantRefusal {
    /// The user has not decided yet.
    Pending,
    /// The user has not decided yet, and the device asks too often.
    TooHasty,
    /// The device code has expired.
    Expired,
    /// The user denied the request.
    Denied,
    /// The device code was redeemed, too long ago for the same answer. Nothing was revoked.
    Spent,
    /// No device shows this user code, or it has expired.
    UnknownUserCode,
    /// Too many wrong user codes came from this user, from this source, or from all.
    TooManyUserCodes,
    /// The source, or the public app, asks for too many device codes.
    TooManyRequests,
}

impl DeviceGrantRefusal {
    /// Returns the row of the table of rejections.
    pub(super) const fn entry(self) -> Entry {
        match self {
            Self::Pending => entry(
                C::AuthorizationPending,
                S::Grant,
                "device_pending",
                "the user has not decided yet",
            ),
            Self::TooHasty => entry(
                C::SlowDown,
                S::Grant,
                "device_too_hasty",
                "the user has not decided yet: add 5 seconds to the interval",
            ),
            Self::Expired => {
                entry(C::ExpiredToken, S::Grant, "device_code_expired", "device_code has expired")
            }
            Self::Denied => entry(
                C::AccessDenied,
                S::Grant,
                "device_denied",
                "the user denied the request of the device",
            ),
            Self::Spent => {
                entry(C::InvalidGrant, S::Claim, "device_code_spent", "device_code was used before")
            }
            Self::UnknownUserCode => {
                entry(C::InvalidRequest, S::Grant, "unknown_user_code", "user_code is unknown")
            }
            Self::TooManyUserCodes => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "too_many_user_codes",
                "too many wrong codes, try again later",
            )
            .decided_by("rate_limits"),
            Self::TooManyRequests => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "too_many_device_requests",
                "too many devices ask for a code, try again later",
            )
            .decided_by("rate_limits"),
        }
    }
}
