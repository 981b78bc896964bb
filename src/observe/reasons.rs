//! The reasons of refusals, as metrics label them.

use crate::observe::{Outcome, Step};

/// Every value of the label `reason` in metrics: each [`Rejection::reason`] in alphabetical order, and three
/// more at the end. `vetoed` stands for every reason of a hook, `invalid_http_request` for a request that
/// was refused before an endpoint read it, and `other` for a name that this list lacks.
///
/// [`Rejection::reason`]: crate::error::Rejection::reason
pub const REFUSAL_REASONS: &[&str] = &[
    "actor_not_listed",
    "actor_token_bound",
    "actor_token_expired",
    "actor_token_invalid",
    "actor_token_not_of_app",
    "actor_token_revoked",
    "administered_registration",
    "already_decided",
    "app_disabled",
    "app_not_named",
    "assertion",
    "assertion_replayed",
    "auth_time_unknown",
    "binding_mismatch",
    "client_assertion",
    "client_assertion_type",
    "client_document_address",
    "client_document_changed",
    "client_document_client_id",
    "client_document_content_type",
    "client_document_gone",
    "client_document_host",
    "client_document_is_gone",
    "client_document_member",
    "client_document_secret",
    "client_document_status",
    "client_document_too_large",
    "client_document_too_many",
    "client_document_unreachable",
    "client_id_mismatch",
    "client_keys_unavailable",
    "client_metadata",
    "code_challenge",
    "code_guessed",
    "code_replayed",
    "consent_denied",
    "consent_required",
    "device_code_expired",
    "device_code_spent",
    "device_denied",
    "device_not_allowed",
    "device_pending",
    "device_to_be_wiped",
    "device_too_hasty",
    "duplicate_parameter",
    "expired_token",
    "flow_not_allowed",
    "foreign_token",
    "form_too_large",
    "grant_expired",
    "grant_overused",
    "grant_revoked",
    "grant_unknown",
    "impersonated_subject_token",
    "impersonation_excepted",
    "impersonation_inactive",
    "impersonation_none_allowed",
    "impersonation_not_listed",
    "inactive_user",
    "initial_access_token",
    "invalid_handle",
    "invalid_ticket",
    "issuer_expired",
    "issuer_keys_unavailable",
    "issuer_not_allowed",
    "issuer_not_trusted",
    "issuer_token_replayed",
    "issuer_unknown",
    "issuer_user_unknown",
    "login_required",
    "malformed_authorization",
    "malformed_device",
    "malformed_device_name",
    "malformed_form",
    "malformed_resource",
    "malformed_scope",
    "metadata_too_large",
    "missing_parameter",
    "no_bearer_token",
    "no_credentials",
    "no_delegation_policy",
    "no_global_revocation",
    "no_issuer_token",
    "no_mobile_security",
    "no_registration",
    "no_scope_left",
    "no_software_statement",
    "no_target",
    "no_workload_rule",
    "not_a_resource_server",
    "not_may_act",
    "not_to_be_wiped",
    "overtaken",
    "public_app",
    "quota_exceeded",
    "redirect_uri",
    "redirect_uris",
    "refresh_not_allowed",
    "refresh_token_reused",
    "registration_access_token",
    "resource_not_allowed",
    "resource_not_granted",
    "resources_too_long",
    "revoked_token",
    "scope_exceeds_app",
    "scope_exceeds_assertion",
    "scope_exceeds_grant",
    "scope_exceeds_policy",
    "scope_exceeds_subject_token",
    "scope_withdrawn",
    "self_described_app",
    "several_resources",
    "software_statement",
    "source_not_listed",
    "spent_token",
    "state_too_long",
    "subject_identifier",
    "subject_is_client_id",
    "subject_not_allowed",
    "subject_token_bound",
    "subject_token_evidence",
    "subject_token_expired",
    "subject_token_invalid",
    "subject_token_issuer_unknown",
    "subject_token_keys_unavailable",
    "subject_token_not_for_app",
    "subject_token_replayed",
    "subject_token_revoked",
    "subject_token_user_inactive",
    "subject_token_without_user",
    "target_not_listed",
    "ticket_expired",
    "too_many_actors",
    "too_many_device_requests",
    "too_many_failures",
    "too_many_registered_apps",
    "too_many_registrations",
    "too_many_slow_checks",
    "too_many_user_codes",
    "too_many_wipe_requests",
    "two_authentication_methods",
    "unapproved_software_statement",
    "unknown_client",
    "unknown_token",
    "unknown_user",
    "unknown_user_code",
    "unsupported_grant_type",
    "unsupported_parameter",
    "unsupported_response_type",
    "user_not_covered",
    "verifier_malformed",
    "verifier_missing",
    "wrong_authentication_method",
    "wrong_key",
    "wrong_secret",
    "vetoed",
    "invalid_http_request",
    "other",
];

/// The number of reasons that a binary search finds.
const SORTED: usize = REFUSAL_REASONS.len() - 3;

/// The place of a reason in [`REFUSAL_REASONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefusalReason(usize);

impl RefusalReason {
    const VETOED: Self = Self(SORTED);
    pub(crate) const INVALID_HTTP_REQUEST: Self = Self(SORTED + 1);
    const OTHER: Self = Self(SORTED + 2);

    /// Returns every reason.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..REFUSAL_REASONS.len()).map(Self)
    }

    /// Returns the reason of a refusal, or `None` for any other outcome.
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            // A host chooses its names as it likes, and labels have to stay few.
            Outcome::Refused { step: Step::Hook, .. } => Some(Self::VETOED),
            Outcome::Refused { reason, .. } => Some(Self::named(reason).unwrap_or(Self::OTHER)),
            Outcome::Success | Outcome::Failed { .. } => None,
        }
    }

    /// Returns the reason with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (sorted, others) = REFUSAL_REASONS.split_at(SORTED);
        let at = sorted.binary_search(&name).ok();
        at.or_else(|| Some(SORTED + others.iter().position(|it| *it == name)?)).map(Self)
    }

    pub(crate) const fn place(self) -> usize {
        self.0
    }

    pub(crate) fn as_str(self) -> &'static str {
        REFUSAL_REASONS.get(self.0).copied().unwrap_or("other")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_name() {
        for (place, name) in REFUSAL_REASONS.iter().enumerate() {
            let found = RefusalReason::named(name).unwrap();
            assert_eq!((found.place(), found.as_str()), (place, *name));
        }
        assert_eq!(RefusalReason::named("unknown"), None);
    }

    #[test]
    fn a_hook_and_an_unlisted_name_add_no_label() {
        let of = |step, name| RefusalReason::of(&Outcome::refused(step, name, None)).unwrap();
        assert_eq!(of(Step::Hook, "tenant_suspended").as_str(), "vetoed");
        assert_eq!(of(Step::Hook, "wrong_secret").as_str(), "vetoed");
        assert_eq!(of(Step::Client, "tenant_suspended").as_str(), "other");
        assert_eq!(of(Step::Client, "wrong_secret").as_str(), "wrong_secret");
        assert_eq!(RefusalReason::INVALID_HTTP_REQUEST.as_str(), "invalid_http_request");
        assert_eq!(RefusalReason::of(&Outcome::Success), None);
    }
}
