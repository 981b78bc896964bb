//! One decision per ticket: repeated, concurrent and late submissions, edits in between, and store
//! failures.

use std::collections::HashSet;
use std::sync::{Arc, Barrier};

use grantor::admin::Admin;
use grantor::app::Flow;
use grantor::endpoint::{AuthorizationError, Caller, Decision, NextStep};
use grantor::protocol::RedirectUri;
use grantor::store::{MemoryStore, RevocationReason, RevocationTarget};
use pollster::block_on;

use crate::consent::{approve, ask, code_of, decide, edit, is_asked, rows, yes_to};
use crate::faulty_store::{Method, PLANTED, faulty_server};
use crate::support::{
    App, CALLBACK, ISSUER, World, ann, code_app, code_query, new_verifier, redirected, scope,
    shown, subject,
};

/// A27, A28, A31: a denial is redirected to the app with `state` and `iss`, and is final.
#[test]
fn a_denial_is_redirected_to_the_app_and_is_final() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[("state", "s&code=x")]);
    for _ in 0..3 {
        let error = decide(&world, &prompt.ticket, &ann(), Decision::Deny).unwrap_err();
        let (to, parameters) = redirected(&error);
        assert_eq!((&*to, &*parameters["error"]), (CALLBACK, "access_denied"));
        assert_eq!((&*parameters["state"], &*parameters["iss"]), ("s&code=x", ISSUER));
        assert!(!parameters.contains_key("code"));
        assert_eq!(world.events()[0].action.as_str(), "deny_authorization");
    }
    assert_eq!(shown(&approve(&world, &prompt.ticket).unwrap_err()), "invalid_request");
    assert_eq!(world.events()[0].outcome.reason(), Some("already_decided"));
    assert_eq!(rows(&world).len(), 1);
    assert!(is_asked(&world, &app, &[]));
}

/// N1: a login that states no moment may have been checked up to 5 s before. A revocation of that time refuses
/// its decision, and an earlier one does not.
#[test]
fn a_decision_without_a_moment_is_as_old_as_the_margin() {
    let world = World::unlimited();
    let app = world.register(code_app());
    for (seconds, lives) in [(0, false), (4, false), (6, true)] {
        let (prompt, verifier) = ask(&world, &app, &[]);
        let target = RevocationTarget::Subject(subject("ann"));
        block_on(world.server.admin("tester").revoke(target)).unwrap();
        world.advance(seconds);
        let decided = decide(&world, &prompt.ticket, &ann(), Decision::approve());
        let redeemed = decided.map(|response| world.redeem(&app, &code_of(&response), &verifier));
        assert_eq!(redeemed.is_ok_and(|answer| answer.status == 200), lives, "{seconds} s");
    }
}

/// N5: the row of a denial goes a minute after its ticket, and that of a code that is never redeemed a
/// minute after the code or any ticket. Until then the denial is final. The row of a redeemed code stays.
#[test]
fn a_row_that_was_never_redeemed_goes_with_its_code_or_ticket() {
    let world = World::new();
    for draft in [code_app(), code_app().refresh_token(false).access_token_lifetime(1)] {
        let app = world.register(draft);
        let (denied, _) = ask(&world, &app, &[]);
        decide(&world, &denied.ticket, &ann(), Decision::Deny).unwrap_err();
        let again = || shown(&approve(&world, &denied.ticket).unwrap_err());
        world.advance(599);
        let prune = || block_on(world.server.admin("tester").prune(100)).unwrap().removed;
        assert_eq!((prune(), again()), (0, "invalid_request"));
        assert_eq!(world.events()[0].outcome.reason(), Some("already_decided"));
        world.advance(60);
        assert_eq!((prune(), again()), (0, "invalid_request"));
        assert_eq!(world.events()[0].outcome.reason(), Some("ticket_expired"));
        world.advance(1);
        assert_eq!((prune(), rows(&world).len()), (1, 0));
    }
    let app = world.register(code_app());
    world.code(&app);
    let tokens = world.tokens(&app);
    world.advance(3_659);
    let prune = || block_on(world.server.admin("tester").prune(100)).unwrap().removed;
    assert_eq!((prune(), rows(&world).len()), (0, 2));
    world.advance(1);
    assert_eq!((prune(), rows(&world).len()), (1, 1));
    assert_eq!(world.refresh(&app, tokens.text("refresh_token")).status, 200);
}

/// A34: a repeated approval gives the same code byte for byte, even if its contents differ.
#[test]
fn a_repeated_approval_gives_the_same_code() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, verifier) = ask(&world, &app, &[]);
    let first = decide(&world, &prompt.ticket, &ann(), yes_to("a")).unwrap();
    for again in [yes_to("a"), yes_to("a b"), Decision::approve()] {
        assert_eq!(decide(&world, &prompt.ticket, &ann(), again).unwrap(), first);
    }
    for no in [Decision::Deny, yes_to("")] {
        let error = decide(&world, &prompt.ticket, &ann(), no).unwrap_err();
        assert_eq!(shown(&error), "invalid_request");
    }
    let answer = world.redeem(&app, &code_of(&first), &verifier);
    assert_eq!(answer.text("scope"), "a");
    assert_eq!(rows(&world).len(), 1);
}

/// A34: the contents of a second submission are neither granted nor remembered.
#[test]
fn only_the_first_decision_is_remembered() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    decide(&world, &prompt.ticket, &ann(), yes_to("a")).unwrap();
    decide(&world, &prompt.ticket, &ann(), Decision::approve()).unwrap();
    assert!(is_asked(&world, &app, &[("scope", "a b")]));
    assert!(!is_asked(&world, &app, &[("scope", "a")]));
}

/// A34: a submission after the code was redeemed or has expired is an error and changes nothing.
#[test]
fn a_late_submission_is_an_error_and_changes_nothing() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, verifier) = ask(&world, &app, &[]);
    let code = approve(&world, &prompt.ticket).unwrap();
    let tokens = world.redeem(&app, &code, &verifier);
    for decision in [Decision::approve(), Decision::Deny, yes_to("a")] {
        let error = decide(&world, &prompt.ticket, &ann(), decision).unwrap_err();
        assert_eq!(shown(&error), "invalid_request");
    }
    assert_eq!(world.refresh(&app, tokens.text("refresh_token")).status, 200);
    let (unused, _) = ask(&world, &app, &[("prompt", "consent")]);
    approve(&world, &unused.ticket).unwrap();
    world.advance(61);
    assert_eq!(shown(&approve(&world, &unused.ticket).unwrap_err()), "invalid_request");
    assert_eq!(world.events()[0].outcome.reason(), Some("already_decided"));
}

/// A34: the first of any number of concurrent decisions stands. Either every approval gets one code
/// of one row and no denial stands, or every denial stands and no approval gets a code.
#[test]
fn the_first_of_concurrent_decisions_stands() {
    let world = World::new();
    let app = world.register(code_app().rate_quota(None));
    for round in 0..24 {
        let (prompt, verifier) = ask(&world, &app, &[("prompt", "consent")]);
        let deny = |n: usize| round % 3 == 2 && n.is_multiple_of(2);
        let barrier = Barrier::new(16);
        let before = rows(&world).len();
        let answers: Vec<_> = std::thread::scope(|threads| {
            let spawn = |n: usize| {
                let decision = if deny(n) { Decision::Deny } else { Decision::approve() };
                let (world, prompt, barrier) = (&world, &prompt, &barrier);
                threads.spawn(move || {
                    barrier.wait();
                    (n, decide(world, &prompt.ticket, &ann(), decision))
                })
            };
            let threads: Vec<_> = (0..16).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(rows(&world).len(), before + 1);
        let codes: HashSet<_> =
            answers.iter().filter_map(|(_, answer)| Some(code_of(answer.as_ref().ok()?))).collect();
        let approved = !codes.is_empty();
        assert!(codes.len() <= 1, "{codes:?}");
        for (n, answer) in &answers {
            match answer {
                Ok(_) => assert!(approved && !deny(*n)),
                Err(error) if deny(*n) && !approved => {
                    assert_eq!(redirected(error).1["error"], "access_denied");
                }
                Err(error) => {
                    assert_eq!(shown(error), "invalid_request");
                    assert_ne!(deny(*n), !approved);
                }
            }
        }
        assert!(approved || round % 3 == 2);
        if let Some(code) = codes.into_iter().next() {
            assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
            world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
        }
    }
}

/// A34: a decided row lives as long as its ticket, even if an edit shortens the app's lifetimes.
/// One ticket never gives two codes, and a denial stays a denial.
#[test]
fn a_decision_outlives_its_ticket_despite_edits() {
    for decision in [Decision::approve(), Decision::Deny] {
        let world = World::new();
        let app = world.register(code_app());
        let (prompt, verifier) = ask(&world, &app, &[]);
        edit(&world, &app, |draft| draft.refresh_token_lifetime(1));
        let answer = decide(&world, &prompt.ticket, &ann(), decision.clone());
        if let Ok(response) = answer {
            assert_eq!(world.redeem(&app, &code_of(&response), &verifier).status, 200);
        }
        world.advance(5);
        let mut more = true;
        while more {
            more = block_on(world.server.admin("tester").prune(100)).unwrap().more;
        }
        let again = approve(&world, &prompt.ticket).unwrap_err();
        assert_eq!(shown(&again), "invalid_request", "{decision:?}");
    }
}

/// A denied grant is stored as denied.
#[test]
fn a_denied_grant_is_stored_as_denied() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    decide(&world, &prompt.ticket, &ann(), Decision::Deny).unwrap_err();
    let rows = rows(&world);
    assert_eq!(rows[0].revoked.map(|(_, why)| why), Some(RevocationReason::Denied));
    assert_eq!((rows[0].generation, rows[0].scope.is_empty()), (0, true));
}

/// A35: an app that was deleted or disabled, or lost the flow or the redirect URI, between prompt
/// and decision gets no code, and the user is not redirected.
#[test]
fn an_app_that_lost_its_right_during_the_prompt_gets_no_code() {
    type Loss<'a> = &'a dyn Fn(&World, &App);
    let admin = |world: &World, act: &dyn Fn(&Admin<'_, Arc<MemoryStore>>)| {
        act(&world.server.admin("tester"));
    };
    let deleted = |world: &World, app: &App| {
        admin(world, &|admin| block_on(admin.delete(&app.id)).unwrap());
    };
    let disabled = |world: &World, app: &App| {
        admin(world, &|admin| drop(block_on(admin.disable(&app.id)).unwrap()));
    };
    let without_flow = |world: &World, app: &App| {
        edit(world, app, |draft| draft.refresh_token(false).flows([Flow::ClientCredentials]));
    };
    let moved = |world: &World, app: &App| {
        let other = RedirectUri::parse("https://app.example.com/other").unwrap();
        edit(world, app, |draft| draft.redirect_uris([other]));
    };
    let losses: [(Loss<'_>, &str); 4] = [
        (&deleted, "invalid_client"),
        (&disabled, "invalid_client"),
        (&without_flow, "unauthorized_client"),
        (&moved, "invalid_request"),
    ];
    for (lose, code) in losses {
        let world = World::new();
        let app = world.register(code_app());
        let (prompt, _) = ask(&world, &app, &[]);
        let trusted = world.register(code_app().require_consent(false));
        let [asked, unasked] = [&app, &trusted].map(|app| {
            let query = code_query(app, &new_verifier(), &[]);
            block_on(world.server.authorization_request(&query, Caller::default())).unwrap()
        });
        lose(&world, &app);
        lose(&world, &trusted);
        for decision in [Decision::approve(), Decision::Deny] {
            let error = decide(&world, &prompt.ticket, &ann(), decision).unwrap_err();
            assert_eq!(shown(&error), code);
            assert_eq!(world.events()[0].client_id.as_ref(), Some(&app.id));
        }
        // A request that was read before gets no prompt and no code without one.
        for request in [asked, unasked] {
            let error = block_on(world.server.authorize(request, Some(&ann()))).unwrap_err();
            assert_eq!(shown(&error), code);
            assert!(world.events()[0].client_id.is_some());
        }
        assert_eq!(rows(&world).len(), 0);
    }
}

/// A35: disabling an app voids its codes for good, even if it is enabled again.
#[test]
fn disabling_an_app_voids_its_codes_for_good() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, verifier) = ask(&world, &app, &[]);
    let code = approve(&world, &prompt.ticket).unwrap();
    let admin = world.server.admin("tester");
    block_on(admin.disable(&app.id)).unwrap();
    assert!(approve(&world, &prompt.ticket).is_err());
    block_on(admin.enable(&app.id)).unwrap();
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    assert_eq!(shown(&approve(&world, &prompt.ticket).unwrap_err()), "invalid_request");
}

/// A35: scope that the app lost during the prompt is not granted. If none is left, the app gets
/// `invalid_scope`, and no denial is recorded.
#[test]
fn scope_lost_during_the_prompt_is_not_granted() {
    let world = World::new();
    let app = world.register(code_app());
    let (some, verifier) = ask(&world, &app, &[]);
    let (all, _) = ask(&world, &app, &[("scope", "b c"), ("state", "s")]);
    edit(&world, &app, |draft| draft.scope(scope("a d")));
    let code = approve(&world, &some.ticket).unwrap();
    assert_eq!(world.redeem(&app, &code, &verifier).text("scope"), "a");
    for lost in [Decision::approve(), yes_to("b")] {
        let error = decide(&world, &all.ticket, &ann(), lost).unwrap_err();
        let (to, parameters) = redirected(&error);
        assert_eq!((&*to, &*parameters["error"]), (CALLBACK, "invalid_scope"));
        assert_eq!((&*parameters["state"], &*parameters["iss"]), ("s", ISSUER));
    }
    let event = &world.events()[0];
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("issue_code", "refused"));
    assert_eq!(event.outcome.reason(), Some("scope_withdrawn"));
    assert_eq!(event.client_id.as_ref(), Some(&app.id));
}

/// R17, A34: a repeated approval after a withdrawal restores nothing.
#[test]
fn a_repeated_approval_does_not_undo_a_withdrawal() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    approve(&world, &prompt.ticket).unwrap();
    let admin = world.server.admin("tester");
    block_on(admin.withdraw_consent(&app.id, &subject("ann"))).unwrap();
    assert_eq!(shown(&approve(&world, &prompt.ticket).unwrap_err()), "invalid_request");
    assert!(is_asked(&world, &app, &[]));
}

/// A34: a store failure at any step of a decision is shown as an error, with its cause in the audit
/// log only. The repeated decision gets the code, and there is one row.
#[test]
fn a_decision_interrupted_by_a_store_failure_may_be_repeated() {
    for method in
        [Method::FindApp, Method::InsertGrant, Method::FindConsent, Method::RememberConsent]
    {
        for done in [false, true] {
            let world = World::new();
            let app = world.register(code_app());
            let (prompt, verifier) = ask(&world, &app, &[]);
            let server = faulty_server(&world);
            if done {
                server.store().fail_after(method, 1);
            } else {
                server.store().fail_before(method, 1);
            }
            let decide = || {
                block_on(server.decide(
                    &prompt.ticket,
                    &ann(),
                    Decision::approve(),
                    Caller::default(),
                ))
            };
            assert_failed(&world, &app, &decide().unwrap_err());
            let code = code_of(&decide().unwrap());
            assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
            assert_eq!(rows(&world).len(), 1, "{method:?} {done}");
            assert!(!is_asked(&world, &app, &[]), "{method:?} {done}");
        }
    }
}

/// A34: a repeated decision fails, too, while the store cannot read the first one.
#[test]
fn a_repeated_decision_fails_closed() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let code = approve(&world, &prompt.ticket).unwrap();
    let server = faulty_server(&world);
    let decide =
        || block_on(server.decide(&prompt.ticket, &ann(), Decision::approve(), Caller::default()));
    for method in [Method::FindGrant, Method::IsRevoked] {
        server.store().fail_before(method, 1);
        assert_failed(&world, &app, &decide().unwrap_err());
    }
    assert_eq!(code_of(&decide().unwrap()), code);
}

/// If the store cannot read the consent or insert the grant, the prompt gives no code.
#[test]
fn a_prompt_fails_closed() {
    let world = World::new();
    let app = world.register(code_app());
    let trusted = world.register(code_app().require_consent(false));
    let server = faulty_server(&world);
    let prompt = |app: &App| {
        let query = code_query(app, &new_verifier(), &[]);
        let request = block_on(server.authorization_request(&query, Caller::default())).unwrap();
        block_on(server.authorize(request, Some(&ann())))
    };
    for done in [false, true] {
        for (app, method, nth) in [
            (&app, Method::FindApp, 2),
            (&app, Method::FindConsent, 1),
            (&trusted, Method::InsertGrant, 1),
        ] {
            if done {
                server.store().fail_after(method, nth);
            } else {
                server.store().fail_before(method, nth);
            }
            assert_failed(&world, app, &prompt(app).unwrap_err());
        }
    }
    assert!(matches!(prompt(&app).unwrap(), NextStep::AskConsent(_)));
    assert!(matches!(prompt(&trusted).unwrap(), NextStep::Redirect(_)));
}

/// Asserts that the error is the server's and is shown, and that only the audit log has the cause
/// and the app.
#[track_caller]
fn assert_failed(world: &World, app: &App, error: &AuthorizationError) {
    assert_eq!(shown(error), "server_error");
    let AuthorizationError::Show { error: cause, .. } = error else { panic!("{error:?}") };
    assert!(!format!("{error} {cause} {}", cause.to_json()).contains(PLANTED));
    let event = &world.events()[0];
    assert_eq!(event.outcome.as_str(), "failed");
    assert!(event.outcome.reason().unwrap().contains(PLANTED));
    assert_eq!(event.client_id.as_ref(), Some(&app.id));
}
