//! The authorization code grant, from approval to tokens, and codes that are presented wrongly,
//! late, twice or by another client.

use grantor::audit::Severity;
use grantor::endpoint::{Approval, Caller, Decision};
use grantor::ids::Resource;
use grantor::protocol::{CodeVerifier, RedirectUri};
use grantor::random::OsRandom;
use grantor::store::RevocationTarget;
use grantor::users::User;
use pollster::block_on;

use crate::faulty_store::{Method, PLANTED, faulty_server, post};
use crate::support::{
    Answer, App, CALLBACK, World, ann, code_app, code_query, parameters, public_app, scope, subject,
};

/// The parameters of a redemption, with `redirect_uri` if there is one.
fn form<'a>(code: &'a str, verifier: &'a str, uri: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut form =
        vec![("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)];
    form.extend(uri.map(|uri| ("redirect_uri", uri)));
    form
}

fn another_verifier() -> String {
    CodeVerifier::generate(&OsRandom::new()).unwrap().expose_secret().to_owned()
}

/// Returns a code for a request with `more` parameters, and its verifier.
fn code_for(world: &World, app: &App, more: &[(&str, &str)]) -> (String, String) {
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let code = world.approve(&code_query(app, &verifier, more)).unwrap().remove("code").unwrap();
    (code, verifier.expose_secret().to_owned())
}

/// G17, G18: a whole flow gives an access token, its scope, and a refresh token if the app has
/// them.
#[test]
fn a_code_is_redeemed_for_tokens() {
    let world = World::new();
    let app = world.register(code_app());
    let answer = world.tokens(&app);
    assert_eq!(answer.text("scope"), "a b c");
    assert_eq!(answer.text("token_type"), "Bearer");
    let claims = answer.claims();
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["client_id"], app.id.as_str());
    let next = world.refresh(&app, answer.text("refresh_token"));
    assert_eq!(next.status, 200, "{next:?}");
    assert_ne!(next.text("refresh_token"), answer.text("refresh_token"));
}

/// G17: an app without refresh tokens gets none, even if it lost them after the approval.
#[test]
fn only_an_app_with_refresh_tokens_gets_one() {
    let world = World::unlimited();
    let app = world.register(code_app().refresh_token(false));
    assert!(world.tokens(&app).json.get("refresh_token").is_none());
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    world.edit(&app, |draft| draft.refresh_token(false));
    let answer = world.redeem(&app, &code, &verifier);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json.get("refresh_token").is_none());
}

/// G18: the response states the granted scope: what the user approved, the app still has and the
/// token request asked for.
#[test]
fn the_response_states_the_granted_scope() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
    let prompt = world.prompt(&code_query(&app, &verifier, &[("scope", "a b")]), &ann());
    let yes = Decision::Approve(Approval::default().with_scope(scope("b")).with_remember(false));
    let response =
        block_on(world.server.decide(&prompt.ticket, &ann(), yes, Caller::default())).unwrap();
    let code = parameters(response.location()).remove("code").unwrap();
    assert_eq!(world.redeem(&app, &code, verifier.expose_secret()).text("scope"), "b");

    let (code, verifier) = world.code(&app);
    world.edit(&app, |draft| draft.scope(scope("b c d")));
    let wide = [form(&code, &verifier, Some(CALLBACK)), vec![("scope", "a")]].concat();
    world.post(&app, &wide).assert_error(400, "invalid_scope");
    world.assert_refused("scope", "scope_exceeds_app", Some("scope"));
    let wider = [form(&code, &verifier, Some(CALLBACK)), vec![("scope", "c d")]].concat();
    world.post(&app, &wider).assert_error(400, "invalid_scope");
    world.assert_refused("scope", "scope_exceeds_grant", None);
    let narrow = [form(&code, &verifier, Some(CALLBACK)), vec![("scope", "c")]].concat();
    let answer = world.post(&app, &narrow);
    assert_eq!((answer.text("scope"), &answer.claims()["scope"]), ("c", &"c".into()));
    let next = world.refresh(&app, answer.text("refresh_token"));
    assert_eq!(next.text("scope"), "b c");
}

/// G1, G2: without a code the request is invalid; with a code that the server did not issue the
/// grant is.
#[test]
fn a_missing_or_foreign_code_is_refused() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    for form in [
        vec![("grant_type", "authorization_code"), ("code_verifier", &*verifier)],
        form("", &verifier, Some(CALLBACK)),
    ] {
        world.post(&app, &form).assert_error(400, "invalid_request");
        world.assert_refused("parse", "missing_parameter", None);
    }
    let elsewhere = World::unlimited();
    let there = elsewhere.register(code_app());
    let (foreign, _) = elsewhere.code(&there);
    let padded = format!("{code}=");
    let spaced = format!("{code} ");
    let upper = code.to_uppercase();
    for wrong in ["x", "gac_", &code[4..], &code[1..], &padded, &spaced, &upper, &foreign, "\u{e9}"]
    {
        let answer = world.redeem(&app, wrong, &verifier);
        answer.assert_error(400, "invalid_grant");
        world.assert_refused("grant", "invalid_handle", None);
    }
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}

/// G3: a code expires at its app's lifetime, to the millisecond.
#[test]
fn an_expired_code_is_refused() {
    let world = World::unlimited();
    let app = world.register(code_app().code_lifetime(30));
    let (code, verifier) = world.code(&app);
    let (late, late_verifier) = world.code(&app);
    world.clock.advance(std::time::Duration::from_millis(29_999));
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
    world.clock.advance(std::time::Duration::from_millis(1));
    world.redeem(&app, &late, &late_verifier).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "grant_expired", None);
}

/// G4, G5: another app cannot redeem a code, and its attempt does not affect the owner.
#[test]
fn another_app_cannot_use_a_code_and_the_owner_still_can() {
    let world = World::unlimited();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let public = world.register(public_app());
    let (code, verifier) = world.code(&app);
    for thief in [&other, &public] {
        for _ in 0..6 {
            world.redeem(thief, &code, &verifier).assert_error(400, "invalid_grant");
            world.assert_refused("grant", "invalid_handle", None);
        }
    }
    let named = App { secret: Some("guess".to_owned()), ..app.clone() };
    world.redeem(&named, &code, &verifier).assert_error(401, "invalid_client");
    let answer = world.redeem(&app, &code, &verifier);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!world.is_revoked(&answer));
}

/// G6, G7, A7: if the authorization request named the redirect URI, the token request must repeat
/// it byte for byte. Otherwise it may be omitted or named.
#[test]
fn the_redirect_uri_must_be_the_same() {
    let world = World::unlimited();
    let second = RedirectUri::parse("https://app.example.com/other").unwrap();
    let app = world.register(code_app().redirect_uri(second));
    let (code, verifier) = world.code(&app);
    for wrong in [
        None,
        Some("https://app.example.com/other"),
        Some("https://app.example.com/cb/"),
        Some("HTTPS://app.example.com/cb"),
    ] {
        world.post(&app, &form(&code, &verifier, wrong)).assert_error(400, "invalid_grant");
        world.assert_refused("claim", "binding_mismatch", None);
    }
    let answer = world.post(&app, &form(&code, &verifier, Some(CALLBACK)));
    assert_eq!(answer.status, 200, "{answer:?}");

    let single = world.register(code_app());
    let (code, verifier) = world.code(&single);
    world.post(&single, &form(&code, &verifier, None)).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "binding_mismatch", None);
    assert_eq!(world.redeem(&single, &code, &verifier).status, 200);
    for named in [None, Some(CALLBACK)] {
        let query =
            |verifier: &CodeVerifier| code_query(&single, verifier, &[("redirect_uri", "")]);
        let verifier = CodeVerifier::generate(&OsRandom::new()).unwrap();
        let code = world.approve(&query(&verifier)).unwrap().remove("code").unwrap();
        let verifier = verifier.expose_secret();
        let wrong = form(&code, verifier, Some("https://app.example.com/other"));
        world.post(&single, &wrong).assert_error(400, "invalid_grant");
        let answer = world.post(&single, &form(&code, verifier, named));
        assert_eq!(answer.status, 200, "{named:?} {answer:?}");
    }
}

/// G8, G9, G10: a replayed code revokes its grant and every token of it, refreshed ones too. Each
/// later replay is refused and raises the alarm again.
#[test]
fn a_replayed_code_revokes_its_grant() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let first = world.redeem(&app, &code, &verifier);
    let next = world.refresh(&app, first.text("refresh_token"));
    assert!(!world.is_revoked(&first) && !world.is_revoked(&next));
    // Also long after the code has expired.
    world.advance(600);
    for _ in 0..4 {
        world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
        world.assert_refused("claim", "code_replayed", None);
        assert_eq!(world.events()[0].severity(), Severity::Warning);
        assert!(world.is_revoked(&first) && world.is_revoked(&next));
    }
    for token in [first.text("refresh_token"), next.text("refresh_token")] {
        world.refresh(&app, token).assert_error(400, "invalid_grant");
    }
}

/// G8: a replay revokes the grant even if the request would be refused for another reason.
#[test]
fn a_replay_revokes_the_grant_even_if_the_request_is_otherwise_invalid() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let first = world.redeem(&app, &code, &verifier);
    world.users.remove(&subject("ann"));
    let wide = [form(&code, &verifier, Some(CALLBACK)), vec![("scope", "z")]].concat();
    world.post(&app, &wide).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "code_replayed", None);
    assert!(world.is_revoked(&first));
}

/// G11: a spent code revokes nothing in the hands of another app, or of a client that names the
/// same public app without the verifier.
#[test]
fn a_spent_code_of_a_stranger_revokes_nothing() {
    let world = World::unlimited();
    let (app, other) = (world.register(code_app()), world.register(code_app()));
    let (code, verifier) = world.code(&app);
    let tokens = world.redeem(&app, &code, &verifier);
    world.redeem(&other, &code, &verifier).assert_error(400, "invalid_grant");
    world
        .redeem(&App { secret: None, ..app.clone() }, &code, &verifier)
        .assert_error(401, "invalid_client");
    assert!(!world.is_revoked(&tokens));

    let public = world.register(public_app());
    let (code, verifier) = world.code(&public);
    let tokens = world.redeem(&public, &code, &verifier);
    let without = [("grant_type", "authorization_code"), ("code", &*code)];
    world.post(&public, &without).assert_error(400, "invalid_grant");
    world.assert_refused("grant", "verifier_missing", None);
    for _ in 0..20 {
        world.redeem(&public, &code, &another_verifier()).assert_error(400, "invalid_grant");
        world.assert_refused("claim", "grant_unknown", None);
    }
    let elsewhere = form(&code, &verifier, Some("https://app.example.com/other"));
    world.post(&public, &elsewhere).assert_error(400, "invalid_grant");
    assert!(!world.is_revoked(&tokens));
    assert_eq!(world.refresh(&public, tokens.text("refresh_token")).status, 200);
}

/// G12: a replay revokes its own grant and no other of the same user and app.
#[test]
fn a_replay_revokes_no_other_grant() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let first = world.redeem(&app, &code, &verifier);
    let second = world.tokens(&app);
    let (pending, pending_verifier) = world.code(&app);
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    assert!(world.is_revoked(&first) && !world.is_revoked(&second));
    assert_eq!(world.refresh(&app, second.text("refresh_token")).status, 200);
    assert_eq!(world.redeem(&app, &pending, &pending_verifier).status, 200);
}

/// G15: if the store fails before the redemption, the code stays usable. If its answer is lost, the
/// code is spent and no token of it lives.
#[test]
fn a_store_failure_issues_no_token_and_leaves_the_code_usable_or_spent() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let server = faulty_server(&world);
    let (code, verifier) = world.code(&app);
    let redeem = || post(&server, &app, &form(&code, &verifier, Some(CALLBACK)));
    let failed = |answer: &Answer, step: &str| {
        answer.assert_error(500, "server_error");
        assert!(!answer.json.to_string().contains(PLANTED));
        let outcome = world.events()[0].outcome.clone();
        assert_eq!((outcome.as_str(), outcome.step().unwrap().as_str()), ("failed", step));
    };
    for (method, step) in
        [(Method::FindApp, "client"), (Method::FindGrant, "grant"), (Method::RedeemCode, "claim")]
    {
        server.store().fail_before(method, 1);
        failed(&redeem(), step);
    }
    server.store().fail_after(Method::FindGrant, 1);
    failed(&redeem(), "grant");
    assert_eq!(redeem().status, 200);

    let (code, verifier) = world.code(&app);
    let redeem = || post(&server, &app, &form(&code, &verifier, Some(CALLBACK)));
    server.store().fail_after(Method::RedeemCode, 1);
    failed(&redeem(), "claim");
    redeem().assert_error(400, "invalid_grant");
    world.assert_refused("claim", "code_replayed", None);

    // If the store could not record a replay, the next one is recorded.
    let (code, verifier) = world.code(&app);
    let redeem = || post(&server, &app, &form(&code, &verifier, Some(CALLBACK)));
    let tokens = redeem();
    server.store().fail_before(Method::RedeemCode, 1);
    redeem().assert_error(500, "server_error");
    assert!(!world.is_revoked(&tokens));
    redeem().assert_error(400, "invalid_grant");
    assert!(world.is_revoked(&tokens));
}

/// G16: the user must exist and be active at the redemption. A refusal does not consume the code.
#[test]
fn a_removed_or_inactive_user_gets_no_token() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let back = User::new(subject("ann"));
    world.users.put(back.clone().with_active(false));
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    world.assert_refused("grant", "inactive_user", None);
    world.users.remove(&subject("ann"));
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    world.users.put(back);
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}

/// G16, A35: an administrator who revokes, disables or deletes voids pending codes for good.
#[test]
fn revoking_disabling_or_deleting_voids_pending_codes() {
    let world = World::unlimited();
    let admin = world.server.admin("tester");
    for target in [RevocationTarget::Everything, RevocationTarget::Subject(subject("ann"))] {
        let app = world.register(code_app());
        let (code, verifier) = world.code(&app);
        block_on(admin.revoke(target)).unwrap();
        world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
        world.assert_refused("claim", "grant_revoked", None);
        assert_eq!(world.tokens(&app).status, 200);
    }
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    block_on(admin.withdraw_consent(&app.id, &subject("ann"))).unwrap();
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");

    let (code, verifier) = world.code(&app);
    block_on(admin.disable(&app.id)).unwrap();
    world.redeem(&app, &code, &verifier).assert_error(401, "invalid_client");
    block_on(admin.enable(&app.id)).unwrap();
    world.redeem(&app, &code, &verifier).assert_error(400, "invalid_grant");
    world.assert_refused("claim", "grant_revoked", None);

    let (code, verifier) = world.code(&app);
    world.edit(&app, |draft| {
        draft.refresh_token(false).flows([grantor::app::Flow::ClientCredentials])
    });
    world.redeem(&app, &code, &verifier).assert_error(400, "unauthorized_client");
    world.assert_refused("grant", "flow_not_allowed", Some("flows"));
    block_on(admin.delete(&app.id)).unwrap();
    world.redeem(&app, &code, &verifier).assert_error(401, "invalid_client");
    world.assert_refused("client", "unknown_client", None);
}

/// G19: codes are unique, have one form, and hold at least 128 random bits: a code with any
/// character changed is refused.
#[test]
fn codes_are_unguessable_and_have_one_form() {
    let world = World::unlimited();
    let app = world.register(code_app());
    let codes: std::collections::HashSet<String> = (0..200).map(|_| world.code(&app).0).collect();
    assert_eq!(codes.len(), 200);
    for code in &codes {
        let body = code.strip_prefix("gac_").unwrap();
        assert_eq!(body.len(), codes.iter().next().unwrap().len() - 4);
        assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert!(body.len() * 6 > 128 + 256);
    }
    let (code, verifier) = world.code(&app);
    for at in 0..code.len() {
        let with = if code.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut changed = code.clone();
        changed.replace_range(at..=at, with);
        world.redeem(&app, &changed, &verifier).assert_error(400, "invalid_grant");
        world.assert_refused("grant", "invalid_handle", None);
    }
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}

/// P6, P7, P8, P11: a missing, malformed or wrong verifier does not consume the code. The fifth
/// wrong verifier does, with a warning, and the right verifier is refused afterwards.
#[test]
fn five_wrong_verifiers_void_the_code() {
    let world = World::unlimited();
    let app = world.register(public_app());
    for guesses in [4, 5] {
        let (code, verifier) = world.code(&app);
        for _ in 0..10 {
            let without = [("grant_type", "authorization_code"), ("code", &*code)];
            world.post(&app, &without).assert_error(400, "invalid_grant");
            world.redeem(&app, &code, "short").assert_error(400, "invalid_grant");
            world.redeem(&app, &code, &verifier[..42]).assert_error(400, "invalid_grant");
        }
        for guess in 1..=guesses {
            world.redeem(&app, &code, &another_verifier()).assert_error(400, "invalid_grant");
            let reason = if guess == 5 { "code_guessed" } else { "binding_mismatch" };
            world.assert_refused("claim", reason, None);
        }
        if guesses == 5 {
            assert_eq!(world.events()[0].severity(), Severity::Warning);
        }
        let answer = world.redeem(&app, &code, &verifier);
        if guesses == 4 {
            assert_eq!(answer.status, 200, "{answer:?}");
        } else {
            answer.assert_error(400, "invalid_grant");
            world.assert_refused("claim", "grant_revoked", None);
        }
    }
}

/// M4, M5: a token is for the API of the approved request and for no other.
#[test]
fn the_token_request_cannot_change_the_resource() {
    let world = World::unlimited();
    let [files, mail] = ["https://files.example.com", "https://mail.example.com"]
        .map(|it| Resource::new(it).unwrap());
    let app = world.register(code_app().resources([files.clone(), mail.clone()]));
    let (code, verifier) = code_for(&world, &app, &[("resource", files.as_str())]);
    let with = |resource: &str| {
        world.post(
            &app,
            &[form(&code, &verifier, Some(CALLBACK)), vec![("resource", resource)]].concat(),
        )
    };
    for other in [mail.as_str(), "https://files.example.com/v1", crate::support::ISSUER, "urn:x"] {
        with(other).assert_error(400, "invalid_target");
        world.assert_refused("scope", "resource_not_granted", None);
    }
    for malformed in ["files", "https://files.example.com#x", "//files.example.com"] {
        with(malformed).assert_error(400, "invalid_target");
        world.assert_refused("parse", "malformed_resource", None);
    }
    let answer = world.redeem(&app, &code, &verifier);
    assert_eq!(answer.claims()["aud"], files.as_str());
}
