//! An app as a JSON document: digests and sealed secrets, never a usable secret.

use std::sync::Arc;

use super::unreadable;
use crate::app::CustomApp;
use crate::store::StoreError;

/// Returns the document of an app.
pub(in crate::store) fn write_app(app: &CustomApp) -> Result<String, StoreError> {
    serde_json::to_string(app).map_err(StoreError::new)
}

/// Reads what [`write_app`] wrote. The error omits its cause, which could quote the document.
pub(in crate::store) fn read_app(document: &str) -> Result<Arc<CustomApp>, StoreError> {
    serde_json::from_str(document).map(Arc::new).map_err(|_| unreadable("document"))
}
