//! Administration of trusted issuers.

use std::sync::Arc;

use grantor::admin::AdminError;
use grantor::app::TrustedIssuer;
use grantor::error::Rejection;
use grantor::ids::EvidenceIssuer;
use grantor::jwt::Algorithm;
use pollster::block_on;
use serde_json::json;

use super::{
    ask, evidence_issuer, id_jag, id_jag_claims, idp, idp_keys, trust, users_of, wiki, with_idp,
    world,
};
use crate::assertions::Signer;
use crate::support::{ISSUER, World};

/// A record is added, listed, edited under its version and removed, and each is audited.
#[test]
fn records_are_added_edited_and_removed() {
    let world = world();
    let app = world.register(wiki());
    let admin = world.server.admin("root");
    let added = block_on(admin.add_trusted_issuer(idp())).unwrap();
    assert_eq!(world.last_event().action.as_str(), "add_trusted_issuer");
    let again = block_on(admin.add_trusted_issuer(idp()));
    assert!(matches!(again, Err(AdminError::AlreadyExists)), "{again:?}");
    ask(&world, &app, &json!({})).assert_error(400, "invalid_grant");

    // An edit holds at once in this process.
    let edited = idp().with_id_jag(users_of(&app));
    let after = block_on(admin.edit_trusted_issuer(added.version, edited.clone())).unwrap();
    assert_eq!(after.version, added.version + 1);
    assert_eq!(ask(&world, &app, &json!({})).status, 200);
    let late = block_on(admin.edit_trusted_issuer(added.version, idp()));
    let versions = (added.version, after.version);
    assert!(
        matches!(late, Err(AdminError::Conflict { expected, found }) if (expected, found) == versions),
        "{late:?}"
    );
    assert_eq!(block_on(admin.trusted_issuers()).unwrap(), [after]);
    block_on(admin.remove_trusted_issuer(&evidence_issuer())).unwrap();
    assert_eq!(world.last_event().action.as_str(), "remove_trusted_issuer");
    assert_eq!(block_on(admin.trusted_issuers()).unwrap(), []);
    let gone = block_on(admin.remove_trusted_issuer(&evidence_issuer()));
    assert!(matches!(gone, Err(AdminError::NotFound)), "{gone:?}");
    let gone = block_on(admin.edit_trusted_issuer(1, idp()));
    assert!(matches!(gone, Err(AdminError::NotFound)), "{gone:?}");
}

/// A setting out of range is refused, and a server that would accept identity assertions of its own.
#[test]
fn a_record_that_trusts_too_much_is_refused() {
    let world = world();
    let app = world.register(wiki());
    let admin = world.server.admin("root");
    let own = EvidenceIssuer::new(ISSUER).unwrap();
    let own = TrustedIssuer::new(own, "Itself", idp_keys(), [Algorithm::ES256]);
    for bad in [own.with_id_jag(users_of(&app)), idp().with_max_lifetime(0)] {
        let refused = block_on(admin.add_trusted_issuer(bad));
        assert!(matches!(refused, Err(AdminError::Invalid(_))), "{refused:?}");
        assert_eq!(world.last_event().outcome.reason(), Some("invalid_setting"));
    }
    let without = World::new();
    let refused = block_on(without.server.admin("root").trusted_issuers());
    assert!(matches!(refused, Err(AdminError::NoTrustedIssuers)), "{refused:?}");
}

/// H11: a pasted assertion shows the decision with its rule, and is not used up.
#[test]
fn a_pasted_assertion_shows_the_rule_and_is_not_used_up() {
    let (world, app) = with_idp(|idp, users| idp.with_id_jag(users.with_user_claim("sub")));
    let admin = world.server.admin("root");
    let check = |token: &str| block_on(admin.check_evidence(&app.id, token)).unwrap();
    let token = id_jag(&world, &app, &json!({}));
    for _ in 0..2 {
        let told = check(&token);
        assert_eq!(told.answer.unwrap(), crate::support::scope("a b c"));
        assert_eq!(told.user.unwrap().subject.as_str(), "ann");
        assert_eq!(told.decision.unwrap().rule, "anyone");
    }
    assert_eq!(world.present(&app, &token, &[]).status, 200);
    let gone = check(&id_jag(&world, &app, &json!({ "sub": "gone" })));
    assert_eq!(gone.decision.unwrap().rule, "inactive");
    assert!(gone.answer.is_err());
    let unknown = check(&id_jag(&world, &app, &json!({ "sub": "eve" })));
    assert_eq!((unknown.answer, unknown.user), (Err(Rejection::UnknownUser), None));
    let typed = Signer::backend().with_typ(Some("oauth-id-jag+jwt"));
    let forged = check(&typed.sign(&id_jag_claims(&world, &app, &json!({}))));
    assert!(forged.answer.is_err() && forged.decision.is_none());
    assert_eq!(forged.issuer, Some(evidence_issuer()));
    assert!(check("not a token").issuer.is_none());
}

/// J44: the metadata have the profile while an issuer is trusted for it, and only then.
#[test]
fn the_metadata_have_the_profile_while_an_issuer_is_trusted_for_it() {
    const PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";
    let metadata = |world: &World| {
        let endpoints =
            grantor::http::HttpEndpoints::without_interaction(Arc::clone(&world.server));
        let request = http::Request::get("/.well-known/oauth-authorization-server");
        let answer = block_on(endpoints.handle(request.body(String::new()).unwrap())).unwrap();
        serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap()
    };
    let world = world();
    let app = world.register(wiki());
    let name = "authorization_grant_profiles_supported";
    assert!(metadata(&world).get(name).is_none());
    let now = world.clock_now();
    let until = now.plus(std::time::Duration::from_mins(1));
    trust(&world, idp().with_id_jag(users_of(&app)).with_expiry(Some(until)));
    assert_eq!(metadata(&world)[name], json!([PROFILE]));
    world.advance(60);
    assert!(metadata(&world).get(name).is_none());
    assert!(metadata(&World::new()).get(name).is_none());
}

#[test]
fn a_server_trusts_a_hundred_issuers() {
    let world = world();
    let named = |number: usize| {
        let issuer = EvidenceIssuer::new(format!("https://{number}.example")).unwrap();
        TrustedIssuer::new(issuer, "IdP", idp_keys(), [Algorithm::ES256])
    };
    for number in 0..TrustedIssuer::MAX {
        trust(&world, named(number));
    }
    let one_more = block_on(world.server.admin("root").add_trusted_issuer(named(100)));
    assert!(matches!(one_more, Err(AdminError::Invalid(_))), "{one_more:?}");
}
