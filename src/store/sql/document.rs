//! An app as a JSON document: digests and sealed secrets, never a secret that can be used.

use std::sync::Arc;

use super::unreadable;
use crate::app::CustomApp;
use crate::store::StoreError;

/// The document of an app.
pub(in crate::store) fn write_app(app: &CustomApp) -> Result<String, StoreError> {
    serde_json::to_string(app).map_err(StoreError::new)
}

/// Reads what [`write_app`] wrote. The cause is not told: it could quote a part of the document.
pub(in crate::store) fn read_app(document: &str) -> Result<Arc<CustomApp>, StoreError> {
    serde_json::from_str(document).map(Arc::new).map_err(|_| unreadable("document"))
}
