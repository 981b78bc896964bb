//! How what was asked ended, and at which step.

use std::error::Error;
use std::fmt::Write as _;

use serde::Serialize;

/// The step at which a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The request was read.
    Parse,
    /// The budgets of the app were charged.
    RateLimit,
    /// The app was identified and authenticated.
    Client,
    /// The code, refresh token, assertion or decision was validated.
    Grant,
    /// The scope was decided.
    Scope,
    /// The host was asked for a veto or for more claims.
    Hook,
    /// The store made it so in one atomic call.
    Claim,
    /// The token was signed, or the secret made.
    Mint,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 8] = [
        Self::Parse,
        Self::RateLimit,
        Self::Client,
        Self::Grant,
        Self::Scope,
        Self::Hook,
        Self::Claim,
        Self::Mint,
    ];

    /// Its stable name, as it is serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::RateLimit => "rate_limit",
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Scope => "scope",
            Self::Hook => "hook",
            Self::Claim => "claim",
            Self::Mint => "mint",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused; the one who asked was at fault.
    Refused {
        /// At which step.
        step: Step,
        /// Why: a stable name such as `refresh_token_reused`.
        reason: &'static str,
        /// The setting that decided, such as `jwt.impersonation`, if it was one.
        setting: Option<&'static str>,
    },
    /// It failed; this server, or something it needs, was at fault.
    Failed {
        /// At which step.
        step: Step,
        /// What went wrong, with its causes. For operators only.
        reason: String,
    },
}

impl Outcome {
    /// It was refused at `step` for `reason`, by `setting` where one decided.
    #[must_use]
    pub const fn refused(step: Step, reason: &'static str, setting: Option<&'static str>) -> Self {
        Self::Refused { step, reason, setting }
    }

    /// It failed at `step` because of `error` and what caused that.
    #[must_use]
    pub fn failed(step: Step, error: &(dyn Error + 'static)) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = write!(reason, ": {error}");
            cause = error.source();
        }
        Self::Failed { step, reason }
    }

    /// Its stable name, as it is serialized.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
        }
    }

    /// At which step it ended, unless it succeeded.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self {
            Self::Success => None,
            Self::Refused { step, .. } | Self::Failed { step, .. } => Some(*step),
        }
    }

    /// Why it ended, unless it succeeded.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Refused { reason, .. } => Some(reason),
            Self::Failed { reason, .. } => Some(reason),
        }
    }

    /// The setting that decided, if it was one.
    #[must_use]
    pub const fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Refused { setting, .. } => *setting,
            Self::Success | Self::Failed { .. } => None,
        }
    }
}
