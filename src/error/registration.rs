//! The causes of refused registrations (RFC 7591 section 3.2.2, RFC 7592 section 2).

use std::borrow::Cow;

use super::rejection_table::{Entry, entry};
use super::{EndpointError, ErrorCode, Rejection};
use crate::app::InvalidApp;
use crate::observe::Step;

/// The cause to refuse an app that registers itself, or manages its registration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationRefusal {
    /// The server registers no apps, or lets none manage its registration.
    NotOffered,
    /// The client metadata are longer than 16 KiB.
    TooLarge,
    /// A member of the client metadata is not usable; `metadata` stands for the whole.
    Metadata {
        /// The member.
        member: &'static str,
        /// The rule that it breaks, without the value.
        problem: Cow<'static, str>,
    },
    /// No redirect URI of the client metadata is usable, or the server drops none and one is not.
    RedirectUris {
        /// The rule that the first breaks, without the value.
        problem: Cow<'static, str>,
    },
    /// The request has no bearer token, and needs one.
    NoToken,
    /// The initial access token is wrong.
    InitialAccessToken,
    /// The registration access token is wrong, or the app no longer exists.
    AccessToken,
    /// The server registers apps by a software statement only, and there is none.
    NoSoftwareStatement,
    /// The software statement is malformed, expired, for another server, or its signature is wrong.
    SoftwareStatement,
    /// The server does not trust the issuer of the software statement.
    UnapprovedSoftwareStatement,
    /// This source registers or changes too many apps.
    TooMany,
    /// As many apps as the server allows have registered themselves.
    TooManyApps,
    /// An administrator has edited the settings of the app.
    Administered,
}

impl RegistrationRefusal {
    pub(super) fn description(&self) -> Cow<'static, str> {
        match self {
            Self::Metadata { member, problem } => plain(&format!("{member} {problem}")).into(),
            Self::RedirectUris { problem } => plain(&format!("redirect_uris {problem}")).into(),
            Self::NotOffered
            | Self::TooLarge
            | Self::NoToken
            | Self::InitialAccessToken
            | Self::AccessToken
            | Self::NoSoftwareStatement
            | Self::SoftwareStatement
            | Self::UnapprovedSoftwareStatement
            | Self::TooMany
            | Self::TooManyApps
            | Self::Administered => self.entry().description.into(),
        }
    }

    pub(super) const fn entry(&self) -> Entry {
        use ErrorCode as C;
        use Step as S;
        const SETTING: &str = "registration";
        match self {
            Self::NotOffered => entry(
                C::InvalidRequest,
                S::Parse,
                "no_registration",
                "the server does not offer this",
            )
            .decided_by(SETTING),
            Self::TooLarge => entry(
                C::InvalidClientMetadata,
                S::Parse,
                "metadata_too_large",
                "the client metadata are longer than 16 KiB",
            ),
            // The description names the rule.
            Self::Metadata { .. } => entry(
                C::InvalidClientMetadata,
                S::Parse,
                "client_metadata",
                "the client metadata are not usable",
            )
            .decided_by(SETTING),
            Self::RedirectUris { .. } => {
                entry(C::InvalidRedirectUri, S::Parse, "redirect_uris", "no redirect URI is usable")
                    .decided_by(SETTING)
            }
            Self::NoToken => {
                entry(C::InvalidToken, S::Client, "no_bearer_token", "a bearer token is required")
            }
            Self::InitialAccessToken => entry(
                C::InvalidToken,
                S::Client,
                "initial_access_token",
                "the initial access token is wrong",
            )
            .decided_by(SETTING),
            Self::AccessToken => entry(
                C::InvalidToken,
                S::Client,
                "registration_access_token",
                "the registration access token is wrong",
            ),
            Self::NoSoftwareStatement => entry(
                C::InvalidSoftwareStatement,
                S::Client,
                "no_software_statement",
                "a software statement is required",
            )
            .decided_by(SETTING),
            Self::SoftwareStatement => entry(
                C::InvalidSoftwareStatement,
                S::Client,
                "software_statement",
                "the software statement is malformed, expired, for another server, or wrongly \
                 signed",
            ),
            Self::UnapprovedSoftwareStatement => entry(
                C::UnapprovedSoftwareStatement,
                S::Client,
                "unapproved_software_statement",
                "the issuer of the software statement is not trusted",
            )
            .decided_by(SETTING),
            Self::TooMany => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "too_many_registrations",
                "too many apps are registered or changed from here, try again later",
            )
            .decided_by("rate_limits"),
            Self::TooManyApps => entry(
                C::TemporarilyUnavailable,
                S::RateLimit,
                "too_many_registered_apps",
                "too many apps are registered, try again later",
            )
            .decided_by(SETTING),
            Self::Administered => entry(
                C::AccessDenied,
                S::Grant,
                "administered_registration",
                "an administrator has edited the app, which can no longer describe itself",
            ),
        }
    }
}

impl From<InvalidApp> for RegistrationRefusal {
    fn from(invalid: InvalidApp) -> Self {
        let problem = Cow::Owned(invalid.problem().to_owned());
        match invalid.field() {
            "redirect_uris" => Self::RedirectUris { problem },
            member => Self::Metadata { member, problem },
        }
    }
}

impl From<RegistrationRefusal> for EndpointError {
    fn from(refusal: RegistrationRefusal) -> Self {
        Rejection::Registration(refusal).into()
    }
}

/// Replaces the characters that RFC 6749 section 5.2 does not allow in a description.
fn plain(text: &str) -> String {
    let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    text.chars().map(|c| if allowed(c) { c } else { '\'' }).collect()
}
