//! An app manages its own registration (RFC 7592).

use std::sync::Arc;
use std::time::Duration;

use grantor::AuthorizationServer;
use grantor::app::{AppDraft, RateQuota};
use grantor::endpoint::{Approval, Caller, Decision, FormRequest};
use grantor::error::EndpointError;
use grantor::ids::Issuer;
use grantor::rate_limit::RateLimits;
use grantor::server_secret::ServerSecret;
use grantor::store::{FeedCursor, GrantStore as _};
use http::{Method, Request};
use pollster::block_on;
use serde_json::{Value, json};

use super::{app, open, problem, public, registered, send, with, world};
use crate::faulty_store::{FaultyStore, Method as Calls};
use crate::support::{
    Answered, CALLBACK, ISSUER, ROOT, Server, World, ann, code_query, new_key, new_verifier,
    parameters, scope,
};

fn managed() -> World {
    world(open().management(true))
}

/// The registration of an app: where, and by which token.
pub(super) struct Own {
    path: String,
    token: String,
}

impl Own {
    pub(super) fn of(told: &Value) -> Self {
        let url = told["registration_client_uri"].as_str().unwrap();
        let path = url.strip_prefix("https://as.example.com").unwrap().to_owned();
        Self { path, token: told["registration_access_token"].as_str().unwrap().to_owned() }
    }

    fn header(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn get(&self, world: &World) -> Answered {
        send(world, Method::GET, &self.path, Some(&self.token), "")
    }

    pub(super) fn put(&self, world: &World, metadata: &Value) -> Answered {
        send(world, Method::PUT, &self.path, Some(&self.token), &metadata.to_string())
    }

    pub(super) fn delete(&self, world: &World) -> Answered {
        send(world, Method::DELETE, &self.path, Some(&self.token), "")
    }
}

/// `metadata` as an update of the app `told`.
pub(super) fn update(told: &Value, changes: Value) -> Value {
    with(with(public(), json!({ "client_id": told["client_id"] })), changes)
}

/// Y2 and Y14: an app reads its registration with its token, without its secret. A wrong token, that of another app, and an
/// app that is gone are answered alike.
#[test]
fn an_app_reads_its_registration() {
    let world = managed();
    let secret = with(public(), json!({ "token_endpoint_auth_method": "client_secret_post" }));
    let told = registered(&world, &secret);
    let own = Own::of(&told);
    assert!(
        own.token.starts_with("gra_") && own.path.starts_with("/oauth/register/client?client_id=")
    );
    let answer = own.get(&world);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let shown =
        with(told.clone(), json!({ "client_secret": null, "client_secret_expires_at": null }));
    assert_eq!(answer.json(), shown);
    assert_eq!(world.count("read_registration"), 0, "reads do not fill the log");

    let other = Own::of(&registered(&world, &public()));
    let foreign = Own { path: own.path.clone(), token: other.token };
    let unknown = Own {
        path: "/oauth/register/client?client_id=missing".to_owned(),
        token: own.token.clone(),
    };
    let guessed = Own { path: own.path.clone(), token: "gra_guess".to_owned() };
    for wrong in [foreign, unknown, guessed] {
        for answer in
            [wrong.get(&world), wrong.delete(&world), wrong.put(&world, &update(&told, json!({})))]
        {
            answer.assert_error(401, "invalid_token");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
            world.assert_refused("client", "registration_access_token", None);
        }
    }
    // RFC 6750 section 3.1: no error code without a token.
    for method in [Method::GET, Method::DELETE] {
        let missing = send(&world, method, &own.path, None, "");
        let challenge = Some(r#"Bearer realm="https://as.example.com""#);
        assert_eq!((missing.status, missing.header("www-authenticate")), (401, challenge));
        assert_eq!(missing.body, "");
    }
    send(&world, Method::GET, "/oauth/register/client", Some(&own.token), "")
        .assert_error(400, "invalid_request");
    let post = world.send(Request::post(&*own.path).body(String::new()).unwrap());
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, PUT, DELETE, OPTIONS")));
    assert_eq!(own.get(&world).status, 200);
}

/// A registration access token has a budget of its own: a script that reads without end is told to wait.
#[test]
fn a_registration_token_has_a_budget_of_its_own() {
    let world = World::with(|builder| builder.registration(open().management(true)));
    let told = registered(&world, &public());
    let own = Own::of(&told);
    let header = format!("Bearer {}", own.token);
    let read = || {
        let request = FormRequest::new("").authorization(&header);
        let id = told["client_id"].as_str().unwrap();
        block_on(world.server.read_registration(id, &request)).map(|_| ())
    };
    for _ in 0..300 {
        read().unwrap();
    }
    let limited = read().unwrap_err();
    assert_eq!((limited.status(), limited.retry_after()), (429, Some(1)));
    let other = Own::of(&registered(&world, &public()));
    assert_eq!(other.get(&world).status, 200);
}

/// A process beside the world, over `store`, with limits.
fn limited_beside(
    world: &World,
    store: &Arc<FaultyStore>,
    limits: RateLimits,
) -> Server<FaultyStore> {
    let other = world.beside(new_key(), Arc::clone(store), Arc::clone(&world.users));
    other.registration(open().management(true)).rate_limits(limits).build()
}

/// Sends an update of the app `told` to a process.
fn put_at(
    server: &Server<FaultyStore>,
    world: &World,
    told: &Value,
    name: &str,
) -> Result<Value, EndpointError> {
    let metadata = update(told, json!({ "client_name": name, "token_endpoint_auth_method": null }));
    let (body, header) = (metadata.to_string(), Own::of(told).header());
    let request = FormRequest::new(&body).authorization(&header).source(&world.source);
    let answer =
        block_on(server.update_registration(told["client_id"].as_str().unwrap(), &request));
    answer.map(|it| serde_json::from_str(&it.to_json()).unwrap())
}

/// Y14: an update spends the budget of its token once, also if another change of the app comes first.
#[test]
fn an_update_that_is_overtaken_spends_the_budget_of_its_token_once() {
    let world = managed();
    let told = registered(&world, &with(public(), json!({ "token_endpoint_auth_method": null })));
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let limits = RateLimits::none().with_grants(RateQuota::new(1, 1));
    let other = limited_beside(&world, &store, limits);
    let (server, id) = (Arc::clone(&world.server), app(&told).id);
    store.meanwhile(Calls::FindApp, move || {
        let admin = server.admin("admin");
        block_on(admin.rotate_client_secret(&id, Duration::ZERO)).unwrap();
    });
    let second = put_at(&other, &world, &told, "Second").unwrap();
    let calls = store.take_calls();
    assert_eq!(calls.iter().filter(|call| **call == Calls::UpdateApp).count(), 2, "{calls:?}");
    let refused = put_at(&other, &world, &second, "Third").unwrap_err();
    assert_eq!((refused.status(), refused.retry_after()), (429, Some(60)));
}

/// Y11, Y14: updates and deletions spend the budget of registrations of their source, and reads do not. With a spent
/// budget nothing changes.
#[test]
fn changes_of_registrations_spend_the_budget_of_their_source() {
    let world = managed();
    let told = registered(&world, &with(public(), json!({ "token_endpoint_auth_method": null })));
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    let limits = RateLimits::none().with_source_registrations(RateQuota::new(1, 1));
    let other = limited_beside(&world, &store, limits);
    let id = told["client_id"].as_str().unwrap();
    let second = put_at(&other, &world, &told, "Second").unwrap();
    let header = Own::of(&second).header();
    let request = FormRequest::new("").authorization(&header).source(&world.source);
    let delete = || block_on(other.delete_registration(id, &request));
    let read = || block_on(other.read_registration(id, &request)).unwrap();
    let refused = put_at(&other, &world, &second, "Third").unwrap_err();
    assert_eq!((refused.status(), refused.retry_after()), (429, Some(60)));
    world.assert_refused("rate_limit", "too_many_registrations", Some("rate_limits"));
    assert_eq!(delete().unwrap_err().status(), 429);
    assert_eq!(read().app.settings().name(), "Second");
    world.advance(60);
    delete().unwrap();
}

/// Y14: a registration access token outlives the pepper under which it was made, if the app reads or updates its
/// registration before that pepper retires.
#[test]
fn a_read_renews_the_digest_of_a_registration_token() {
    const NEXT: &[u8] = b"fedcba9876543210fedcba9876543210";
    let world = managed();
    let (kept, lost) = (registered(&world, &public()), registered(&world, &public()));
    let process = |secret: ServerSecret| {
        let (store, users) = (Arc::clone(&world.store), Arc::clone(&world.users));
        let issuer = Issuer::new(ISSUER).unwrap();
        let process = AuthorizationServer::builder(issuer, secret, new_key(), store, users);
        process.clock(Arc::clone(&world.clock)).registration(open().management(true)).build()
    };
    let both = process(ServerSecret::new(NEXT).unwrap().accepting_pepper(ROOT).unwrap());
    let read = |server: &Server, told: &Value| {
        let header = Own::of(told).header();
        let request = FormRequest::new("").authorization(&header);
        let answer = server.read_registration(told["client_id"].as_str().unwrap(), &request);
        block_on(answer).map(|_| ()).map_err(|error| error.status())
    };
    assert_eq!(read(&both, &kept), Ok(()));
    assert_eq!(read(&both, &kept), Ok(()));
    let retired = process(ServerSecret::new(NEXT).unwrap());
    assert_eq!((read(&retired, &kept), read(&retired, &lost)), (Ok(()), Err(401)));
}

/// Y10: an app with a token of its own is shared by no two registrations.
#[test]
fn a_managed_app_is_not_shared() {
    let world = managed();
    let (one, two) = (registered(&world, &public()), registered(&world, &public()));
    assert_ne!(one["client_id"], two["client_id"]);
    assert_ne!(one["registration_access_token"], two["registration_access_token"]);
}

/// Y14 and Y15: an update replaces all metadata and the token. A member that it lacks gets its default.
#[test]
fn an_update_replaces_all_metadata_and_the_token() {
    let world = managed();
    let full = json!({ "client_uri": "https://editor.example/", "scope": "b", "contacts": ["x"] });
    let told = registered(&world, &with(public(), full));
    let old = Own::of(&told);
    let answer = old.put(&world, &update(&told, json!({ "client_name": "Second" })));
    assert_eq!(answer.status, 200, "{answer:?}");
    let second = answer.json();
    assert_eq!((&second["client_name"], &second["scope"]), (&json!("Second"), &json!("a b c")));
    assert_eq!((second.get("client_uri"), second.get("contacts")), (None, None));
    assert_eq!(second["client_id"], told["client_id"]);
    let event = world.last_event();
    assert_eq!(event.action.as_str(), "edit_app");
    assert_eq!(event.client_id.as_ref(), Some(&app(&told).id));
    old.get(&world).assert_error(401, "invalid_token");
    let new = Own::of(&second);
    assert_eq!(new.get(&world).json(), second);

    // A public app becomes a confidential one, and back.
    let basic = json!({ "token_endpoint_auth_method": null });
    let third = new.put(&world, &update(&told, basic)).json();
    assert_eq!(third["token_endpoint_auth_method"], "client_secret_basic");
    let secret = third["client_secret"].as_str().unwrap();
    let post =
        json!({ "token_endpoint_auth_method": "client_secret_post", "client_secret": secret });
    let fourth = Own::of(&third).put(&world, &update(&told, post)).json();
    assert_eq!(fourth.get("client_secret"), None, "a secret that stays is not shown again");
    world.tokens(&app(&third));
    let fifth = Own::of(&fourth).put(&world, &update(&told, json!({}))).json();
    assert_eq!(fifth["token_endpoint_auth_method"], "none");
    world.tokens(&app(&told));
}

/// Y15: an update names its client id, may repeat the secret, and has no member that only the server sets. A refused
/// update changes nothing, and its token stays.
#[test]
fn an_update_names_its_app_and_no_other_secret() {
    let world = managed();
    let secret = with(public(), json!({ "token_endpoint_auth_method": "client_secret_post" }));
    let told = registered(&world, &secret);
    let own = Own::of(&told);
    for (member, value) in [
        ("client_id", Value::Null),
        ("client_id", json!("another")),
        ("client_secret", json!("gcs_wrong")),
        ("registration_access_token", json!(own.token)),
        ("registration_client_uri", json!(told["registration_client_uri"])),
        ("client_secret_expires_at", json!(0)),
        ("client_id_issued_at", json!(1)),
        ("scope", json!("x")),
    ] {
        let answer = own.put(&world, &update(&told, json!({ member: value })));
        let problem = problem(&answer, 400, "invalid_client_metadata");
        assert!(problem.starts_with(member), "{member}: {problem}");
        assert!(!problem.contains("gcs_") && !problem.contains("gra_"));
    }
    let answer = own.put(&world, &update(&told, json!({ "redirect_uris": ["x:y"] })));
    problem(&answer, 400, "invalid_redirect_uri");
    assert_eq!(own.get(&world).json()["client_name"], "Editor");
    world.tokens(&app(&told));
}

/// Y14: a deletion answers 204, ends the access of the app at once, and is final.
#[test]
fn a_deletion_ends_access_at_once() {
    let world = managed();
    let told = registered(&world, &public());
    let tokens = world.tokens(&app(&told));
    let own = Own::of(&told);
    let answer = own.delete(&world);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(world.last_event().action.as_str(), "delete_app");
    assert!(world.is_revoked(&tokens));
    assert_ne!(world.refresh(&app(&told), tokens.text("refresh_token")).status, 200);
    own.get(&world).assert_error(401, "invalid_token");
    own.delete(&world).assert_error(401, "invalid_token");
    let query = code_query(&app(&told), &new_verifier(), &[]);
    assert!(world.approve(&query).is_err());
}

/// An administrator has the last word: a disabled app manages nothing, and settings that an administrator edited are
/// not changed by the app.
#[test]
fn an_administrator_has_the_last_word() {
    let world = managed();
    let told = registered(&world, &public());
    let (own, client) = (Own::of(&told), app(&told));
    let admin = world.server.admin("admin");
    block_on(admin.disable(&client.id)).unwrap();
    own.get(&world).assert_error(401, "invalid_token");
    block_on(admin.enable(&client.id)).unwrap();
    assert_eq!(own.get(&world).status, 200);
    world.edit(&client, |draft: AppDraft| draft.scope(scope("b")));
    let answer = own.put(&world, &update(&told, json!({})));
    answer.assert_error(403, "access_denied");
    world.assert_refused("grant", "administered_registration", None);
    assert_eq!(own.get(&world).json()["scope"], "b");
    assert_eq!(own.delete(&world).status, 204);
}

/// A remembered consent is to the app that the user saw: after an update of its redirect URIs the user is asked again.
#[test]
fn a_changed_app_is_consented_to_again() {
    let world = managed();
    let told = registered(&world, &public());
    let client = app(&told);
    let is_asked = |redirect: &str| {
        let query = code_query(&client, &new_verifier(), &[("redirect_uri", redirect)]);
        world.visit(&query, "ann").status != 303
    };
    let login = ann().with_moment(block_on(world.server.moment()).unwrap());
    let prompt = world.prompt(&code_query(&client, &new_verifier(), &[]), &login);
    let yes = Decision::Approve(Approval::default().with_remember(true));
    let decided = world.server.decide(&prompt.ticket, &login, yes, Caller::default());
    assert!(parameters(block_on(decided).unwrap().location()).contains_key("code"));
    assert!(!is_asked(CALLBACK));

    let same = Own::of(&told).put(&world, &update(&told, json!({ "scope": "a b c" }))).json();
    assert!(!is_asked(CALLBACK));
    let other = "https://app.example.com/other";
    let uris = json!({ "redirect_uris": [CALLBACK, other] });
    assert_eq!(Own::of(&same).put(&world, &update(&told, uris)).status, 200);
    assert!(is_asked(CALLBACK) && is_asked(other));
}

/// L13, Y13: an app may list the redirect URI of another next to its own. What the user gave to the one host goes to no
/// other without a page.
#[test]
fn a_consent_to_one_host_gives_no_code_to_another() {
    let world = world(open());
    let evil = "https://evil.example/cb";
    let told = registered(&world, &with(public(), json!({ "redirect_uris": [CALLBACK, evil] })));
    let client = app(&told);
    let query = |redirect: &str, prompt: &str| {
        let more = [("redirect_uri", redirect), ("prompt", prompt)];
        code_query(&client, &new_verifier(), &more)
    };
    let login = ann().with_moment(block_on(world.server.moment()).unwrap());
    let prompt = world.prompt(&query(CALLBACK, "consent"), &login);
    assert!(!prompt.can_be_remembered);
    let yes = Decision::Approve(Approval::default().with_remember(true));
    let decided = world.server.decide(&prompt.ticket, &login, yes, Caller::default());
    assert!(parameters(block_on(decided).unwrap().location()).contains_key("code"));
    for redirect in [evil, CALLBACK] {
        let refused = world.approve(&query(redirect, "none")).unwrap_err();
        let location = refused.location().unwrap();
        assert!(location.contains("error=consent_required"), "{location}");
    }
}

/// Y14: an app that no user gave access leaves nothing behind, so registrations and deletions fill no table.
#[test]
fn deletions_of_apps_without_access_leave_no_revocation() {
    let world = managed();
    for _ in 0..100 {
        let told = registered(&world, &public());
        assert_eq!(Own::of(&told).delete(&world).status, 204);
    }
    let feed = || {
        let feed = world.store.revocations_since(FeedCursor::default(), 10, world.clock_now());
        block_on(feed).unwrap().entries.len()
    };
    assert_eq!(feed(), 0);
    let told = registered(&world, &public());
    world.tokens(&app(&told));
    assert_eq!(Own::of(&told).delete(&world).status, 204);
    assert_eq!(feed(), 1);
}

/// Y13, Y14: an approval is for the description on the page. If the app has updated it meanwhile, the approval is
/// refused.
#[test]
fn an_approval_is_not_for_an_update_behind_the_page() {
    let world = managed();
    let told = registered(&world, &public());
    let login = ann().with_moment(block_on(world.server.moment()).unwrap());
    let prompt = world.prompt(&code_query(&app(&told), &new_verifier(), &[]), &login);
    let renamed = update(&told, json!({ "client_name": "Bank" }));
    assert_eq!(Own::of(&told).put(&world, &renamed).status, 200);
    world.advance(11);
    let yes = Decision::Approve(Approval::default().with_remember(true));
    let decided = world.server.decide(&prompt.ticket, &login, yes, Caller::default());
    assert_eq!(block_on(decided).unwrap_err().location(), None);
    world.assert_refused("client", "client_document_changed", None);
}
