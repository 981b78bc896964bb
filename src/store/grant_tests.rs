//! The rules on one row: tables, and laws over random histories.

use proptest::prelude::*;

use super::*;
#[path = "grant_late_tests.rs"]
mod late;

const NOW: i64 = 1_700_000_000_000;
const GRACE: i64 = 10_000;
const CODE_LIFE: i64 = 60_000;
const LIFE: i64 = 3_600_000;

fn at(after: i64) -> UnixTime {
    UnixTime::from_millis(NOW + after)
}

fn client() -> ClientId {
    ClientId::new("app").unwrap()
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn key(byte: u8) -> Confirmation {
    Confirmation::Key(digest(byte))
}

/// A code that is pending since `NOW`.
fn pending() -> Grant {
    let id = GrantId::from_bytes([1; 16]);
    let mut grant = Grant::new(id, client(), Subject::new("jane").unwrap(), Scope::default());
    grant.auth_time = Some(at(-LIFE));
    grant.binding = digest(2);
    grant.salt_digest = digest(3);
    grant.authorized_at = at(0);
    grant.code_expires_at = at(CODE_LIFE);
    grant.expires_at = at(LIFE);
    grant
}

/// A grant whose refresh token of `generation` was made at `NOW`.
fn live(generation: u32) -> Grant {
    Grant { generation, rotated_at: at(0), ..pending() }
}

fn redemption(after: i64) -> CodeRedemption {
    let Grant { grant_id, client_id, binding, salt_digest, .. } = pending();
    CodeRedemption {
        grant_id,
        client_id,
        binding,
        salt_digest,
        confirmation: None,
        binds: true,
        device: None,
        polling: None,
        claim: 7,
        now: at(after),
    }
}

fn rotation(generation: u32, after: i64) -> Rotation {
    let Grant { grant_id, client_id, salt_digest, .. } = pending();
    Rotation {
        grant_id,
        client_id,
        salt_digest,
        generation,
        grace_millis: GRACE,
        skew_millis: 0,
        idle_millis: None,
        proves_reuse: true,
        confirmation: None,
        binds: true,
        claim: 8,
        now: at(after),
    }
}

const UNKNOWN: GrantRefusal = GrantRefusal::Unknown;
const EXPIRED: GrantRefusal = GrantRefusal::Expired;
const REVOKED: GrantRefusal = GrantRefusal::Revoked;

/// G3, G8, R16: what a code with the right bindings is answered, by the state of its grant.
#[test]
fn a_code_is_answered_by_the_state_of_its_grant() {
    let revoked = |mut grant: Grant| {
        grant.revoke(RevocationReason::Denied, at(0));
        grant
    };
    let short = Grant { expires_at: at(10), ..pending() };
    let table = [
        ("pending", pending(), 0, false, RedeemCode::Redeemed),
        ("before it was decided", pending(), -1, false, RedeemCode::Redeemed),
        ("in its last millisecond", pending(), CODE_LIFE - 1, false, RedeemCode::Redeemed),
        ("expired", pending(), CODE_LIFE, false, RedeemCode::Refused(EXPIRED)),
        ("of an expired grant", short, 10, false, RedeemCode::Refused(EXPIRED)),
        ("denied", revoked(pending()), 0, false, RedeemCode::Refused(REVOKED)),
        ("cut off", pending(), 0, true, RedeemCode::Refused(REVOKED)),
        ("cut off and expired", pending(), CODE_LIFE, true, RedeemCode::Refused(REVOKED)),
        ("redeemed", live(1), 0, false, RedeemCode::AlreadyRedeemed),
        ("redeemed and rotated", live(9), 0, false, RedeemCode::AlreadyRedeemed),
        ("redeemed, long after", live(1), LIFE, false, RedeemCode::AlreadyRedeemed),
        ("redeemed and revoked", revoked(live(1)), 0, false, RedeemCode::AlreadyRedeemed),
        ("redeemed and cut off", live(1), 0, true, RedeemCode::AlreadyRedeemed),
    ];
    for (name, mut grant, after, void, expected) in table {
        let before = grant.clone();
        assert_eq!(grant.redeem(&redemption(after), void), expected, "{name}");
        match expected {
            RedeemCode::Redeemed => {
                assert_eq!((grant.generation, grant.rotated_at), (1, at(after)), "{name}");
                assert_eq!((grant.claim, grant.revoked), (7, None), "{name}");
            }
            RedeemCode::AlreadyRedeemed => {
                let end = (at(after), RevocationReason::CodeReplayed);
                assert_eq!(grant.revoked, before.revoked.or(Some(end)), "{name}");
            }
            RedeemCode::Mismatch
            | RedeemCode::Retried
            | RedeemCode::Spent
            | RedeemCode::Refused(_) => assert_eq!(grant, before, "{name}"),
        }
    }
}

/// D16: a polled code is answered again within its grace, while generation 1 is live. Nothing ends the grant.
#[test]
fn a_polled_code_is_answered_again_within_its_grace() {
    const EXPIRED: RedeemCode = RedeemCode::Refused(GrantRefusal::Expired);
    let revoked = |mut grant: Grant| {
        grant.revoke(RevocationReason::Denied, at(0));
        grant
    };
    let table = [
        ("pending", pending(), 0, false, RedeemCode::Redeemed),
        ("expired", pending(), CODE_LIFE, false, EXPIRED),
        ("denied", revoked(pending()), 0, false, RedeemCode::Refused(REVOKED)),
        ("at once", live(1), 0, false, RedeemCode::Retried),
        ("at the end of the grace", live(1), GRACE - 1, false, RedeemCode::Retried),
        ("after the grace", live(1), GRACE, false, RedeemCode::Spent),
        ("by a clock set back", live(1), -4_999, false, RedeemCode::Retried),
        ("by a clock set back further", live(1), -5_000, false, RedeemCode::Spent),
        ("rotated", live(2), 0, false, RedeemCode::Spent),
        ("the grant expired", live(1), LIFE, false, EXPIRED),
        ("revoked", revoked(live(1)), 0, false, RedeemCode::Refused(REVOKED)),
        ("cut off", live(1), 0, true, RedeemCode::Refused(REVOKED)),
    ];
    for (name, mut grant, after, void, expected) in table {
        let mut before = grant.clone();
        let polling = Some(Polling { grace_millis: GRACE, skew_millis: 0 });
        let code = CodeRedemption { polling, ..redemption(after) };
        assert_eq!(grant.redeem(&code, void), expected, "{name}");
        match expected {
            RedeemCode::Redeemed => assert_eq!((grant.generation, grant.claim), (1, 7), "{name}"),
            RedeemCode::Retried => {
                before.retries += 1;
                assert_eq!(grant, before, "{name}");
            }
            RedeemCode::AlreadyRedeemed
            | RedeemCode::Spent
            | RedeemCode::Mismatch
            | RedeemCode::Refused(_) => assert_eq!(grant, before, "{name}"),
        }
    }
    let none = Some(Polling { grace_millis: 0, skew_millis: 9_000 });
    let code = CodeRedemption { polling: none, ..redemption(0) };
    assert_eq!(live(1).redeem(&code, false), RedeemCode::Spent);
    let skewed = Some(Polling { grace_millis: GRACE, skew_millis: 9_000 });
    for (after, expected) in
        [(GRACE + 8_999, RedeemCode::Retried), (GRACE + 9_000, RedeemCode::Spent)]
    {
        let code = CodeRedemption { polling: skewed, ..redemption(after) };
        assert_eq!(live(1).redeem(&code, false), expected, "{after}");
    }
}

/// G4, G11: neither another app, nor a wrong salt, nor (once the code is spent) wrong bindings.
#[test]
fn a_stranger_changes_nothing() {
    for mut grant in [pending(), live(1), live(3)] {
        let before = grant.clone();
        let other = ClientId::new("App").unwrap();
        let codes = [
            CodeRedemption { client_id: other.clone(), ..redemption(0) },
            CodeRedemption { salt_digest: digest(9), ..redemption(0) },
        ];
        for code in codes {
            assert_eq!(grant.redeem(&code, false), RedeemCode::Refused(UNKNOWN));
        }
        if grant.generation > 0 {
            let code = CodeRedemption { binding: digest(9), ..redemption(0) };
            assert_eq!(grant.redeem(&code, false), RedeemCode::Refused(UNKNOWN));
        }
        let tokens = [
            Rotation { client_id: other, ..rotation(1, 0) },
            Rotation { salt_digest: digest(9), ..rotation(1, 0) },
            rotation(0, 0),
        ];
        for token in tokens {
            assert_eq!(grant.rotate(&token, false), Rotate::Refused(UNKNOWN));
        }
        assert_eq!(grant, before);
    }
}

/// P11, G10: four wrong verifiers burn nothing, the fifth voids the code for good.
#[test]
fn wrong_bindings_are_counted_and_the_fifth_voids_the_code() {
    let wrong = CodeRedemption { binding: digest(9), ..redemption(1) };
    let mut grant = pending();
    for _ in 1..MAX_MISMATCHES {
        assert_eq!(grant.redeem(&wrong, false), RedeemCode::Mismatch);
    }
    assert_eq!(grant.clone().redeem(&redemption(1), false), RedeemCode::Redeemed);
    assert_eq!(grant.redeem(&wrong, false), RedeemCode::Mismatch);
    assert_eq!(grant.revoked, Some((at(1), RevocationReason::CodeGuessed)));
    assert_eq!(grant.redeem(&redemption(1), false), RedeemCode::Refused(REVOKED));
    assert_eq!(grant.redeem(&wrong, false), RedeemCode::Refused(REVOKED));
}

/// R8, R9, R12, R13, R14, R16: what a refresh token is answered, by its generation, the age of the
/// live one, how often that was handed out again, and whether the grant has ended.
#[test]
fn a_refresh_token_is_answered_by_its_generation_and_the_age_of_the_live_one() {
    let refused = Rotate::Refused;
    // presented, live, age, retries, ended, expected
    let table = [
        (3, 3, 0, 0, false, Rotate::Rotated),
        (3, 3, LIFE - 1, 5, false, Rotate::Rotated),
        (3, 3, LIFE, 0, false, refused(EXPIRED)),
        (3, 3, 0, 0, true, refused(REVOKED)),
        (3, 3, LIFE, 0, true, refused(REVOKED)),
        (2, 3, 0, 0, false, Rotate::Retried { retries: 1 }),
        (2, 3, GRACE - 1, 4, false, Rotate::Retried { retries: 5 }),
        (2, 3, GRACE, 0, false, Rotate::Reused),
        (2, 3, -4_999, 0, false, Rotate::Retried { retries: 1 }),
        (2, 3, -5_000, 0, false, Rotate::Reused),
        (2, 3, 0, 254, false, Rotate::Retried { retries: 255 }),
        (2, 3, 0, 255, false, Rotate::Retried { retries: 255 }),
        (2, 3, 0, 0, true, refused(REVOKED)),
        (2, 3, LIFE, 0, false, refused(EXPIRED)),
        (1, 3, 0, 0, false, Rotate::Reused),
        (1, 3, 0, 0, true, refused(REVOKED)),
        (4, 3, 0, 0, false, Rotate::Ahead),
        (9, 3, LIFE - 1, 0, false, Rotate::Ahead),
        (1, 0, 0, 0, false, Rotate::Ahead),
        (4, 3, 0, 0, true, refused(REVOKED)),
        (4, 3, LIFE, 0, false, refused(EXPIRED)),
        (u32::MAX, 3, 0, 0, false, refused(EXPIRED)),
        (u32::MAX - 1, u32::MAX, 0, 0, false, Rotate::Retried { retries: 1 }),
    ];
    for (presented, now_live, age, retries, ended, expected) in table {
        let name = format!("{presented} of {now_live}, age {age}, retries {retries}, {ended}");
        for void in [false, true] {
            let mut grant = Grant { retries, ..live(now_live) };
            if ended && !void {
                grant.revoke(RevocationReason::Client, at(0));
            }
            let before = grant.clone();
            let answer = grant.rotate(&rotation(presented, age), void);
            if void {
                assert_eq!((answer, &grant), (refused(REVOKED), &before), "{name}, void");
                continue;
            }
            assert_eq!(answer, expected, "{name}");
            let row = (grant.generation, grant.rotated_at, grant.claim, grant.retries);
            match expected {
                Rotate::Rotated | Rotate::Ahead => {
                    assert_eq!(row, (presented + 1, at(age), 8, 0), "{name}");
                }
                Rotate::Retried { retries } => {
                    assert_eq!(row, (now_live, at(0), 0, retries), "{name}");
                }
                Rotate::Reused => {
                    let end = (at(age), RevocationReason::RefreshTokenReused);
                    assert_eq!(grant.revoked, Some(end), "{name}");
                }
                Rotate::Refused(_) | Rotate::WrongKey | Rotate::Overtaken => {
                    assert_eq!(grant, before, "{name}");
                }
            }
        }
    }
}

/// The keys that a code admits, and the binding that its redemption leaves.
#[test]
fn a_code_admits_its_own_key_and_binds_the_grant_of_a_public_app_only() {
    let (own, other) = (Some(key(5)), Some(key(6)));
    // named in the authorization request, proven, binds, expected, bound afterwards
    let table = [
        (None, None, true, RedeemCode::Redeemed, None),
        (None, own, true, RedeemCode::Redeemed, own),
        (None, own, false, RedeemCode::Redeemed, None),
        (own, own, true, RedeemCode::Redeemed, own),
        (own, own, false, RedeemCode::Redeemed, None),
        (own, other, true, RedeemCode::Mismatch, own),
        (own, None, true, RedeemCode::Mismatch, own),
        (own, None, false, RedeemCode::Mismatch, own),
        (own, Some(Confirmation::Certificate(digest(5))), true, RedeemCode::Mismatch, own),
    ];
    for (named, confirmation, binds, expected, bound) in table {
        let mut grant = Grant { confirmation: named, ..pending() };
        let answer = grant.redeem(&CodeRedemption { confirmation, binds, ..redemption(0) }, false);
        let name = format!("{named:?} {confirmation:?} {binds}");
        assert_eq!((answer, grant.confirmation), (expected, bound), "{name}");
        assert_eq!(grant.mismatches, u8::from(expected == RedeemCode::Mismatch), "{name}");
        assert_eq!(grant.bound_from, 0, "{name}");
    }
}

/// A thief who redeemed the code first has bound the grant to a key of their own. The replay by the
/// owner ends it nevertheless.
#[test]
fn a_replayed_code_ends_a_grant_that_is_bound_to_another_key() {
    let mut grant = pending();
    let thief = CodeRedemption { confirmation: Some(key(6)), binds: true, ..redemption(0) };
    assert_eq!(grant.redeem(&thief, false), RedeemCode::Redeemed);
    let owner = CodeRedemption { confirmation: Some(key(5)), ..thief };
    assert_eq!(grant.redeem(&owner, false), RedeemCode::AlreadyRedeemed);
    assert!(grant.revoked.is_some());
}

/// The answer to a refresh token by its generation, the key of the grant and the proven
/// key.
#[test]
fn a_refresh_token_of_a_bound_grant_needs_its_key() {
    let (own, other) = (Some(key(5)), Some(key(6)));
    // bound to, since, presented (3 is live), age, proven, expected
    let table = [
        (own, 0, 3, 0, own, Rotate::Rotated),
        (own, 0, 3, 0, other, Rotate::WrongKey),
        (own, 0, 3, 0, None, Rotate::WrongKey),
        (own, 0, 5, 0, own, Rotate::Ahead),
        (own, 0, 5, 0, other, Rotate::WrongKey),
        (own, 0, 2, 0, own, Rotate::Retried { retries: 1 }),
        (own, 0, 2, 0, other, Rotate::WrongKey),
        (own, 0, 2, GRACE, own, Rotate::Reused),
        (own, 0, 2, GRACE, other, Rotate::WrongKey),
        (own, 0, 1, 0, own, Rotate::Reused),
        (own, 0, 1, 0, other, Rotate::WrongKey),
        // Bound by the last rotation: the spent tokens were given out to holders of no key.
        (own, 3, 2, 0, other, Rotate::WrongKey),
        (own, 3, 2, GRACE, other, Rotate::Reused),
        (own, 3, 2, GRACE, None, Rotate::Reused),
        (own, 3, 1, 0, None, Rotate::Reused),
        (own, 3, 3, 0, other, Rotate::WrongKey),
        (None, 0, 3, 0, other, Rotate::Rotated),
        (None, 0, 2, 0, other, Rotate::Retried { retries: 1 }),
    ];
    for (bound, bound_from, presented, age, proven, expected) in table {
        let mut grant = Grant { confirmation: bound, bound_from, ..live(3) };
        let before = grant.clone();
        let token = Rotation { confirmation: proven, binds: false, ..rotation(presented, age) };
        let name = format!("{bound:?} since {bound_from}, {presented} at {age} by {proven:?}");
        assert_eq!(grant.rotate(&token, false), expected, "{name}");
        assert_eq!(grant.confirmation, bound, "{name}");
        assert_eq!(grant == before, expected == Rotate::WrongKey, "{name}");
    }
}

/// The first rotation with a proof binds the grant of a public app; a retry binds nothing.
#[test]
fn the_first_rotation_with_a_proof_binds_an_unbound_grant() {
    let proof = |generation| Rotation { confirmation: Some(key(5)), ..rotation(generation, 0) };
    let mut grant = live(3);
    assert_eq!(grant.rotate(&proof(2), false), Rotate::Retried { retries: 1 });
    assert_eq!((grant.confirmation, grant.bound_from), (None, 0));
    assert_eq!(grant.rotate(&proof(3), false), Rotate::Rotated);
    assert_eq!((grant.confirmation, grant.bound_from), (Some(key(5)), 4));
    let mut rewound = live(3);
    assert_eq!(rewound.rotate(&proof(7), false), Rotate::Ahead);
    assert_eq!((rewound.confirmation, rewound.bound_from), (Some(key(5)), 8));
}

/// R12: where the app allows no grace, the predecessor is reuse at once.
#[test]
fn no_grace_means_reuse_at_once() {
    let none = Rotation { grace_millis: 0, ..rotation(2, -1) };
    assert_eq!(live(3).rotate(&none, false), Rotate::Reused);
}

#[test]
fn idle_time_counts_from_the_last_rotation_and_not_for_a_pending_code() {
    let idle =
        |generation, after| Rotation { idle_millis: Some(500), ..rotation(generation, after) };
    assert_eq!(live(1).rotate(&idle(1, 499), false), Rotate::Rotated);
    assert_eq!(live(1).rotate(&idle(1, 500), false), Rotate::Refused(EXPIRED));
    assert_eq!(pending().rotate(&idle(1, 500), false), Rotate::Ahead);
}

#[test]
fn the_first_reason_for_which_a_grant_ended_stands() {
    let mut grant = live(1);
    grant.revoke(RevocationReason::Client, at(1));
    grant.revoke(RevocationReason::Administrator, at(2));
    assert_eq!(grant.revoked, Some((at(1), RevocationReason::Client)));
}

#[derive(Clone, Debug)]
enum Step {
    Redeem { right: bool, polled: bool, key: Option<Confirmation> },
    Rotate { generation: u32, grace: bool, proves_reuse: bool, key: Option<Confirmation> },
    Revoke,
}

fn step() -> impl Strategy<Value = (Step, i64, bool)> {
    let a_key = || prop_oneof![2 => Just(None), 4 => Just(Some(key(5))), 1 => Just(Some(key(6)))];
    let step = prop_oneof![
        2 => (any::<bool>(), any::<bool>(), a_key())
            .prop_map(|(right, polled, key)| Step::Redeem { right, polled, key }),
        8 => (0..6_u32, any::<bool>(), any::<bool>(), a_key()).prop_map(|it| {
            let (generation, grace, proves_reuse, key) = it;
            Step::Rotate { generation, grace, proves_reuse, key }
        }),
        1 => Just(Step::Revoke),
    ];
    // Mostly forwards, sometimes a jump back, sometimes beyond the expiry; seldom void.
    let time = prop_oneof![8 => 0..3_000_i64, 2 => -20_000..0_i64, 1 => Just(LIFE)];
    (step, time, prop::bool::weighted(0.05))
}

/// A row that was written before it had this member is read.
#[test]
fn a_row_without_the_instant_of_login_is_read() {
    let mut row = serde_json::to_value(pending()).unwrap();
    assert_eq!(row["auth_time"].take(), at(-LIFE).as_millis());
    row.as_object_mut().unwrap().remove("auth_time");
    assert_eq!(Grant { auth_time: None, ..pending() }, serde_json::from_value(row).unwrap());
}

/// A record that an earlier version wrote names no flow. An impersonation must stay one, or a refresh
/// would skip the policy.
#[test]
fn a_record_without_a_flow_tells_it_by_its_actor() {
    let (app, ann) = (ClientId::new("app").unwrap(), Subject::new("ann").unwrap());
    let consent = Grant::new(GrantId::from_bytes([7; 16]), app.clone(), ann, Scope::empty());
    let impersonation = Grant { actor: Some(app), ..consent.clone() };
    for (grant, flow) in [(consent, Flow::AuthorizationCode), (impersonation, Flow::JwtBearer)] {
        let mut record = serde_json::to_value(&grant).unwrap();
        record.as_object_mut().unwrap().remove("flow").unwrap();
        let read: Grant = serde_json::from_value(record).unwrap();
        assert_eq!((read.made_by(), &read), (flow, &grant));
        let told = Grant { flow: Some(Flow::ClientCredentials), ..read };
        assert_eq!(told.made_by(), Flow::ClientCredentials);
    }
}

proptest! {
    /// R15, R20, G13, G14: over any history a code is redeemed once, a generation is rotated once,
    /// one generation is live at a time, and what has ended stays so.
    #[test]
    fn one_generation_is_live_at_a_time_and_nothing_revives(
        steps in prop::collection::vec(step(), 1..40),
        binds: bool,
    ) {
        // The model: how often each step may still succeed, and whether anything may.
        let (mut redeemable, mut live, mut ended) = (true, 0, false);
        let (mut grant, mut clock) = (pending(), 0);
        for (step, passed, void) in steps {
            clock += passed;
            let before = grant.clone();
            match step {
                Step::Revoke => {
                    grant.revoke(RevocationReason::Administrator, at(clock));
                    ended = true;
                }
                Step::Redeem { right, polled, key } => {
                    let binding = digest(if right { 2 } else { 9 });
                    let polling =
                        polled.then_some(Polling { grace_millis: GRACE, skew_millis: 0 });
                    let code = CodeRedemption { binding, confirmation: key, binds, ..redemption(clock) };
                    let code = CodeRedemption { polling, ..code };
                    match grant.redeem(&code, void) {
                        RedeemCode::Redeemed => {
                            prop_assert!(redeemable && !ended && !void && right);
                            (redeemable, live) = (false, 1);
                            prop_assert_eq!(grant.confirmation, key.filter(|_| binds));
                        }
                        RedeemCode::AlreadyRedeemed => {
                            prop_assert!(live > 0 && right && !polled);
                            ended = true;
                        }
                        RedeemCode::Mismatch => {
                            prop_assert!(!right && live == 0);
                            ended |= grant.mismatches == MAX_MISMATCHES;
                        }
                        RedeemCode::Retried => {
                            prop_assert!(polled && live == 1 && !ended && !void && right);
                        }
                        RedeemCode::Spent => {
                            prop_assert!(polled && live > 0 && !ended && right);
                            prop_assert_eq!(&grant, &before);
                        }
                        RedeemCode::Refused(_) => prop_assert_eq!(&grant, &before),
                    }
                }
                Step::Rotate { generation, grace, proves_reuse, key } => {
                    let grace_millis = i64::from(grace) * GRACE;
                    let rotation = Rotation { binds, proves_reuse, ..rotation(generation, clock) };
                    let token = Rotation { confirmation: key, grace_millis, ..rotation };
                    let admitted = before.confirmation.is_none_or(|own| key == Some(own));
                    match grant.rotate(&token, void) {
                        Rotate::Rotated | Rotate::Ahead => {
                            prop_assert!(!ended && !void && generation >= live && admitted);
                            let bound = before.confirmation.or(key.filter(|_| binds));
                            prop_assert_eq!(grant.confirmation, bound);
                            (redeemable, live) = (false, generation + 1);
                        }
                        Rotate::Retried { .. } => {
                            prop_assert!(!ended && !void && grace && generation + 1 == live);
                            prop_assert!(admitted);
                        }
                        Rotate::Reused => {
                            prop_assert!(!ended && generation < live && proves_reuse);
                            prop_assert!(admitted || generation < before.bound_from);
                            ended = true;
                        }
                        Rotate::Overtaken => {
                            prop_assert!(!ended && generation < live && !proves_reuse);
                            prop_assert_eq!(&grant, &before);
                        }
                        Rotate::WrongKey => {
                            prop_assert!(!admitted);
                            prop_assert_eq!(&grant, &before);
                        }
                        Rotate::Refused(_) => prop_assert_eq!(&grant, &before),
                    }
                }
            }
            prop_assert_eq!(grant.generation, live);
            prop_assert_eq!(grant.revoked.is_some(), ended);
            prop_assert!(before.revoked.is_none() || grant.revoked == before.revoked);
            prop_assert_eq!(grant.expires_at, before.expires_at);
            prop_assert_eq!(grant.authorized_at, before.authorized_at);
            prop_assert_eq!(grant.auth_time, before.auth_time);
        }
    }
}
