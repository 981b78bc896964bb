//! The host's own tables: users, sessions, attempts to log in, notes.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, PasswordHash};
use grantor::clock::UnixTime;
use grantor::http::SessionSecret;
use grantor::random::OsRandom;
use grantor::store::sqlx::{self, Executor as _, sqlite::SqlitePool};
use grantor::users::DirectoryError;
use grantor::{Subject, User, UserDirectory};
use tokio::sync::Semaphore;

use super::BoxError;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, hash TEXT NOT NULL, active INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS sessions (id BLOB PRIMARY KEY, name TEXT NOT NULL, logged_in_at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS attempts (name TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS notes (name TEXT NOT NULL, text TEXT NOT NULL) STRICT;";

/// Sessions live for eight hours, and attempts count for a minute.
const OLD: &str = "
    DELETE FROM sessions WHERE logged_in_at < unixepoch() - 8 * 3600;
    DELETE FROM attempts WHERE at < unixepoch() - 60;";

/// A login of a browser.
pub(crate) struct Session {
    pub(crate) secret: SessionSecret,
    pub(crate) subject: Subject,
    pub(crate) logged_in_at: UnixTime,
}

/// The users. Clones share the database.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pool: SqlitePool,
    /// Two passwords are hashed at a time, so that guesses do not use up the memory.
    hashing: Arc<Semaphore>,
    /// The hash to compare with if there is no such user.
    decoy: String,
}

impl Users {
    pub(crate) async fn open(pool: SqlitePool) -> Result<Self, BoxError> {
        pool.execute(TABLES).await?;
        Ok(Self { pool, hashing: Arc::new(Semaphore::new(2)), decoy: hash("no user has it")? })
    }

    /// Adds a user with a random password, which it returns, unless there is a user.
    pub(crate) async fn add_first(&self, name: &str) -> Result<Option<String>, BoxError> {
        // Any random text will do.
        let password = SessionSecret::generate(&OsRandom::new())?.form_token();
        let added = "INSERT INTO users SELECT ?, ?, 1 WHERE NOT EXISTS (SELECT 1 FROM users)";
        let added =
            sqlx::query(added).bind(name).bind(hash(&password)?).execute(&self.pool).await?;
        let note =
            "INSERT INTO notes SELECT ?, 'buy <milk>' WHERE NOT EXISTS (SELECT 1 FROM notes)";
        sqlx::query(note).bind(name).execute(&self.pool).await?;
        Ok((added.rows_affected() > 0).then_some(password))
    }

    /// Counts an attempt to log in, and tells whether it is within the limits: in a minute, 10 for one name from
    /// one address, and 50 from one address. It is counted before the check, so that concurrent guesses count, too.
    pub(crate) async fn may_try(&self, name: &str, source: &str) -> Result<bool, BoxError> {
        self.pool.execute(OLD).await?;
        let counted = sqlx::query(
            "INSERT INTO attempts SELECT ?1, ?2, unixepoch()
             WHERE (SELECT count(*) FROM attempts WHERE name = ?1 AND source = ?2) < 10
             AND (SELECT count(*) FROM attempts WHERE source = ?2) < 50",
        );
        let counted = counted.bind(name).bind(source).execute(&self.pool).await?;
        Ok(counted.rows_affected() > 0)
    }

    /// Checks a password and begins a session. An unknown name takes as long as a known one.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: String,
    ) -> Result<Option<SessionSecret>, BoxError> {
        let found = sqlx::query_scalar("SELECT hash FROM users WHERE name = ? AND active = 1");
        let found: Option<String> = found.bind(name).fetch_optional(&self.pool).await?;
        let (known, hash) = (found.is_some(), found.unwrap_or_else(|| self.decoy.clone()));
        let _turn = self.hashing.acquire().await?;
        if !(tokio::task::spawn_blocking(move || verify(&password, &hash)).await? && known) {
            return Ok(None);
        }
        let secret = SessionSecret::generate(&OsRandom::new())?;
        let begun = sqlx::query("INSERT INTO sessions VALUES (?, ?, unixepoch())");
        begun.bind(key(&secret)).bind(name).execute(&self.pool).await?;
        Ok(Some(secret))
    }

    /// Finds the session of a cookie. A user who is no longer active has none.
    pub(crate) async fn session(&self, secret: SessionSecret) -> Result<Option<Session>, BoxError> {
        let found: Option<(String, i64)> = sqlx::query_as(
            "SELECT name, logged_in_at FROM sessions JOIN users USING (name)
             WHERE id = ? AND active = 1 AND logged_in_at >= unixepoch() - 8 * 3600",
        )
        .bind(key(&secret))
        .fetch_optional(&self.pool)
        .await?;
        let Some((name, at)) = found else { return Ok(None) };
        let (subject, logged_in_at) = (Subject::new(name)?, UnixTime::from_seconds(at));
        Ok(Some(Session { secret, subject, logged_in_at }))
    }

    pub(crate) async fn end_session(&self, secret: &SessionSecret) -> Result<(), BoxError> {
        let ended = sqlx::query("DELETE FROM sessions WHERE id = ?").bind(key(secret));
        ended.execute(&self.pool).await?;
        Ok(())
    }

    pub(crate) async fn notes(&self, subject: &Subject) -> Result<Vec<String>, BoxError> {
        let notes = sqlx::query_scalar("SELECT text FROM notes WHERE name = ?");
        Ok(notes.bind(subject.as_str()).fetch_all(&self.pool).await?)
    }
}

/// The server asks before each token.
impl UserDirectory for Users {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        let found = sqlx::query_scalar("SELECT active FROM users WHERE name = ?");
        let found = found.bind(subject.as_str()).fetch_optional(&self.pool).await;
        let active: Option<bool> = found.map_err(DirectoryError::new)?;
        Ok(active.map(|active| User::new(subject.clone()).with_active(active)))
    }
}

/// The table holds digests, so that a copy of it opens no session.
fn key(secret: &SessionSecret) -> Vec<u8> {
    secret.digest().as_bytes().to_vec()
}

fn hash(password: &str) -> Result<String, BoxError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| error.to_string())?.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    let verify = |hash| Argon2::default().verify_password(password.as_bytes(), &hash);
    PasswordHash::new(hash).is_ok_and(|hash| verify(hash).is_ok())
}
