//! Rotations that reach the store late.

use super::*;

/// R24: the answer to a refresh token whose request has read the row when that still gave it a successor.
/// A spent one changes nothing, which otherwise is a reuse. All else is as ever.
#[test]
fn a_token_that_was_spent_while_its_request_was_under_way_proves_no_reuse() {
    // presented (3 is live), age, key, expected
    let (own, other) = (Some(key(5)), Some(key(6)));
    let table = [
        (3, 0, own, Rotate::Rotated),
        (4, 0, own, Rotate::Ahead),
        (2, 0, own, Rotate::Retried { retries: 1 }),
        (2, -4_999, own, Rotate::Retried { retries: 1 }),
        (2, -5_000, own, Rotate::Overtaken),
        (2, -LIFE, own, Rotate::Overtaken),
        (2, GRACE, own, Rotate::Overtaken),
        (1, -1, own, Rotate::Overtaken),
        (1, 0, own, Rotate::Overtaken),
        (1, GRACE, own, Rotate::Overtaken),
        (1, LIFE, own, Rotate::Refused(EXPIRED)),
        (0, 0, own, Rotate::Refused(UNKNOWN)),
        (2, GRACE, other, Rotate::WrongKey),
        (1, 0, other, Rotate::Overtaken),
        (1, 0, None, Rotate::Overtaken),
    ];
    for (presented, age, confirmation, expected) in table {
        let mut grant = Grant { confirmation: own, bound_from: 2, ..live(3) };
        let before = grant.clone();
        let late = Rotation { proves_reuse: false, confirmation, ..rotation(presented, age) };
        let name = format!("{presented} at {age} by {confirmation:?}");
        assert_eq!(grant.rotate(&late, false), expected, "{name}");
        let changes = matches!(expected, Rotate::Rotated | Rotate::Ahead | Rotate::Retried { .. });
        assert_eq!(grant != before, changes, "{name}");
        if expected == Rotate::Overtaken {
            let fresh = Rotation { proves_reuse: true, ..late };
            assert_eq!(grant.rotate(&fresh, false), Rotate::Reused, "{name}");
        }
    }
}

/// A step of a client that presents the token it holds, or of the network.
#[derive(Clone, Debug)]
enum Honest {
    /// The request is answered.
    Ask,
    /// The answer is lost.
    Lose,
    /// The request has read the row, and is given up.
    Leave,
    /// A request that was given up reaches the store.
    Arrive(usize),
}

fn honest() -> impl Strategy<Value = Honest> {
    prop_oneof![
        3 => Just(Honest::Ask),
        1 => Just(Honest::Lose),
        3 => Just(Honest::Leave),
        3 => any::<usize>().prop_map(Honest::Arrive),
    ]
}

/// One of two holders begins a request, or a request arrives; after some time.
fn overlap() -> impl Strategy<Value = (usize, Option<usize>, i64)> {
    (0..2_usize, prop::option::of(any::<usize>()), 0..3_000_i64)
}

proptest! {
    /// R24, N16: a client that asks again and goes on never loses its grant, however late its requests reach
    /// the store, in which order, and by which clocks of hosts that differ from the store's by 5 s.
    #[test]
    fn an_honest_client_keeps_its_grant(
        steps in prop::collection::vec((honest(), -4_999..=5_000_i64, 0..4_000_i64), 1..60),
    ) {
        let (mut grant, mut clock, mut held) = (live(1), 0, 1);
        let mut under_way: Vec<Rotation> = Vec::new();
        for (step, offset, passed) in steps {
            clock += passed;
            if let Honest::Arrive(which) = step {
                if !under_way.is_empty() {
                    let late = under_way.swap_remove(which % under_way.len());
                    let before = grant.clone();
                    let answer = grant.rotate(&late, false);
                    prop_assert!(answer != Rotate::Overtaken || grant == before);
                }
                prop_assert_eq!(grant.revoked, None);
                continue;
            }
            let (grace_millis, skew_millis) = (300_000, 10_000);
            let mut token =
                Rotation { grace_millis, skew_millis, ..rotation(held, clock + offset) };
            prop_assert!(!grant.has_spent(&token));
            token.proves_reuse = false;
            match step {
                Honest::Leave => under_way.push(token),
                Honest::Lose | Honest::Ask | Honest::Arrive(_) => {
                    let answer = grant.rotate(&token, false);
                    let is_served = matches!(answer, Rotate::Rotated | Rotate::Retried { .. });
                    prop_assert!(is_served, "{:?}", answer);
                    held += u32::from(matches!(step, Honest::Ask));
                }
            }
        }
    }

    /// R9, R24: an owner and a thief hold one refresh token. Their requests overlap in any way, and reach the
    /// store in any order. Once both have gone on after the grace, the theft is found.
    #[test]
    fn two_holders_of_one_token_cannot_both_go_on(
        steps in prop::collection::vec(overlap(), 1..40),
    ) {
        let (mut grant, mut clock, mut held) = (live(1), 0, [1, 1]);
        let mut under_way: Vec<(usize, Rotation)> = Vec::new();
        let begin = |grant: &Grant, generation, clock| {
            let token = rotation(generation, clock);
            Rotation { proves_reuse: grant.has_spent(&token), ..token }
        };
        let arrive = |grant: &mut Grant, held: &mut u32, token: &Rotation| {
            let answer = grant.rotate(token, false);
            if matches!(answer, Rotate::Rotated | Rotate::Retried { .. }) {
                *held = (*held).max(token.generation + 1);
            }
            answer
        };
        for (who, arrives, passed) in steps {
            clock += passed;
            match arrives.filter(|_| !under_way.is_empty()) {
                None => under_way.push((who, begin(&grant, held[who], clock))),
                Some(which) => {
                    let (who, token) = under_way.swap_remove(which % under_way.len());
                    let is_expected = arrive(&mut grant, &mut held[who], &token) != Rotate::Ahead;
                    prop_assert!(is_expected && held[who] <= grant.generation);
                }
            }
        }
        for who in [0, 1] {
            clock += GRACE;
            let token = begin(&grant, held[who], clock);
            arrive(&mut grant, &mut held[who], &token);
        }
        prop_assert!(grant.revoked.is_some(), "{held:?}");
    }
}
