//! The rows of the audit log and of usage in SQL.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Names, unreadable};
use crate::clock::UnixTime;
use crate::protocol::grant_type::GrantType;
use crate::store::{AuditFilter, AuditRow, DayRow, StoreError, UsageRow};

/// The names of a filter as the tables have them.
pub(in crate::store) struct FilterNames<'a> {
    client_id: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
}

impl FilterNames<'_> {
    /// Returns `filter` with these names.
    pub(in crate::store) fn of<'n>(&'n self, filter: &AuditFilter<'n>) -> AuditFilter<'n> {
        let (client_id, subject) = (self.client_id.as_deref(), self.subject.as_deref());
        AuditFilter { client_id, subject, ..*filter }
    }
}

impl<'a> AuditFilter<'a> {
    pub(in crate::store) fn names(&self, names: &Names) -> FilterNames<'a> {
        FilterNames {
            client_id: self.client_id.map(|app| names.write(app)),
            subject: self.subject.map(|user| names.write(user)),
        }
    }

    /// Returns the statement that begins with `select`, which ends before the condition, for the events of the
    /// issuer with these `names`.
    pub(in crate::store) fn select<DB: Database>(
        &'a self,
        select: &str,
        names: &Names,
    ) -> QueryBuilder<DB>
    where
        DB::Arguments: Default,
        i64: Encode<'a, DB> + Type<DB>,
        &'a str: Encode<'a, DB> + Type<DB>,
        &'a [u8]: Encode<'a, DB> + Type<DB>,
    {
        let (first, last) = &self.ids;
        let mut text = QueryBuilder::new(select);
        match names.number() {
            // The number stays in the text, so that the planner sees whether it is null.
            Some(number) => text.push("issuer = ").push(number),
            None => text.push("issuer IS NULL"),
        };
        text.push(" AND event_id >= ")
            .push_bind(&first[..])
            .push(" AND event_id <= ")
            .push_bind(&last[..]);
        text.push(" AND at >= ").push_bind(self.since);
        text.push(" AND at <= ").push_bind(self.until);
        if let Some(before) = &self.before {
            text.push(" AND event_id < ").push_bind(&before[..]);
        }
        if let Some(client_id) = self.client_id {
            text.push(" AND client_id = ").push_bind(client_id);
        }
        if let Some(subject) = self.subject {
            text.push(" AND subject = ").push_bind(subject);
        }
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        text.push(" ORDER BY event_id DESC LIMIT ").push_bind(limit);
        text
    }
}

impl AuditRow {
    /// Removes rows with a repeated id.
    pub(in crate::store) fn distinct(rows: Vec<Self>) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        rows.into_iter().filter(|row| seen.insert(row.event_id)).collect()
    }
}

impl UsageRow {
    pub(in crate::store) fn read(
        kind: i64,
        counted: i64,
        last_at: i64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            issued: counter_of(kind)?,
            counted: counted.try_into().map_err(|_| unreadable("counted"))?,
            last_at: UnixTime::from_millis(last_at),
        })
    }
}

impl DayRow {
    pub(in crate::store) fn read(day: i64, kind: i64, counted: i64) -> Result<Self, StoreError> {
        Ok(Self {
            day,
            issued: counter_of(kind)?,
            counted: counted.try_into().map_err(|_| unreadable("counted"))?,
        })
    }
}

/// Returns the number of a counter: 0 for refusals, then grant types from 1.
pub(in crate::store) const fn counter_code(issued: Option<GrantType>) -> i16 {
    match issued {
        None => 0,
        Some(GrantType::AuthorizationCode) => 1,
        Some(GrantType::RefreshToken) => 2,
        Some(GrantType::JwtBearer) => 3,
        Some(GrantType::ClientCredentials) => 4,
        Some(GrantType::DeviceCode) => 5,
        Some(GrantType::TokenExchange) => 6,
    }
}

/// Reads what [`counter_code`] wrote.
fn counter_of(code: i64) -> Result<Option<GrantType>, StoreError> {
    let counters = GrantType::ALL.into_iter().map(Some).chain([None]);
    let found = counters.into_iter().find(|counter| i64::from(counter_code(*counter)) == code);
    found.ok_or_else(|| unreadable("kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_as_it_was_written() {
        for counter in [None].into_iter().chain(GrantType::ALL.map(Some)) {
            assert_eq!(counter_of(counter_code(counter).into()).unwrap(), counter);
        }
        assert!(counter_of(7).is_err() && counter_of(-1).is_err());
    }
}
