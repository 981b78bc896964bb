//! Every bound in `docs/limits.md` has a test, which this list names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The first cell of each row of the page, and the tests of the bound. A test tries the bound at its edge and
/// one beyond. A row that only states a default has the test of that default.
const TESTS: &[(&str, &[&str])] = &[
    // Requests
    (
        "form at the token endpoint, query at the authorization endpoint",
        &[
            "too_large_too_many_or_too_long_parameters_are_refused",
            "a_form_beyond_the_limits_is_refused",
        ],
    ),
    ("parameters of one request", &["too_large_too_many_or_too_long_parameters_are_refused"]),
    ("name of a parameter, decoded", &["a_token_request_has_its_documented_bounds"]),
    ("value of a parameter, decoded", &["a_token_request_has_its_documented_bounds"]),
    ("`Authorization: Basic` header", &["a_token_request_has_its_documented_bounds"]),
    ("`state`", &["an_authorization_request_has_its_documented_bounds"]),
    ("`redirect_uri`", &["names_have_their_documented_lengths"]),
    ("`code_challenge` (S256)", &["an_authorization_request_has_its_documented_bounds"]),
    ("`code_verifier`", &["an_authorization_request_has_its_documented_bounds"]),
    ("`prompt`", &["the_words_of_prompt_are_a_set_in_which_none_stands_alone"]),
    ("`max_age`", &["max_age_is_digits"]),
    (
        "query with which the browser returns from a login",
        &["a_query_too_long_to_return_is_refused_before_the_login"],
    ),
    (
        "`code`, `device_code`, `refresh_token`, ticket",
        &["an_authorization_request_has_its_documented_bounds"],
    ),
    (
        "`install_tag_id`, `install_name`, of apps with mobile security",
        &["an_id_is_printable_ascii_and_a_name_has_no_control_characters"],
    ),
    ("`user_code`, as typed", &["a_code_is_read_as_users_type_it"]),
    ("`resource`", &["the_apis_of_a_request_are_bounded", "names_have_their_documented_lengths"]),
    // Names
    ("client id", &["names_have_their_documented_lengths"]),
    ("subject, group", &["names_have_their_documented_lengths"]),
    ("device id, source", &["names_have_their_documented_lengths"]),
    ("issuer, resource", &["names_have_their_documented_lengths"]),
    ("key id (`kid`)", &["names_have_their_documented_lengths"]),
    ("grant id", &["a_malformed_identifier_is_refused_with_its_problem"]),
    // Scopes
    ("scope token", &["scopes_have_their_documented_lengths"]),
    (
        "scope",
        &[
            "scopes_have_their_documented_lengths",
            "an_intersection_beyond_the_limits_gets_narrower_not_longer",
        ],
    ),
    // Trusted issuers
    ("trusted issuers of a server", &["a_server_trusts_a_hundred_issuers"]),
    (
        "apps of a trusted issuer, for one kind of evidence",
        &["a_record_with_a_setting_out_of_range_is_refused_by_its_name"],
    ),
    (
        "rules for workloads of a trusted issuer",
        &["a_record_with_a_setting_out_of_range_is_refused_by_its_name"],
    ),
    ("pattern of a subject", &["a_pattern_that_would_match_too_much_is_refused"]),
    (
        "lifetime of a token of a trusted issuer",
        &["a_record_with_a_setting_out_of_range_is_refused_by_its_name"],
    ),
    (
        "clock skew of a trusted issuer",
        &["a_record_with_a_setting_out_of_range_is_refused_by_its_name"],
    ),
    ("actors of an identity assertion", &["a_tenant_is_the_one_of_the_record"]),
    (
        "users and groups whose access an issuer may end",
        &["a_record_with_a_setting_out_of_range_is_refused_by_its_name"],
    ),
    ("body of a request to end access", &["a_user_is_named_as_the_record_allows"]),
    // Apps
    ("name", &["settings_of_an_app_have_their_documented_bounds"]),
    ("description", &["settings_of_an_app_have_their_documented_bounds"]),
    ("redirect URIs", &["settings_of_an_app_have_their_documented_bounds"]),
    ("origins of scripts", &["settings_of_an_app_have_their_documented_bounds"]),
    ("resources", &["settings_of_an_app_have_their_documented_bounds"]),
    ("access token lifetime", &["settings_of_an_app_have_their_documented_bounds"]),
    (
        "refresh token lifetime (of the whole grant)",
        &["settings_of_an_app_have_their_documented_bounds"],
    ),
    ("idle lifetime of a refresh token", &["settings_of_an_app_have_their_documented_bounds"]),
    (
        "grace of a spent refresh token",
        &[
            "settings_of_an_app_have_their_documented_bounds",
            "the_default_grace_depends_on_the_client_type",
        ],
    ),
    (
        "longer life of codes, grace and idle time in stores that hosts share (`PostgresStore::with_host_skew`)",
        &[
            "the_difference_of_hosts_has_a_default_and_a_bound",
            "hosts_eight_seconds_apart_take_no_honest_refresh_for_reuse",
        ],
    ),
    (
        "answers within one grace",
        &["a_page_that_fans_out_keeps_its_grant", "retries_within_the_grace_revoke_nothing"],
    ),
    (
        "row of a code that is never redeemed, or of a denial",
        &["a_row_that_was_never_redeemed_goes_with_its_code_or_ticket"],
    ),
    ("code lifetime", &["settings_of_an_app_have_their_documented_bounds"]),
    (
        "redemptions of a code with wrong bindings",
        &["four_wrong_verifiers_leave_a_code_usable_and_the_fifth_voids_it"],
    ),
    ("volume quota", &["settings_of_an_app_have_their_documented_bounds"]),
    ("simultaneous client secrets", &["an_app_has_four_client_secrets_at_most"]),
    (
        "client secret, given; slow digest, given",
        &[
            "imported_secrets_have_their_documented_lengths",
            "a_given_digest_is_read_in_every_usual_form",
        ],
    ),
    (
        "given client secret that may be guessed, for the failure budget",
        &["a_given_secret_is_flagged_while_it_may_be_short"],
    ),
    ("slow digests that the host checks at a time", &["four_slow_checks_run_at_a_time"]),
    ("signature secret, imported", &["imported_secrets_have_their_documented_lengths"]),
    (
        "expected `iss`, expected `aud` of assertions",
        &["settings_of_assertions_have_their_documented_bounds"],
    ),
    (
        "name of the claim that names the user",
        &["settings_of_assertions_have_their_documented_bounds"],
    ),
    (
        "lifetime of a grant assertion",
        &[
            "settings_of_assertions_have_their_documented_bounds",
            "an_assertion_may_not_outlive_the_maximum",
        ],
    ),
    (
        "lifetime of a client assertion (`private_key_jwt`), of app and server",
        &[
            "settings_of_assertions_have_their_documented_bounds",
            "an_assertion_is_accepted_up_to_its_limits_of_time",
        ],
    ),
    (
        "clock skew of an assertion",
        &[
            "settings_of_assertions_have_their_documented_bounds",
            "the_clock_may_differ_by_the_skew",
        ],
    ),
    (
        "client metadata document; its client id",
        &[
            "an_unusable_answer_is_refused_and_not_cached",
            "the_longest_client_id_of_a_document_has_255_bytes",
        ],
    ),
    (
        "time for which a document is fresh (`ClientDocuments::freshness`)",
        &["a_document_is_fresh_as_its_headers_say_within_the_bounds"],
    ),
    (
        "documents of apps with a row in memory, and of others; apps with a row (`ClientDocuments::max_apps`)",
        &[
            "the_capacity_is_for_the_documents_in_memory",
            "a_flood_of_documents_removes_none_in_use",
            "consents_make_a_bounded_number_of_rows",
        ],
    ),
    (
        "documents and key sets fetched at once by a process; from one host; for one source",
        &["a_host_and_a_source_have_a_share_of_the_places"],
    ),
    (
        "keys at a `jwks_uri`; URLs with keys in memory, of registered apps and of others",
        &["a_flood_of_urls_removes_no_keys_in_use", "a_key_set_has_its_largest_size"],
    ),
    (
        "time between two fetches of a `jwks_uri` or of a document with keys; age of keys in use",
        &[
            "keys_are_fetched_once_a_minute_and_used_for_a_day",
            "the_keys_of_an_app_follow_its_document",
            "the_keys_of_a_document_that_is_not_reachable_are_used_for_a_day",
        ],
    ),
    (
        "apps without a grant that one round of the upkeep looks at",
        &["a_round_looks_at_two_hundred_apps"],
    ),
    ("`jwks_uri`", &["a_jwks_uri_is_https_and_bounded"]),
    (
        "client metadata, as JSON; the body of a registration, with a software statement",
        &["metadata_have_their_documented_bounds", "the_body_is_a_bounded_json_object"],
    ),
    (
        "redirect URIs of client metadata; another list, each text of it",
        &["metadata_have_their_documented_bounds"],
    ),
    (
        "URL in client metadata; another text, except for the name",
        &["metadata_have_their_documented_bounds"],
    ),
    (
        "initial access tokens, each; issuers of software statements",
        &["tokens_and_issuers_have_their_documented_bounds"],
    ),
    (
        "apps of a declaration; its text; listed problems",
        &["a_declaration_has_its_documented_bounds"],
    ),
    ("file of a declared secret", &["a_secret_is_given_in_one_of_its_forms"]),
    (
        "export of another server; its clients",
        &["a_hostile_export_is_an_error_or_a_report", "an_export_has_its_documented_bounds"],
    ),
    ("text of an export that a report quotes", &["an_export_has_its_documented_bounds"]),
    (
        "time for which a secret before a declared one stays valid",
        &["a_changed_declaration_changes_the_app_and_its_grants_survive"],
    ),
    (
        "users and groups that a policy lists",
        &["settings_of_assertions_have_their_documented_bounds"],
    ),
    (
        "apps, issuers, actors and targets of a policy for exchanges",
        &["a_policy_for_exchanges_has_its_documented_bounds"],
    ),
    (
        "actors of a derived token, by that policy",
        &[
            "a_policy_for_exchanges_has_its_documented_bounds",
            "the_chain_is_kept_and_has_at_most_four_actors",
        ],
    ),
    ("PIN after idle minutes; wrong PINs", &["settings_of_an_app_have_their_documented_bounds"]),
    ("allowed apps on a phone", &["settings_of_an_app_have_their_documented_bounds"]),
    (
        "hours offline before a phone blocks; days before it wipes",
        &[
            "settings_of_an_app_have_their_documented_bounds",
            "offline_limits_have_their_bounds_and_their_order",
        ],
    ),
    // Keys and tokens
    (
        "access token, issued and read",
        &[
            "a_token_longer_than_verifiers_accept_is_not_issued",
            "a_token_longer_than_verifiers_accept_is_not_signed",
        ],
    ),
    (
        "claims that a hook adds to a token, as JSON",
        &["too_many_claims_are_refused_and_consume_no_grant"],
    ),
    ("`authorization_details`", &["details_are_an_array_of_typed_objects_within_their_limits"]),
    (
        "parents of a derived token",
        &["a_derived_token_states_its_parents", "a_token_has_at_most_four_parents"],
    ),
    ("assertion", &["an_assertion_has_its_documented_bounds"]),
    ("`jti` of an assertion", &["an_assertion_has_its_documented_bounds"]),
    ("text of keys (PEM, JWK, JWK Set)", &["keys_have_their_documented_numbers_and_lengths"]),
    (
        "usable keys in a set",
        &[
            "keys_have_their_documented_numbers_and_lengths",
            "a_set_has_at_most_sixteen_usable_keys",
        ],
    ),
    (
        "keys in a set without `kid` for one algorithm; keys that are tried for an assertion without `kid`",
        &["at_most_four_keys_for_one_algorithm_have_no_id"],
    ),
    (
        "RSA modulus",
        &[
            "weak_rsa_keys_are_refused",
            "a_modulus_with_a_small_factor_is_refused",
            "an_unusable_private_key_is_refused_with_its_error",
        ],
    ),
    ("HS256 secret", &["keys_have_their_documented_numbers_and_lengths"]),
    (
        "keys on a `KeyRing`, and keys in a `KeyFile` that are not yet removed",
        &[
            "keys_have_their_documented_numbers_and_lengths",
            "a_rotation_is_refused_if_the_keys_would_be_too_many",
        ],
    ),
    ("a key file", &["a_key_file_has_its_documented_size"]),
    (
        "time between publishing a new key and signing with it",
        &[
            "a_rotated_key_signs_after_ten_minutes_and_the_old_one_is_accepted_for_30_days_more",
            "a_new_key_is_published_for_a_minute_at_least",
        ],
    ),
    (
        "time for which an old key is accepted",
        &["a_rotated_key_signs_after_ten_minutes_and_the_old_one_is_accepted_for_30_days_more"],
    ),
    ("root of a `ServerSecret`", &["keys_have_their_documented_numbers_and_lengths"]),
    // The server
    (
        "validity of a consent page",
        &["a_consent_page_is_valid_for_an_hour_at_most", "a_ticket_expires"],
    ),
    (
        "time between a demanded login (`prompt=login`) and the return from it",
        &["a_marker_expires_after_an_hour"],
    ),
    (
        "time for the return from a demanded login, if `max_age` is shorter",
        &["a_login_is_fresh_when_it_came_after_the_demand_or_is_young_enough"],
    ),
    ("session in a `Login`", &["an_empty_session_is_refused"]),
    ("page of a listing", &["a_page_of_a_listing_holds_200"]),
    ("grants that `Account::apps` reads", &["a_list_reads_at_most_1000_grants"]),
    ("page of the revocation feed", &["pages_of_the_feed_are_contiguous"]),
    (
        "apps whose usage a process counts in memory",
        &["the_counters_start_over_beyond_their_number"],
    ),
    (
        "remembered volume budgets of apps, and those of requests for device codes in their names",
        &[
            "the_budgets_of_apps_start_over_beyond_their_number",
            "apps_with_a_full_budget_make_room_first",
        ],
    ),
    (
        "remembered failure budgets: of client ids and sources, and of sources",
        &["a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget"],
    ),
    (
        "remembered budgets of grants of public apps, and of reads of the policy document",
        &["a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget"],
    ),
    (
        "remembered budgets of wipes: of sources, and of devices; of documents",
        &["a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget"],
    ),
    (
        "remembered budgets of the device grant: requests of sources, wrong user codes of users and sources",
        &["a_flood_of_wrong_codes_from_many_is_refused"],
    ),
    (
        "device codes whose pace of polls is remembered",
        &["a_flood_of_codes_forgets_no_pace_in_use_and_is_bounded"],
    ),
    (
        "lifetime of a device code and its user code",
        &["the_settings_of_the_grant_are_clamped", "a_device_code_expires_at_its_instant"],
    ),
    (
        "interval between polls; with hasty polls",
        &[
            "the_settings_of_the_grant_are_clamped",
            "the_interval_grows_with_hasty_polls_and_stays_in_reach",
        ],
    ),
    (
        "time for which a redeemed device code is answered again",
        &["a_lost_answer_is_given_again_within_the_grace", "the_settings_of_the_grant_are_clamped"],
    ),
    ("user codes that are drawn for a request", &["a_user_code_that_is_taken_is_drawn_anew"]),
    ("sealed bytes of a pending record", &["a_record_is_found_as_it_was_kept"]),
    (
        "requests of one source for device codes, by public apps",
        &["the_defaults_are_those_of_the_table", "strangers_cannot_fill_the_store_with_requests"],
    ),
    (
        "requests for device codes in the name of one public app",
        &[
            "device_requests_of_strangers_are_limited_by_source_and_by_app",
            "device_requests_are_limited_by_the_quota_of_the_app",
        ],
    ),
    (
        "wrong user codes of one user; of one source; of all",
        &[
            "a_flood_of_wrong_codes_from_one_source_or_user_is_refused",
            "one_user_does_not_spend_the_wrong_codes_of_a_source",
            "a_flood_of_wrong_codes_from_many_is_refused",
        ],
    ),
    (
        "client metadata documents and key sets that are fetched for a source",
        &[
            "a_source_has_a_budget_of_documents",
            "a_fetch_of_keys_is_charged_to_its_source",
            "documents_have_a_default_budget",
        ],
    ),
    (
        "requests of one source about wipes, with tokens that prove nothing; questions of one device; its reports",
        &[
            "forged_tokens_spend_the_budget_of_their_source_and_suppress_no_wipe",
            "a_phone_that_asks_too_often_is_told_to_wait",
            "questions_spend_nothing_of_the_budget_of_reports",
        ],
    ),
    (
        "reads of the policy document with the access tokens of one grant",
        &["reads_of_the_rules_spend_the_budget_of_their_grant"],
    ),
    (
        "registrations from one source, refused ones included, their updates and deletions",
        &[
            "a_source_registers_a_bounded_number_of_apps",
            "a_refused_registration_spends_the_budget_of_its_source",
            "changes_of_registrations_spend_the_budget_of_their_source",
        ],
    ),
    (
        "apps that have registered themselves, counted once a minute in each process",
        &["the_rules_have_their_documented_bounds", "the_number_of_registered_apps_is_bounded"],
    ),
    (
        "life of a registered app that no user gave access; after its last access ended, to a quarter",
        &[
            "the_rules_have_their_documented_bounds",
            "an_app_that_no_user_gave_access_ends_after_an_hour",
            "an_app_without_access_any_more_ends_after_the_idle_lifetime",
        ],
    ),
    ("uses of one registration access token", &["a_registration_token_has_a_budget_of_its_own"]),
    ("apps of Nextcloud's remote wipe", &["nextclouds_paths_are_mounted_for_a_few_apps_on_demand"]),
    (
        "devices of a user at an app, apart from those that are to be wiped",
        &["a_user_has_64_devices_at_an_app", "a_user_has_64_devices_at_an_app_at_most"],
    ),
    (
        "row of a device after its last access has expired, or after its wipe",
        &["an_unused_device_is_pruned_with_the_other_rows", "a_phone_asks_wipes_and_reports"],
    ),
    (
        "remembered budgets of registrations, by source",
        &["a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget"],
    ),
    (
        "memory of these seven tables, for each issuer",
        &["a_flood_of_names_is_bounded_and_does_not_wash_out_a_spent_budget"],
    ),
    ("failures of one client id and source", &["the_defaults_are_the_documented_ones"]),
    (
        "failures of one source, at every endpoint together",
        &["the_default_budgets_of_strangers_end_at_the_documented_numbers"],
    ),
    (
        "uses of one code, refresh token or assertion by a public app, or one that its assertion alone authenticates",
        &["a_dead_token_sent_a_thousand_times_locks_no_other_user_out"],
    ),
    ("requests of an app", &["the_defaults_are_the_documented_ones"]),
    (
        "equal refusals from one source with an audit event each",
        &["only_equal_events_are_counted_together", "events_of_known_callers_keep_their_users"],
    ),
    (
        "kinds of events that are counted by source",
        &["the_table_of_kinds_is_bounded", "events_of_ever_new_apps_are_bounded"],
    ),
    ("memory of these counts", &["the_table_of_kinds_is_bounded"]),
    (
        "audit events of unauthenticated callers, over all sources",
        &["the_default_budgets_of_strangers_end_at_the_documented_numbers"],
    ),
    ("apps in `CachedApps`", &["a_cache_holds_at_least_eight_apps_and_10_000_by_default"]),
    (
        "delay of `CachedApps` behind another process",
        &[
            "an_app_that_another_process_disabled_stops_within_the_bound",
            "the_default_times_of_a_cache_are_the_documented_ones",
        ],
    ),
    (
        "age at which `CachedApps` reads an app again in any case",
        &["the_default_times_of_a_cache_are_the_documented_ones"],
    ),
    ("cached ids of no app", &["an_id_without_an_app_is_looked_up_once_and_displaces_no_app"]),
    (
        "grants that a process keeps beside PostgreSQL (`with_known_grants`); those that it has read and not rotated",
        &[
            "a_flood_of_reads_pushes_out_no_known_grant_and_is_bounded",
            "without_the_setting_no_grant_is_known",
        ],
    ),
    (
        "events in `MemoryAudit`",
        &[
            "memory_keeps_the_newest_events_and_filters_by_app_subject_and_time",
            "a_log_in_memory_keeps_the_newest_10_000",
        ],
    ),
    ("events in `MemoryStore`", &["the_oldest_events_make_room_and_stay_counted"]),
    (
        "waiting events in an `AuditQueue`",
        &[
            "a_queue_of_events_holds_one_at_least_and_32_768_by_default",
            "a_full_queue_counts_dropped_events_and_logs_the_count",
        ],
    ),
    (
        "events that an `AuditQueue` writes at a time",
        &["events_are_written_in_batches_and_in_order"],
    ),
    ("answer of the audit store to an `AuditQueue`", &["an_append_without_an_answer_is_repeated"]),
    (
        "delay after a failure of the audit store",
        &["a_failed_batch_is_retried_until_it_is_written_once"],
    ),
    (
        "rows that `prune_regularly` and `Upkeep` remove at a time, and the interval",
        &[
            "the_defaults_are_a_thousand_rows_and_300_seconds",
            "processes_that_start_together_prune_apart",
        ],
    ),
    (
        "wait of an `Upkeep` between two runs of a job",
        &["waits_differ_by_up_to_a_quarter", "an_idle_server_wakes_at_most_three_times_a_second"],
    ),
    (
        "wait of an `Upkeep` after failures of a job",
        &["a_database_that_is_away_for_an_hour_is_survived"],
    ),
    ("run of a job of an `Upkeep`", &["a_job_that_hangs_stops_nothing"]),
    ("end of an `Upkeep` after it is stopped", &["a_job_that_hangs_stops_nothing"]),
    ("retention of a claimed `jti`", &["a_used_assertion_is_pruned_after_its_documented_time"]),
    (
        "retention of an administrator's revocation",
        &["a_revocation_is_kept_for_as_long_as_documented"],
    ),
    ("retention of a revocation by the app", &["a_revocation_is_kept_for_as_long_as_documented"]),
    // Console
    (
        "events that the overview of an app reads for its last errors",
        &["the_overview_tells_the_last_errors_with_the_setting_that_decided"],
    ),
    ("names in the sentence of an impersonation policy", &["a_policy_is_a_sentence"]),
    (
        "form",
        &[
            "a_form_of_the_console_has_its_documented_bounds",
            "a_body_that_is_no_form_or_too_long_is_refused_with_a_page",
        ],
    ),
    ("logo", &["a_logo_has_its_documented_bounds"]),
    ("apps on a page of the list", &["the_list_is_paged_by_key_and_shows_each_app_once"]),
    (
        "apps to pick from in the playground, without a search",
        &["another_app_is_found_by_name_and_shows_its_flows"],
    ),
    (
        "live grants that a page before a revocation counts",
        &[
            "a_page_of_the_danger_zone_counts_up_to_200_grants",
            "the_page_that_revokes_everything_counts_up_to_200_grants",
        ],
    ),
    (
        "apps without the columns for searches, or with a folded text of more than 2,000 bytes, that a search reads \
         for a page in a database",
        &["a_search_reads_2000_apps_of_an_earlier_program_for_a_page"],
    ),
    ("days of a chart", &["usage_is_a_chart_and_the_same_figures_as_a_table"]),
    ("days of a usage history", &["a_history_goes_back_400_days"]),
    ("users on a page", &["the_users_of_an_app_are_paged_by_key"]),
    ("file of an import", &["a_file_of_an_import_has_its_documented_bounds"]),
    ("apps of an export", &["an_export_has_its_documented_bound"]),
    (
        "time for which new credentials can be shown",
        &[
            "sealed_credentials_open_in_their_session_and_minute_only",
            "credentials_are_shown_to_their_session_within_a_minute_only",
        ],
    ),
    (
        "shown credentials that a process remembers",
        &["a_process_remembers_what_it_has_shown_up_to_a_bound"],
    ),
    ("boundary, headers of a part in a form with a file", &["a_malformed_body_is_refused"]),
    // Resource servers
    ("cached verified tokens", &["the_capacity_is_never_exceeded_and_the_newest_tokens_are_kept"]),
    (
        "introspected access tokens that the server keeps",
        &[
            "a_token_is_verified_once_and_checked_each_time",
            "the_capacity_is_never_exceeded_and_the_newest_tokens_are_kept",
        ],
    ),
    ("clock skew", &["the_times_of_a_cached_token_are_checked_at_each_use"]),
    (
        "age at which the list of revocations closes",
        &["a_stale_list_is_closed_until_the_next_complete_read"],
    ),
    (
        "memory of the list of revocations",
        &["a_revocation_uses_its_documented_memory_in_the_list_of_an_api"],
    ),
    ("metadata of a discovered issuer", &["the_largest_documents_are_read"]),
    ("page of the revocation feed, as read by `FeedReader`", &["the_largest_page_fits"]),
    (
        "time between two fetches of a discovered issuer's keys",
        &[
            "an_unknown_key_is_fetched_at_most_once_a_minute",
            "a_removed_key_ends_with_the_next_fetch",
            "keys_stay_in_use_for_an_hour_while_fetches_fail",
            "an_abandoned_fetch_holds_nothing_up",
        ],
    ),
    ("age of a discovered issuer's keys", &["keys_stay_in_use_for_an_hour_while_fetches_fail"]),
    ("requests that wait for a fetch of keys", &["many_requests_share_one_fetch"]),
    (
        "message that `McpLayer` reads, if an operation has a scope of its own",
        &["a_message_has_at_most_4_mib", "without_scopes_of_operations_no_message_is_read"],
    ),
    (
        "time for a client to send that message",
        &["a_message_that_does_not_arrive_within_30_seconds_is_408"],
    ),
    // Fetching
    ("response that `Fetcher` reads", &["a_response_has_its_largest_size"]),
    (
        "time of a request of `Fetcher`, to the end of the response",
        &["a_request_ends_at_its_deadline"],
    ),
    (
        "names that a `Fetcher` looks up at once, also for requests that were given up",
        &["look_ups_that_do_not_end_have_a_bound"],
    ),
    ("requests of a `Fetcher` in flight for one URL", &["one_request_for_a_url_runs_at_a_time"]),
    // SQLite
    ("requests that share a commit", &["at_most_256_requests_share_a_commit"]),
    (
        "wait for another program that writes to the file",
        &["a_file_that_is_locked_for_long_is_an_error_until_it_is_free"],
    ),
    (
        "rows that one call of `prune` or `prune_events` removes",
        &["a_call_removes_a_thousand_rows_at_most"],
    ),
    ("readers, if the host brings no pool", &["a_fifth_reader_waits_for_five_seconds"]),
    (
        "delay of a change of an app in another process",
        &["an_app_that_another_process_disabled_stops_within_the_bound"],
    ),
    ("table prefix", &["a_prefix_needs_no_quotes"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Collects the names of the functions below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let found = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let line = line.strip_prefix("pub ").unwrap_or(line);
                line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")
            });
            names.extend(found.filter_map(|line| Some(line.split(['(', '<']).next()?.to_owned())));
        }
    }
}

#[test]
fn every_bound_of_the_page_of_limits_has_a_test() {
    let page = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.map(|line| line.split(" | ").next().unwrap().trim());
    let rows: Vec<_> = rows.filter(|cell| *cell != "value" && !cell.starts_with("---")).collect();
    let listed: BTreeSet<_> = TESTS.iter().map(|(row, _)| *row).collect();
    assert_eq!(listed.len(), TESTS.len(), "a row is listed twice");
    let without: Vec<_> = rows.iter().filter(|row| !listed.contains(*row)).collect();
    assert!(without.is_empty(), "list a test for {without:#?}");
    let gone: Vec<_> = listed.iter().filter(|row| !rows.contains(row)).collect();
    assert!(gone.is_empty(), "docs/limits.md has no {gone:#?}");
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        functions(&root().join(folder), &mut names);
    }
    for (row, tests) in TESTS {
        for test in *tests {
            assert!(names.contains(*test), "{row}: no test {test}");
        }
    }
}
