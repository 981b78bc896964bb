//! The end of a derived token: with anything that it descends from, or alone.

use std::sync::Arc;

use grantor::clock::Clock as _;
use grantor::ids::{DeviceId, GrantId, SessionId};
use grantor::jwt::VerifyingKeys;
use grantor::resource_server::{BearerVerifier, RevocationList};
use grantor::store::{GrantFilter, GrantStore as _, MemoryStore, Page, RevocationTarget};
use pollster::block_on;
use serde_json::{Value, json};

use super::{ACTOR_OF_ACCESS, Chain, FILES, GRANT, MAIL, OF_ACCESS};
use crate::faulty_store::{FaultyStore, Method, post};
use crate::support::{Answer, Server, subject};

/// A verifier of *files* that follows the feed of revocations.
struct Follower {
    verifier: BearerVerifier,
    list: Arc<RevocationList>,
}

impl Follower {
    fn admits(&self, chain: &Chain, token: &str) -> bool {
        let store: &MemoryStore = &chain.world.store;
        block_on(self.list.poll(store, chain.world.clock.now())).unwrap();
        self.verifier.check(Some(&*format!("Bearer {token}"))).is_ok()
    }
}

fn follower(chain: &Chain) -> Follower {
    let list = Arc::new(RevocationList::new());
    let keys = VerifyingKeys::from_jwk_set(&chain.world.server.jwk_set()).unwrap();
    let verifier = BearerVerifier::new(chain.world.server.issuer().clone(), keys)
        .with_clock(Arc::clone(&chain.world.clock))
        .with_resource(super::resource(FILES))
        .with_revocations(Arc::clone(&list));
    Follower { verifier, list }
}

/// Another process, whose store fails on request.
fn beside(chain: &Chain) -> Server<FaultyStore> {
    let world = &chain.world;
    let store = Arc::new(FaultyStore::new(Arc::clone(&world.store)));
    super::apis(world.beside(super::key(), store, Arc::clone(&world.users))).build()
}

fn grant_of(token: &str) -> GrantId {
    super::claims_of(token)["grant_id"].as_str().unwrap().parse().unwrap()
}

/// A subject token with a device, a session and an evidence issuer.
fn attested(chain: &Chain) -> String {
    let facts = json!({ "device": "phone", "sid": "s", "evidence_issuer": "https://idp.example" });
    chain.forge(&chain.user_token(), &facts)
}

/// X15: a derived token, and one derived from it, is void with each link: the grant, the app, the user, the device, the
/// session, the evidence issuer. The store, introspection and an API that follows the feed agree.
#[test]
fn a_derived_token_ends_with_each_link_of_its_lineage() {
    let chain = Chain::new();
    let follower = follower(&chain);
    let admin = chain.world.server.admin("tester");
    let (web, ann) = (chain.web.id.clone(), subject("ann"));
    let phone = DeviceId::new("phone").unwrap();
    let ends: [fn(&Chain, &str) -> RevocationTarget; 8] = [
        |_, token| RevocationTarget::Grant(grant_of(token)),
        |chain, _| RevocationTarget::App(chain.web.id.clone()),
        |_, _| RevocationTarget::Subject(subject("ann")),
        |chain, _| RevocationTarget::AppAndSubject(chain.web.id.clone(), subject("ann")),
        |chain, _| {
            let phone = DeviceId::new("phone").unwrap();
            RevocationTarget::Device(chain.web.id.clone(), subject("ann"), phone)
        },
        |_, _| RevocationTarget::Session(SessionId::new("s").unwrap()),
        |_, _| RevocationTarget::EvidenceIssuer("https://idp.example".parse().unwrap()),
        |_, _| RevocationTarget::Everything,
    ];
    for end in ends {
        let token = attested(&chain);
        let first = chain.derived(&chain.orders, &token, &[]);
        let files = ("resource", MAIL);
        let second = chain.derived(&chain.files, first.text("access_token"), &[files]);
        let first = first.text("access_token").to_owned();
        assert!(follower.admits(&chain, &first));
        assert_eq!(chain.world.introspect(&chain.files, &first).json["active"], true);
        let target = end(&chain, &token);
        block_on(admin.revoke(target.clone())).unwrap();
        assert!(!follower.admits(&chain, &first), "{target:?}");
        for (app, token) in [(&chain.files, &*first), (&chain.mail, second.text("access_token"))] {
            let inactive = chain.world.introspect(app, token).json;
            assert_eq!(inactive, json!({ "active": false }), "{target:?}");
        }
        assert!(chain.world.is_revoked(&second), "{target:?}");
        chain.world.advance(1);
    }
    // Another app, user and device are spared.
    let first = chain.derived(&chain.orders, &attested(&chain), &[]);
    for spared in [
        RevocationTarget::AppAndSubject(web.clone(), subject("bob")),
        RevocationTarget::Device(web.clone(), subject("bob"), phone.clone()),
        RevocationTarget::Device(chain.orders.id.clone(), ann, phone),
        RevocationTarget::Session(SessionId::new("t").unwrap()),
    ] {
        block_on(admin.revoke(spared)).unwrap();
    }
    assert!(follower.admits(&chain, first.text("access_token")));
    block_on(admin.disable(&web)).unwrap();
    assert!(chain.world.is_revoked(&first));
    block_on(admin.enable(&web)).unwrap();
    assert!(chain.world.is_revoked(&first), "what a disabled app had stays void");
}

/// X15: the app gives a derived token back. It ends alone, with what descends from it: neither its subject token nor
/// another derived token does. The app of the subject token cannot end it by its own name.
#[test]
fn a_derived_token_is_given_back_alone() {
    let chain = Chain::new();
    let follower = follower(&chain);
    let token = chain.user_token();
    let [first, beside] = [(); 2].map(|()| chain.derived(&chain.orders, &token, &[]));
    let mail = ("resource", MAIL);
    let second = chain.derived(&chain.files, first.text("access_token"), &[mail]);
    assert_eq!(chain.world.revoke(&chain.web, first.text("access_token")).status, 200);
    assert!(!chain.world.is_revoked(&first));
    assert_eq!(chain.world.revoke(&chain.orders, first.text("access_token")).status, 200);
    assert!(chain.world.is_revoked(&first) && chain.world.is_revoked(&second));
    assert!(!chain.world.is_revoked(&beside));
    assert!(follower.admits(&chain, beside.text("access_token")));
    assert!(!follower.admits(&chain, first.text("access_token")));
    let refused = chain.exchange(&chain.files, first.text("access_token"), &[mail]);
    chain.refused(&refused, "invalid_request", "subject_token_revoked");
    chain.derived(&chain.orders, &token, &[]);
    // No grant was stored: the user's only one is that of the subject token.
    let (all, page) = (GrantFilter::default(), Page::first(10));
    let grants = block_on(chain.world.store.list_grants(&all, page));
    assert_eq!(grants.unwrap().items.len(), 1);
}

/// X14: an exchange costs the store one read beside the app, however long the chain is; an actor token one more. If
/// the store fails, there is no token.
#[test]
fn an_exchange_costs_one_read() {
    let chain = Chain::new();
    let server = beside(&chain);
    let token = chain.user_token();
    let derived = chain.derived(&chain.orders, &token, &[]);
    let form = |token| [GRANT, OF_ACCESS, ("subject_token", token)];
    for (app, token, target) in
        [(&chain.orders, &*token, FILES), (&chain.files, derived.text("access_token"), MAIL)]
    {
        let mut form = form(token).to_vec();
        form.push(("resource", target));
        server.store().take_calls();
        assert_eq!(post(&server, app, &form).status, 200);
        assert_eq!(server.store().take_calls(), [Method::FindApp, Method::IsRevoked]);
        let own = chain.own_token(app);
        form.extend([("actor_token", &*own), ACTOR_OF_ACCESS]);
        assert_eq!(post(&server, app, &form).status, 200);
        let calls = [Method::FindApp, Method::IsRevoked, Method::IsRevoked];
        assert_eq!(server.store().take_calls(), calls);
    }
}

/// X15: what an old token says of its parents is read as it was, also without the members that are new.
#[test]
fn a_parent_without_a_subject_is_of_the_user() {
    let chain = Chain::new();
    let parent: Value = super::claims_of(&chain.user_token());
    let parent = json!({
        "grant_id": parent["grant_id"],
        "client_id": "web",
        "authorized_at": parent["authorized_at"],
    });
    let first = chain.derived(&chain.orders, &chain.user_token(), &[]);
    let forged = chain.forge(first.text("access_token"), &json!({ "via": [parent] }));
    let answer: Answer = chain.derived(&chain.files, &forged, &[("resource", MAIL)]);
    let target = RevocationTarget::AppAndSubject(chain.web.id.clone(), subject("ann"));
    block_on(chain.world.server.admin("tester").revoke(target)).unwrap();
    assert!(chain.world.is_revoked(&answer));
}

/// X15, X14: a revocation that is answered while an exchange goes on, after the store was asked, covers the token.
#[test]
fn a_revocation_during_an_exchange_covers_its_token() {
    let chain = Chain::new();
    let world = &chain.world;
    let server = beside(&chain);
    for target in [
        None,
        Some(RevocationTarget::App(chain.web.id.clone())),
        Some(RevocationTarget::App(chain.orders.id.clone())),
        Some(RevocationTarget::Subject(subject("ann"))),
    ] {
        let token = chain.user_token();
        let target = target.unwrap_or_else(|| RevocationTarget::Grant(grant_of(&token)));
        let (admin, end) = (Arc::clone(&world.server), target.clone());
        server.store().meanwhile(Method::IsRevoked, move || {
            block_on(admin.admin("tester").revoke(end)).unwrap();
        });
        let form = [GRANT, OF_ACCESS, ("subject_token", &*token), ("resource", FILES)];
        let answer = post(&server, &chain.orders, &form);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(world.is_revoked(&answer), "{target:?}");
        world.advance(10);
    }
    server.store().fail_before(Method::IsRevoked, 1);
    let token = chain.user_token();
    let form = [GRANT, OF_ACCESS, ("subject_token", &*token), ("resource", FILES)];
    post(&server, &chain.orders, &form).assert_error(500, "server_error");
}
