//! The facts of a request that never change while it is answered.

use crate::clock::{Clock, UnixTime};
use crate::endpoint::caller::Caller;
use crate::endpoint::devices::NamedDevice;
use crate::endpoint::form_request::FormRequest;
use crate::ids::GrantId;
use crate::random::JTI_BYTES;

/// The instant and the caller of a request, and the id of its token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts<'a> {
    /// The present instant, taken once a request.
    pub(crate) now: UnixTime,
    /// The address of the client and the id of the request, if the host tells.
    pub(crate) caller: Caller<'a>,
    /// The date of the access that a token request gets: an instant before its first check.
    pub(crate) date: UnixTime,
    /// The device that the request names. `None` if the app has no mobile security, or the server no
    /// devices.
    pub(crate) device: Option<&'a NamedDevice>,
    token_id: [u8; JTI_BYTES],
}

impl<'a> RequestFacts<'a> {
    pub(crate) fn new(clock: &dyn Clock, request: &FormRequest<'a>) -> Self {
        Self {
            now: request.now(clock),
            caller: request.caller(),
            date: UnixTime::EPOCH,
            device: None,
            token_id: [0; JTI_BYTES],
        }
    }

    /// The same facts of a token request, with the `jti` of its token.
    pub(crate) const fn with_token_id(self, token_id: [u8; JTI_BYTES]) -> Self {
        Self { token_id, ..self }
    }

    /// The same facts of a token request whose first check begins now.
    pub(crate) const fn dated(self, date: UnixTime) -> Self {
        Self { date, ..self }
    }

    /// The same facts of a token request from an app on a device.
    pub(crate) const fn on_device<'b>(self, device: Option<&'b NamedDevice>) -> RequestFacts<'b>
    where
        'a: 'b,
    {
        RequestFacts { device, ..self }
    }

    /// The `jti` of the token.
    pub(crate) const fn token_id(&self) -> [u8; JTI_BYTES] {
        self.token_id
    }

    /// The random id that names a token request to the store, non-negative as a signed 64-bit column.
    pub(crate) fn claim_id(&self) -> u64 {
        self.token_id.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes) >> 1)
    }

    /// A grant id for a token without a row, the only one of its grant.
    pub(crate) const fn rowless_grant_id(&self) -> GrantId {
        GrantId::from_bytes(self.token_id)
    }
}
