//! Sealed handles: authorization codes, device codes, refresh tokens, consent tickets and login markers.
//!
//! A handle is a prefix for secret scanners, then base64url of `version | key id | payload | MAC`. The
//! MAC is HMAC-SHA-256 over length-prefixed fields that include the kind, the issuer and the binding,
//! such as the client id. So garbage and the handles of other apps are refused by one HMAC, before any
//! I/O. Storage never sees a handle. It has a digest of the salt, and the generation.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::ids::{GrantId, Issuer};
use crate::protocol::base64url;
use crate::random::{RandomError, SecureRandom};
use crate::secret::{Digest, length_prefix};
use crate::server_secret::{Keys, ServerSecret};

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
const HEAD_BYTES: usize = 5;

/// The kind of a handle. One kind never opens as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandleKind {
    /// An authorization code.
    Code,
    /// A refresh token.
    RefreshToken,
    /// A consent ticket: the authorization request on its way through the browser, between prompt and
    /// decision.
    Ticket,
    /// The instant at which a login was demanded, on its way through the browser and back.
    LoginMarker,
    /// A device code.
    DeviceCode,
    /// A consent ticket of the device grant.
    DeviceTicket,
}

impl HandleKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Code => "gac_",
            Self::RefreshToken => "grt_",
            Self::Ticket => "gti_",
            Self::LoginMarker => "glm_",
            Self::DeviceCode => "gdc_",
            Self::DeviceTicket => "gdt_",
        }
    }

    /// Checks whether `text` has the prefix of this kind.
    pub(crate) fn begins(self, text: &str) -> bool {
        text.starts_with(self.prefix())
    }
}

/// The text is not a handle that this server sealed, of this kind and with this binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOurs;

/// The keys of all kinds of handles of one issuer.
pub(crate) struct Handles {
    code: Keys<hmac::Key>,
    refresh_token: Keys<hmac::Key>,
    ticket: Keys<hmac::Key>,
    login_marker: Keys<hmac::Key>,
    device_code: Keys<hmac::Key>,
    device_ticket: Keys<hmac::Key>,
}

impl Handles {
    /// The longest accepted handle, in bytes.
    const MAX_BYTES: usize = 16 * 1024;

    pub(crate) fn new(secret: &ServerSecret, issuer: &Issuer) -> Self {
        let keys = |kind: HandleKind| secret.handle_keys(kind.prefix(), issuer.as_str());
        Self {
            code: keys(HandleKind::Code),
            refresh_token: keys(HandleKind::RefreshToken),
            ticket: keys(HandleKind::Ticket),
            login_marker: keys(HandleKind::LoginMarker),
            device_code: keys(HandleKind::DeviceCode),
            device_ticket: keys(HandleKind::DeviceTicket),
        }
    }

    const fn keys(&self, kind: HandleKind) -> &Keys<hmac::Key> {
        match kind {
            HandleKind::Code => &self.code,
            HandleKind::RefreshToken => &self.refresh_token,
            HandleKind::Ticket => &self.ticket,
            HandleKind::LoginMarker => &self.login_marker,
            HandleKind::DeviceCode => &self.device_code,
            HandleKind::DeviceTicket => &self.device_ticket,
        }
    }

    /// Seals the parts of `payload`, bound to `bound_to`.
    pub(crate) fn seal(&self, kind: HandleKind, bound_to: &[&[u8]], payload: &[&[u8]]) -> String {
        let (tag, key) = self.keys(kind).newest();
        let room = payload.iter().map(|part| part.len()).sum::<usize>() + HEAD_BYTES + MAC_BYTES;
        let mut text = String::with_capacity(kind.prefix().len() + room.div_ceil(3) * 4);
        text.push_str(kind.prefix());
        lend(bound_bytes(bound_to) + room, |bytes| {
            let (mut bytes, sealed) = (Filled::new(bytes), bound_bytes(bound_to));
            bytes.bind(bound_to);
            bytes.push(&[VERSION]);
            bytes.push(tag);
            for part in payload {
                bytes.push(part);
            }
            let mac = hmac::sign(key, bytes.filled());
            bytes.push(mac.as_ref());
            base64url::append(&mut text, bytes.filled().get(sealed..).unwrap_or_default());
        });
        text
    }

    /// Opens a handle of this kind and binding, and applies `read` to its payload.
    pub(crate) fn open<T>(
        &self,
        kind: HandleKind,
        bound_to: &[&[u8]],
        handle: &str,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, NotOurs> {
        let text = handle.strip_prefix(kind.prefix()).ok_or(NotOurs)?;
        if text.len() > Self::MAX_BYTES {
            return Err(NotOurs);
        }
        let start = bound_bytes(bound_to);
        lend(start + base64url::decoded_room(text.len()), |bytes| {
            Filled::new(bytes).bind(bound_to);
            let length = base64url::decode_into(bytes.get_mut(start..)?, text)?;
            let (signed, mac) = bytes.get(..start + length)?.split_last_chunk::<MAC_BYTES>()?;
            let (head, payload) = signed.get(start..)?.split_first_chunk::<HEAD_BYTES>()?;
            let [version, tag @ ..] = *head;
            let key = self.keys(kind).find(tag).filter(|_| version == VERSION)?;
            hmac::verify(key, signed, mac).ok()?;
            read(payload)
        })
        .ok_or(NotOurs)
    }
}

/// Lends `length` bytes. Those of a code or a refresh token lie on the stack.
fn lend<T>(length: usize, with: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut few = [0; 256];
    match few.get_mut(..length) {
        Some(room) => with(room),
        None => with(&mut vec![0; length]),
    }
}

/// Returns the number of bytes that [`Filled::bind`] writes.
fn bound_bytes(bound_to: &[&[u8]]) -> usize {
    bound_to.iter().map(|field| 4 + field.len()).sum()
}

/// Bytes that are filled from their start.
struct Filled<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl<'a> Filled<'a> {
    const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// Writes `part`. The caller has counted the room for it.
    fn push(&mut self, part: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.used..self.used + part.len()) {
            room.copy_from_slice(part);
            self.used += part.len();
        }
    }

    /// Writes the binding, which the MAC covers before the sealed part. Kind and issuer are in the key.
    fn bind(&mut self, bound_to: &[&[u8]]) {
        for field in bound_to {
            self.push(&length_prefix(field));
            self.push(field);
        }
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handles([redacted])")
    }
}

/// The payload of a code or a refresh token. A code is generation 0.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GrantHandle {
    pub(crate) grant_id: GrantId,
    pub(crate) salt: Salt,
    pub(crate) generation: u32,
}

/// 128 random bits in every handle of a grant. Storage has a digest of them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Salt(pub(crate) [u8; 16]);

impl Salt {
    /// Returns the digest for storage.
    pub(crate) fn digest(&self, grant_id: &GrantId) -> Digest {
        Digest::of_fields(&[b"salt", grant_id.as_bytes(), &self.0])
    }
}

/// Draws the id and the salt of a new grant, in one call to the source.
pub(crate) fn new_grant_names(random: &dyn SecureRandom) -> Result<(GrantId, Salt), RandomError> {
    let mut names = [[0; 16]; 2];
    random.fill(names.as_flattened_mut())?;
    let [grant_id, salt] = names;
    Ok((GrantId::from_bytes(grant_id), Salt(salt)))
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt([redacted])")
    }
}

impl fmt::Debug for GrantHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantHandle")
            .field("grant_id", &self.grant_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl GrantHandle {
    const fn kind(generation: u32) -> HandleKind {
        if generation == 0 { HandleKind::Code } else { HandleKind::RefreshToken }
    }

    /// Seals the handle for the app `client_id`.
    pub(crate) fn seal(&self, handles: &Handles, client_id: &str) -> String {
        let generation = self.generation.to_be_bytes();
        let payload = [&self.grant_id.as_bytes()[..], &self.salt.0, &generation];
        handles.seal(Self::kind(self.generation), &[client_id.as_bytes()], &payload)
    }

    /// Opens a code (`HandleKind::Code`) or a refresh token presented by the app `client_id`.
    pub(crate) fn open(
        handles: &Handles,
        kind: HandleKind,
        client_id: &str,
        text: &str,
    ) -> Result<Self, NotOurs> {
        handles.open(kind, &[client_id.as_bytes()], text, |payload| {
            let (grant_id, rest) = payload.split_first_chunk()?;
            let (salt, rest) = rest.split_first_chunk()?;
            let generation = u32::from_be_bytes(rest.try_into().ok()?);
            let handle =
                Self { grant_id: GrantId::from_bytes(*grant_id), salt: Salt(*salt), generation };
            // Only a code is generation 0.
            (Self::kind(generation) == kind).then_some(handle)
        })
    }

    /// Returns the grant that `text` claims, **not verified**: the caller must open the handle.
    pub(crate) fn claimed_grant_id(kind: HandleKind, text: &str) -> Option<GrantId> {
        let text = text.strip_prefix(kind.prefix()).filter(|it| it.len() <= Handles::MAX_BYTES)?;
        let mut bytes = Vec::with_capacity(text.len());
        base64url::append_decoded(&mut bytes, text)?;
        let (grant_id, _) = bytes.get(HEAD_BYTES..)?.split_first_chunk()?;
        Some(GrantId::from_bytes(*grant_id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn handles(secret: &ServerSecret) -> Handles {
        Handles::new(secret, &Issuer::new("https://as.example.com").unwrap())
    }

    fn refresh_token(generation: u32) -> GrantHandle {
        GrantHandle { grant_id: GrantId::from_bytes([3; 16]), salt: Salt([9; 16]), generation }
    }

    /// G2, R2, G4, R4: a handle is refused for another app, kind or issuer.
    #[test]
    fn a_handle_opens_for_its_app_kind_and_issuer_only() {
        let secret = ServerSecret::new(ROOT).unwrap();
        let ours = handles(&secret);
        let text = refresh_token(7).seal(&ours, "app");
        assert!(text.starts_with("grt_"));
        let open =
            |handles: &Handles, kind, app: &str| GrantHandle::open(handles, kind, app, &text);
        assert_eq!(open(&ours, HandleKind::RefreshToken, "app"), Ok(refresh_token(7)));
        assert_eq!(open(&ours, HandleKind::RefreshToken, "other"), Err(NotOurs));
        assert_eq!(open(&ours, HandleKind::Code, "app"), Err(NotOurs));
        let renamed = text.replacen("grt_", "gac_", 1);
        assert_eq!(GrantHandle::open(&ours, HandleKind::Code, "app", &renamed), Err(NotOurs));
        let elsewhere = Handles::new(&secret, &Issuer::new("https://other.example").unwrap());
        assert_eq!(open(&elsewhere, HandleKind::RefreshToken, "app"), Err(NotOurs));
    }

    /// Z37: no kind of handle of one issuer opens at another with the same secret and the same binding.
    #[test]
    fn every_kind_of_handle_is_bound_to_the_issuer() {
        let secret = ServerSecret::new(ROOT).unwrap();
        let at = |issuer: &str| Handles::new(&secret, &Issuer::new(issuer).unwrap());
        let issuers = ["https://a.example", "https://a.example/b", "https://a.example/bc"].map(at);
        for kind in [
            HandleKind::Code,
            HandleKind::RefreshToken,
            HandleKind::Ticket,
            HandleKind::LoginMarker,
            HandleKind::DeviceCode,
            HandleKind::DeviceTicket,
        ] {
            for (here, sealing) in issuers.iter().enumerate() {
                let text = sealing.seal(kind, &[b"binding"], &[b"payload"]);
                for (there, opening) in issuers.iter().enumerate() {
                    let opened = opening.open(kind, &[b"binding"], &text, |_| Some(()));
                    assert_eq!(opened.is_ok(), here == there, "{kind:?} of {here} at {there}");
                }
            }
        }
    }

    /// R12: the successor is the same, byte for byte, each time that it is computed.
    #[test]
    fn a_handle_is_a_function_of_its_payload() {
        let ours = handles(&ServerSecret::new(ROOT).unwrap());
        assert_eq!(refresh_token(2).seal(&ours, "app"), refresh_token(2).seal(&ours, "app"));
    }

    #[test]
    fn a_root_can_be_replaced_while_old_handles_live() {
        let old = handles(&ServerSecret::new(ROOT).unwrap());
        let text = refresh_token(1).seal(&old, "app");
        let both = ServerSecret::new(OTHER).unwrap().accepting_handles(ROOT).unwrap();
        let open =
            |handles: &Handles| GrantHandle::open(handles, HandleKind::RefreshToken, "app", &text);
        assert_eq!(open(&handles(&both)), Ok(refresh_token(1)));
        assert_eq!(open(&handles(&ServerSecret::new(OTHER).unwrap())), Err(NotOurs));
    }

    #[test]
    fn an_unopened_handle_claims_its_grant() {
        let text = refresh_token(7).seal(&handles(&ServerSecret::new(ROOT).unwrap()), "app");
        let claimed = |text: &str| GrantHandle::claimed_grant_id(HandleKind::RefreshToken, text);
        assert!(HandleKind::RefreshToken.begins(&text) && !HandleKind::Code.begins(&text));
        assert_eq!(claimed(&text), Some(refresh_token(7).grant_id));
        assert_eq!(claimed(&text[4..]), None);
        // The head and the id are 21 bytes, or 28 characters.
        assert_eq!(claimed(&text[..4 + 28]), Some(refresh_token(7).grant_id));
        assert_eq!(claimed(&text[..4 + 27]), None);
        assert_eq!(claimed(&format!("grt_{}", "A".repeat(17 * 1024))), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_opens_and_never_panics(text in ".{0,200}") {
            let ours = handles(&ServerSecret::new(ROOT).unwrap());
            let _ = GrantHandle::claimed_grant_id(HandleKind::RefreshToken, &text);
            for kind in [HandleKind::Code, HandleKind::RefreshToken] {
                prop_assert_eq!(GrantHandle::open(&ours, kind, "app", &text), Err(NotOurs));
            }
        }

        #[test]
        fn one_changed_character_spoils_a_handle(at in 4_usize..100, to in "[A-Za-z0-9_-]") {
            let ours = handles(&ServerSecret::new(ROOT).unwrap());
            let mut text = refresh_token(1).seal(&ours, "app");
            let at = at.min(text.len() - 1);
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            let opened = GrantHandle::open(&ours, HandleKind::RefreshToken, "app", &text);
            prop_assert_eq!(opened, Err(NotOurs));
        }
    }
}
