//! Every kind of token at every parameter that takes one (RFC 8725 section 3.11).

use std::collections::BTreeMap;

use grantor::app::{
    AppDraft, ClientAuthentication, Flow, IdJagAudience, SubjectPattern, UserTrust, WorkloadRule,
};
use grantor::ids::Issuer;
use grantor::jwt::VerifyingKeys;
use grantor::resource_server::BearerVerifier;
use http::Request;
use serde_json::{Value, json};

use super::foreign_tokens::{ID_TOKEN, JWT, claims, idp, sign};
use super::id_jag::{OTHER, REQUESTED};
use super::{ACTOR_OF_ACCESS, Chain, FILES, GRANT, OF_ACCESS, ORDERS, id, policy, resource, staff};
use crate::assertions::{JWT_BEARER, Signer, backend_jwt, backend_keys};
use crate::support::{
    Answer, App, CALLBACK, ISSUER, START, code_app, encode, new_verifier, subject,
};
use crate::trusted_issuers::{IDP, evidence_issuer, trust};

const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The kinds that each parameter accepts.
const ACCEPTED: [(&str, &[&str]); 13] = [
    ("code", &["code"]),
    ("assertion", &["grant assertion", "ID-JAG of an issuer", "workload token of an issuer"]),
    ("client_assertion", &["client assertion"]),
    ("device_code", &["device code"]),
    ("subject_token", &["access token", "derived token"]),
    ("subject_token as jwt", &["access token of an issuer", "ID token of an issuer"]),
    ("subject_token as id_token", &["ID token of an issuer"]),
    ("actor_token", &["own token"]),
    ("actor_token as jwt", &[]),
    ("token", &["access token", "derived token", "own token", "refresh token"]),
    // Uses the token up.
    ("refresh_token", &["refresh token"]),
    ("bearer", &["access token", "derived token", "own token"]),
    ("registration", &["registration token"]),
];

/// An app with every flow, which signs its assertions.
struct Scene {
    chain: Chain,
    app: App,
    gateway: App,
    /// The verifier of the code.
    verifier: String,
    user_token: String,
    /// The path and query of a registration.
    registration: String,
}

impl Scene {
    fn new() -> Self {
        let chain = Chain::new();
        let draft: AppDraft = code_app()
            .authentication(ClientAuthentication::PrivateKeyJwt(backend_keys()))
            .flows([
                Flow::AuthorizationCode,
                Flow::JwtBearer,
                Flow::ClientCredentials,
                Flow::DeviceCode,
                Flow::TokenExchange,
            ])
            .jwt(backend_jwt().with_impersonation(staff()))
            .resources([resource(ORDERS)])
            .default_resource(Some(resource(ORDERS)))
            .delegation(
                policy(&["all", "orders"], &[FILES])
                    .with_issuers([evidence_issuer()])
                    .with_id_jag([IdJagAudience::new(Issuer::new(OTHER).unwrap(), id("all"))]),
            );
        let app = chain.world.import("all", draft);
        // An issuer that is trusted for everything.
        let users = || UserTrust::new([app.id.clone()]).with_policy(staff());
        let jobs = WorkloadRule::new(app.id.clone(), SubjectPattern::new("job:*").unwrap());
        let record = idp().with_id_jag(users()).with_subject_tokens(users()).with_workloads([jobs]);
        trust(&chain.world, record.with_reuse(true));
        chain.world.users.link(&evidence_issuer(), "u1", &subject("ann"));
        let gateway = chain.world.import("gateway", crate::support::machine_app());
        Self {
            chain,
            app,
            gateway,
            verifier: String::new(),
            user_token: String::new(),
            registration: String::new(),
        }
    }

    /// Signs with the key of the app, as any of its JWTs.
    fn sign(&self, typ: Option<&str>, change: &Value) -> String {
        let id = self.app.id.as_str();
        let jti = new_verifier().expose_secret().to_owned();
        let claims = json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": START + 60, "jti": jti });
        Signer::backend().with_typ(typ).sign(&crate::assertions::with(&claims, change))
    }

    fn post(&self, form: &[(&str, &str)]) -> Answer {
        let assertion = self.sign(None, &json!({}));
        let own = [("client_assertion_type", CLIENT_ASSERTION), ("client_assertion", &assertion)];
        self.chain.world.post_form(None, &encode(&[form, &own].concat()))
    }

    /// The JWTs of an issuer that is trusted for everything, about a user that it may vouch for.
    fn kinds_of_issuer(&self) -> [(&'static str, String); 8] {
        let signed = |typ: Option<&str>, change: &Value| {
            let claims = claims(&self.chain, &json!({ "aud": "all" }));
            sign(typ, &crate::assertions::with(&claims, change))
        };
        let for_server =
            |change: Value| crate::assertions::with(&json!({ "aud": ISSUER }), &change);
        let authentication = for_server(json!({ "sub": "all", "iss": "all" }));
        [
            ("access token of an issuer", signed(Some("at+jwt"), &json!({}))),
            ("ID token of an issuer", signed(Some("JWT"), &json!({ "nonce": "n" }))),
            (
                "ID-JAG of an issuer",
                signed(Some("oauth-id-jag+jwt"), &for_server(json!({ "client_id": "all" }))),
            ),
            ("workload token of an issuer", signed(None, &for_server(json!({ "sub": "job:1" })))),
            ("client assertion of an issuer", signed(None, &for_server(json!({ "sub": IDP })))),
            ("client assertion with the issuer's key", signed(None, &authentication)),
            ("logout token of an issuer", signed(Some("logout+jwt"), &json!({ "events": {} }))),
            ("event of an issuer", signed(Some("secevent+jwt"), &json!({ "events": {} }))),
        ]
    }

    /// A token of each kind. None is used up by the request that made it.
    fn kinds(&mut self) -> BTreeMap<&'static str, String> {
        let world = &self.chain.world;
        let tokens = |scene: &Self| {
            let (code, verifier) = world.code(&scene.app);
            let form = [
                ("grant_type", "authorization_code"),
                ("code", &*code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", &verifier),
            ];
            scene.post(&form)
        };
        let user = tokens(self);
        let (code, verifier) = world.code(&self.app);
        let access = user.text("access_token").to_owned();
        let form = [GRANT, OF_ACCESS, ("subject_token", &*access)];
        let derived = self.post(&form);
        let given = [&form[..], &[REQUESTED, ("audience", OTHER)]].concat();
        let given = self.post(&given);
        let own = self.post(&[("grant_type", "client_credentials")]);
        let assertion = self.sign(None, &json!({}));
        let device = encode(&[
            ("client_assertion_type", CLIENT_ASSERTION),
            ("client_assertion", &assertion),
        ]);
        let device = world.send_form("/oauth/device_authorization", None, &device).json();
        let metadata = json!({
            "client_name": "Editor",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
        });
        let request = Request::post("/oauth/register").header("content-type", "application/json");
        let registered = world.send(request.body(metadata.to_string()).unwrap()).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.verifier = verifier;
        let url: http::Uri = text(&registered["registration_client_uri"]).parse().unwrap();
        self.registration = url.path_and_query().unwrap().to_string();
        let events = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        let own = BTreeMap::from([
            ("code", code),
            ("refresh token", user.text("refresh_token").to_owned()),
            ("access token", access),
            ("derived token", derived.text("access_token").to_owned()),
            ("ID-JAG of this server", given.text("access_token").to_owned()),
            ("own token", own.text("access_token").to_owned()),
            ("device code", text(&device["device_code"])),
            ("user code", text(&device["user_code"])),
            ("registration token", text(&registered["registration_access_token"])),
            ("client assertion", self.sign(Some("client-authentication+jwt"), &json!({}))),
            ("grant assertion", self.sign(None, &json!({ "sub": "ann" }))),
            (
                "ID-JAG",
                self.sign(Some("oauth-id-jag+jwt"), &json!({ "sub": "ann", "client_id": "all" })),
            ),
            ("ID token", self.sign(Some("JWT"), &json!({ "sub": "ann", "aud": "all" }))),
            (
                "logout token",
                self.sign(Some("logout+jwt"), &json!({ "sub": "ann", "events": events })),
            ),
            (
                "software statement",
                self.sign(Some("JWT"), &json!({ "software_id": "editor", "sub": null })),
            ),
        ]);
        own.into_iter().chain(self.kinds_of_issuer()).collect()
    }

    /// Presents `token` at a parameter.
    fn accepts(&self, parameter: &str, token: &str, device: &str) -> bool {
        let world = &self.chain.world;
        let answer = match parameter {
            "code" => self.post(&[
                ("grant_type", "authorization_code"),
                ("code", token),
                ("redirect_uri", CALLBACK),
                ("code_verifier", &self.verifier),
            ]),
            "refresh_token" => {
                self.post(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            }
            "assertion" => self.post(&[("grant_type", JWT_BEARER), ("assertion", token)]),
            "client_assertion" => world.post_form(
                None,
                &encode(&[
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", CLIENT_ASSERTION),
                    ("client_assertion", token),
                ]),
            ),
            "device_code" => {
                let answer = self.post(&[("grant_type", DEVICE_CODE), ("device_code", token)]);
                // The user has not decided: the code is known.
                return answer.text("error") == "authorization_pending" && token == device;
            }
            "subject_token" => self.post(&[GRANT, OF_ACCESS, ("subject_token", token)]),
            "subject_token as jwt" | "subject_token as id_token" => {
                let kind = if parameter.ends_with("id_token") { ID_TOKEN } else { JWT };
                self.post(&[GRANT, ("subject_token_type", kind), ("subject_token", token)])
            }
            "actor_token" | "actor_token as jwt" => {
                let subject = ("subject_token", &*self.user_token);
                let of_access = parameter == "actor_token";
                let kind = if of_access { ACTOR_OF_ACCESS } else { ("actor_token_type", JWT) };
                self.post(&[GRANT, OF_ACCESS, subject, kind, ("actor_token", token)])
            }
            "token" => return world.introspect(&self.gateway, token).json["active"] == true,
            "bearer" => {
                let keys = VerifyingKeys::from_jwk_set(&world.server.jwk_set()).unwrap();
                return [ORDERS, FILES, ISSUER].into_iter().any(|api| {
                    let verifier = BearerVerifier::new(world.server.issuer().clone(), keys.clone())
                        .with_clock(std::sync::Arc::clone(&world.clock))
                        .with_resource(resource(api));
                    verifier.check(Some(&*format!("Bearer {token}"))).is_ok()
                });
            }
            _ => {
                let request = Request::get(&self.registration)
                    .header("authorization", format!("Bearer {token}"));
                return world.send(request.body(String::new()).unwrap()).status == 200;
            }
        };
        answer.status == 200
    }
}

/// X13: a token of each kind is accepted where its kind belongs, and nowhere else. What was presented in a wrong place
/// is not used up.
#[test]
fn each_parameter_accepts_its_kind_of_token_only() {
    let mut scene = Scene::new();
    let kinds = scene.kinds();
    scene.user_token.clone_from(&kinds["access token"]);
    // The wrong pairs first.
    for right in [false, true] {
        for (parameter, accepted) in ACCEPTED {
            for (kind, token) in &kinds {
                if accepted.contains(kind) == right {
                    let device = &kinds["device code"];
                    let is_accepted = scene.accepts(parameter, token, device);
                    assert_eq!(is_accepted, right, "{kind} as {parameter}");
                }
            }
        }
    }
}
