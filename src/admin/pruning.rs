//! Removal of rows that have no effect any more.

use super::AdminParts;
use crate::clock::UnixTime;
use crate::store::{Pruned, Store, StoreError};

/// Removes a batch of rows that have no effect any more, and a batch from each other store that the server has.
/// Deletes the unused among a batch of apps that registered themselves.
pub(crate) async fn prune<S: Store>(
    parts: &AdminParts<'_, S>,
    now: UnixTime,
    limit: usize,
) -> Result<Pruned, StoreError> {
    let mut all = parts.store.prune(now, limit).await?;
    let mut add = |pruned: Pruned| {
        all.removed = all.removed.saturating_add(pruned.removed);
        all.more |= pruned.more;
    };
    if let Some(devices) = parts.devices {
        add(devices.prune_devices(now, limit).await?);
    }
    for pending in parts.pending.into_iter().flatten() {
        add(pending.prune_kept(now, limit).await?);
    }
    add(parts.inquiries.prune_registrations(now, limit).await?);
    Ok(all)
}
