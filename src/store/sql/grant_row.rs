//! The row of a grant, column by column.

use super::{Names, Rare, reason_of, unreadable};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::secret::Digest;
use crate::store::{Grant, StoreError};

/// The columns of a grant, in the types that every database has.
pub(in crate::store) struct GrantRow {
    pub(in crate::store) grant_id: Vec<u8>,
    pub(in crate::store) client_id: String,
    pub(in crate::store) subject: String,
    pub(in crate::store) actor: Option<String>,
    pub(in crate::store) scope: String,
    pub(in crate::store) resource: Option<String>,
    pub(in crate::store) device: Option<String>,
    pub(in crate::store) auth_time: Option<i64>,
    pub(in crate::store) binding: Vec<u8>,
    pub(in crate::store) salt_digest: Vec<u8>,
    pub(in crate::store) authorized_at: i64,
    pub(in crate::store) code_expires_at: i64,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) generation: i64,
    pub(in crate::store) rotated_at: i64,
    /// The bits of the claim, as a signed number.
    pub(in crate::store) claim: i64,
    pub(in crate::store) retries: i64,
    pub(in crate::store) mismatches: i64,
    pub(in crate::store) revoked_at: Option<i64>,
    pub(in crate::store) revoked_why: Option<i64>,
    pub(in crate::store) rare: Rare,
}

impl GrantRow {
    /// Returns the grant that was written into these columns, unless it is of another issuer.
    pub(in crate::store) fn into_grant(self, names: &Names) -> Result<Option<Grant>, StoreError> {
        let grant_id: [u8; 16] = self.grant_id.try_into().map_err(|_| unreadable("grant_id"))?;
        let Some(client_id) = names.read(&self.client_id) else { return Ok(None) };
        let client_id = client_id.parse().map_err(|_| unreadable("client_id"))?;
        let subject = names.read(&self.subject).ok_or_else(|| unreadable("subject"))?;
        let subject = subject.parse().map_err(|_| unreadable("subject"))?;
        let scope = self.scope.parse().map_err(|_| unreadable("scope"))?;
        let mut grant = Grant::new(GrantId::from_bytes(grant_id), client_id, subject, scope);
        grant.actor = optional(self.actor.as_deref(), "actor")?;
        grant.resources = optional(self.resource.as_deref(), "resource")?;
        grant.device = optional(self.device.as_deref(), "device")?;
        grant.auth_time = self.auth_time.map(UnixTime::from_millis);
        grant.binding = digest(self.binding, "binding")?;
        grant.salt_digest = digest(self.salt_digest, "salt_digest")?;
        self.rare.restore(&mut grant)?;
        grant.authorized_at = UnixTime::from_millis(self.authorized_at);
        grant.code_expires_at = UnixTime::from_millis(self.code_expires_at);
        grant.expires_at = UnixTime::from_millis(self.expires_at);
        grant.generation = self.generation.try_into().map_err(|_| unreadable("generation"))?;
        grant.rotated_at = UnixTime::from_millis(self.rotated_at);
        grant.claim = self.claim.cast_unsigned();
        grant.retries = self.retries.try_into().map_err(|_| unreadable("retries"))?;
        grant.mismatches = self.mismatches.try_into().map_err(|_| unreadable("mismatches"))?;
        grant.revoked = match (self.revoked_at, self.revoked_why) {
            (None, None) => None,
            (Some(at), Some(why)) => Some((UnixTime::from_millis(at), reason_of(why)?)),
            (None, Some(_)) | (Some(_), None) => return Err(unreadable("revoked_why")),
        };
        Ok(Some(grant))
    }
}

fn optional<T: std::str::FromStr>(
    text: Option<&str>,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    text.map(str::parse).transpose().map_err(|_| unreadable(column))
}

fn digest(bytes: Vec<u8>, column: &'static str) -> Result<Digest, StoreError> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| unreadable(column))
}
