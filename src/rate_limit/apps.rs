//! A budget for each app, by its own quota or the server's.

use std::collections::HashMap;
use std::sync::PoisonError;

use crossbeam_utils::sync::ShardedLock;

use super::gcra::{Budget, Rate, SpentUntil};
use crate::app::{CustomApp, RateQuota};
use crate::ids::ClientId;

/// The largest number of apps with a budget. Beyond, full budgets are forgotten, and then all. Strangers add to them by
/// apps that register themselves, which have limits of their own.
const MAX_APPS: usize = 100_000;

/// The budgets of apps for one kind of request.
pub(super) struct AppBudgets {
    /// The quota of an app without one of its own.
    default: Option<RateQuota>,
    apps: ShardedLock<HashMap<ClientId, Volume, foldhash::fast::RandomState>>,
}

struct Volume {
    quota: RateQuota,
    budget: Budget,
}

impl AppBudgets {
    pub(super) fn new(default: Option<RateQuota>) -> Self {
        Self { default, apps: ShardedLock::default() }
    }

    /// Charges a request to `app`, unless its budget is spent.
    pub(super) fn charge(&self, app: &CustomApp, now: u64) -> Result<(), SpentUntil> {
        let Some(quota) = app.settings().rate_quota().or(self.default) else { return Ok(()) };
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(volume) = apps.get(app.client_id())
            && volume.quota == quota
        {
            return volume.budget.charge(now);
        }
        drop(apps);
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= MAX_APPS {
            apps.retain(|_, volume| !volume.budget.is_full(now));
            if apps.len() >= MAX_APPS {
                apps.clear();
            }
        }
        let new = || Volume { quota, budget: Budget::new(Rate::new(quota)) };
        let volume = apps.entry(app.client_id().clone()).or_insert_with(new);
        if volume.quota != quota {
            *volume = new();
        }
        volume.budget.charge(now)
    }

    /// Undoes a charge.
    pub(super) fn give_back(&self, client_id: &ClientId) {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(volume) = apps.get(client_id) {
            volume.budget.give_back();
        }
    }

    /// Returns the number of apps.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.apps.read().unwrap().len()
    }
}
