//! The part of the table about apps that describe themselves.

use super::ErrorCode;
use super::rejection_table::{Entry, entry};
use crate::app::DocumentProblem;
use crate::observe::Step;

pub(super) const DOCUMENT_GONE: Entry = entry(
    ErrorCode::InvalidGrant,
    Step::Grant,
    "client_document_is_gone",
    "the client metadata document of the app is gone",
)
.decided_by("client_documents");

pub(super) const SELF_DESCRIBED_APP: Entry = entry(
    ErrorCode::UnauthorizedClient,
    Step::Client,
    "self_described_app",
    "the app described itself, and gets tokens by consent only",
)
.decided_by("origin");

/// Maps each problem to its wire code, step, reason and description. The developer of the app reads the description
/// on the error page.
pub(super) const fn document_entry(problem: DocumentProblem) -> Entry {
    use DocumentProblem as P;
    const UNREACHABLE: &str = "the client metadata document is not reachable";
    match problem {
        P::HostNotAllowed => client(
            "client_document_host",
            "this server accepts no client metadata document of that host",
        )
        .decided_by("client_documents"),
        P::TooMany => entry(
            ErrorCode::TemporarilyUnavailable,
            Step::RateLimit,
            "client_document_too_many",
            "too many client metadata documents are asked for: try again in a minute",
        )
        .decided_by("rate_limits"),
        P::Changed => entry(
            ErrorCode::InvalidRequest,
            Step::Client,
            "client_document_changed",
            "the app has changed meanwhile: go back to the app and start again",
        ),
        P::TooManyApps => entry(
            ErrorCode::TemporarilyUnavailable,
            Step::RateLimit,
            "client_document_too_many_apps",
            "too many apps describe themselves to this server: try again later",
        )
        .decided_by("client_documents"),
        P::Address => client("client_document_address", UNREACHABLE),
        P::Unreachable => client("client_document_unreachable", UNREACHABLE),
        P::Status => client(
            "client_document_status",
            "the client metadata document was not answered with status 200",
        ),
        P::Gone => client(
            "client_document_gone",
            "the client metadata document is gone: it was answered with status 404 or 410",
        ),
        P::ContentType => client(
            "client_document_content_type",
            "the client metadata document is not application/json",
        ),
        P::TooLarge => {
            client("client_document_too_large", "the client metadata document is longer than 5 KiB")
        }
        P::ClientId => client(
            "client_document_client_id",
            "client_id in the client metadata document is not its URL",
        ),
        P::Secret => client(
            "client_document_secret",
            "the client metadata document must neither have nor use a client secret",
        ),
        P::Member(_) => client(
            "client_document_member",
            "a member of the client metadata document is not usable",
        ),
    }
}

const fn client(reason: &'static str, description: &'static str) -> Entry {
    entry(ErrorCode::InvalidClient, Step::Client, reason, description)
}
