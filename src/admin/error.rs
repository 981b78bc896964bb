//! Why an administrator's call did not do what was asked.

use crate::app::InvalidApp;
use crate::observe::{Outcome, Step};
use crate::random::RandomError;
use crate::store::StoreError;

/// An administrator's call did not do what was asked. Nothing was changed, save after
/// [`Store`](Self::Store), and save that [`disable`](super::Admin::disable) and
/// [`delete`](super::Admin::delete) may have ended what was granted to the app before
/// [`NotFound`](Self::NotFound) or [`Conflict`](Self::Conflict) stopped them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no such app.
    #[error("there is no such app")]
    NotFound,
    /// Somebody else edited the app first. Read it again, and edit what it is now.
    #[error("the app is at version {found}, no longer at {expected}")]
    Conflict {
        /// The version that was read before.
        expected: u64,
        /// The version that is stored.
        found: u64,
    },
    /// An app with this client id is registered already.
    #[error("an app with this client id is registered already")]
    AlreadyExists,
    /// A setting is not valid.
    #[error("a setting is not valid")]
    Invalid(#[from] InvalidApp),
    /// No secret could be made.
    #[error("no secret could be made")]
    Random(#[from] RandomError),
    /// It may or may not have been done. Every call but a registration can be repeated.
    #[error("it may or may not have been done")]
    Store(#[from] StoreError),
}

impl AdminError {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound => Outcome::refused(Step::Claim, "app_not_found", None),
            Self::Conflict { .. } => Outcome::refused(Step::Claim, "app_version_conflict", None),
            Self::AlreadyExists => Outcome::refused(Step::Claim, "app_already_exists", None),
            Self::Invalid(invalid) => {
                Outcome::refused(Step::Parse, "invalid_setting", Some(invalid.field()))
            }
            Self::Random(_) => Outcome::failed(Step::Mint, self),
            Self::Store(_) => Outcome::failed(Step::Claim, self),
        }
    }
}
