//! The trusted issuers of a declaration or an import: their difference to the store, and its execution.

use serde::Serialize;

use super::revision::Manager;
use super::{DeclaredApps, ISSUERS, InvalidDeclaration};
use crate::admin::app_changes::ROUNDS;
use crate::admin::{Admin, AdminError};
use crate::app::{CustomApp, TrustedIssuer};
use crate::audit::Action;
use crate::ids::EvidenceIssuer;
use crate::store::{IssuerRecord, PutIssuer, Store};

/// The effect of a declaration or an import on the trusted issuers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuerChanges {
    /// The issuers that were not trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<EvidenceIssuer>,
    /// The issuers whose settings differed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChangedIssuer>,
    /// The issuers that are no longer declared. They are not trusted any more, and the access on their evidence has
    /// ended. An import removes none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<EvidenceIssuer>,
    /// The issuers that were as declared or imported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<EvidenceIssuer>,
}

/// A trusted issuer whose settings differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangedIssuer {
    /// The issuer.
    pub issuer: EvidenceIssuer,
    /// The settings that differed, by their names in JSON.
    pub changed: Vec<String>,
}

impl IssuerChanges {
    /// Returns true if nothing is to do.
    #[must_use]
    pub const fn is_unchanged(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.is_unchanged() && self.unchanged.is_empty()
    }

    fn add(&mut self, after: &TrustedIssuer, before: Option<&IssuerRecord>) {
        let issuer = after.issuer().clone();
        match before {
            None => self.added.push(issuer),
            Some(before) if before.settings == *after => self.unchanged.push(issuer),
            Some(before) => {
                let changed = before.settings.changes_to(after);
                self.changed.push(ChangedIssuer { issuer, changed });
            }
        }
    }
}

/// The issuers of a declaration or an import beside those in the store, without a conflict.
#[derive(Default)]
pub(super) struct IssuerPlan<'d> {
    /// Each with the stored record.
    pairs: Vec<(&'d TrustedIssuer, Option<IssuerRecord>)>,
    /// The ones that are no longer declared.
    dropped: Vec<EvidenceIssuer>,
}

impl IssuerPlan<'_> {
    /// Returns the effect that the plan would have.
    pub(super) fn changes(&self) -> IssuerChanges {
        let mut changes = IssuerChanges { removed: self.dropped.clone(), ..Default::default() };
        for (after, before) in &self.pairs {
            changes.add(after, before.as_ref());
        }
        changes
    }

    /// Returns the versions on which the plan is based.
    pub(super) fn versions(&self) -> impl Iterator<Item = u64> {
        self.pairs.iter().map(|(_, before)| before.as_ref().map_or(0, |record| record.version))
    }
}

/// The issuer at which a call failed.
pub(super) type IssuerFailure = (EvidenceIssuer, AdminError);

impl<S: Store> Admin<'_, S> {
    /// Reads the stored issuers, and checks that those of `declared` fit them. Nothing is read if there are none on
    /// either side.
    pub(super) async fn compare_issuers<'d>(
        &self,
        declared: &'d DeclaredApps,
        manager: Manager,
        problems: &mut InvalidDeclaration,
    ) -> Result<IssuerPlan<'d>, AdminError> {
        let Some(issuers) = self.parts.issuers else {
            if !declared.issuers.is_empty() {
                let problem = "need a server with ServerBuilder::trusted_issuers";
                problems.add(ISSUERS, problem);
            }
            return Ok(IssuerPlan::default());
        };
        let is_configured = manager == Manager::Configuration;
        let mut stored = issuers.store().list().await?;
        let mut plan = IssuerPlan::default();
        for (at, settings) in declared.issuers.iter().enumerate() {
            let place = stored.iter().position(|it| it.settings.issuer() == settings.issuer());
            let before = place.map(|place| stored.remove(place));
            let other = before.as_ref().filter(|before| before.declared != is_configured);
            if other.is_some() {
                let problem = if is_configured {
                    "is that of an issuer that an administrator trusts: remove that one first"
                } else {
                    "is that of an issuer that the host's configuration declares"
                };
                problems.add(format!("{ISSUERS}[{at}].issuer"), problem);
            } else if let Err(invalid) = self.check_issuer(settings) {
                problems.add(format!("{ISSUERS}[{at}].{}", invalid.field()), invalid.problem());
            }
            plan.pairs.push((settings, before));
        }
        let (dropped, kept): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|it| is_configured && it.declared);
        plan.dropped = dropped.into_iter().map(|it| it.settings.issuer().clone()).collect();
        if kept.len().saturating_add(plan.pairs.len()) > TrustedIssuer::MAX {
            problems.add(ISSUERS, "are more than a server trusts: 100, with those in the store");
        }
        Ok(plan)
    }

    /// Does what the plan says, after the apps that the issuers name. `done` has what was done, also after a failure.
    pub(super) async fn change_issuers(
        &self,
        plan: IssuerPlan<'_>,
        manager: Manager,
        done: &mut IssuerChanges,
    ) -> Result<(), IssuerFailure> {
        // The trust that ends comes first, so that there is room for the new.
        for issuer in plan.dropped {
            match self.remove_trusted_issuer(&issuer).await {
                Ok(_) => done.removed.push(issuer),
                // Another process was first.
                Err(AdminError::NotFound) => {}
                Err(error) => return Err((issuer, error)),
            }
        }
        for (settings, before) in plan.pairs {
            let put = self.put_declared(settings, before, manager, done).await;
            put.map_err(|error| (settings.issuer().clone(), error))?;
        }
        Ok(())
    }

    /// Makes one record as declared. For the configuration, it retries on a conflict with another process; an import
    /// keeps to the version of the plan.
    async fn put_declared(
        &self,
        settings: &TrustedIssuer,
        mut before: Option<IssuerRecord>,
        manager: Manager,
        done: &mut IssuerChanges,
    ) -> Result<(), AdminError> {
        let issuers = self.parts.issuers.ok_or(AdminError::NoTrustedIssuers)?;
        let mut expected = 0;
        for _ in 0..ROUNDS {
            if before.as_ref().is_some_and(|it| it.settings == *settings) {
                done.add(settings, before.as_ref());
                return Ok(());
            }
            let version = match &before {
                Some(before) => before.version.saturating_add(1),
                None => CustomApp::first_version(self.parts.random)?,
            };
            let record = IssuerRecord {
                settings: settings.clone(),
                version,
                updated_at: self.parts.clock.now(),
                declared: manager == Manager::Configuration,
            };
            let put = issuers.store().put(&record, before.as_ref().map(|it| it.version)).await;
            issuers.forget().await;
            let issuer = settings.issuer().clone();
            let action = match before {
                Some(_) => Action::EditTrustedIssuer { issuer },
                None => Action::AddTrustedIssuer { issuer },
            };
            let put = match put {
                Ok(put) => put,
                Err(error) => return self.audited(action, None, Err(error.into())),
            };
            if put == PutIssuer::Stored {
                done.add(settings, before.as_ref());
                return self.audited(action, None, Ok(()));
            }
            expected = before.as_ref().map_or(0, |it| it.version);
            let all = issuers.store().list().await?;
            before = all.into_iter().find(|it| it.settings.issuer() == settings.issuer());
            let is_others = before.as_ref().is_some_and(|it| it.declared != record.declared);
            if manager == Manager::Administrator || is_others {
                break;
            }
        }
        let found = before.ok_or(AdminError::NotFound)?.version;
        Err(AdminError::Conflict { expected, found })
    }
}

/// Returns the trusted issuers of a server, for an export.
pub(in crate::admin) fn exported(records: Vec<IssuerRecord>) -> Vec<TrustedIssuer> {
    records.into_iter().map(|record| record.settings).collect()
}
