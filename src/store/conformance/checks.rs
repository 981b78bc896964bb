//! The names of the checks, by subject.

use super::{
    Check, Kit, Runner, apps, assertions, codes, consent, decisions, device_codes, device_drops,
    device_races, devices, dropped_futures, feed, issuers, pending, prune, races, revocation,
    revocation_races, rotation, wipes,
};
use crate::store::{DeviceStore, PendingStore, Store};

/// A check and its name.
pub(super) type NamedCheck<S, R> = (&'static str, fn(&Kit<S, R>) -> Check);

macro_rules! named {
    ($($module:ident { $($name:ident),* $(,)? })*) => {
        vec![$($((stringify!($name), $module::$name::<S, R>)),*),*]
    };
}

/// Returns the checks of every [`Store`].
pub(super) fn of_stores<S: Store, R: Runner>() -> Vec<NamedCheck<S, R>> {
    [of_decisions(), of_handles(), of_the_end_of_access(), of_races()].concat()
}

/// Returns the checks of apps and of decisions about them.
fn of_decisions<S: Store, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        apps {
            an_app_is_found_as_it_was_registered,
            a_client_id_is_registered_once,
            an_update_needs_the_stored_version,
            a_deleted_app_is_gone,
            a_change_of_a_deleted_app_spares_its_successor,
            every_change_of_an_app_is_counted,
            changes_of_described_apps_are_not_counted,
            self_registered_apps_are_counted,
            apps_are_listed_in_the_order_of_their_ids,
        }
        decisions {
            a_grant_is_found_as_it_was_decided,
            a_decision_is_made_once,
            a_decision_for_an_inactive_app_is_not_stored,
            a_denied_request_gives_nothing,
            instants_of_the_store_never_run_backwards,
            a_process_knows_its_own_revocations,
            a_decision_is_dated_before_its_checks,
            a_decision_that_a_revocation_overtakes_is_refused,
            grants_are_listed_in_the_order_of_their_ids,
        }
        consent {
            a_consent_is_remembered_for_its_app_and_user,
            a_withdrawal_forgets_and_revokes,
            a_consent_does_not_outlive_its_withdrawal,
            a_deleted_app_is_agreed_to_no_more,
            the_consents_of_a_user_are_listed_in_the_order_of_the_apps,
        }
    }
}

/// Returns the checks of codes, refresh tokens and assertions.
fn of_handles<S: Store, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        codes {
            a_redeemed_code_is_a_live_refresh_token,
            a_replayed_code_ends_its_grant,
            a_stranger_cannot_use_or_end_a_code,
            wrong_bindings_do_not_burn_the_code,
            after_too_many_wrong_bindings_the_code_is_void,
            a_code_expires_at_its_instant,
            a_code_that_names_its_key_needs_it,
            a_redemption_binds_the_grant_of_a_public_app,
            a_redemption_gives_the_grant_its_device,
            a_redemption_is_judged_with_its_device,
        }
        device_codes {
            a_polled_code_is_given_again_within_the_grace,
            the_grace_of_a_polled_code_ends_without_a_revocation,
            a_stranger_gets_no_polled_code_again,
            one_of_many_polls_redeems,
            no_polled_code_survives_a_revocation,
        }
        rotation {
            rotation_makes_the_successor_live,
            a_known_grant_is_as_its_row,
            a_spent_refresh_token_ends_its_family,
            a_stranger_cannot_use_or_end_a_family,
            a_lost_answer_is_given_again_within_the_grace,
            the_grace_ends,
            the_grace_ends_when_the_successor_is_used,
            retries_within_the_grace_revoke_nothing,
            a_clock_that_jumps_back_keeps_the_grace_for_seconds,
            the_grace_bears_the_difference_of_clocks,
            a_rotation_that_was_overtaken_proves_no_reuse,
            a_grant_that_has_ended_is_not_revived,
            rotation_does_not_extend_the_life_of_a_grant,
            an_idle_refresh_token_expires,
            a_store_that_was_rewound_catches_up,
            a_bound_refresh_token_needs_its_key,
            the_first_rotation_with_a_proof_binds,
            a_spent_token_from_before_the_binding_ends_its_family,
        }
        assertions {
            an_assertion_is_claimed_once,
            an_expired_assertion_does_not_block_its_jti,
            apps_and_purposes_do_not_share_assertions,
            a_claim_makes_its_grant_and_a_replay_none,
            an_inactive_app_claims_nothing,
            a_claim_is_dated_before_its_checks,
            a_claim_that_a_revocation_overtakes_is_refused,
        }
    }
}

/// Returns the checks of revocations and expiry.
fn of_the_end_of_access<S: Store, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        revocation {
            a_cutoff_voids_what_was_authorized_before,
            a_cutoff_spares_what_is_authorized_after,
            a_cutoff_looks_at_the_decision_not_at_the_row,
            a_cutoff_covers_its_target_only,
            a_clock_that_jumps_back_spares_nothing,
            a_revoked_grant_ends_for_good_and_alone,
            a_grant_without_a_row_leaves_a_tombstone,
            a_disabled_app_is_refused_until_it_is_enabled,
            a_deleted_app_is_refused,
            a_token_without_a_row_obeys_cutoffs,
            a_derived_token_is_void_with_each_of_its_parents,
            a_derived_token_is_void_with_the_access_of_its_actor,
            the_live_grants_of_a_page_are_told_at_once,
        }
        feed {
            the_feed_shows_every_revocation_in_force,
            the_feed_shows_a_revocation_as_it_was_answered,
            a_reader_of_the_feed_is_set_back_a_little,
        }
        prune {
            prune_removes_what_is_inert_and_nothing_else,
            prune_removes_what_was_never_redeemed,
            prune_keeps_a_revocation_until_its_latest_end,
            prune_stops_at_its_limit_and_says_so,
            prune_waits_an_hour_for_assertions,
        }
    }
}

/// Returns the checks of calls at once and of dropped calls.
fn of_races<S: Store, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        races {
            one_of_many_registrations_wins,
            one_of_many_updates_wins,
            changes_at_once_are_all_counted,
            a_change_is_seen_before_it_is_counted,
            one_of_many_decisions_wins,
            one_of_many_redemptions_wins,
            many_wrong_bindings_are_all_counted,
            one_of_many_rotations_wins,
            one_of_many_keys_binds_a_grant,
            a_grace_that_is_raced_revokes_nothing,
            rotations_that_are_overtaken_revoke_nothing,
            a_reuse_that_races_rotations_leaves_nothing_alive,
            one_of_many_claims_wins,
            a_feed_that_is_read_while_it_is_written_loses_nothing,
        }
        revocation_races {
            no_code_survives_a_revocation,
            no_family_survives_a_revocation,
            no_claim_survives_a_revocation,
            no_decision_survives_a_revocation,
            no_derived_token_survives_a_revocation,
            no_consent_survives_its_withdrawal,
            a_withdrawal_is_seen_whole,
        }
        dropped_futures {
            no_dropped_future_leaves_a_transaction_open,
            a_dropped_registration_is_done_or_not_done,
            a_dropped_decision_is_done_or_not_done,
            a_dropped_redemption_is_done_or_not_done,
            a_dropped_rotation_is_done_or_not_done,
            a_dropped_claim_is_done_or_not_done,
            a_claim_that_waits_is_covered_by_a_revocation_meanwhile,
            a_dropped_revocation_is_done_or_not_done,
            a_dropped_withdrawal_is_done_or_not_done,
        }
    }
}

/// Returns the checks of a second issuer.
pub(super) fn of_issuers<S: Store, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        issuers {
            issuers_share_no_apps,
            issuers_share_no_grants,
            a_revocation_reaches_one_issuer_only,
            issuers_share_no_assertions,
            issuers_share_no_consents,
        }
    }
}

/// Returns the checks of the records of a second issuer.
pub(super) fn pending_of_issuers<S: Store + PendingStore, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        pending {
            issuers_share_no_records,
        }
    }
}

/// Returns the checks of a [`PendingStore`].
pub(super) fn of_pending<S: Store + PendingStore, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        pending {
            a_record_is_found_as_it_was_kept,
            a_key_is_taken_until_its_record_expires,
            one_of_many_records_is_kept,
            prune_removes_expired_records_only,
            no_prune_removes_a_record_that_is_kept_anew,
            a_dropped_record_is_kept_or_not,
        }
    }
}

/// Returns the checks of the devices of a second issuer.
pub(super) fn devices_of_issuers<S: Store + DeviceStore, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        devices {
            issuers_share_no_devices,
        }
    }
}

/// Returns the checks of a [`DeviceStore`].
pub(super) fn of_devices<S: Store + DeviceStore, R: Runner>() -> Vec<NamedCheck<S, R>> {
    named! {
        devices {
            a_device_is_found_as_it_was_seen,
            a_user_has_64_devices_at_an_app,
            a_device_belongs_to_one_app_and_user,
            a_device_is_found_by_its_last_grant,
            devices_are_listed_in_the_order_of_their_keys,
            the_policy_that_a_device_has_read_is_noted,
            prune_removes_a_device_when_its_time_has_come,
            devices_outlive_their_app,
        }
        wipes {
            an_order_ends_the_access_of_the_device,
            an_unknown_device_is_not_wiped,
            a_second_order_ends_access_again,
            an_order_on_a_wiped_device_only_ends_access,
            a_step_is_bound_to_its_order,
            an_abandoned_order_frees_the_id,
            a_wipe_advances_and_never_goes_back,
            a_device_that_is_to_be_wiped_is_not_seen,
            a_withdrawn_order_revives_no_grant,
            a_device_may_report_a_wipe_of_its_own,
            a_revocation_orders_no_wipe,
        }
        device_races {
            no_code_survives_a_wipe,
            no_family_survives_a_wipe,
            no_order_is_lost_to_a_sighting,
            one_of_many_orders_is_given,
            one_of_many_steps_of_a_wipe_is_taken,
            a_device_begins_anew_only_after_its_report,
        }
        device_drops {
            no_dropped_call_of_a_device_leaves_a_transaction_open,
            a_dropped_order_is_done_or_not_done,
            a_dropped_sighting_is_done_or_not_done,
            a_dropped_step_of_a_wipe_is_done_or_not_done,
            a_dropped_redemption_on_a_device_is_done_or_not_done,
        }
    }
}
