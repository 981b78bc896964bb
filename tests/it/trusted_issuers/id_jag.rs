//! Identity assertions about users: ID-JAG.

use grantor::app::{ImpersonationPolicy, TrustedIssuer, UserTrust};
use grantor::clock::UnixTime;
use grantor::ids::{Group, Resource, Subject};
use grantor::store::RevocationTarget;
use grantor::users::Members;
use pollster::block_on;
use serde_json::{Value, json};

use super::{
    IDP, ask, evidence_issuer, id_jag, id_jag_claims, idp, idp_signer, read, trust, users_of, wiki,
    with_idp, world,
};
use crate::assertions::Signer;
use crate::support::{World, code_app, scope};

/// J32, J42: the assertion is exchanged for a token of the linked user. The token names the app, and before it the
/// actors of the assertion.
#[test]
fn an_identity_assertion_is_exchanged_for_a_token_of_the_user() {
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    let act = json!({ "sub": "agent", "act": { "sub": "desk", "iss": "https://desk.example" } });
    let answer = ask(&world, &app, &json!({ "act": act, "acr": "urn:loa:2" }));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json.get("refresh_token").is_none());
    let claims = read(&answer);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("ann"), &json!(app.id.as_str())));
    let earlier = json!({
        "sub": "agent", "iss": IDP, "act": { "sub": "desk", "iss": "https://desk.example" },
    });
    assert_eq!(claims["act"], json!({ "sub": app.id.as_str(), "act": earlier }));
    assert_eq!(claims["evidence_issuer"], IDP);
    assert_eq!(claims["amr"], json!(["mfa", "hwk"]));
    assert_eq!(claims["acr"], "urn:loa:2");
    assert_eq!(claims["auth_time"], world.clock_now().as_seconds() - 60);

    let event = world.last_event();
    let decision = event.decision.unwrap();
    assert_eq!((&*decision.rule, decision.issuer.unwrap().as_str()), ("anyone", IDP));
    assert_eq!(decision.actors.len(), 2);
    assert_eq!(event.subject.unwrap().as_str(), "ann");
}

/// J32: the type selects the profile, and the claim `client_id` is the app that presents it.
#[test]
fn an_assertion_of_another_type_or_for_another_app_is_refused() {
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    let claims = id_jag_claims(&world, &app, &json!({}));
    for typ in
        [None, Some("JWT"), Some("at+jwt"), Some("id_token"), Some("authorization-grant+jwt")]
    {
        let token = idp_signer().with_typ(typ).sign(&claims);
        world.present(&app, &token, &[]).assert_error(400, "invalid_grant");
    }
    let other = world.register(wiki());
    for change in [
        json!({ "client_id": other.id.as_str() }),
        json!({ "client_id": null }),
        json!({ "client_id": [app.id.as_str()] }),
    ] {
        ask(&world, &app, &change).assert_error(400, "invalid_grant");
    }
    // Nothing was used up.
    let typ = Some("application/oauth-ID-JAG+jwt");
    assert_eq!(world.present(&app, &idp_signer().with_typ(typ).sign(&claims), &[]).status, 200);
}

/// J37: this server is the only audience.
#[test]
fn an_assertion_for_another_server_is_refused() {
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    let own = crate::support::ISSUER;
    assert_eq!(ask(&world, &app, &json!({ "aud": [own] })).status, 200);
    for aud in [
        json!("https://other.example"),
        json!([own, "https://other.example"]),
        json!([]),
        json!(null),
        json!(7),
        json!(format!("{own}/")),
    ] {
        ask(&world, &app, &json!({ "aud": aud })).assert_error(400, "invalid_grant");
    }
}

/// J38: only an issuer whose record names the app, by its keys, with a pinned algorithm, until the record expires.
#[test]
fn an_issuer_is_trusted_for_the_apps_of_its_record() {
    let (world, app) = with_idp(|idp, users| {
        idp.with_id_jag(users)
            .with_expiry(Some(UnixTime::from_seconds(crate::support::START + 1_000)))
    });
    assert_eq!(ask(&world, &app, &json!({})).status, 200);
    let other = world.register(wiki());
    ask(&world, &other, &json!({})).assert_error(400, "invalid_grant");
    world.assert_refused("grant", "app_not_named", Some("trusted_issuers"));
    for iss in [
        json!("https://evil.example"),
        json!(format!("{IDP}/")),
        json!("HTTPS://acme.idp.example"),
        json!(null),
        json!([IDP]),
    ] {
        ask(&world, &app, &json!({ "iss": iss })).assert_error(400, "invalid_grant");
    }
    let claims = id_jag_claims(&world, &app, &json!({}));
    let typed = |signer: Signer| signer.with_typ(Some("oauth-id-jag+jwt")).sign(&claims);
    for forged in [
        typed(Signer::backend()),
        typed(Signer::ec(jsonwebtoken::Algorithm::ES384, "p384_private")),
        typed(Signer::hmac(jsonwebtoken::Algorithm::HS256, &[7; 32])),
        idp_signer().sign_raw(r#"{"alg":"none","typ":"oauth-id-jag+jwt"}"#, &claims.to_string()),
    ] {
        world.present(&app, &forged, &[]).assert_error(400, "invalid_grant");
    }
    world.advance(1_000);
    ask(&world, &app, &json!({})).assert_error(400, "invalid_grant");
    world.assert_refused("grant", "issuer_expired", Some("trusted_issuers"));
}

/// J39: an assertion is good once, or if the record says so, until it expires. There is never a refresh token.
#[test]
fn an_assertion_is_good_once_unless_the_record_allows_reuse() {
    for reuse in [false, true] {
        let world = world();
        let draft = wiki()
            .refresh_token(true)
            .jwt(grantor::app::JwtSettings::signature_secret().with_refresh_token(true));
        let app = world.register(draft);
        trust(&world, idp().with_id_jag(users_of(&app)).with_reuse(reuse));
        let token = id_jag(&world, &app, &json!({}));
        let first = world.present(&app, &token, &[]);
        assert_eq!(first.status, 200);
        assert!(first.json.get("refresh_token").is_none());
        let again = world.present(&app, &token, &[]);
        if reuse {
            assert_eq!(again.status, 200);
            assert_ne!(read(&first)["jti"], read(&again)["jti"]);
            assert_eq!(ask(&world, &app, &json!({ "jti": null })).status, 200);
        } else {
            again.assert_error(400, "invalid_grant");
            world.assert_refused("claim", "assertion_replayed", None);
            ask(&world, &app, &json!({ "jti": null })).assert_error(400, "invalid_grant");
        }
        world.advance(311);
        world.present(&app, &token, &[]).assert_error(400, "invalid_grant");
    }
}

/// J40: `resource` is the audience, `scope` a ceiling. Details, for which there are no rules, are refused.
#[test]
fn the_claims_of_the_assertion_narrow_the_token() {
    let world = world();
    let [files, mail] = ["https://files.example/", "https://mail.example/"]
        .map(|name| Resource::new(name).unwrap());
    let app = world.register(wiki().resources([files, mail]));
    let policy = ImpersonationPolicy::anyone().with_scope(scope("a b"));
    trust(
        &world,
        idp().with_id_jag(users_of(&app).with_policy(policy).with_required_resource(true)),
    );
    let ask = |change: Value, more: &[(&str, &str)]| {
        world.present(&app, &id_jag(&world, &app, &change), more)
    };
    let answer = ask(json!({ "resource": "https://files.example", "scope": "b c" }), &[]);
    let claims = read(&answer);
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!("https://files.example/"), &json!("b")));
    let both = json!({ "resource": ["https://mail.example/", "https://files.example/"] });
    assert_eq!(read(&ask(both.clone(), &[]))["aud"], "https://mail.example/");
    let files = ("resource", "https://files.example/");
    let answer = ask(both.clone(), &[files, ("scope", "a")]);
    assert_eq!(read(&answer)["aud"], "https://files.example/");
    assert_eq!(answer.text("scope"), "a");
    ask(json!({ "resource": "https://mail.example/" }), &[files])
        .assert_error(400, "invalid_target");
    ask(json!({ "resource": "https://other.example/" }), &[]).assert_error(400, "invalid_target");
    ask(both.clone(), &[("scope", "c")]).assert_error(400, "invalid_scope");
    let narrow = json!({ "resource": "https://mail.example/", "scope": "a" });
    ask(narrow, &[("scope", "b")]).assert_error(400, "invalid_scope");
    for bad in [
        json!({}),
        json!({ "resource": [] }),
        json!({ "resource": 7 }),
        json!({ "resource": "files" }),
    ] {
        ask(bad, &[]).assert_error(400, "invalid_grant");
    }
    let details =
        json!({ "resource": "https://mail.example/", "authorization_details": [{ "type": "x" }] });
    ask(details, &[]).assert_error(400, "invalid_grant");
}

/// J41: the host's link, then the claim of the record, then an address that the issuer has verified. No user is made.
#[test]
fn a_user_is_found_by_link_then_claim_then_verified_address() {
    let find = |configure: fn(UserTrust) -> UserTrust, change: Value| -> String {
        let (world, app) = with_idp(|idp, users| idp.with_id_jag(configure(users)));
        world.users.name("email", "bob@acme.example", &Subject::new("bob").unwrap());
        let answer = ask(&world, &app, &change);
        if answer.status == 200 {
            return read(&answer)["sub"].as_str().unwrap().to_owned();
        }
        answer.assert_error(400, "invalid_grant");
        format!("no: {}", world.last_event().outcome.reason().unwrap())
    };
    let address = |verified: Value| json!({ "sub": "new", "email": "bob@acme.example", "email_verified": verified });
    let link_only = |users| users;
    let by_claim = |users: UserTrust| users.with_user_claim("aud_sub");
    let by_email = |users: UserTrust| users.with_email(true);
    // The link wins over every claim.
    assert_eq!(find(by_claim, json!({ "aud_sub": "bob" })), "ann");
    assert_eq!(find(by_claim, json!({ "sub": "new", "aud_sub": "bob" })), "bob");
    for (configure, change) in [
        (link_only as fn(UserTrust) -> UserTrust, json!({ "sub": "new" })),
        // A subject of the issuer is not one of this server.
        (link_only, json!({ "sub": "bob" })),
        (link_only, json!({ "sub": "new", "aud_sub": "bob" })),
        (link_only, address(json!(true))),
        (by_claim, json!({ "sub": "new", "aud_sub": "Bob" })),
        (by_claim, json!({ "sub": "new" })),
        (by_email, address(json!(false))),
        (by_email, address(json!("true"))),
        (by_email, address(json!(1))),
        (by_email, json!({ "sub": "new", "email": "bob@acme.example" })),
        (by_email, json!({ "sub": "new", "email": "BOB@acme.example", "email_verified": true })),
    ] {
        assert_eq!(find(configure, change.clone()), "no: unknown_user", "{change}");
    }
    assert_eq!(find(by_email, address(json!(true))), "bob");
}

/// J41: the policy of the record decides about the user, and the exceptions of the app hold.
#[test]
fn the_policy_of_the_record_decides() {
    let staff = || Members::groups([Group::new("staff").unwrap()]);
    let world = world();
    let own = ImpersonationPolicy::none().except(Members::subjects([Subject::new("bob").unwrap()]));
    let jwt = grantor::app::JwtSettings::signature_secret().with_impersonation(own);
    let app = world.register(wiki().jwt(jwt));
    let users =
        users_of(&app).with_policy(ImpersonationPolicy::members(staff())).with_user_claim("sub");
    trust(&world, idp().with_id_jag(users));
    for (name, reason) in [
        ("ann", None),
        ("root", Some("impersonation_not_listed")),
        ("bob", Some("impersonation_excepted")),
        ("gone", Some("impersonation_inactive")),
    ] {
        let answer = ask(&world, &app, &json!({ "sub": name }));
        assert_eq!(answer.status == 200, reason.is_none(), "{name}");
        assert_eq!(world.last_event().outcome.reason(), reason, "{name}");
    }
}

/// J42: a tenant is equal to that of the record, and one that the record does not expect is refused.
#[test]
fn a_tenant_is_the_one_of_the_record() {
    let (world, app) = with_idp(|idp, users| idp.with_id_jag(users).with_tenant("acme"));
    assert_eq!(ask(&world, &app, &json!({ "tenant": "acme" })).status, 200);
    for tenant in [json!("Acme"), json!("other"), json!(null), json!(["acme"])] {
        ask(&world, &app, &json!({ "tenant": tenant })).assert_error(400, "invalid_grant");
    }
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    ask(&world, &app, &json!({ "tenant": "acme" })).assert_error(400, "invalid_grant");
    for act in [
        json!("agent"),
        json!({}),
        json!({ "sub": "" }),
        json!(["agent"]),
        json!(["agent", null, null]),
        json!({ "sub": "a", "act": ["b", null, null] }),
        json!({ "sub": "a", "act": { "sub": "b", "act": { "sub": "c", "act": { "sub": "d" } } } }),
    ] {
        ask(&world, &app, &json!({ "act": act })).assert_error(400, "invalid_grant");
    }
    ask(&world, &app, &json!({ "amr": ["a", 1] })).assert_error(400, "invalid_grant");
}

/// J43: a public app asks the user instead.
#[test]
fn a_public_app_is_refused() {
    let world = world();
    let jwt = grantor::app::JwtSettings::keys(crate::assertions::backend_keys())
        .with_assertion_authenticates(true);
    let app = world.register(
        code_app()
            .authentication(grantor::app::ClientAuthentication::None)
            .flow(grantor::app::Flow::JwtBearer)
            .jwt(jwt),
    );
    trust(&world, idp().with_id_jag(users_of(&app)));
    ask(&world, &app, &json!({})).assert_error(401, "invalid_client");
}

/// J46: one write ends all that an issuer gave, and nothing else.
#[test]
fn revoking_an_issuer_ends_what_it_gave() {
    let (world, app) = with_idp(TrustedIssuer::with_id_jag);
    let given = ask(&world, &app, &json!({}));
    let backend = world.register(crate::assertions::backend_app());
    let own = world.act(&backend, &json!({}));
    let target = RevocationTarget::EvidenceIssuer(evidence_issuer());
    block_on(world.server.admin("root").revoke(target)).unwrap();
    assert!(world.is_revoked(&given));
    assert!(!world.is_revoked(&own));
    // The trust goes on.
    world.advance(10);
    assert!(!world.is_revoked(&ask(&world, &app, &json!({}))));
}

/// A server without trusted issuers takes the same assertion for one of the app, and refuses it.
#[test]
fn a_server_without_trusted_issuers_knows_no_profile() {
    let world = World::new();
    let app = world.register(wiki());
    ask(&world, &app, &json!({})).assert_error(400, "invalid_grant");
    assert!(!world.server.metadata().contains("profiles"));
}
