//! The paths of the console: outside, as the browser sees them, and inside, as requests arrive.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::{ClientId, DeviceId, EvidenceIssuer, Subject};
use crate::protocol::paths::InvalidPath;
use crate::store::DeviceKey;

/// The place of the console.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    outer: String,
    /// The length of the part of `outer` that is stripped before.
    stripped: usize,
}

impl Mount {
    /// Creates the place `path`. `/` and the empty path are the root.
    pub(super) fn new(path: &str) -> Result<Self, InvalidPath> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let segment = |it: &str| !matches!(it, "" | "." | "..");
        let is_valid = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
        if path.is_empty() || (is_valid && path.bytes().all(allowed)) {
            return Ok(Self { outer: path.to_owned(), stripped: 0 });
        }
        Err(InvalidPath)
    }

    pub(super) fn stripped(&self, prefix: &str) -> Result<Self, InvalidPath> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let rest = self.outer.strip_prefix(prefix).ok_or(InvalidPath)?;
        if rest.is_empty() || rest.starts_with('/') {
            return Ok(Self { outer: self.outer.clone(), stripped: prefix.len() });
        }
        Err(InvalidPath)
    }

    /// Returns the path as the browser sees it, without a slash at the end.
    pub(super) fn outer(&self) -> &str {
        &self.outer
    }

    /// Returns the path of requests that arrive, without a slash at the end.
    pub(super) fn inner(&self) -> &str {
        self.outer.get(self.stripped..).unwrap_or_default()
    }

    /// Returns the part of an arriving path below the console.
    pub(super) fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.inner())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// Returns the segment of a path that stands for an app. Ids that a proxy could rewrite are encoded.
pub(super) fn segment(client_id: &ClientId) -> String {
    segment_of(client_id.as_str())
}

/// Returns the segment of a path that stands for an id, as [`segment`] does for an app.
pub(super) fn segment_of(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if id.bytes().all(plain) && !id.bytes().all(|byte| byte == b'.') {
        return id.to_owned();
    }
    format!("~{}", URL_SAFE_NO_PAD.encode(id))
}

/// Reads what [`segment`] returns.
pub(super) fn client_id(segment: &str) -> Option<ClientId> {
    ClientId::new(id(segment)?).ok()
}

/// Returns the segments of a path that stand for a device.
pub(super) fn device_segments(key: &DeviceKey) -> String {
    let DeviceKey { client_id, subject, device_id } = key;
    format!(
        "{}/{}/{}",
        segment(client_id),
        segment_of(subject.as_str()),
        segment_of(device_id.as_str())
    )
}

/// Reads what [`device_segments`] returns.
pub(super) fn device(segments: &[&str]) -> Option<DeviceKey> {
    let [app, user, device] = segments else { return None };
    let device_id = device_id(device)?;
    Some(DeviceKey { client_id: client_id(app)?, subject: subject(user)?, device_id })
}

/// Reads the installation that a segment stands for.
pub(super) fn device_id(segment: &str) -> Option<DeviceId> {
    DeviceId::new(id(segment)?).ok()
}

/// Reads the user that a segment stands for.
pub(super) fn subject(segment: &str) -> Option<Subject> {
    Subject::new(id(segment)?).ok()
}

/// Reads the issuer that a segment stands for.
pub(super) fn issuer(segment: &str) -> Option<EvidenceIssuer> {
    EvidenceIssuer::new(id(segment)?).ok()
}

fn id(segment: &str) -> Option<String> {
    let Some(encoded) = segment.strip_prefix('~') else { return Some(segment.to_owned()) };
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H1: links begin with the outer path, requests arrive at the inner one.
    #[test]
    fn a_proxy_may_strip_a_prefix() {
        let mount = Mount::new("/admin/oauth/").unwrap();
        assert_eq!((mount.outer(), mount.inner()), ("/admin/oauth", "/admin/oauth"));
        assert_eq!(mount.below("/admin/oauth/apps"), Some("/apps"));
        assert_eq!(mount.below("/admin/oauth"), Some(""));
        for elsewhere in ["/admin/oauthx", "/admin", "/", "/oauth/apps"] {
            assert_eq!(mount.below(elsewhere), None, "{elsewhere}");
        }
        let behind = mount.stripped("/admin").unwrap();
        assert_eq!((behind.outer(), behind.inner()), ("/admin/oauth", "/oauth"));
        assert_eq!(behind.below("/oauth/apps"), Some("/apps"));
        let whole = mount.stripped("/admin/oauth").unwrap();
        assert_eq!((whole.inner(), whole.below("/apps")), ("", Some("/apps")));
        for wrong in ["/adm", "/other", "/admin/oauth/x"] {
            assert!(mount.stripped(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Mount::new("/").unwrap().outer(), "");
        for wrong in ["admin", "//admin", "/a//b", "/a/../b", "/a b", "/a?b", "/{a}", "/\u{e4}"] {
            assert!(Mount::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_client_id_has_a_segment() {
        for id in
            ["app", "a.b-c_d", ".", "..", "a/b", "a b", "~x", "%2e%2e", "https://c.example/?x"]
        {
            let id = ClientId::new(id).unwrap();
            let segment = segment(&id);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            assert!(segment.bytes().all(plain) && segment != "." && segment != "..", "{segment}");
            assert_eq!(client_id(&segment), Some(id));
        }
        for name in ["ann", "..", "a/b", "ann@example.com", "\u{e4}"] {
            assert_eq!(subject(&segment_of(name)), Some(Subject::new(name).unwrap()));
        }
        for device in ["phone", ".", "a/b c~"] {
            let [client_id, subject] = ["app", "ann@example.com"];
            let key = DeviceKey {
                client_id: ClientId::new(client_id).unwrap(),
                subject: Subject::new(subject).unwrap(),
                device_id: DeviceId::new(device).unwrap(),
            };
            let segments = device_segments(&key);
            assert_eq!(super::device(&segments.split('/').collect::<Vec<_>>()), Some(key));
        }
        for malformed in ["", "~", "~!", "~\u{e4}", "\u{e4}"] {
            assert_eq!(client_id(malformed), None, "{malformed}");
        }
    }
}
