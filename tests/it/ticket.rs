//! The sealed ticket that travels through the browser between prompt and decision.

use std::sync::Arc;
use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::endpoint::{Caller, Decision, Login};
use grantor::ids::Issuer;
use grantor::jwt::{Algorithm, SigningKey};
use grantor::server_secret::ServerSecret;
use pollster::block_on;

use crate::consent::{approve, ask, code_of, decide, rows};
use crate::faulty_store::faulty_server;
use crate::support::{ISSUER, ROOT, World, ann, code_app, shown, subject};

/// A ticket is accepted only in the session of its user, and only unaltered.
#[test]
fn a_ticket_is_bound_to_one_user_and_session() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let ticket = &*prompt.ticket;
    for login in [
        Login::new(subject("bob"), "session of ann"),
        Login::new(subject("ann"), "session of bob"),
        Login::new(subject("ann"), "session of ann "),
        Login::new(subject("ann"), ""),
        Login::new(subject("anns"), "ession of ann"),
        Login::new(subject("Ann"), "session of ann"),
    ] {
        for decision in [Decision::approve(), Decision::Deny] {
            let error = decide(&world, ticket, &login, decision).unwrap_err();
            assert_eq!(shown(&error), "invalid_request", "{login:?}");
            assert_eq!(world.events()[0].outcome.reason(), Some("invalid_ticket"));
        }
    }
    // No attempt decided anything.
    assert_eq!(rows(&world).len(), 0);
    assert!(approve(&world, ticket).is_ok());
}

/// An altered, cut, lengthened or invented ticket is refused without a store call.
#[test]
fn a_malformed_ticket_is_refused_without_a_store_call() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let ticket = &*prompt.ticket;
    let (code, _) = world.code(&app);
    let refresh_token = world.tokens(&app).text("refresh_token").to_owned();
    let server = faulty_server(&world);
    let mut tickets: Vec<String> = [
        "",
        "gti_",
        "gti_AAAA",
        "x",
        "é",
        "\0",
        "gti_=",
        "gac_",
        &code,
        &refresh_token,
        &format!("{ticket}A"),
        &format!("{ticket}AA=="),
        &format!(" {ticket}"),
        &ticket[4..],
        &ticket[..ticket.len() - 1],
        &ticket.replace("gti_", "GTI_"),
        &code.replace("gac_", "gti_"),
        &refresh_token.replace("grt_", "gti_"),
        &format!("gti_{}", "A".repeat(100_000)),
    ]
    .map(str::to_owned)
    .into();
    tickets.extend((4..ticket.len()).map(|at| {
        let flipped = if &ticket[at..=at] == "A" { "B" } else { "A" };
        format!("{}{flipped}{}", &ticket[..at], &ticket[at + 1..])
    }));
    for bad in tickets {
        let error = block_on(server.decide(&bad, &ann(), Decision::approve(), Caller::default()))
            .unwrap_err();
        assert_eq!(shown(&error), "invalid_request", "{bad}");
        assert_eq!(error.rejection().unwrap().reason(), "invalid_ticket");
    }
    assert_eq!(server.store().take_calls(), []);
    assert!(approve(&world, ticket).is_ok());
}

/// A ticket is not accepted as a code or refresh token, under any prefix.
#[test]
fn a_ticket_is_not_accepted_as_a_code() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, verifier) = ask(&world, &app, &[]);
    for prefix in ["gti_", "gac_", "grt_"] {
        let bad = prompt.ticket.replace("gti_", prefix);
        world.redeem(&app, &bad, &verifier).assert_error(400, "invalid_grant");
        world.refresh(&app, &bad).assert_error(400, "invalid_grant");
    }
    let (code, verifier) = world.code(&app);
    world.refresh(&app, &code).assert_error(400, "invalid_grant");
    world.refresh(&app, &code.replace("gac_", "grt_")).assert_error(400, "invalid_grant");
    assert_eq!(world.redeem(&app, &code, &verifier).status, 200);
}

/// A ticket expires after its lifetime, to the millisecond.
#[test]
fn a_ticket_expires() {
    let world = World::with(|builder| builder.ticket_lifetime(Duration::from_secs(30)));
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let (early, _) = ask(&world, &app, &[]);
    world.clock.advance(Duration::from_millis(29_999));
    assert!(approve(&world, &early.ticket).is_ok());
    world.clock.advance(Duration::from_millis(1));
    for decision in [Decision::approve(), Decision::Deny] {
        let error = decide(&world, &prompt.ticket, &ann(), decision).unwrap_err();
        assert_eq!(shown(&error), "invalid_request");
        assert_eq!(world.events()[0].outcome.reason(), Some("ticket_expired"));
        assert_eq!(world.events()[0].client_id.as_ref(), Some(&app.id));
    }
}

/// A ticket is bound to one issuer and one server secret. A secret that still accepts the old root
/// opens its tickets.
#[test]
fn a_ticket_is_bound_to_its_issuer_and_secret() {
    const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[]);
    let server = |issuer: &str, secret: ServerSecret| {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let issuer = Issuer::new(issuer).unwrap();
        let (store, users) = (Arc::clone(&world.store), Arc::clone(&world.users));
        AuthorizationServer::builder(issuer, secret, key, store, users)
            .clock(Arc::clone(&world.clock))
            .build()
    };
    let root = |root| ServerSecret::new(root).unwrap();
    for (issuer, secret, opens) in [
        (ISSUER, root(OTHER), false),
        ("https://other.example.com", root(ROOT), false),
        (ISSUER, root(OTHER).accepting(ROOT).unwrap(), true),
        (ISSUER, root(ROOT), true),
    ] {
        let server = server(issuer, secret);
        let answer =
            block_on(server.decide(&prompt.ticket, &ann(), Decision::approve(), Caller::default()));
        assert_eq!(answer.is_ok(), opens, "{issuer}");
        if let Err(error) = answer {
            assert_eq!(error.rejection().unwrap().reason(), "invalid_ticket");
        }
    }
}

/// Output for logs shows no code, ticket, session or query.
#[test]
fn output_for_logs_shows_no_code_or_session() {
    let world = World::new();
    let app = world.register(code_app());
    let (prompt, _) = ask(&world, &app, &[("state", "planted-state")]);
    let response = decide(&world, &prompt.ticket, &ann(), Decision::approve()).unwrap();
    let code = code_of(&response);
    let logged =
        format!("{response:?} {prompt:?} {:?} {:?} {:?}", ann(), world.events(), world.server);
    for secret in [&*code, "session of ann", "planted-state", &prompt.ticket] {
        assert!(!logged.contains(secret), "{secret} in {logged}");
    }
}
