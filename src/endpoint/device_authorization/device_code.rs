//! The device code: a sealed handle with the names of the grant that the user may make.

use crate::clock::UnixTime;
use crate::ids::{ClientId, GrantId};
use crate::server_secret::handle::{HandleKind, Handles, NotOurs, Salt};

/// The payload of a device code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenedDeviceCode {
    pub(crate) grant_id: GrantId,
    pub(crate) salt: Salt,
    pub(crate) expires_at: UnixTime,
}

impl OpenedDeviceCode {
    /// Seals the code for the app `client_id`.
    pub(super) fn seal(&self, handles: &Handles, client_id: &ClientId) -> String {
        let expires_at = self.expires_at.as_millis().to_be_bytes();
        let payload = [&self.grant_id.as_bytes()[..], &self.salt.0, &expires_at];
        handles.seal(HandleKind::DeviceCode, &[client_id.as_str().as_bytes()], &payload)
    }

    /// Opens a code that the app `client_id` presents. It may have expired.
    pub(crate) fn open(
        handles: &Handles,
        client_id: &ClientId,
        text: &str,
    ) -> Result<Self, NotOurs> {
        let bound_to = [client_id.as_str().as_bytes()];
        handles.open(HandleKind::DeviceCode, &bound_to, text, |payload| {
            let (grant_id, rest) = payload.split_first_chunk()?;
            let (salt, rest) = rest.split_first_chunk()?;
            let expires_at = i64::from_be_bytes(rest.try_into().ok()?);
            Some(Self {
                grant_id: GrantId::from_bytes(*grant_id),
                salt: Salt(*salt),
                expires_at: UnixTime::from_millis(expires_at),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Issuer;
    use crate::server_secret::ServerSecret;

    /// D9: a device code opens for its app, and as nothing else.
    #[test]
    fn a_device_code_opens_for_its_app_only() {
        let secret = ServerSecret::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let handles = Handles::new(&secret, &Issuer::new("https://as.example.com").unwrap());
        let id = |text: &str| ClientId::new(text).unwrap();
        let code = OpenedDeviceCode {
            grant_id: GrantId::from_bytes([1; 16]),
            salt: Salt([2; 16]),
            expires_at: UnixTime::from_millis(7),
        };
        let text = code.seal(&handles, &id("tv"));
        assert!(text.starts_with("gdc_"));
        assert_eq!(OpenedDeviceCode::open(&handles, &id("tv"), &text), Ok(code));
        assert_eq!(OpenedDeviceCode::open(&handles, &id("other"), &text), Err(NotOurs));
        let renamed = text.replacen("gdc_", "gac_", 1);
        assert_eq!(OpenedDeviceCode::open(&handles, &id("tv"), &renamed), Err(NotOurs));
        assert_eq!(
            OpenedDeviceCode::open(&handles, &id("tv"), &text[..text.len() - 1]),
            Err(NotOurs)
        );
    }
}
