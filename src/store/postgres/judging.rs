//! The single predicate: whether a token, or a grant that it descends from, is void.

use sqlx::query;

use super::PostgresStore;
use super::rows::column;
use super::statements::{Tables, everything, tag};

use crate::ids::{DeviceId, EvidenceIssuer, SessionId};
use crate::store::sql::Names;
use crate::store::{AccessFacts, StoreError};

/// The facts of a token and of its parents, an array for each parameter.
#[derive(Default)]
struct Lineage {
    grant_ids: Vec<Vec<u8>>,
    client_ids: Vec<String>,
    subjects: Vec<String>,
    devices: Vec<Option<String>>,
    targets: Vec<String>,
    dates: Vec<i64>,
    sessions: Vec<Option<String>>,
    evidence: Vec<Option<String>>,
}

impl Lineage {
    fn add(&mut self, facts: &AccessFacts<'_>, target: String, names: &Names) {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        self.grant_ids.push(facts.grant_id.as_bytes().to_vec());
        self.client_ids.push(names.write(facts.client_id.as_str()).into_owned());
        self.subjects.push(names.write(facts.subject.as_str()).into_owned());
        self.devices.push(owned(facts.device.map(DeviceId::as_str)));
        self.targets.push(target);
        self.dates.push(facts.authorized_at.as_millis());
        self.sessions.push(owned(facts.session.map(SessionId::as_str)));
        self.evidence.push(owned(facts.evidence_issuer.map(EvidenceIssuer::as_str)));
    }
}

impl PostgresStore {
    /// Checks whether a token or one of its parents is void, with one statement.
    pub(super) async fn is_void(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        if !facts.via.is_empty() {
            return self.is_one_void(facts).await;
        }
        let target = self.as_target(facts.grant_id);
        let make = || {
            query(self.sql.is_revoked.clone())
                .bind(&facts.grant_id.as_bytes()[..])
                .bind(self.names.write(facts.client_id.as_str()))
                .bind(self.names.write(facts.subject.as_str()))
                .bind(facts.device.map(DeviceId::as_str))
                .bind(target.as_str())
                .bind(facts.authorized_at.as_millis())
                .bind(facts.session.map(SessionId::as_str))
                .bind(facts.evidence_issuer.map(EvidenceIssuer::as_str))
        };
        column(&self.one_row(make).await?, "revoked")
    }

    async fn is_one_void(&self, facts: &AccessFacts<'_>) -> Result<bool, StoreError> {
        let mut all = Lineage::default();
        for facts in facts.lineage() {
            all.add(&facts, self.as_target(facts.grant_id), &self.names);
        }
        let make = || {
            query(self.sql.is_one_revoked.clone())
                .bind(&all.grant_ids)
                .bind(&all.client_ids)
                .bind(&all.subjects)
                .bind(&all.devices)
                .bind(&all.targets)
                .bind(&all.dates)
                .bind(&all.sessions)
                .bind(&all.evidence)
        };
        column(&self.one_row(make).await?, "revoked")
    }
}

/// `$1` grant, `$2` app, `$3` user, `$4` device, `$5` the grant as a target, `$6` the instant of the
/// decision, `$7` session, `$8` evidence issuer.
pub(super) fn is_revoked(p: &Tables<'_>) -> String {
    format!("SELECT {} AS revoked", revoked(p))
}

/// The parameters of [`is_revoked`], each an array with a member for the token and for each of its parents.
pub(super) fn is_one_revoked(p: &Tables<'_>) -> String {
    const COLUMNS: [(&str, &str); 8] = [
        ("$1", "f.grant_id"),
        ("$2", "f.client_id"),
        ("$3", "f.subject"),
        ("$4", "f.device"),
        ("$5", "f.target"),
        ("$6", "f.at"),
        ("$7", "f.session"),
        ("$8", "f.evidence"),
    ];
    let of_one = COLUMNS.iter().fold(revoked(p), |sql, (from, to)| sql.replace(from, to));
    format!(
        "SELECT EXISTS (SELECT 1 FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], \
             $5::text[], $6::bigint[], $7::text[], $8::text[]) \
             AS f (grant_id, client_id, subject, device, target, at, session, evidence) \
         WHERE {of_one}) AS revoked"
    )
}

/// Whether a token itself is void. The parameters are those of [`is_revoked`]. Of rows found by key, the value is
/// asked for: an `EXISTS` in a list of several would be hashed, with a scan of the table.
fn revoked(p: &Tables<'_>) -> String {
    format!(
        "((SELECT enabled FROM {p}apps WHERE client_id = $2) IS NOT TRUE \
         OR (SELECT revoked_at FROM {p}grants WHERE grant_id = $1) IS NOT NULL \
         OR EXISTS (SELECT 1 FROM {p}revocations \
             WHERE target IN ({all}, 'a:' || $2, 's:' || $3, 'p:' || $2 || chr(10) || $3, \
                 'd:' || {tag} || $4, 'device:' || $2 || chr(10) || $3 || chr(10) || $4, \
                 'session:' || {tag} || $7, 'evidence:' || {tag} || $8, $5) \
             AND (COALESCE(at, since) >= $6 OR target = $5)))",
        all = everything("$2"),
        tag = tag("$2"),
    )
}
