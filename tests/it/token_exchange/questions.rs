//! Questions about exchanges: the decision of the endpoint, with which nothing is used up.

use grantor::admin::{EvidenceCheck, ExchangeQuestion, SubjectTokenType};
use grantor::app::TrustedIssuer;
use grantor::app::policy::EvidenceKind;
use grantor::error::Rejection;
use grantor::store::RevocationTarget;
use pollster::block_on;
use serde_json::json;

use super::foreign_tokens::{ID_TOKEN, JWT, again_and_again, present, token, with_idp};
use super::{ACCESS_TOKEN, Chain, FILES, GRANT, MAIL};
use crate::support::{scope, subject};
use crate::trusted_issuers::evidence_issuer;

/// Asks about an exchange of *orders*.
fn check(chain: &Chain, question: ExchangeQuestion<'_>) -> EvidenceCheck {
    let admin = chain.world.server.admin("root");
    block_on(admin.check_exchange(&chain.orders.id, &question)).unwrap()
}

/// H11, X11: a question tells the rule, the user and the scope. A token that is good once can be used afterwards, and no
/// event tells of the question.
#[test]
fn a_question_tells_the_rule_and_uses_nothing_up() {
    let chain = with_idp(TrustedIssuer::with_subject_tokens);
    let (foreign, own) = (token(&chain, &json!({})), chain.user_token());
    let events = chain.world.events().len();
    for _ in 0..2 {
        let question = ExchangeQuestion::new(&foreign, SubjectTokenType::Jwt);
        let told = check(&chain, question.with_targets(&[FILES]));
        assert_eq!(told.answer, Ok(scope("a b")));
        assert_eq!(told.user.unwrap().subject, subject("ann"));
        assert_eq!(told.issuer, Some(evidence_issuer()));
        assert_eq!(told.claims.unwrap()["sub"], "u1");
        let decision = told.decision.unwrap();
        assert_eq!(
            (decision.evidence, &*decision.rule),
            (EvidenceKind::SubjectToken, "listed_group")
        );

        let told = check(&chain, ExchangeQuestion::new(&own, SubjectTokenType::AccessToken));
        assert_eq!(told.answer, Ok(scope("a b")));
        assert_eq!((told.issuer, told.decision.unwrap().rule.as_ref()), (None, "listed_group"));
        assert_eq!(told.claims.unwrap()["client_id"], "web");
    }
    assert_eq!(chain.world.events().len(), events, "a question is no event");
    assert_eq!(present(&chain, &chain.orders, JWT, &foreign).status, 200);
    // The tokens are in no text of the question.
    let question = ExchangeQuestion::new(&foreign, SubjectTokenType::Jwt).with_actor(&own);
    let shown = format!("{question:?}");
    assert!(!shown.contains(&foreign[..20]) && !shown.contains(&own[..20]), "{shown}");

    let admin = chain.world.server.admin("root");
    block_on(admin.revoke(RevocationTarget::Subject(subject("ann")))).unwrap();
    for (token, named) in [(&foreign, SubjectTokenType::Jwt), (&own, SubjectTokenType::AccessToken)]
    {
        let told = check(&chain, ExchangeQuestion::new(token, named));
        assert_eq!(told.answer.unwrap_err().reason(), "subject_token_revoked");
    }
    block_on(admin.disable(&chain.orders.id)).unwrap();
    let told = check(&chain, ExchangeQuestion::new(&own, SubjectTokenType::AccessToken));
    assert_eq!((told.answer, told.claims), (Err(Rejection::AppDisabled), None));
}

/// X11 to X26: for each token, type and target, the answer to a question is that of the endpoint.
#[test]
fn a_question_is_answered_like_the_request() {
    let chain = again_and_again();
    let tokens = [
        chain.user_token(),
        chain.world.tokens(&chain.web).text("refresh_token").to_owned(),
        chain.own_token(&chain.mail),
        token(&chain, &json!({})),
        token(&chain, &json!({ "sub": "stranger" })),
        token(&chain, &json!({ "aud": "https://elsewhere.example" })),
        token(&chain, &json!({ "exp": 1 })),
        token(&chain, &json!({ "iss": "https://strange.example" })),
        "a.b.c".to_owned(),
    ];
    let types = [
        (SubjectTokenType::AccessToken, ACCESS_TOKEN),
        (SubjectTokenType::Jwt, JWT),
        (SubjectTokenType::IdToken, ID_TOKEN),
    ];
    let (mut granted, mut refused) = (0, 0);
    for (named, kind) in types {
        for token in &tokens {
            for target in [FILES, MAIL, "files"] {
                let question = ExchangeQuestion::new(token, named);
                let told = check(&chain, question.with_targets(&[target]));
                let form = [
                    GRANT,
                    ("subject_token_type", kind),
                    ("subject_token", token),
                    ("audience", target),
                ];
                let answer = chain.world.post(&chain.orders, &form);
                match told.answer {
                    Ok(scope) => {
                        granted += 1;
                        assert_eq!(answer.text("scope"), scope.as_str());
                        assert!(told.user.is_some() && told.decision.is_some());
                    }
                    Err(rejection) => {
                        refused += 1;
                        let event = chain.world.last_event();
                        let reason = event.outcome.reason();
                        assert_eq!(reason, Some(rejection.reason()), "{kind} {target} {token}");
                    }
                }
            }
        }
    }
    assert_eq!((granted, refused), (4, 77));
    let long = "x".repeat(1_000_000);
    for (named, _) in types {
        let told = check(&chain, ExchangeQuestion::new(&long, named).with_actor(&long));
        assert!(told.answer.is_err() && told.claims.is_none() && told.decision.is_none());
    }
}

/// X20: an actor token is checked, too: the own token of an app, and of no other issuer.
#[test]
fn a_question_may_have_an_actor_token() {
    let chain = again_and_again();
    let (foreign, user) = (token(&chain, &json!({})), chain.user_token());
    let asked = |actor: &str| {
        let question = ExchangeQuestion::new(&foreign, SubjectTokenType::Jwt).with_actor(actor);
        check(&chain, question)
    };
    assert!(asked(&chain.own_token(&chain.orders)).answer.is_ok());
    for (actor, reason) in [
        (&chain.own_token(&chain.mail), "actor_not_listed"),
        (&foreign, "actor_token_invalid"),
        (&user, "actor_token_not_of_app"),
        (&"x".to_owned(), "actor_token_invalid"),
    ] {
        assert_eq!(asked(actor).answer.unwrap_err().reason(), reason);
    }
}

/// X11: without the grant, a server and an app refuse each question.
#[test]
fn a_question_needs_the_grant() {
    let chain = again_and_again();
    let foreign = token(&chain, &json!({}));
    let question = ExchangeQuestion::new(&foreign, SubjectTokenType::Jwt);
    let admin = chain.world.server.admin("root");
    let told = block_on(admin.check_exchange(&chain.web.id, &question)).unwrap();
    assert_eq!(told.answer.unwrap_err().reason(), "flow_not_allowed");
    let world = crate::trusted_issuers::world();
    let app = world.register(crate::trusted_issuers::wiki());
    let admin = world.server.admin("root");
    let told = block_on(admin.check_exchange(&app.id, &question)).unwrap();
    assert_eq!(told.answer, Err(Rejection::UnsupportedGrantType));
}
