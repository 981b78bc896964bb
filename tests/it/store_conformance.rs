//! The conformance kit over every shipped store, and over stores that must fail it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use grantor::audit::conformance::AuditKit;
use grantor::store::conformance::{Kit, Report, Runner};
use grantor::store::{AnyStore, CachedApps, MemoryStore};

use crate::broken_stores::{Alteration, AlteredStore};
use crate::custom_store::CustomStore;

/// W20: the checks of devices run, too. The long suite plays thousands of rounds.
#[test]
fn the_memory_store_passes_the_kit() {
    let kit = Kit::new(MemoryStore::new).with_second_issuer(|_| MemoryStore::new());
    let kit = kit.with_rounds(100);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
}

/// Z33: the choice at run time changes no answer.
#[test]
fn any_store_in_memory_passes_the_kits() {
    let new_store = || AnyStore::from(MemoryStore::new());
    let kit = Kit::new(new_store).with_rounds(50);
    for report in [kit.run(), kit.run_pending_only()] {
        assert!(report.is_passed(), "{report}");
    }
    let report = AuditKit::new(new_store).with_rounds(20).run();
    assert!(report.is_passed(), "{report}");
}

/// Cached apps change neither the view of one process nor the checks of the statements.
#[test]
fn a_store_with_cached_apps_passes_the_kit() {
    let kit = Kit::new(|| CachedApps::new(MemoryStore::new())).with_rounds(100);
    for report in [kit.run_with_devices(), kit.run_pending_only(), kit.run_trusted_issuers_only()] {
        assert!(report.is_passed(), "{report}");
    }
    let awaiting = || CachedApps::new(AlteredStore::new(Alteration::Awaits));
    let report = Kit::new(awaiting).with_rounds(30).run_with_devices();
    assert!(report.is_passed(), "{report}");
}

#[test]
fn the_example_store_passes_the_kit() {
    let report = Kit::new(CustomStore::default).with_rounds(100).run();
    assert!(report.is_passed(), "{report}");
}

/// R21: its futures are dropped before, between and after its awaits.
#[test]
fn a_store_that_suspends_passes_the_kit() {
    let report = report_on(Alteration::Awaits, 50);
    assert!(report.is_passed(), "{report}");
    let awaiting = || AlteredStore::new(Alteration::Awaits);
    let report = Kit::new(awaiting).with_rounds(50).run_pending_only();
    assert!(report.is_passed(), "{report}");
}

#[test]
fn the_kit_rejects_read_then_write_in_every_race_and_only_there() {
    fails_exactly(
        Alteration::ReadsThenWrites,
        &[
            "one_of_many_registrations_wins",
            "one_of_many_decisions_wins",
            "one_of_many_redemptions_wins",
            "one_of_many_polls_redeems",
            "many_wrong_bindings_are_all_counted",
            "one_of_many_rotations_wins",
            "one_of_many_keys_binds_a_grant",
            "a_grace_that_is_raced_revokes_nothing",
            "rotations_that_are_overtaken_revoke_nothing",
            "a_reuse_that_races_rotations_leaves_nothing_alive",
            "one_of_many_claims_wins",
        ],
    );
}

/// Z1: a cap on the retries within the grace.
#[test]
fn the_kit_rejects_a_grace_with_a_cap() {
    fails_exactly(
        Alteration::CapsRetries,
        &["retries_within_the_grace_revoke_nothing", "a_grace_that_is_raced_revokes_nothing"],
    );
}

/// R24: reuse that is decided by the row alone.
#[test]
fn the_kit_rejects_a_store_that_takes_a_late_rotation_for_reuse() {
    fails_exactly(
        Alteration::RevokesTheOvertaken,
        &[
            "a_rotation_that_was_overtaken_proves_no_reuse",
            "rotations_that_are_overtaken_revoke_nothing",
        ],
    );
}

/// N9: a comparison of versions that an app registered again passes.
#[test]
fn the_kit_rejects_an_update_that_is_merely_not_older() {
    fails_exactly(
        Alteration::ComparesVersionsByOrder,
        &["an_update_needs_the_stored_version", "a_change_of_a_deleted_app_spares_its_successor"],
    );
}

/// N5: a pending row that lives as long as its refresh token would, and one that goes with its code.
#[test]
fn the_kit_rejects_pending_rows_that_stay_too_long_or_too_short() {
    fails_exactly(Alteration::PrunesPendingRowsLate, &["prune_removes_what_was_never_redeemed"]);
    fails_exactly(
        Alteration::PrunesPendingRowsEarly,
        &["prune_removes_what_is_inert_and_nothing_else", "prune_removes_what_was_never_redeemed"],
    );
}

#[test]
fn the_kit_rejects_a_known_grant_that_is_not_as_its_row() {
    fails_exactly(Alteration::KnowsAnotherScope, &["a_known_grant_is_as_its_row"]);
}

#[test]
fn the_kit_rejects_ignored_keys() {
    fails_exactly(
        Alteration::IgnoresKeys,
        &[
            "a_code_that_names_its_key_needs_it",
            "a_redemption_binds_the_grant_of_a_public_app",
            "a_redemption_gives_the_grant_its_device",
            "a_bound_refresh_token_needs_its_key",
            "the_first_rotation_with_a_proof_binds",
            "a_spent_token_from_before_the_binding_ends_its_family",
            "one_of_many_keys_binds_a_grant",
        ],
    );
}

#[test]
fn the_kit_rejects_a_key_that_is_written_in_a_second_step() {
    fails_exactly(Alteration::BindsInTwoSteps, &["one_of_many_keys_binds_a_grant"]);
}

#[test]
fn the_kit_rejects_lost_circumstances() {
    fails(
        Alteration::DropsCircumstances,
        &[
            "a_grant_is_found_as_it_was_decided",
            "grants_are_listed_in_the_order_of_their_ids",
            "a_cutoff_voids_what_was_authorized_before",
            "a_cutoff_covers_its_target_only",
        ],
    );
}

#[test]
fn the_kit_rejects_a_device_revoked_by_its_name() {
    fails_exactly(
        Alteration::RevokesDevicesByName,
        &[
            "a_cutoff_covers_its_target_only",
            "the_feed_shows_every_revocation_in_force",
            "the_feed_shows_a_revocation_as_it_was_answered",
            "a_dropped_revocation_is_done_or_not_done",
        ],
    );
}

#[test]
fn the_kit_rejects_a_list_of_consents_of_other_users() {
    fails_exactly(
        Alteration::ListsConsentsOfAll,
        &["the_consents_of_a_user_are_listed_in_the_order_of_the_apps"],
    );
}

#[test]
fn the_kit_rejects_ignored_parents() {
    fails_exactly(
        Alteration::IgnoresParents,
        &[
            "a_derived_token_is_void_with_each_of_its_parents",
            "a_derived_token_is_void_with_the_access_of_its_actor",
            "no_derived_token_survives_a_revocation",
        ],
    );
}

#[test]
fn the_kit_rejects_a_page_of_grants_that_a_cutoff_has_ended() {
    fails_exactly(Alteration::ListsWhatWasCutOff, &["the_live_grants_of_a_page_are_told_at_once"]);
}

/// Two issuers over one store without a view each: everything is shared.
#[test]
fn the_kit_rejects_issuers_that_share_a_view() {
    let kit = Kit::new(|| Arc::new(MemoryStore::new())).with_second_issuer(Arc::clone);
    let kit = kit.with_rounds(1);
    let (report, pending) = (kit.run_with_devices(), kit.run_pending_only());
    let failed = report.failed.iter().chain(&pending.failed);
    let failed: Vec<_> = failed.map(|(name, _)| *name).collect();
    assert_eq!(
        failed,
        [
            "issuers_share_no_apps",
            "issuers_share_no_grants",
            "a_revocation_reaches_one_issuer_only",
            "issuers_share_no_assertions",
            "issuers_share_no_consents",
            "issuers_share_no_devices",
            "issuers_share_no_records",
        ]
    );
}

#[test]
fn the_kit_names_the_checks_that_ignored_expiry_fails() {
    fails_exactly(
        Alteration::ForgetsExpiry,
        &[
            "a_code_expires_at_its_instant",
            "the_grace_of_a_polled_code_ends_without_a_revocation",
            "rotation_does_not_extend_the_life_of_a_grant",
            "a_rotation_that_was_overtaken_proves_no_reuse",
        ],
    );
}

#[test]
fn the_kit_rejects_cutoffs_compared_with_the_row() {
    let report = fails(
        Alteration::ComparesCutoffsWithTheRow,
        &[
            "a_cutoff_voids_what_was_authorized_before",
            "a_cutoff_looks_at_the_decision_not_at_the_row",
            "a_withdrawal_forgets_and_revokes",
            "no_code_survives_a_revocation",
        ],
    );
    // It does revoke single grants and write tombstones.
    assert!(!report.failed("a_revoked_grant_ends_for_good_and_alone"), "{report}");
    assert!(!report.failed("a_grant_without_a_row_leaves_a_tombstone"), "{report}");
}

#[test]
fn the_kit_rejects_the_revival_of_a_revoked_grant() {
    let report = fails(
        Alteration::RevivesTheRevoked,
        &[
            "a_grant_that_has_ended_is_not_revived",
            "a_spent_refresh_token_ends_its_family",
            "a_replayed_code_ends_its_grant",
            "no_family_survives_a_revocation",
        ],
    );
    // It does obey cutoffs.
    assert!(!report.failed("a_cutoff_voids_what_was_authorized_before"), "{report}");
}

#[test]
fn the_kit_rejects_a_claim_in_two_steps_when_its_future_is_dropped() {
    fails_exactly(Alteration::ClaimsInTwoSteps, &["a_dropped_claim_is_done_or_not_done"]);
}

#[test]
fn the_kit_rejects_missing_tombstones() {
    fails_exactly(
        Alteration::ForgetsTombstones,
        &[
            "a_grant_without_a_row_leaves_a_tombstone",
            "a_derived_token_is_void_with_each_of_its_parents",
            "a_derived_token_is_void_with_the_access_of_its_actor",
            "the_feed_shows_every_revocation_in_force",
            "prune_keeps_a_revocation_until_its_latest_end",
            "a_feed_that_is_read_while_it_is_written_loses_nothing",
            "no_claim_survives_a_revocation",
            "no_decision_survives_a_revocation",
        ],
    );
}

#[test]
fn the_kit_rejects_a_feed_that_is_read_by_time() {
    fails_exactly(Alteration::ReadsTheFeedByTime, &["a_reader_of_the_feed_is_set_back_a_little"]);
}

#[test]
fn the_kit_rejects_early_pruning_of_assertions() {
    fails_exactly(
        Alteration::PrunesAssertionsEarly,
        &["prune_stops_at_its_limit_and_says_so", "prune_waits_an_hour_for_assertions"],
    );
}

#[test]
fn the_kit_rejects_decisions_for_inactive_apps() {
    fails(Alteration::DecidesForAnyApp, &["a_decision_for_an_inactive_app_is_not_stored"]);
}

#[test]
fn the_kit_rejects_consent_that_outlives_its_withdrawal() {
    fails(
        Alteration::RemembersWhatWasWithdrawn,
        &["a_consent_does_not_outlive_its_withdrawal", "no_consent_survives_its_withdrawal"],
    );
}

#[test]
fn the_kit_rejects_a_store_that_trusts_the_hosts_clock() {
    fails(
        Alteration::TrustsTheClock,
        &["instants_of_the_store_never_run_backwards", "a_clock_that_jumps_back_spares_nothing"],
    );
}

/// N1: a claim or a decision that is dated when it arrives survives a revocation that was answered while the
/// host still checked.
#[test]
fn the_kit_rejects_dates_by_the_moment_of_the_claim() {
    fails(
        Alteration::DatesByTheClaim,
        &[
            "a_claim_is_dated_before_its_checks",
            "a_claim_that_a_revocation_overtakes_is_refused",
            "a_decision_is_dated_before_its_checks",
            "a_decision_that_a_revocation_overtakes_is_refused",
        ],
    );
}

/// N1: with `clock_timestamp()`, a claim that waited for a lock survives a revocation that was answered
/// meanwhile.
#[test]
fn the_kit_rejects_dates_by_the_moment_after_a_wait() {
    fails(
        Alteration::DatesAfterTheWait,
        &[
            "a_claim_is_dated_before_its_checks",
            "a_claim_that_a_revocation_overtakes_is_refused",
            "a_decision_is_dated_before_its_checks",
            "a_decision_that_a_revocation_overtakes_is_refused",
            "a_claim_that_waits_is_covered_by_a_revocation_meanwhile",
        ],
    );
}

/// N1: what a revocation has overtaken would be dead on arrival.
#[test]
fn the_kit_rejects_decisions_that_a_revocation_has_overtaken() {
    fails_exactly(
        Alteration::IgnoresOvertaking,
        &["a_decision_that_a_revocation_overtakes_is_refused"],
    );
}

/// N1: a process that does not know of its own revocations issues tokens that they void.
#[test]
fn the_kit_rejects_a_process_that_does_not_know_its_revocations() {
    fails_exactly(Alteration::ForgetsItsRevocations, &["a_process_knows_its_own_revocations"]);
}

/// W3: an order and the end of access in two steps, in either order.
#[test]
fn the_kit_rejects_an_order_to_wipe_in_two_steps() {
    fails_exactly(
        Alteration::RevokesAfterTheOrder,
        &["no_family_survives_a_wipe", "a_dropped_order_is_done_or_not_done"],
    );
    fails_exactly(
        Alteration::OrdersAfterTheRevocation,
        &["no_family_survives_a_wipe", "a_dropped_order_is_done_or_not_done"],
    );
}

/// W5, W13: a device that is told to wipe by an order that was withdrawn.
#[test]
fn the_kit_rejects_a_wipe_that_advances_in_two_steps() {
    fails_exactly(Alteration::ReadsThenWritesDevices, &["one_of_many_steps_of_a_wipe_is_taken"]);
}

/// W6: a report of an order that was withdrawn.
#[test]
fn the_kit_rejects_a_step_of_another_order() {
    fails_exactly(Alteration::TakesStepsOfOtherOrders, &["a_step_is_bound_to_its_order"]);
}

/// W1: devices without end.
#[test]
fn the_kit_rejects_a_store_that_keeps_every_device() {
    fails_exactly(Alteration::KeepsEveryDevice, &["a_user_has_64_devices_at_an_app"]);
}

/// W5: a wiped device that goes on as the same installation.
#[test]
fn the_kit_rejects_an_installation_that_outlives_its_wipe() {
    fails_exactly(
        Alteration::ForgetsInstallations,
        &["a_device_is_found_as_it_was_seen", "a_device_that_is_to_be_wiped_is_not_seen"],
    );
}

/// W18: a device that is to be wiped is not pruned as others are.
#[test]
fn the_kit_rejects_early_pruning_of_devices_to_be_wiped() {
    fails(Alteration::PrunesDevicesEarly, &["prune_removes_a_device_when_its_time_has_come"]);
}

/// W12: a device gets no access while its wipe is pending.
#[test]
fn the_kit_rejects_a_sighting_of_what_is_to_be_wiped() {
    fails_exactly(
        Alteration::SeesWhatIsToBeWiped,
        &[
            "a_device_that_is_to_be_wiped_is_not_seen",
            "no_code_survives_a_wipe",
            "no_order_is_lost_to_a_sighting",
            "a_device_begins_anew_only_after_its_report",
        ],
    );
}

/// W2: the same device id of two users.
#[test]
fn the_kit_rejects_devices_that_users_share() {
    fails(Alteration::SharesDevicesAmongUsers, &["a_device_belongs_to_one_app_and_user"]);
}

/// W3: a code that is redeemed on a device whose access was ended meanwhile.
#[test]
fn the_kit_rejects_a_redemption_that_is_judged_without_its_device() {
    fails_exactly(
        Alteration::JudgesWithoutTheDevice,
        &[
            "a_redemption_is_judged_with_its_device",
            "an_order_ends_the_access_of_the_device",
            "no_code_survives_a_wipe",
        ],
    );
}

/// D16: a store that revokes on a second poll, or never ends the grace.
#[test]
fn the_kit_rejects_a_polled_code_without_its_rule() {
    let polls = [
        "a_polled_code_is_given_again_within_the_grace",
        "the_grace_of_a_polled_code_ends_without_a_revocation",
        "a_stranger_gets_no_polled_code_again",
        "one_of_many_polls_redeems",
        "no_polled_code_survives_a_revocation",
    ];
    let [given, ends, stranger, one, survives] = polls;
    let report = fails(Alteration::TakesPollsForReplays, &[given, ends, one, survives]);
    assert!(report.failed.iter().all(|(name, _)| polls.contains(name)), "{report}");
    assert!(!report.failed(stranger), "{report}");
    fails_exactly(Alteration::AnswersPollsForever, &[ends]);
}

/// D9: pending records that are kept in two steps, overwritten, found too long, freed too late, pruned too early or
/// after they were kept anew.
#[test]
fn the_kit_rejects_each_fault_of_pending_records() {
    let taken = "a_key_is_taken_until_its_record_expires";
    let one = "one_of_many_records_is_kept";
    let pruned = "prune_removes_expired_records_only";
    let anew = "no_prune_removes_a_record_that_is_kept_anew";
    fails_exactly(Alteration::KeepsInTwoSteps, &[one]);
    let dropped = "a_dropped_record_is_kept_or_not";
    fails_exactly(Alteration::OverwritesRecords, &[taken, one, dropped]);
    fails_exactly(Alteration::FindsExpiredRecords, &[taken]);
    fails_exactly(Alteration::FreesKeysByPruning, &[taken, one]);
    fails_exactly(Alteration::PrunesRecordsEarly, &[pruned, anew]);
    fails_exactly(Alteration::PrunesRecordsInTwoSteps, &[anew]);
}

/// Records of trusted issuers that are edited in two steps or over another edit, or outlive their removal.
#[test]
fn the_kit_rejects_each_fault_of_trusted_issuers() {
    let edited = "an_edit_of_an_issuer_needs_its_version";
    let one = "one_of_many_edits_of_an_issuer_succeeds";
    let removed = "a_removed_issuer_is_gone";
    let dropped = "a_dropped_edit_of_an_issuer_is_stored_or_not";
    fails_exactly(Alteration::EditsIssuersInTwoSteps, &[one]);
    fails_exactly(Alteration::IgnoresIssuerVersions, &[edited, removed, one, dropped]);
    fails_exactly(Alteration::KeepsRemovedIssuers, &[removed]);
}

#[test]
fn the_kit_rejects_a_change_count_apart_from_its_change() {
    let described = "changes_of_described_apps_are_not_counted";
    fails(Alteration::CountsDescribedApps, &[described]);
    fails(Alteration::CountsDescribedChanges, &[described]);
    fails(Alteration::CountsByTheNewOrigin, &[described]);
    fails(Alteration::CountsInTwoSteps, &["changes_at_once_are_all_counted"]);
    fails(Alteration::CountsBeforeItChanges, &["a_change_is_seen_before_it_is_counted"]);
}

#[test]
fn the_kit_rejects_a_store_that_counts_documents_as_registrations() {
    fails(Alteration::CountsDocumentsAsRegistrations, &["self_registered_apps_are_counted"]);
}

#[test]
fn a_panicking_store_fails_the_kit_and_hangs_no_race() {
    let report = fails(
        Alteration::Panics,
        &["rotation_makes_the_successor_live", "one_of_many_rotations_wins"],
    );
    assert!(!report.failed("one_of_many_claims_wins"), "{report}");
}

/// A check of the kit that never runs proves nothing.
#[test]
fn the_kit_runs_every_public_check_of_the_store() {
    let kit = Kit::new(MemoryStore::new).with_second_issuer(|_| MemoryStore::new());
    let kit = kit.with_rounds(1);
    let (report, pending) = (kit.run_with_devices(), kit.run_pending_only());
    let trust = kit.run_trusted_issuers_only();
    let run = report.passed.iter().chain(&pending.passed).chain(&trust.passed);
    let run: BTreeSet<String> = run.map(ToString::to_string).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/conformance");
    let mut written = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('<').next());
        written.extend(names.map(str::to_owned));
    }
    assert!(written.len() > 50, "the checks are elsewhere");
    assert_eq!(run, written);
}

/// As a host does whose store needs a runtime.
#[test]
fn a_host_may_use_its_own_runner() {
    struct Own;

    impl Runner for Own {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            pollster::block_on(future)
        }
    }

    let report = Kit::new(MemoryStore::new).with_runner(Own).with_rounds(1).run();
    assert!(report.is_passed(), "{report}");
}

/// Reports on the store of the example with one fault. A fault of devices meets the checks of devices alone.
fn report_on(alteration: Alteration, rounds: usize) -> Report {
    let kit = Kit::new(move || AlteredStore::new(alteration)).with_rounds(rounds);
    if alteration.is_of_pending() {
        return kit.run_pending_only();
    }
    if alteration.is_of_trusted_issuers() {
        return kit.run_trusted_issuers_only();
    }
    // The first is sound, and the second breaks a promise about codes, too.
    if matches!(alteration, Alteration::Awaits | Alteration::JudgesWithoutTheDevice) {
        kit.run_with_devices()
    } else if alteration.is_of_devices() {
        kit.run_devices_only()
    } else {
        kit.run()
    }
}

/// Asserts that a broken store fails these checks, and returns the report.
fn fails(alteration: Alteration, checks: &[&str]) -> Report {
    // Most faults need no race, or show in the first rounds of it. On a busy machine contenders may run one
    // after another, and the fault takes more rounds to show.
    let mut rounds = 16;
    loop {
        let report = report_on(alteration, rounds);
        if checks.iter().all(|check| report.failed(check)) {
            return report;
        }
        assert!(rounds < 4_096, "{alteration:?} passes one of {checks:?}\n{report}");
        rounds *= 2;
    }
}

/// Asserts that a broken store fails exactly these checks.
fn fails_exactly(alteration: Alteration, checks: &[&str]) {
    let report = fails(alteration, checks);
    assert_eq!(report.failed.len(), checks.len(), "{alteration:?}\n{report}");
}
