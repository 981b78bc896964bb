//! The conformance kit over every store that ships, and over stores that must fail it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use grantor::store::conformance::{Kit, Report, Runner};
use grantor::store::{CachedApps, MemoryStore};

use crate::broken_stores::{Alteration, AlteredStore};
use crate::custom_store::CustomStore;

#[test]
fn the_memory_store_keeps_the_contract() {
    let report = Kit::new(MemoryStore::new).run();
    assert!(report.is_passed(), "{report}");
}

/// Kept apps change nothing of what one process sees, nor what the statements look at.
#[test]
fn a_store_whose_apps_are_kept_keeps_the_contract() {
    let report = Kit::new(|| CachedApps::new(MemoryStore::new())).with_rounds(300).run();
    assert!(report.is_passed(), "{report}");
    let awaiting = || CachedApps::new(AlteredStore::new(Alteration::Awaits));
    let report = Kit::new(awaiting).with_rounds(100).run();
    assert!(report.is_passed(), "{report}");
}

#[test]
fn the_store_of_the_example_keeps_the_contract() {
    let report = Kit::new(CustomStore::default).with_rounds(500).run();
    assert!(report.is_passed(), "{report}");
}

/// R21: its futures are dropped before, between and after the awaits that it has.
#[test]
fn a_store_that_awaits_keeps_the_contract() {
    let report = report_on(Alteration::Awaits);
    assert!(report.is_passed(), "{report}");
}

#[test]
fn a_store_that_reads_then_writes_loses_every_race_and_nothing_else() {
    fails_exactly(
        Alteration::ReadsThenWrites,
        &[
            "one_of_many_registrations_wins",
            "one_of_many_decisions_wins",
            "one_of_many_redemptions_wins",
            "many_wrong_bindings_are_all_counted",
            "one_of_many_rotations_wins",
            "a_grace_that_is_raced_keeps_its_cap",
            "a_reuse_that_races_rotations_leaves_nothing_alive",
            "one_of_many_claims_wins",
        ],
    );
}

#[test]
fn a_store_that_forgets_expiry_is_told_where() {
    fails_exactly(
        Alteration::ForgetsExpiry,
        &["a_code_expires_at_its_instant", "rotation_does_not_extend_the_life_of_a_grant"],
    );
}

#[test]
fn a_store_that_compares_cutoffs_with_its_rows_leaves_survivors() {
    let report = fails(
        Alteration::ComparesCutoffsWithTheRow,
        &[
            "a_cutoff_voids_what_was_authorized_before",
            "a_cutoff_looks_at_the_decision_not_at_the_row",
            "a_withdrawal_forgets_and_revokes",
            "no_code_survives_a_revocation",
        ],
    );
    // Single grants and tombstones it does end.
    assert!(!report.failed("a_revoked_grant_ends_for_good_and_alone"), "{report}");
    assert!(!report.failed("a_grant_without_a_row_leaves_a_tombstone"), "{report}");
}

#[test]
fn a_store_that_revives_a_revoked_grant_is_found_out() {
    let report = fails(
        Alteration::RevivesTheRevoked,
        &[
            "a_grant_that_has_ended_is_not_revived",
            "a_spent_refresh_token_ends_its_family",
            "a_replayed_code_ends_its_grant",
            "no_family_survives_a_revocation",
        ],
    );
    // Cutoffs it does obey.
    assert!(!report.failed("a_cutoff_voids_what_was_authorized_before"), "{report}");
}

#[test]
fn a_store_that_claims_in_two_steps_is_caught_when_its_future_is_dropped() {
    fails_exactly(Alteration::ClaimsInTwoSteps, &["a_dropped_claim_is_done_or_not_done"]);
}

#[test]
fn a_store_that_forgets_tombstones_is_found_out() {
    fails_exactly(
        Alteration::ForgetsTombstones,
        &[
            "a_grant_without_a_row_leaves_a_tombstone",
            "the_feed_shows_every_revocation_in_force",
            "prune_keeps_a_revocation_until_its_latest_end",
            "a_feed_that_is_read_while_it_is_written_loses_nothing",
            "no_claim_survives_a_revocation",
            "no_decision_survives_a_revocation",
        ],
    );
}

#[test]
fn a_store_whose_feed_is_read_by_time_loses_entries() {
    fails_exactly(Alteration::ReadsTheFeedByTime, &["a_reader_of_the_feed_is_set_back_a_little"]);
}

#[test]
fn a_store_that_prunes_assertions_early_is_found_out() {
    fails_exactly(
        Alteration::PrunesAssertionsEarly,
        &["prune_stops_at_its_limit_and_says_so", "prune_waits_an_hour_for_assertions"],
    );
}

#[test]
fn a_store_that_decides_for_inactive_apps_is_found_out() {
    fails(Alteration::DecidesForAnyApp, &["a_decision_for_an_inactive_app_is_not_stored"]);
}

#[test]
fn a_store_that_remembers_what_was_withdrawn_is_found_out() {
    fails(
        Alteration::RemembersWhatWasWithdrawn,
        &["a_consent_does_not_outlive_its_withdrawal", "no_consent_survives_its_withdrawal"],
    );
}

#[test]
fn a_store_that_trusts_the_clock_is_found_out() {
    fails(
        Alteration::TrustsTheClock,
        &[
            "instants_of_decisions_never_run_backwards",
            "instants_of_claims_never_run_backwards",
            "a_clock_that_jumps_back_spares_nothing",
        ],
    );
}

#[test]
fn a_store_that_counts_changes_apart_from_them_is_found_out() {
    fails(Alteration::CountsInTwoSteps, &["changes_at_once_are_all_counted"]);
    fails(Alteration::CountsBeforeItChanges, &["a_change_is_seen_before_it_is_counted"]);
}

#[test]
fn a_store_that_panics_fails_and_hangs_no_race() {
    let report = fails(
        Alteration::Panics,
        &["rotation_makes_the_successor_live", "one_of_many_rotations_wins"],
    );
    assert!(!report.failed("one_of_many_claims_wins"), "{report}");
}

/// A check that nobody runs would prove nothing.
#[test]
fn every_public_check_is_run() {
    let report = Kit::new(MemoryStore::new).with_rounds(1).run();
    let run: BTreeSet<String> = report.passed.iter().map(ToString::to_string).collect();
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

/// As a host whose store needs a runtime does.
#[test]
fn a_host_may_bring_its_own_runner() {
    struct Own;

    impl Runner for Own {
        fn block_on<F: Future>(&self, future: F) -> F::Output {
            pollster::block_on(future)
        }
    }

    let report = Kit::new(MemoryStore::new).with_runner(Own).with_rounds(1).run();
    assert!(report.is_passed(), "{report}");
}

/// The report on the store of the example with one thing altered. What is lost at all is lost
/// within these rounds.
fn report_on(alteration: Alteration) -> Report {
    Kit::new(move || AlteredStore::new(alteration)).with_rounds(200).run()
}

/// Checks that an altered store fails these checks, and answers what else it fails.
fn fails(alteration: Alteration, checks: &[&str]) -> Report {
    let report = report_on(alteration);
    for check in checks {
        assert!(report.failed(check), "{alteration:?} passes {check}\n{report}");
    }
    report
}

/// Checks that an altered store fails these checks and no other.
fn fails_exactly(alteration: Alteration, checks: &[&str]) {
    let report = fails(alteration, checks);
    assert_eq!(report.failed.len(), checks.len(), "{alteration:?}\n{report}");
}
