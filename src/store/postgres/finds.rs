//! One statement for all look-ups of grants that wait for a connection.
//!
//! Most of a look-up by primary key is the round trip. The first look-up waits for a connection, and those
//! that start meanwhile join it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::query;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::PostgresStore;
use super::rows::read_grant;
use super::run::{Late, MAX_ATTEMPTS};
use crate::ids::GrantId;
use crate::store::{Grant, StoreError};

/// The greatest number of look-ups that join another.
const MAX_OTHERS: usize = 63;

/// The look-ups that have joined, while one waits for a connection; otherwise `None`.
#[derive(Default)]
pub(super) struct Finds(Mutex<Option<Vec<Other>>>);

struct Other {
    grant_id: GrantId,
    answer: oneshot::Sender<Option<Grant>>,
}

/// The role of a look-up.
enum Part<'f> {
    /// It runs the statement, for those that join too.
    First(Gathering<'f>),
    /// It has joined another.
    Other(oneshot::Receiver<Option<Grant>>),
    /// It runs alone, because enough others have joined.
    Alone,
}

/// Lets other look-ups join while it lives. If it is dropped early, each of them starts again.
struct Gathering<'f>(Option<&'f Finds>);

impl Gathering<'_> {
    /// Ends the gathering and returns the look-ups that have joined.
    fn end(mut self) -> Vec<Other> {
        self.0.take().and_then(|finds| finds.lock().take()).unwrap_or_default()
    }
}

impl Finds {
    fn join(&self, grant_id: GrantId) -> Part<'_> {
        let mut gathering = self.lock();
        let Some(others) = gathering.as_mut() else {
            *gathering = Some(Vec::new());
            drop(gathering);
            return Part::First(Gathering(Some(self)));
        };
        if others.len() == MAX_OTHERS {
            return Part::Alone;
        }
        let (answer, answered) = oneshot::channel();
        others.push(Other { grant_id, answer });
        Part::Other(answered)
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Other>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        if let Some(finds) = self.0 {
            drop(finds.lock().take());
        }
    }
}

impl PostgresStore {
    /// Finds a grant by its id.
    pub(super) async fn find(&self, grant_id: GrantId) -> Result<Option<Grant>, StoreError> {
        let deadline = self.deadline();
        let mut attempt = 1;
        loop {
            let gathering = match self.finds.join(grant_id) {
                Part::First(gathering) => Some(gathering),
                Part::Alone => None,
                Part::Other(answered) => match timeout_at(deadline, answered).await {
                    Ok(Ok(found)) => return Ok(found),
                    // The first look-up failed or was dropped.
                    Ok(Err(_)) => continue,
                    Err(_) => return Err(StoreError::new(Late(self.timeout))),
                },
            };
            match self.ask(grant_id, gathering, deadline).await {
                Err(error) if attempt < MAX_ATTEMPTS && self.may_run_again(&error) => attempt += 1,
                answer => return answer.map_err(StoreError::new)?,
            }
        }
    }

    /// Looks up a grant, and those of the look-ups that have joined, and answers them.
    async fn ask(
        &self,
        grant_id: GrantId,
        gathering: Option<Gathering<'_>>,
        deadline: Instant,
    ) -> Result<Result<Option<Grant>, StoreError>, sqlx::Error> {
        let mut lent = self.take(deadline).await?;
        // No look-up joins from here on, so each was asked before the statement begins.
        let others = gathering.map(Gathering::end).unwrap_or_default();
        if others.is_empty() {
            let statement = query(self.sql.find_grant.clone()).bind(grant_id.as_bytes().to_vec());
            let rows = self.run_on(&mut lent, statement, deadline).await?;
            let read = rows.first().map(|row| read_grant(&self.names, row)).transpose();
            return Ok(read.map(Option::flatten));
        }
        let ids = others.iter().map(|other| other.grant_id).chain([grant_id]);
        let ids: Vec<_> = ids.map(|id| id.as_bytes().to_vec()).collect();
        let statement = query(self.sql.find_grants.clone()).bind(ids);
        let rows = self.run_on(&mut lent, statement, deadline).await?;
        drop(lent);
        let grants = rows.iter().filter_map(|row| read_grant(&self.names, row).transpose());
        let grants = grants.collect::<Result<Vec<_>, _>>();
        Ok(grants.map(|grants| {
            let found: HashMap<_, _> =
                grants.into_iter().map(|grant| (grant.grant_id, grant)).collect();
            for Other { grant_id, answer } in others {
                // A look-up that was dropped needs no answer.
                let _ = answer.send(found.get(&grant_id).cloned());
            }
            found.get(&grant_id).cloned()
        }))
    }
}
