//! The rows of the fault matrix that concern renewals, and the tests that prove each: a name that is no test fails.

/// A file and a test in it.
type Proof = (&'static str, &'static str);

/// Number, what is wrong, and where it is proved.
const ROWS: &[(&str, &str, &[Proof])] = &[
    (
        "F1",
        "provider down",
        &[
            (
                "worker/faults.rs",
                "a_provider_that_is_down_hears_little_and_all_is_well_a_minute_after_its_return",
            ),
            ("access/failures.rs", "a_provider_that_is_down_is_not_stormed_by_its_tokens"),
        ],
    ),
    (
        "F2",
        "provider hangs",
        &[
            ("worker/faults.rs", "a_provider_that_hangs_delays_nobody_else"),
            ("access/unanswered.rs", "a_start_does_not_wait_for_a_provider_that_hangs"),
        ],
    ),
    (
        "F3",
        "HTML instead of JSON",
        &[("access/failures.rs", "nothing_transient_costs_a_token")],
    ),
    (
        "F4",
        "200 with an error",
        &[("oauth/token_endpoint.rs", "an_error_under_200_is_an_error")],
    ),
    (
        "F5",
        "no refresh token",
        &[("access/failures.rs", "a_provider_that_never_rotates_keeps_its_one_refresh_token")],
    ),
    (
        "F6",
        "odd values",
        &[
            ("access/handing.rs", "odd_lifetimes_are_clamped_and_never_cost_the_token"),
            ("worker/faults.rs", "tokens_that_hardly_live_are_not_renewed_in_a_circle"),
        ],
    ),
    (
        "F7",
        "hostile values",
        &[("oauth/token_endpoint.rs", "a_token_that_could_break_a_header_is_refused")],
    ),
    (
        "F8",
        "too big",
        &[("oauth/token_endpoint.rs", "answers_that_are_no_answers_are_named_and_lose_nothing")],
    ),
    ("F9", "redirects", &[("access/failures.rs", "nothing_transient_costs_a_token")]),
    (
        "F10",
        "429 and 503",
        &[
            ("worker/faults.rs", "a_provider_that_asks_for_peace_gets_it_and_others_go_on"),
            (
                "access/failures.rs",
                "pauses_grow_to_a_quarter_of_an_hour_and_a_provider_may_ask_for_an_hour",
            ),
        ],
    ),
    (
        "F11",
        "invalid_grant",
        &[
            ("worker/faults.rs", "a_refused_sign_in_is_told_once_and_not_asked_about_again"),
            ("access/failures.rs", "a_refused_grant_asks_for_a_person_once_and_keeps_what_it_had"),
        ],
    ),
    (
        "F12",
        "conditional access",
        &[("access/failures.rs", "a_refused_grant_asks_for_a_person_once_and_keeps_what_it_had")],
    ),
    (
        "F13",
        "app secret expired",
        &[
            (
                "worker/faults.rs",
                "a_secret_that_ended_is_one_alarm_and_a_new_one_mends_all_at_once",
            ),
            ("worker/faults.rs", "an_app_that_is_let_in_again_is_noticed_within_a_minute"),
            ("access/failures.rs", "a_broken_app_is_one_alarm_however_many_tokens_hang_on_it"),
        ],
    ),
    (
        "F14",
        "scope or identity differs",
        &[("access/handing.rs", "another_accounts_token_is_never_handed_out")],
    ),
    (
        "F15",
        "answer lost after rotation",
        &[
            ("worker/faults.rs", "a_lost_answer_is_asked_for_again_while_the_provider_forgives"),
            ("access/unanswered.rs", "a_lost_answer_is_asked_for_again_within_the_grace"),
            (
                "access/unanswered.rs",
                "where_nothing_is_forgiven_the_loss_is_told_in_the_same_breath",
            ),
        ],
    ),
    (
        "F16",
        "clock",
        &[
            ("worker/faults.rs", "a_clock_that_is_set_by_a_day_costs_nothing"),
            (
                "worker/faults.rs",
                "a_clock_that_was_set_back_while_the_console_was_off_lets_nothing_die",
            ),
            (
                "access/handing.rs",
                "a_clock_that_jumps_a_day_costs_each_token_one_renewal_and_no_more",
            ),
        ],
    ),
    (
        "F17",
        "database locked",
        &[("access/disk.rs", "while_another_program_locks_the_database_nothing_is_asked_for")],
    ),
    (
        "F18",
        "disk full",
        &[
            (
                "worker/faults.rs",
                "while_the_disk_takes_nothing_nothing_is_sent_and_then_it_goes_on",
            ),
            ("access/disk.rs", "a_token_set_that_cannot_be_stored_is_kept_beside_the_database"),
        ],
    ),
    (
        "F29",
        "many at once",
        &[
            ("worker/shared.rs", "two_instances_divide_what_is_due_and_double_no_call"),
            ("worker/shared.rs", "instances_that_want_the_same_at_once_are_one_request"),
            ("access/sharing.rs", "fifty_callers_in_two_processes_are_one_request"),
        ],
    ),
    (
        "F30",
        "killed",
        &[
            ("worker/kills.rs", "a_console_that_is_killed_while_it_renews_loses_nothing"),
            ("worker/kills.rs", "two_consoles_of_which_one_is_killed_lose_nothing"),
            (
                "worker/shared.rs",
                "what_an_instance_elsewhere_had_begun_goes_on_within_half_a_minute",
            ),
            ("access/kills.rs", "a_hundred_kills_during_renewals_lose_no_grant"),
        ],
    ),
    // The power can't be cut here: what is acknowledged was synced before, which the lease's test and SQLite's settings show.
    (
        "F31",
        "power cut",
        &[
            (
                "access/sharing.rs",
                "the_lease_is_durable_before_the_request_and_names_this_process",
            ),
            ("worker/kills.rs", "a_console_that_is_killed_while_it_renews_loses_nothing"),
        ],
    ),
    (
        "F32",
        "upgrade interrupted",
        &[("worker/upgrade.rs", "old_grants_are_due_in_their_time_and_not_all_at_once")],
    ),
    (
        "F33",
        "all due at once",
        &[
            (
                "worker/outage.rs",
                "ten_thousand_due_at_once_are_renewed_at_a_pace_the_nearest_lapse_first",
            ),
            ("worker/outage.rs", "what_lapses_first_is_renewed_first"),
        ],
    ),
];

#[test]
fn every_row_that_concerns_renewals_has_a_test() {
    let numbers: Vec<&str> = ROWS.iter().map(|(number, ..)| *number).collect();
    let expected: Vec<String> = (1..=18).chain(29..=33).map(|number| format!("F{number}")).collect();
    assert_eq!(numbers, expected);
    for (number, what, tests) in ROWS {
        assert!(!tests.is_empty(), "{number} {what}");
        for (file, test) in *tests {
            let text = std::fs::read_to_string(format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            assert!(text.contains(&format!("fn {test}()")), "{number}: {file} has no {test}");
        }
    }
}
