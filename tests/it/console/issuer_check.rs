//! *Check evidence* of a trusted issuer.

use grantor::app::{SubjectPattern, TrustedIssuer, WorkloadRule};
use serde_json::json;

use super::desk::{Desk, MOUNT, console};
use super::html::{check, tags, words};
use super::issuers::path_of;
use crate::assertions::Signer;
use crate::support::{App, World, encode};
use crate::token_exchange::foreign_tokens::{
    JWT, present, token, with_idp as with_idp_of_subject_tokens,
};
use crate::trusted_issuers::{ask, id_jag, id_jag_claims, idp_signer, jobs_token, wiki, with_idp};

fn answer(desk: &Desk<'_>, path: &str, app: &App, token: &str) -> String {
    let fields = [("app", app.id.as_str()), ("evidence", token)];
    let answer = desk.post(&format!("{path}/check"), &fields);
    assert_eq!(answer.status, 200, "{}", answer.body);
    check(&answer.body, MOUNT);
    answer.body
}

fn world_with_idp() -> (World, App) {
    with_idp(|idp, users| {
        let app = users.apps[0].clone();
        let rule = WorkloadRule::new(app, SubjectPattern::new("repo:octo-org/*").unwrap());
        idp.with_id_jag(users).with_workloads([rule])
    })
}

/// H11, H24: a pasted token shows the decision, the rule, the user and the claims, or the reason for the refusal. It can be
/// used afterwards, no event tells of it, and it is in no address.
#[test]
fn a_pasted_token_shows_the_decision_and_is_not_used_up() {
    let (world, app) = world_with_idp();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let path = path_of(&desk, "Acme");
    let page = desk.page(&format!("{path}/check"));
    check(&page, MOUNT);
    let events = world.events().len();
    let token = id_jag(&world, &app, &json!({ "act": { "sub": "agent" }, "nested": { "a": [1] } }));
    for wrapped in [token.clone(), format!("  {}\r\n{} \n", &token[..40], &token[40..])] {
        let said = words(&answer(&desk, &path, &app, &wrapped));
        for text in [
            "Accepted: Back end The policy allows every active user.",
            "Kind of evidence identity assertion about a user (ID-JAG) Rule anyone",
            "User found sub ann Groups staff Earlier actors, latest first agent Scopes at most a b c",
            "The issuer has signed these.",
            "iss https://acme.idp.example sub U019488227",
            "in 5 minutes",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
    }
    assert_eq!(world.events().len(), events, "a question is no event");
    assert_eq!(world.present(&app, &token, &[]).status, 200, "the token was not used up");
    let refused = |change: &serde_json::Value, text: &str, has_claims: bool| {
        let page = answer(&desk, &path, &app, &id_jag(&world, &app, change));
        let said = words(&page);
        assert!(said.contains("Refused: ") && said.contains(text), "{text}: {said}");
        assert_eq!(said.contains("The issuer has signed these."), has_claims, "{said}");
    };
    refused(&json!({ "sub": "stranger" }), "is found neither by a link of the host", true);
    refused(&json!({ "aud": "https://other.example" }), "The token endpoint says:", true);
    refused(&json!({ "exp": 1 }), "is not one that the server accepts from it", true);
    refused(&json!({ "iss": "https://strange.example" }), "names no issuer that the server", false);
    let claims = id_jag_claims(&world, &app, &json!({}));
    let forged = Signer::backend().with_typ(Some("oauth-id-jag+jwt")).sign(&claims);
    let said = words(&answer(&desk, &path, &app, &forged));
    assert!(said.contains("They are not shown") && !said.contains("U019488227"), "{said}");
    let other = world.register(wiki());
    let claims = id_jag_claims(&world, &other, &json!({}));
    let named = idp_signer().with_typ(Some("oauth-id-jag+jwt")).sign(&claims);
    let said = words(&answer(&desk, &path, &other, &named));
    assert!(said.contains("do not name this app for this kind of token."), "{said}");
    let other = jobs_token(&world, &json!({ "iss": crate::trusted_issuers::IDP }));
    let said = words(&answer(&desk, &path, &app, &other));
    let text = "The rule repo:octo-org/* admits the workload.";
    assert!(said.contains(text) && said.contains("token of a workload"), "{said}");
    for garbage in ["x", "a.b.c", &"x".repeat(100_000)] {
        let said = words(&answer(&desk, &path, &app, garbage));
        assert!(said.contains("Refused: "), "{said}");
    }
}

/// H24: the form says which field is wrong, its token is wiped when the page is left, and a query pastes nothing.
#[test]
fn the_form_for_a_token_names_its_mistakes_and_keeps_the_token_out_of_addresses() {
    let (world, app) = world_with_idp();
    let console = console(&world);
    let desk = Desk::new(&console, "edit");
    let path = format!("{}/check", path_of(&desk, "Acme"));
    let token = id_jag(&world, &app, &json!({}));
    for (app, token, field, sentence) in [
        ("", &*token, "app", "Write the client id of an app."),
        ("gone", &token, "app", "There is no app gone."),
        ("\u{e9}", &token, "app", "There is no app"),
        (app.id.as_str(), " \n", "evidence", "Paste a token."),
        ("", "\u{202e}", "app", "Write the client id of an app."),
    ] {
        let answer = desk.post(&path, &[("app", app), ("evidence", token)]);
        assert_eq!(answer.status, 422, "{sentence}");
        check(&answer.body, MOUNT);
        assert!(words(&answer.body).contains(sentence), "{}", answer.body);
        let tags = tags(&answer.body);
        let focus = tags.iter().find(|tag| tag.attribute("autofocus").is_some()).unwrap();
        assert_eq!(focus.attribute("id"), Some(field));
    }
    let page = desk.page(&format!("{path}?{}", encode(&[("evidence", &token)])));
    assert!(!page.contains(&token), "a query pastes nothing");
    let all = tags(&page);
    let area = all.iter().find(|tag| tag.attribute("id") == Some("evidence")).unwrap();
    assert_eq!(area.attribute("data-once"), Some(""), "the script wipes it when the page is left");
    for app in [app.id.as_str(), "gone"] {
        let answer = desk.post(&path, &[("app", app), ("evidence", &token), ("actor", &token)]);
        assert!(!answer.body.contains(&token[..20]), "the token does not come back");
        assert_eq!(super::html::value_of(&answer.body, "app"), app);
    }
    assert_eq!(ask(&world, &app, &json!({})).status, 200);
}

/// H11, H24, X11: a subject token shows the decision of the exchange, as the app would present it. Nothing is used up, and
/// none of the tokens comes back.
#[test]
fn a_subject_token_shows_the_decision_of_the_exchange() {
    let chain = with_idp_of_subject_tokens(TrustedIssuer::with_subject_tokens);
    let world = &chain.world;
    let console = console(world);
    let desk = Desk::new(&console, "edit");
    let path = path_of(&desk, "Acme");
    let foreign = token(&chain, &json!({}));
    let (user, worker) = (chain.user_token(), chain.own_token(&chain.orders));
    let events = world.events().len();
    let asked = |named: &str, token: &str, actor: &str, targets: &str| {
        let fields = [
            ("app", chain.orders.id.as_str()),
            ("presented_as", named),
            ("evidence", token),
            ("actor", actor),
            ("targets", targets),
        ];
        let answer = desk.post(&format!("{path}/check"), &fields);
        assert_eq!(answer.status, 200, "{}", answer.body);
        check(&answer.body, MOUNT);
        for part in [token, actor].into_iter().flat_map(|it| it.split('.')) {
            assert!(part.len() < 20 || !answer.body.contains(part), "a token came back");
        }
        let tags = tags(&answer.body);
        let chosen = tags.iter().find(|tag| {
            tag.attribute("name") == Some("presented_as") && tag.attribute("checked").is_some()
        });
        assert_eq!(chosen.unwrap().attribute("value"), Some(named));
        words(&answer.body)
    };
    for (named, token, actor, targets, texts) in [
        (
            "jwt",
            &*foreign,
            &*worker,
            "https://files.example.com\r\n",
            &[
                "Accepted: ",
                "ann is a member of staff, which is listed.",
                "subject token Rule listed_group staff",
                "User found sub ann",
                "Scopes at most a b",
                "The issuer has signed these.",
            ][..],
        ),
        (
            "access_token",
            &user,
            "",
            "files",
            &["Accepted: ", "Rule listed_group staff", "This server has signed these."],
        ),
        ("access_token", &foreign, "", "", &["Refused: ", "is not an access token of this server"]),
        ("jwt", &user, "", "", &["Refused: ", "names no issuer that the server trusts"]),
        ("jwt", &foreign, &user, "", &["Refused: ", "actor_token"]),
        ("jwt", &foreign, "", "https://mail.example.com", &["Refused: ", "target"]),
        ("jwt", &"x".repeat(100_000), "", "", &["Refused: ", "They are not shown"]),
        ("id_token", "a.b.c", "<script>", "<script>", &["Refused: "]),
    ] {
        let said = asked(named, token, actor, targets);
        for text in texts {
            assert!(said.contains(text), "{named} {text}: {said}");
        }
    }
    assert_eq!(world.events().len(), events, "a question is no event");
    assert_eq!(present(&chain, &chain.orders, JWT, &foreign).status, 200, "it was not used up");
    let fields = [("app", "orders"), ("presented_as", "saml"), ("evidence", &foreign)];
    let answer = desk.post(&format!("{path}/check"), &fields);
    assert_eq!(answer.status, 422);
    check(&answer.body, MOUNT);
    assert!(answer.body.contains("Choose how the app presents the token."));
}

/// H2: an administrator who may only look may not ask about users.
#[test]
fn an_administrator_who_may_only_look_checks_no_token() {
    let (world, app) = world_with_idp();
    let console = console(&world);
    let desk = Desk::new(&console, "view");
    let path = format!("{}/check", path_of(&desk, "Acme"));
    let page = desk.page(&path);
    check(&page, MOUNT);
    assert!(!page.contains("method=\"post\"") && page.contains("who may edit apps can check"));
    let token = id_jag(&world, &app, &json!({}));
    let fields = [("app", app.id.as_str()), ("evidence", &*token)];
    assert_eq!(desk.post(&path, &fields).status, 403);
}
