//! Proof Key for Code Exchange over the wire: RFC 7636.

use grantor::app::{AppDraft, Flow, Pkce};
use grantor::endpoint::Caller;
use grantor::error::Rejection;
use grantor::protocol::{CodeVerifier, RedirectUri};
use pollster::block_on;

use crate::support::{
    Answer, App, CALLBACK, World, code_app, code_query, encode, new_verifier, redirected, scope,
};

/// The example of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn public_app() -> AppDraft {
    AppDraft::public("Browser")
        .flow(Flow::AuthorizationCode)
        .redirect_uri(RedirectUri::parse(CALLBACK).unwrap())
        .scope(scope("a"))
}

/// The query of a request with this challenge and method.
fn query(app: &App, challenge: Option<&str>, method: Option<&str>) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", app.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("state", "s"),
    ];
    parameters.extend(challenge.map(|challenge| ("code_challenge", challenge)));
    parameters.extend(method.map(|method| ("code_challenge_method", method)));
    encode(&parameters)
}

#[track_caller]
fn assert_refused(world: &World, query: &str) {
    let error = block_on(world.server.authorization_request(query, Caller::default())).unwrap_err();
    let (to, parameters) = redirected(&error);
    assert_eq!((&*to, &*parameters["error"]), (CALLBACK, "invalid_request"), "{query}");
    assert!(matches!(error.rejection(), Some(Rejection::CodeChallenge(_))), "{error:?}");
    assert_eq!(parameters["state"], "s");
}

fn redeem_without_verifier(world: &World, app: &App, code: &str) -> Answer {
    let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    world.post(app, &form)
}

/// P1, P2, P3, P4, P5, P9: every app needs an S256 challenge of 43 characters in canonical
/// spelling. So no verifier ever meets a code without a challenge.
#[test]
fn there_is_no_code_without_an_s256_challenge() {
    let world = World::new();
    let long = format!("{CHALLENGE}{CHALLENGE}");
    let too_long = format!("{long}{CHALLENGE}");
    let bad = [
        (None, None),
        (None, Some("S256")),
        (None, Some("plain")),
        (Some(""), Some("S256")),
        (Some(CHALLENGE), None),
        (Some(CHALLENGE), Some("")),
        (Some(CHALLENGE), Some("plain")),
        (Some(VERIFIER), Some("plain")),
        (Some(CHALLENGE), Some("s256")),
        (Some(CHALLENGE), Some("S512")),
        (Some(CHALLENGE), Some("none")),
        (Some(&CHALLENGE[1..]), Some("S256")),
        (Some(&long), Some("S256")),
        (Some(&too_long), Some("S256")),
        (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"), Some("S256")),
        (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), Some("S256")),
        (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c="), Some("S256")),
        (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw cM"), Some("S256")),
        (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstwécM"), Some("S256")),
    ];
    for draft in [code_app(), public_app(), code_app().require_consent(false)] {
        let app = world.register(draft);
        for (challenge, method) in bad {
            assert_refused(&world, &query(&app, challenge, method));
        }
        assert!(world.approve(&query(&app, Some(CHALLENGE), Some("S256"))).is_ok());
    }
}

/// P6, P10: the example of the RFC. Neither its challenge nor a similar text is a verifier for it.
#[test]
fn the_example_of_the_rfc_is_redeemed_only_by_its_verifier() {
    let world = World::new();
    let near = VERIFIER.replace("dBj", "dBk");
    let padded = format!("{VERIFIER}=");
    let cased = VERIFIER.to_lowercase();
    for draft in [code_app(), public_app()] {
        let app = world.register(draft);
        let code = |app| world.approve(&query(app, Some(CHALLENGE), Some("S256"))).unwrap();
        for wrong in [CHALLENGE, &near, &padded, &cased, new_verifier().expose_secret()] {
            let answer = world.redeem(&app, &code(&app)["code"], wrong);
            answer.assert_error(400, "invalid_grant");
        }
        assert_eq!(world.redeem(&app, &code(&app)["code"], VERIFIER).status, 200);
    }
}

/// P6: a code injected into another flow meets the verifier of that flow, and fails.
#[test]
fn the_verifier_of_another_flow_is_refused() {
    let world = World::new();
    let app = world.register(code_app());
    let ((one, first), (two, second)) = (world.code(&app), world.code(&app));
    world.redeem(&app, &one, &second).assert_error(400, "invalid_grant");
    world.redeem(&app, &two, &first).assert_error(400, "invalid_grant");
    assert_eq!(world.redeem(&app, &one, &first).status, 200);
    assert_eq!(world.redeem(&app, &two, &second).status, 200);
}

/// P7, P8, P11: a missing or malformed verifier is `invalid_grant` and never counts as a guess.
#[test]
fn a_missing_or_malformed_verifier_does_not_count_as_a_guess() {
    let world = World::new();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    for _ in 0..3 {
        redeem_without_verifier(&world, &app, &code).assert_error(400, "invalid_grant");
        for bad in ["", &"a".repeat(42), &"a".repeat(129), &format!("{verifier}+"), &"é".repeat(40)]
        {
            world.redeem(&app, &code, bad).assert_error(400, "invalid_grant");
        }
    }
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}

/// P8: verifiers of 43 and of 128 unreserved characters are valid.
#[test]
fn the_shortest_and_the_longest_verifier_are_accepted() {
    let world = World::new();
    let app = world.register(code_app());
    for text in ["~".repeat(43), "-._~Az09".repeat(16)] {
        let verifier = CodeVerifier::from_request(Some(&text)).unwrap();
        let code = world.approve(&code_query(&app, &verifier, &[])).unwrap();
        assert_eq!(world.redeem(&app, &code["code"], &text).status, 200);
    }
}

/// P11: a wrong verifier does not consume the code but counts: the fifth voids it.
#[test]
fn four_wrong_verifiers_leave_a_code_usable_and_the_fifth_voids_it() {
    let world = World::new();
    let app = world.register(code_app());
    let wrong = new_verifier();
    for (guesses, survives) in [(4, true), (5, false)] {
        let (code, verifier) = world.code(&app);
        for guess in 1..=guesses {
            let answer = world.redeem(&app, &code, wrong.expose_secret());
            answer.assert_error(400, "invalid_grant");
            let reason = if guess < 5 { "binding_mismatch" } else { "code_guessed" };
            assert_eq!(world.events()[0].outcome.reason(), Some(reason));
        }
        let answer = world.redeem(&app, &code, &verifier);
        if survives {
            assert_eq!(answer.status, 200, "{answer:?}");
        } else {
            answer.assert_error(400, "invalid_grant");
        }
    }
}

/// P6, P11: on the wire all faults of a code look alike.
#[test]
fn a_wrong_verifier_looks_like_a_wrong_code() {
    let world = World::new();
    let app = world.register(code_app());
    let (code, verifier) = world.code(&app);
    let wrong_verifier = world.redeem(&app, &code, new_verifier().expose_secret());
    let flipped = if &code[40..41] == "A" { "B" } else { "A" };
    let wrong_code = format!("{}{flipped}{}", &code[..40], &code[41..]);
    let wrong_code = world.redeem(&app, &wrong_code, &verifier);
    let no_code = world.redeem(&app, "gac_", &verifier);
    assert_eq!(wrong_verifier.json, wrong_code.json);
    assert_eq!(wrong_verifier.json, no_code.json);
}

/// P12: requests that issue no code need no challenge.
#[test]
fn only_a_code_needs_a_challenge() {
    let world = World::new();
    let app = world.register(code_app().flow(Flow::ClientCredentials));
    let token = query(&app, None, None).replace("response_type=code", "response_type=token");
    let error =
        block_on(world.server.authorization_request(&token, Caller::default())).unwrap_err();
    assert_eq!(redirected(&error).1["error"], "unsupported_response_type");
    assert_eq!(world.post(&app, &[("grant_type", "client_credentials")]).status, 200);
    let refresh_token = world.tokens(&app).text("refresh_token").to_owned();
    assert_eq!(world.refresh(&app, &refresh_token).status, 200);
}

/// Z8: a confidential app that is set so may leave PKCE out (RFC 9700 section 2.1.1). A challenge still
/// needs its verifier, and a verifier its challenge.
#[test]
fn a_confidential_app_may_be_set_to_do_without_pkce() {
    let world = World::unlimited();
    let app = world.register(code_app().pkce(Pkce::Optional));
    let bare = query(&app, None, None);
    let code = || world.approve(&bare).unwrap().remove("code").unwrap();
    let tokens = redeem_without_verifier(&world, &app, &code());
    assert_eq!(tokens.status, 200, "{tokens:?}");
    world.redeem(&app, &code(), VERIFIER).assert_error(400, "invalid_grant");
    world.redeem(&app, &code(), "short").assert_error(400, "invalid_grant");
    let challenged = query(&app, Some(CHALLENGE), Some("S256"));
    let code = || world.approve(&challenged).unwrap().remove("code").unwrap();
    redeem_without_verifier(&world, &app, &code()).assert_error(400, "invalid_grant");
    assert_eq!(world.redeem(&app, &code(), VERIFIER).status, 200);
    for (challenge, method) in [
        (None, Some("S256")),
        (Some(CHALLENGE), None),
        (Some(CHALLENGE), Some("plain")),
        (Some("x"), Some("S256")),
    ] {
        assert_refused(&world, &query(&app, challenge, method));
    }
    // A code from before the setting was taken back is refused without a verifier.
    let early = world.approve(&bare).unwrap().remove("code").unwrap();
    world.edit(&app, |draft| draft.pkce(Pkce::Required));
    redeem_without_verifier(&world, &app, &early).assert_error(400, "invalid_grant");
    assert_refused(&world, &bare);
    let error = public_app().pkce(Pkce::Optional).build().unwrap_err();
    assert_eq!(error.to_string(), "`pkce` must be required for a public app");
}
