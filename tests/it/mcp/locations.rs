//! The places of the metadata, and their members.

use std::collections::BTreeSet;
use std::sync::Arc;

use grantor::AuthorizationServer;
use grantor::hooks::NoHooks;
use grantor::http::HttpEndpoints;
use grantor::ids::Issuer;
use grantor::protocol::{Paths, ServerEndpoint};
use grantor::server_secret::ServerSecret;
use grantor::store::MemoryStore;
use grantor::users::MemoryUsers;
use http::Request;
use pollster::block_on;

use crate::support::{Answered, Lines, ROOT, new_key};

type Endpoints = HttpEndpoints<MemoryStore, MemoryUsers, NoHooks, Lines>;

fn endpoints(issuer: &str, paths: Paths) -> Endpoints {
    let secret = ServerSecret::new(ROOT).unwrap();
    let issuer = Issuer::new(issuer).unwrap();
    let (store, users) = (MemoryStore::new(), MemoryUsers::default());
    let server = AuthorizationServer::builder(issuer, secret, new_key(), store, users);
    HttpEndpoints::new(Arc::new(server.paths(paths).build()), Lines)
}

fn get(endpoints: &Endpoints, path: &str) -> Option<Answered> {
    block_on(endpoints.handle(Request::get(path).body("").unwrap())).map(Answered::from)
}

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// M6: one document at every place at which a client looks, with the issuer as it is written.
#[test]
fn the_metadata_are_at_each_place_where_clients_look() {
    for (issuer, places) in [
        ("https://as.example.com", &[OAUTH.to_owned(), OPENID.to_owned()][..]),
        ("https://as.example.com/", &[OAUTH.to_owned(), OPENID.to_owned()]),
        (
            "https://as.example.com/tenant/7",
            &[
                format!("{OAUTH}/tenant/7"),
                format!("{OPENID}/tenant/7"),
                format!("/tenant/7{OPENID}"),
            ],
        ),
    ] {
        let all = endpoints(issuer, Paths::default());
        let found: Vec<_> = all
            .routes()
            .filter(|(_, it)| *it == ServerEndpoint::Metadata)
            .map(|(path, _)| path.to_owned())
            .collect();
        assert_eq!(found, places);
        for place in places {
            let answer = get(&all, place).unwrap();
            assert_eq!((answer.status, &answer.json()["issuer"]), (200, &issuer.into()), "{place}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.body, get(&all, &places[0]).unwrap().body);
            let posted = Request::post(place.as_str()).body("").unwrap();
            assert_eq!(block_on(all.handle(posted)).unwrap().status(), 405);
        }
        let few = endpoints(issuer, Paths::default()).without_openid_locations();
        assert!(get(&few, &places[0]).is_some());
        assert!(places[1..].iter().all(|place| get(&few, place).is_none()), "{issuer}");
        // They are those of the metadata, and go with them.
        let none = endpoints(issuer, Paths::default().without(ServerEndpoint::Metadata));
        assert!(places.iter().all(|place| get(&none, place).is_none()), "{issuer}");
    }
}

/// M6: behind a proxy that strips a prefix, the place below it arrives without.
#[test]
fn the_metadata_below_a_stripped_prefix_are_found() {
    let endpoints = endpoints("https://example.com/auth", Paths::default());
    let endpoints = endpoints.behind_prefix("/auth").unwrap();
    for place in [format!("{OAUTH}/auth"), format!("{OPENID}/auth"), OPENID.to_owned()] {
        let issuer = get(&endpoints, &place).unwrap().json()["issuer"].clone();
        assert_eq!(issuer, "https://example.com/auth", "{place}");
    }
    assert!(get(&endpoints, &format!("/auth{OPENID}")).is_none());
}

/// M7: the metadata have each member exactly if the server does what it says.
#[test]
fn the_metadata_say_what_is_true_and_nothing_else() {
    let members = |endpoints: &HttpEndpoints<_, _, _, _>| -> BTreeSet<String> {
        let json = get(endpoints, OAUTH).unwrap().json();
        json.as_object().unwrap().keys().cloned().collect()
    };
    let with_pages = endpoints("https://as.example.com", Paths::default());
    let json = get(&with_pages, OAUTH).unwrap().json();
    assert_eq!(json["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(json["authorization_response_iss_parameter_supported"], true);
    let methods = json["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&"none".into()) && methods.contains(&"client_secret_basic".into()));
    let expected = [
        "authorization_endpoint",
        "authorization_response_iss_parameter_supported",
        "code_challenge_methods_supported",
        "grant_types_supported",
        "introspection_endpoint",
        "introspection_endpoint_auth_methods_supported",
        "introspection_endpoint_auth_signing_alg_values_supported",
        "issuer",
        "jwks_uri",
        "prompt_values_supported",
        "response_modes_supported",
        "response_types_supported",
        "revocation_endpoint",
        "revocation_endpoint_auth_methods_supported",
        "revocation_endpoint_auth_signing_alg_values_supported",
        "revocation_feed_endpoint",
        "token_endpoint",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
    ];
    assert_eq!(members(&with_pages), expected.map(str::to_owned).into());
    // Without a token endpoint no code can be redeemed, and without pages none is given.
    let no_token = endpoints(
        "https://as.example.com",
        Paths::default().without(ServerEndpoint::Token).without(ServerEndpoint::Authorization),
    );
    for absent in [
        "authorization_endpoint",
        "authorization_response_iss_parameter_supported",
        "code_challenge_methods_supported",
        "token_endpoint",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
    ] {
        assert!(!members(&no_token).contains(absent), "{absent}");
    }
}
