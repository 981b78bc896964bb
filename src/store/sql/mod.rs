//! The common parts of the SQL stores: records as columns.
//!
//! Instants are Unix milliseconds, digests and grant ids are bytes, identifiers and scopes are
//! text, an app is a JSON document.

mod audit;
mod codes;
mod devices;
mod document;
mod grant_row;
mod names;
mod rare;
mod search;
mod table_prefix;
mod target;

pub(super) use audit::counter_code;
pub(super) use codes::{purpose_code, reason_code, reason_of};
pub(super) use devices::{
    DEVICE_COLUMNS, DeviceRow, FIRST_OF_GRANT, MAX_OTHERS, WipeColumns, list_devices,
};
#[cfg(feature = "postgres")]
pub(super) use devices::{DONE, NONE, NOTIFIED, REQUESTED, not_advanced};
pub(super) use document::{read_app, write_app};
pub(super) use grant_row::GrantRow;
pub(super) use names::{Names, in_order};
pub(super) use rare::Rare;
pub(super) use search::{Search, Searched};
pub use table_prefix::{InvalidTablePrefix, TablePrefix};
pub(super) use target::{read_target, write_target};

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::StoreError;
use crate::server_secret::RootPrint;

/// Returns the text of a statement whose clones share it.
///
/// Only constants and a [`TablePrefix`], which needs no quotes, may go into `text`. Values are bound.
pub(super) fn statement(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// Returns the fingerprints that are in `before` alone, and those in `after` alone.
pub(super) fn differences(
    before: &[RootPrint],
    after: &[RootPrint],
) -> (Vec<RootPrint>, Vec<RootPrint>) {
    let without = |some: &[RootPrint], others: &[RootPrint]| {
        some.iter().filter(|print| !others.contains(print)).copied().collect()
    };
    (without(before, after), without(after, before))
}

/// A column holds a value that this version does not write.
#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds what this version cannot read")]
struct Unreadable(&'static str);

pub(super) fn unreadable(column: &'static str) -> StoreError {
    StoreError::new(Unreadable(column))
}
