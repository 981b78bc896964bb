//! The parameters by which an app on a phone names its installation.

use super::KEPT;
use crate::clock::UnixTime;
use crate::error::Rejection;
use crate::ids::DeviceId;
use crate::protocol::form::Form;
use crate::store::{DeviceKey, DeviceSighting, Grant};

/// The device that a token request names, with its name for people. The default names none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedDevice {
    pub(crate) id: Option<DeviceId>,
    pub(crate) name: Option<String>,
}

impl NamedDevice {
    /// The parameter that names the installation.
    pub(crate) const ID: &str = "install_tag_id";
    /// The parameter with its name for people.
    pub(crate) const NAME: &str = "install_name";
    /// The longest id, in bytes.
    const MAX_ID_BYTES: usize = 128;
    /// The longest name, in characters.
    const MAX_NAME_CHARS: usize = 128;

    /// Reads the parameters. An empty id is refused, because an app that sends one means to name a device.
    pub(crate) fn read(form: &Form<'_>) -> Result<Self, Rejection> {
        let id = Self::present_id(form).map(|text| {
            let short = Some(text).filter(|text| text.len() <= Self::MAX_ID_BYTES);
            short.and_then(|text| DeviceId::new(text).ok()).ok_or(Rejection::MalformedDevice)
        });
        let name = form.get(Self::NAME).map(|text| {
            let fits = text.chars().take(Self::MAX_NAME_CHARS + 1).count() <= Self::MAX_NAME_CHARS;
            let is_good = fits && !text.chars().any(char::is_control);
            is_good.then(|| text.to_owned()).ok_or(Rejection::MalformedDeviceName)
        });
        Ok(Self { id: id.transpose()?, name: name.transpose()? })
    }

    /// Returns the id of the form, unchecked, also an empty one.
    pub(crate) fn present_id<'f>(form: &'f Form<'_>) -> Option<&'f str> {
        form.all(Self::ID).next()
    }

    /// Returns the sighting of the device at which `grant` is used. The device that the host named at the
    /// login comes first.
    pub(crate) fn sighting(&self, grant: &Grant, now: UnixTime) -> Option<DeviceSighting> {
        let device_id = grant.device.as_ref().or(self.id.as_ref())?.clone();
        let (client_id, subject) = (grant.client_id.clone(), grant.subject.clone());
        Some(DeviceSighting {
            key: DeviceKey { client_id, subject, device_id },
            name: self.name.clone(),
            grant_id: grant.grant_id,
            salt_digest: grant.salt_digest,
            authorized_at: grant.authorized_at,
            keep_until: grant.expires_at.max(now).plus(KEPT),
            now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NamedDevice, Rejection> {
        NamedDevice::read(&Form::parse(text.as_bytes()).unwrap())
    }

    /// W1: 1 to 128 printable characters each.
    #[test]
    fn an_id_is_printable_ascii_and_a_name_has_no_control_characters() {
        let named = read("install_tag_id=a+b~&install_name=Ann%E2%80%99s+phone").unwrap();
        assert_eq!(named.id.unwrap().as_str(), "a b~");
        assert_eq!(named.name.as_deref(), Some("Ann’s phone"));
        assert_eq!(read("x=y").unwrap(), NamedDevice::default());
        assert_eq!(read("install_name=").unwrap(), NamedDevice::default());
        for (length, expected) in [(128, true), (129, false), (10_240, false)] {
            let long = "a".repeat(length);
            assert_eq!(read(&format!("install_tag_id={long}")).is_ok(), expected, "{length}");
            let wide = "ü".repeat(length);
            // A value of a form has at most 16 KiB.
            if let Ok(form) = Form::parse(format!("install_name={wide}").as_bytes()) {
                assert_eq!(NamedDevice::read(&form).is_ok(), expected, "{length}");
            }
        }
        for bad in ["", "%09", "a%0Ab", "%7F", "%C3%BC"] {
            let read = read(&format!("install_tag_id={bad}"));
            assert_eq!(read, Err(Rejection::MalformedDevice), "{bad}");
        }
        for bad in ["%09", "a%0Ab", "%7F", "%C2%85"] {
            let read = read(&format!("install_tag_id=a&install_name={bad}"));
            assert_eq!(read, Err(Rejection::MalformedDeviceName), "{bad}");
        }
    }
}
