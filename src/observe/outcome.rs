//! The outcome of a request and the step that decided it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A step of the pipeline. An outcome names the step at which the request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The request is read.
    Parse,
    /// The rate limits of the app are charged.
    RateLimit,
    /// The app is identified and authenticated.
    Client,
    /// The code, refresh token, assertion or decision is validated.
    Grant,
    /// The scope is decided.
    Scope,
    /// The hooks of the host run.
    Hook,
    /// The store claims the grant in one atomic call.
    Claim,
    /// The token is signed or the secret generated.
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

    /// Returns the stable name, the one used in serialization.
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

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The request succeeded.
    Success,
    /// The request was refused because the caller was at fault.
    Refused {
        /// The step that refused.
        step: Step,
        /// A stable name of the cause, such as `refresh_token_reused`.
        reason: Cow<'static, str>,
        /// The setting that decided, such as `jwt.impersonation`, if any.
        setting: Option<Cow<'static, str>>,
    },
    /// The request failed because this server, or a service that it depends on, was at fault.
    Failed {
        /// The step that failed.
        step: Step,
        /// The error and its sources, for operators only.
        reason: String,
    },
}

impl Outcome {
    /// Creates a refusal at `step`.
    #[must_use]
    pub const fn refused(step: Step, reason: &'static str, setting: Option<&'static str>) -> Self {
        let setting = match setting {
            Some(setting) => Some(Cow::Borrowed(setting)),
            None => None,
        };
        Self::Refused { step, reason: Cow::Borrowed(reason), setting }
    }

    /// Creates a failure at `step` from `error` and its sources.
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

    /// Returns the stable name, the one used in serialization.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns the step at which the request ended, unless it succeeded.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self {
            Self::Success => None,
            Self::Refused { step, .. } | Self::Failed { step, .. } => Some(*step),
        }
    }

    /// Returns the cause, unless the request succeeded.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Refused { reason, .. } => Some(reason),
            Self::Failed { reason, .. } => Some(reason),
        }
    }

    /// Returns the setting that decided, if any.
    #[must_use]
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::Refused { setting, .. } => setting.as_deref(),
            Self::Success | Self::Failed { .. } => None,
        }
    }
}
