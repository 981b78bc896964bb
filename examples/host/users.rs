//! The host's own tables, beside those of the server: users, sessions, attempts to log in, notes.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::clock::{Clock as _, SystemClock, UnixTime};
use grantor::random::{OsRandom, RandomError, SecureRandom as _};
use grantor::store::sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use grantor::store::sqlx::{self, Executor as _};
use grantor::users::DirectoryError;
use grantor::{Subject, User, UserDirectory};
use ring::{digest, pbkdf2};
use tokio::sync::Semaphore;

use crate::BoxError;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS users (
        name TEXT PRIMARY KEY, salt BLOB NOT NULL, hash BLOB NOT NULL, active INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS sessions (
        id BLOB PRIMARY KEY, name TEXT NOT NULL, token TEXT NOT NULL, logged_in_at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS attempts (name TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS notes (name TEXT NOT NULL, text TEXT NOT NULL) STRICT;";

/// Rounds of PBKDF2-HMAC-SHA256. A host that adds the crate `argon2` uses that.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
/// Passwords that are hashed at a time.
const HASHING: usize = 2;
/// Logins with one name from one address within a minute.
const MAX_ATTEMPTS: i64 = 10;
/// The seconds for which a session lives.
const SESSION: i64 = 8 * 3600;

/// A login of a browser.
pub(crate) struct Session {
    pub(crate) subject: Subject,
    /// The anti-forgery token of forms, and the name of the session for the authorization server.
    pub(crate) token: String,
    pub(crate) logged_in_at: UnixTime,
}

/// The answer to a name and a password.
pub(crate) enum LogIn {
    /// The value of the session cookie.
    Done(String),
    Wrong,
    TooMany,
}

/// The users. Clones share the database.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pool: SqlitePool,
    hashing: Arc<Semaphore>,
}

impl Users {
    pub(crate) async fn open(file: &Path) -> Result<Self, sqlx::Error> {
        let options =
            SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(5));
        let pool = SqlitePool::connect_with(options).await?;
        pool.execute(TABLES).await?;
        Ok(Self { pool, hashing: Arc::new(Semaphore::new(HASHING)) })
    }

    /// Adds a user with a random password, which it returns, unless there is a user.
    pub(crate) async fn add_first(&self, name: &str) -> Result<Option<String>, BoxError> {
        let (known,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM users").fetch_one(&self.pool).await?;
        if known > 0 {
            return Ok(None);
        }
        let (password, mut salt) = (random_text()?, vec![0; 16]);
        OsRandom::new().fill(&mut salt)?;
        let hash = derive(&salt, &password);
        sqlx::query("INSERT INTO users VALUES (?, ?, ?, 1)")
            .bind(name)
            .bind(salt)
            .bind(hash)
            .execute(&self.pool)
            .await?;
        Ok(Some(password))
    }

    /// Checks a password and begins a session. An unknown name takes as long as a known one.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: String,
        source: &str,
    ) -> Result<LogIn, BoxError> {
        if name.len() > Subject::MAX_BYTES {
            return Ok(LogIn::Wrong);
        }
        let _turn = self.hashing.acquire().await?;
        let now = SystemClock::new().now().as_seconds();
        // Counted before the check, so that concurrent guesses count, too.
        sqlx::query("DELETE FROM attempts WHERE at < ?").bind(now - 60).execute(&self.pool).await?;
        let counted = sqlx::query(
            "INSERT INTO attempts SELECT ?1, ?2, ?3 \
             WHERE (SELECT count(*) FROM attempts WHERE name = ?1 AND source = ?2) < ?4",
        )
        .bind(name)
        .bind(source)
        .bind(now)
        .bind(MAX_ATTEMPTS);
        if counted.execute(&self.pool).await?.rows_affected() == 0 {
            return Ok(LogIn::TooMany);
        }
        let found: Option<(Vec<u8>, Vec<u8>)> =
            sqlx::query_as("SELECT salt, hash FROM users WHERE name = ? AND active = 1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await?;
        let known = found.is_some();
        let (salt, hash) = found.unwrap_or_else(|| (vec![0; 16], vec![0; 32]));
        let right = tokio::task::spawn_blocking(move || {
            let password = password.as_bytes();
            pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password, &hash).is_ok()
        });
        if !(right.await? && known) {
            return Ok(LogIn::Wrong);
        }
        sqlx::query("DELETE FROM sessions WHERE logged_in_at < ?")
            .bind(now - SESSION)
            .execute(&self.pool)
            .await?;
        let cookie = random_text()?;
        sqlx::query("INSERT INTO sessions VALUES (?, ?, ?, ?)")
            .bind(digest_of(&cookie))
            .bind(name)
            .bind(random_text()?)
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(LogIn::Done(cookie))
    }

    /// Finds the session of a cookie. A user who is no longer active has none.
    pub(crate) async fn session(&self, cookie: &str) -> Result<Option<Session>, BoxError> {
        let found: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT name, token, logged_in_at FROM sessions JOIN users USING (name) \
             WHERE id = ? AND active = 1 AND logged_in_at >= ?",
        )
        .bind(digest_of(cookie))
        .bind(SystemClock::new().now().as_seconds() - SESSION)
        .fetch_optional(&self.pool)
        .await?;
        let Some((name, token, at)) = found else { return Ok(None) };
        let logged_in_at = UnixTime::from_seconds(at);
        Ok(Some(Session { subject: Subject::new(name)?, token, logged_in_at }))
    }

    pub(crate) async fn end_session(&self, cookie: &str) -> Result<(), sqlx::Error> {
        let ended = sqlx::query("DELETE FROM sessions WHERE id = ?").bind(digest_of(cookie));
        ended.execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn end_sessions_of(&self, subject: &Subject) -> Result<(), sqlx::Error> {
        let ended = sqlx::query("DELETE FROM sessions WHERE name = ?").bind(subject.as_str());
        ended.execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn notes(&self, subject: &Subject) -> Result<Vec<String>, sqlx::Error> {
        let notes: Vec<(String,)> = sqlx::query_as("SELECT text FROM notes WHERE name = ?")
            .bind(subject.as_str())
            .fetch_all(&self.pool)
            .await?;
        Ok(notes.into_iter().map(|(text,)| text).collect())
    }

    pub(crate) async fn add_note(&self, subject: &Subject, text: &str) -> Result<(), sqlx::Error> {
        let added =
            sqlx::query("INSERT INTO notes VALUES (?, ?)").bind(subject.as_str()).bind(text);
        added.execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl UserDirectory for Users {
    async fn find_user(&self, subject: &Subject) -> Result<Option<User>, DirectoryError> {
        let found: Option<(bool,)> = sqlx::query_as("SELECT active FROM users WHERE name = ?")
            .bind(subject.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(DirectoryError::new)?;
        Ok(found.map(|(active,)| User::new(subject.clone()).with_active(active)))
    }
}

fn derive(salt: &[u8], password: &str) -> Vec<u8> {
    let mut hash = vec![0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, password.as_bytes(), &mut hash);
    hash
}

/// Returns 128 random bits as text, for cookies and tokens.
pub(crate) fn random_text() -> Result<String, RandomError> {
    let mut bytes = [0; 16];
    OsRandom::new().fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The table holds digests, so that a copy of it opens no session.
fn digest_of(cookie: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, cookie.as_bytes()).as_ref().to_vec()
}
