//! [`AppRegistry`] on SQLite.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::batch::{Batch, Failed};
use crate::app::CustomApp;
use crate::clock::UnixTime;
use crate::ids::ClientId;
use crate::store::sql::{Search, Searched, read_app, write_app};
use crate::store::{
    AppQuery, AppRegistry, AppsVersion, DeleteApp, InsertApp, Listing, Page, Revoked, StoreError,
    UpdateApp,
};

/// A change of an app in the queue.
struct Change {
    client_id: ClientId,
    version: i64,
    is_enabled: bool,
    is_self_described: bool,
    record: String,
    searched: Searched,
}

impl Change {
    fn to(app: &CustomApp) -> Result<Self, StoreError> {
        Ok(Self {
            client_id: app.client_id().clone(),
            version: app.version().cast_signed(),
            is_enabled: app.is_enabled(),
            is_self_described: app.origin().is_self_described(),
            record: write_app(app)?,
            searched: Searched::of(app),
        })
    }
}

impl SqliteStore {
    /// Learns of the clock of the file from a row, and returns it.
    pub(super) fn saw_clock(&self, row: &SqliteRow) -> Result<UnixTime, StoreError> {
        let clock = UnixTime::from_millis(row.try_get("clock").map_err(StoreError::new)?);
        self.clock.reach(clock);
        Ok(clock)
    }

    /// Learns of a revocation of this process.
    pub(super) fn saw_revocation(&self, revoked: Revoked) -> Revoked {
        self.clock.reach(revoked.at.plus(Duration::from_millis(1)));
        revoked
    }
}

impl AppRegistry for SqliteStore {
    async fn find_app(&self, client_id: &ClientId) -> Result<Option<Arc<CustomApp>>, StoreError> {
        let row = sqlx::query(self.sql.find_app.clone()).bind(self.names.write(client_id.as_str()));
        let row = row.fetch_optional(self.readers()?).await.map_err(StoreError::new)?;
        let Some(row) = row else { return Ok(None) };
        self.saw_clock(&row)?;
        record(&row).map(Some)
    }

    async fn insert_app(&self, app: CustomApp) -> Result<InsertApp, StoreError> {
        let change = Change::to(&app)?;
        let insert = move |batch: &mut Batch<'_>| {
            let (sql, names) = (batch.sql, batch.names.clone());
            let inserted = batch.execute(
                sqlx::query(sql.insert_app.clone())
                    .bind(names.write(change.client_id.as_str()))
                    .bind(change.version)
                    .bind(change.is_enabled)
                    .bind(change.record.as_str())
                    .bind(change.searched.folded.as_deref())
                    .bind(change.searched.marks),
            )?;
            if inserted == 0 {
                return Ok(InsertApp::AlreadyExists);
            }
            if !change.is_self_described {
                count(batch)?;
            }
            Ok(InsertApp::Inserted)
        };
        self.run(insert).await
    }

    async fn update_app(
        &self,
        app: CustomApp,
        expected_version: u64,
    ) -> Result<UpdateApp, StoreError> {
        let change = Change::to(&app)?;
        let expected = expected_version.cast_signed();
        let update = move |batch: &mut Batch<'_>| -> Result<_, Failed> {
            let (sql, names) = (batch.sql, batch.names.clone());
            let was_described = was_described(batch, &change.client_id, expected)?;
            let updated = batch.execute(
                sqlx::query(sql.update_app.clone())
                    .bind(names.write(change.client_id.as_str()))
                    .bind(change.version)
                    .bind(change.is_enabled)
                    .bind(change.record.as_str())
                    .bind(change.searched.folded.as_deref())
                    .bind(change.searched.marks)
                    .bind(expected),
            )?;
            if updated > 0 {
                if !was_described {
                    count(batch)?;
                }
                return Ok(UpdateApp::Updated);
            }
            let found = sqlx::query(sql.find_app.clone());
            let found = batch.find(found.bind(names.write(change.client_id.as_str())))?;
            Ok(if found.is_some() { UpdateApp::Conflict } else { UpdateApp::NotFound })
        };
        self.run(update).await
    }

    async fn delete_app(
        &self,
        client_id: &ClientId,
        expected_version: u64,
    ) -> Result<DeleteApp, StoreError> {
        let client_id = client_id.clone();
        let expected = expected_version.cast_signed();
        let delete = move |batch: &mut Batch<'_>| {
            let (sql, names) = (batch.sql, batch.names.clone());
            let was_described = was_described(batch, &client_id, expected)?;
            let client_id = names.write(client_id.as_str()).into_owned();
            let client_id = client_id.as_str();
            let delete = sqlx::query(sql.delete_app.clone()).bind(client_id).bind(expected);
            if batch.execute(delete)? == 0 {
                let found = batch.find(sqlx::query(sql.find_app.clone()).bind(client_id))?;
                return Ok(match found {
                    Some(_) => DeleteApp::Conflict,
                    None => DeleteApp::NotFound,
                });
            }
            batch.execute(sqlx::query(sql.delete_consents_of_app.clone()).bind(client_id))?;
            if !was_described {
                count(batch)?;
            }
            Ok(DeleteApp::Deleted)
        };
        self.run(delete).await
    }

    async fn list_apps(
        &self,
        query: &AppQuery,
        page: Page<ClientId>,
    ) -> Result<Listing<Arc<CustomApp>, ClientId>, StoreError> {
        let mut found = Vec::new();
        let mut after = page.after;
        let search = Search::of(query);
        let pattern = search.text.as_deref().map(pattern);
        for read in AppQuery::reads(page.limit) {
            let rows = sqlx::query(self.sql.list_apps.clone())
                .bind(match &after {
                    Some(after) => self.names.write(after.as_str()),
                    None => self.names.floor().into(),
                })
                .bind(query.enabled)
                .bind(i64::try_from(read).unwrap_or(i64::MAX))
                .bind(self.names.ceiling())
                .bind(pattern.as_deref())
                .bind(search.mask)
                .bind(search.marks)
                .fetch_all(self.readers()?)
                .await
                .map_err(StoreError::new)?;
            for row in &rows {
                let app = record(row)?;
                after = Some(app.client_id().clone());
                if query.admits(&app) {
                    found.push(app);
                }
            }
            if rows.len() < read || found.len() > page.limit {
                return Ok(Listing::first_of(found, page.limit, |last| last.client_id().clone()));
            }
        }
        Ok(Listing::new(found, after))
    }

    async fn count_self_registered_apps(&self, most: usize) -> Result<usize, StoreError> {
        let row = sqlx::query(self.sql.count_self_registered.clone())
            .bind(self.names.floor())
            .bind(self.names.ceiling())
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_one(self.readers()?)
            .await
            .map_err(StoreError::new)?;
        let apps: i64 = row.try_get("apps").map_err(StoreError::new)?;
        Ok(usize::try_from(apps).unwrap_or(usize::MAX))
    }

    async fn apps_version(&self) -> Result<AppsVersion, StoreError> {
        let query = match self.names.number() {
            None => sqlx::query(self.sql.apps_version.clone()),
            Some(number) => sqlx::query(self.sql.apps_version_of.clone()).bind(number),
        };
        let row = query.fetch_one(self.readers()?).await;
        let row = row.map_err(StoreError::new)?;
        let counted: i64 = row.try_get("apps").map_err(StoreError::new)?;
        Ok(AppsVersion { version: counted.cast_unsigned(), seen: self.saw_clock(&row)? })
    }
}

/// Checks whether the app described itself at `version`. Its change is then not counted.
fn was_described(
    batch: &mut Batch<'_>,
    client_id: &ClientId,
    version: i64,
) -> Result<bool, sqlx::Error> {
    let names = batch.names.clone();
    let find = sqlx::query(batch.sql.was_described.clone());
    let find = find.bind(names.write(client_id.as_str()).into_owned()).bind(version);
    Ok(batch.find(find)?.is_some())
}

/// Counts a change of an app of the issuer.
fn count(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let sql = batch.sql;
    let count = match batch.names.number() {
        None => sqlx::query(sql.count_app.clone()),
        Some(number) => sqlx::query(sql.count_app_of.clone()).bind(number),
    };
    batch.execute(count).map(|_| ())
}

fn record(row: &SqliteRow) -> Result<Arc<CustomApp>, StoreError> {
    read_app(row.try_get("record").map_err(StoreError::new)?)
}

/// Returns the pattern of the texts that contain `text`. `GLOB` finds them in a fifth of the time of `instr`.
fn pattern(text: &str) -> String {
    // No folded text is that long, none is empty, and SQLite refuses long patterns.
    if text.len() > Searched::MAX_FOLDED {
        return String::new();
    }
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('*');
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[') {
            pattern.extend(['[', character, ']']);
        } else {
            pattern.push(character);
        }
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    fn finds(text: &str, folded: &str) -> bool {
        let find = async {
            let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
            let find = sqlx::query_scalar("SELECT ?1 GLOB ?2").bind(folded).bind(pattern(text));
            find.fetch_one(&mut connection).await.unwrap()
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(find)
    }

    #[test]
    fn the_characters_of_patterns_match_only_themselves() {
        for (text, folded, is_found) in [
            ("", "\n", true),
            ("a*c", "a*c\n", true),
            ("a*c", "abc\n", false),
            ("a?c", "a?c\n", true),
            ("a?c", "abc\n", false),
            ("[a]", "x\n[a]", true),
            ("[a]", "a\n", false),
            ("[^a]", "b\n", false),
            ("]", "[]\n", true),
            ("a]", "a\n", false),
            ("\\*", "\\*\n", true),
            ("é", "café\n", true),
            ("É", "café\n", false),
            ("a\nb", "ba\nba", true),
        ] {
            assert_eq!(finds(text, folded), is_found, "{text:?} in {folded:?}");
        }
        let longest = "[".repeat(Searched::MAX_FOLDED);
        assert!(finds(&longest, &longest));
        assert!(!finds(&"a".repeat(1_000_000), "a\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_pattern_matches_the_texts_that_contain_the_text(
            text in "[ab*?\\[\\]^é\n-]{0,4}",
            folded in "[ab*?\\[\\]^é\n-]{1,12}",
        ) {
            prop_assert_eq!(finds(&text, &folded), folded.contains(&text));
        }
    }
}
