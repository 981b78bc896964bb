//! Everything that is stored about one user, for the user or an auditor.

use serde::Serialize;

use super::{Admin, AdminError};
use crate::app::Flow;
use crate::audit::{Action, AuditQuery, AuditStore};
use crate::clock::UnixTime;
use crate::ids::{
    AuthenticationContext, AuthenticationMethod, ClientId, DeviceId, EvidenceIssuer, GrantId,
    SessionId, Subject,
};
use crate::protocol::resources::Resources;
use crate::protocol::scope::Scope;
use crate::store::{
    Consent, Device, DeviceFilter, Grant, GrantFilter, Page, RevocationReason, Store, StoreError,
    Wipe,
};

/// Everything that the store and the audit log hold about one user: consents, grants, devices
/// and events. It serializes to JSON, and holds neither secrets nor digests.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SubjectRecord {
    /// The user.
    pub subject: Subject,
    /// When the record was made.
    pub at: UnixTime,
    /// The remembered consents, in the order of the apps.
    pub consents: Vec<Consent>,
    /// The grants, also those that have ended and were not pruned.
    pub grants: Vec<GrantRecord>,
    /// The devices in the order of their keys, if the server has devices.
    pub devices: Vec<DeviceRecord>,
    /// The events, newest first, each as the JSON object of an
    /// [`AuditEvent`](crate::audit::AuditEvent).
    pub events: Vec<serde_json::Value>,
}

/// One consent or impersonation, as a [`SubjectRecord`] shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GrantRecord {
    /// The id, which events and access tokens carry too.
    pub grant_id: GrantId,
    /// The app.
    pub client_id: ClientId,
    /// The flow that made it.
    pub flow: Flow,
    /// The app that acts as the user, if it impersonates.
    pub actor: Option<ClientId>,
    /// The granted scope.
    pub scope: Scope,
    /// The APIs for which it was granted, if it names any.
    #[serde(rename = "resource")]
    pub resources: Option<Resources>,
    /// The device on which it was granted, if the host named it.
    pub device: Option<DeviceId>,
    /// When the user had last logged in, if the host said so.
    pub auth_time: Option<UnixTime>,
    /// The session in which it was granted, if the host named it.
    pub session: Option<SessionId>,
    /// How strongly the user had authenticated, if the host said so.
    pub acr: Option<AuthenticationContext>,
    /// The methods by which the user had authenticated, if the host named them.
    pub amr: Vec<AuthenticationMethod>,
    /// The other issuer on whose evidence it was granted.
    pub evidence_issuer: Option<EvidenceIssuer>,
    /// When it was decided, by the store's clock.
    pub authorized_at: UnixTime,
    /// When the newest token was issued; `None` if the code was never redeemed.
    pub last_used: Option<UnixTime>,
    /// When it ends at the latest.
    pub expires_at: UnixTime,
    /// When and why its row ended before. A revocation of the app or the user leaves no mark in the row.
    pub revoked: Option<(UnixTime, RevocationReason)>,
}

impl From<Grant> for GrantRecord {
    fn from(grant: Grant) -> Self {
        let flow = grant.made_by();
        let circumstances = grant.circumstances.map(|it| *it).unwrap_or_default();
        Self {
            flow,
            grant_id: grant.grant_id,
            client_id: grant.client_id,
            actor: grant.actor,
            scope: grant.scope,
            resources: grant.resources,
            device: grant.device,
            auth_time: grant.auth_time,
            session: circumstances.session,
            acr: circumstances.acr,
            amr: circumstances.amr,
            evidence_issuer: circumstances.evidence_issuer,
            authorized_at: grant.authorized_at,
            last_used: (grant.generation > 0).then_some(grant.rotated_at),
            expires_at: grant.expires_at,
            revoked: grant.revoked,
        }
    }
}

/// An installation of an app at a user, as a [`SubjectRecord`] shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeviceRecord {
    /// The app.
    pub client_id: ClientId,
    /// The identifier of the installation.
    pub device_id: DeviceId,
    /// The name for people, if the app told one.
    pub name: Option<String>,
    /// When it was first seen.
    pub first_seen: UnixTime,
    /// When it was last seen, to the day.
    pub last_seen: UnixTime,
    /// How far the wipe of its data is.
    pub wipe: Wipe,
    /// The version of the rules for phones that it has read.
    pub policy_seen: Option<String>,
}

impl From<Device> for DeviceRecord {
    fn from(device: Device) -> Self {
        Self {
            client_id: device.key.client_id,
            device_id: device.key.device_id,
            name: device.name,
            first_seen: device.first_seen,
            last_seen: device.last_seen,
            wipe: device.wipe,
            policy_seen: device.policy_seen,
        }
    }
}

/// The record of one user.
impl<S: Store> Admin<'_, S> {
    /// Collects everything that is stored about a user, with the events of `log`. Events that wait in an
    /// [`AuditQueue`](crate::audit::AuditQueue) are not in it yet.
    ///
    /// The whole record is in memory: some hundred bytes for each grant and event. The call is audited.
    ///
    /// # Errors
    ///
    /// [`AdminError::Store`] if a read fails.
    pub async fn export_subject(
        &self,
        subject: &Subject,
        log: &impl AuditStore,
    ) -> Result<SubjectRecord, AdminError> {
        let result = self.collect(subject, log).await.map_err(AdminError::from);
        let event = self.event(Action::ExportSubject, &result);
        self.parts.record(&event.with_subject(subject));
        result
    }

    async fn collect(
        &self,
        subject: &Subject,
        log: &impl AuditStore,
    ) -> Result<SubjectRecord, StoreError> {
        let store = self.parts.store;
        let mut record = SubjectRecord {
            subject: subject.clone(),
            at: self.parts.clock.now(),
            consents: Vec::new(),
            grants: Vec::new(),
            devices: Vec::new(),
            events: Vec::new(),
        };
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next {
            let listing = store.list_consents(subject, page.clone()).await?;
            record.consents.extend(listing.items);
            next = listing.next.map(|last| page.after(last));
        }
        let filter = GrantFilter::all().of_subject(subject.clone());
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next {
            let listing = store.list_grants(&filter, page.clone()).await?;
            record.grants.extend(listing.items.into_iter().map(GrantRecord::from));
            next = listing.next.map(|last| page.after(last));
        }
        let filter = DeviceFilter::all().of_subject(subject.clone());
        let mut next =
            self.parts.devices.map(|devices| (devices, Page::first(Page::<()>::MAX_LIMIT)));
        while let Some((devices, page)) = next {
            let listing = devices.list_devices(&filter, page.clone()).await?;
            record.devices.extend(listing.items.into_iter().map(DeviceRecord::from));
            next = listing.next.map(|last| (devices, page.after(last)));
        }
        let query = AuditQuery::all().subject(subject.clone());
        let mut next = Some(Page::first(Page::<()>::MAX_LIMIT));
        while let Some(page) = next {
            let listing = log.find_events(&query, page.clone()).await?;
            for event in &listing.items {
                record.events.push(serde_json::from_str(&event.json).map_err(StoreError::new)?);
            }
            next = listing.next.map(|last| page.after(last));
        }
        Ok(record)
    }
}
