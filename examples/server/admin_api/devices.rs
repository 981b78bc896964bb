//! Devices: listing, the order to wipe one, and its withdrawal.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use grantor::Subject;
use grantor::ids::ClientId;
use grantor::resource_server::Bearer;
use grantor::store::{Device, DeviceFilter, DeviceKey, Page};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Administration;
use super::answer::{Answer, Asked, invalid, ok, read};

#[derive(Deserialize)]
pub(super) struct ListQuery {
    app: Option<ClientId>,
    subject: Option<Subject>,
    /// Whether to list only devices whose wipe is pending.
    #[serde(default)]
    pending: bool,
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

pub(super) async fn list(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    asked: Asked<ListQuery>,
) -> Answer {
    let Query(asked) = asked?;
    let mut filter = DeviceFilter::all();
    if let Some(app) = asked.app {
        filter = filter.of_app(app);
    }
    if let Some(subject) = asked.subject {
        filter = filter.of_subject(subject);
    }
    if asked.pending {
        filter = filter.to_be_wiped();
    }
    let mut page = Page::first(asked.limit.unwrap_or(50));
    if let Some(after) = asked.after {
        let after = serde_json::from_str(&after);
        page = page.after(after.map_err(|_| invalid("after is no next of another page"))?);
    }
    let found = state.of(&claims).devices(&filter, page).await?;
    let devices: Vec<_> = found.items.iter().map(shown).collect();
    // Opaque to the caller: a key has three parts.
    let next = found.next.map(|next| json!(next).to_string());
    Ok(ok(&json!({ "devices": devices, "next": next })))
}

/// Returns a device as JSON. The digest of its tokens concerns the server alone.
fn shown(device: &Device) -> Value {
    let DeviceKey { client_id, subject, device_id } = &device.key;
    json!({
        "client_id": client_id,
        "subject": subject,
        "device_id": device_id,
        "name": device.name,
        "first_seen": device.first_seen,
        "last_seen": device.last_seen,
        "policy_seen": device.policy_seen,
        "wipe": device.wipe,
    })
}

/// The body names a device: `{"client_id": .., "subject": .., "device_id": ..}`.
pub(super) async fn order_wipe(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    body: Bytes,
) -> Answer {
    let device: DeviceKey = read(&body)?;
    let revoked = state.of(&claims).order_wipe(&device).await?;
    Ok(ok(&json!({ "revoked_at": revoked.at })))
}

pub(super) async fn withdraw_wipe(
    State(state): State<Arc<Administration>>,
    Bearer(claims): Bearer,
    body: Bytes,
) -> Answer {
    let device: DeviceKey = read(&body)?;
    state.of(&claims).withdraw_wipe(&device).await?;
    Ok(ok(&json!({ "withdrawn": true })))
}
