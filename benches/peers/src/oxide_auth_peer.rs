//! `oxide-auth`, over its maps and the owned requests of its simple front end.

use std::collections::HashMap;

use oxide_auth::endpoint::{
    AccessTokenFlow, AuthorizationFlow, ClientCredentialsFlow, OwnerConsent, OwnerSolicitor,
    RefreshFlow, ResourceFlow, Solicitation,
};
use oxide_auth::frontends::simple::endpoint::{Generic, Vacant};
use oxide_auth::frontends::simple::extensions::{AddonList, Extended, Pkce};
use oxide_auth::frontends::simple::request::{Request, Response};
use oxide_auth::primitives::authorizer::AuthMap;
use oxide_auth::primitives::generator::RandomGenerator;
use oxide_auth::primitives::issuer::{Issuer as _, TokenMap};
use oxide_auth::primitives::registrar::{
    Client, ClientMap, PasswordPolicy, RegisteredUrl, RegistrarError,
};
use oxide_auth::primitives::scope::Scope;
use ring::digest;

use crate::peer::{self, Ask, CALLBACK, Peer, SCOPE, SECRET};

const CLIENT_ID: &str = "6cRXgQpH3TqL0n0rXnQzZw";

/// The SHA-256 of a secret, as in the other libraries. The default policy is Argon2, for
/// passwords, and would be all that is measured.
struct Sha256;

impl PasswordPolicy for Sha256 {
    fn store(&self, _: &str, passphrase: &[u8]) -> Vec<u8> {
        digest::digest(&digest::SHA256, passphrase).as_ref().to_vec()
    }

    fn check(&self, _: &str, passphrase: &[u8], stored: &[u8]) -> Result<(), RegistrarError> {
        let digest = digest::digest(&digest::SHA256, passphrase);
        // A bench needs no constant time.
        if digest.as_ref() == stored { Ok(()) } else { Err(RegistrarError::Unspecified) }
    }
}

/// Approves everything: as the user that is logged in, or as the client itself.
struct Approval {
    user: String,
}

impl OwnerSolicitor<Request> for Approval {
    fn check_consent(
        &mut self,
        request: &mut Request,
        solicitation: Solicitation<'_>,
    ) -> OwnerConsent<Response> {
        OwnerConsent::Authorized(if request.urlbody.contains_key("grant_type") {
            solicitation.pre_grant().client_id.clone()
        } else {
            self.user.clone()
        })
    }
}

type Endpoint = Extended<
    Generic<
        ClientMap,
        AuthMap<RandomGenerator>,
        TokenMap<RandomGenerator>,
        Approval,
        Vec<Scope>,
        Vacant,
    >,
    AddonList,
>;

/// An endpoint with one client.
pub(crate) struct OxideAuth {
    endpoint: Endpoint,
    query: String,
    basic: String,
}

/// A request as text.
pub(crate) enum TextRequest {
    Authorization { query: String, user: String },
    Redeem(String, String),
    Refresh(String, String),
    ClientCredentials(String, String),
}

/// Parses a query or a form as the adapters do.
fn parse(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn form(body: &str, authorization: String) -> Request {
    Request { query: HashMap::new(), urlbody: parse(body), auth: Some(authorization) }
}

impl OxideAuth {
    pub(crate) fn new() -> Self {
        let mut registrar = ClientMap::new();
        registrar.set_password_policy(Sha256);
        registrar.register_client(Client::confidential(
            CLIENT_ID,
            RegisteredUrl::Semantic(CALLBACK.parse().unwrap()),
            SCOPE.parse().unwrap(),
            SECRET.as_bytes(),
        ));
        let mut addons = AddonList::new();
        addons.push_code(Pkce::required());
        let endpoint = Generic {
            registrar,
            // 16 bytes, as in its documentation
            authorizer: AuthMap::new(RandomGenerator::new(16)),
            issuer: TokenMap::new(RandomGenerator::new(16)),
            solicitor: Approval { user: String::new() },
            scopes: vec!["files.read".parse().unwrap()],
            response: Vacant,
        };
        Self {
            endpoint: Extended::extend_with(endpoint, addons),
            query: peer::query(CLIENT_ID),
            basic: peer::basic(CLIENT_ID, SECRET),
        }
    }
}

impl Peer for OxideAuth {
    type Request = TextRequest;
    type Answer = Response;

    fn authorization(&mut self, user: &str) -> TextRequest {
        TextRequest::Authorization { query: self.query.clone(), user: user.to_owned() }
    }

    fn request(&mut self, ask: Ask<'_>) -> TextRequest {
        let (form, basic) = (peer::form(ask), self.basic.clone());
        match ask {
            Ask::Redeem { .. } => TextRequest::Redeem(form, basic),
            Ask::Refresh { .. } => TextRequest::Refresh(form, basic),
            Ask::ClientCredentials => TextRequest::ClientCredentials(form, basic),
            Ask::Introspect { .. } => panic!("oxide-auth has no introspection"),
        }
    }

    fn answer(&mut self, request: TextRequest) -> Response {
        let endpoint = &mut self.endpoint;
        let answer = match request {
            TextRequest::Authorization { query, user } => {
                endpoint.inner.solicitor.user = user;
                let request = Request { query: parse(&query), urlbody: HashMap::new(), auth: None };
                AuthorizationFlow::<_, Request>::prepare(endpoint)
                    .and_then(|mut flow| flow.execute(request))
            }
            TextRequest::Redeem(body, basic) => AccessTokenFlow::<_, Request>::prepare(endpoint)
                .and_then(|mut flow| flow.execute(form(&body, basic))),
            TextRequest::Refresh(body, basic) => RefreshFlow::<_, Request>::prepare(endpoint)
                .and_then(|mut flow| flow.execute(form(&body, basic))),
            TextRequest::ClientCredentials(body, basic) => {
                ClientCredentialsFlow::<_, Request>::prepare(endpoint)
                    .and_then(|mut flow| flow.execute(form(&body, basic)))
            }
        };
        answer.unwrap_or_else(|_| panic!("a request failed"))
    }

    fn text(answer: Response) -> String {
        match (answer.location, answer.body) {
            (Some(location), _) => location.into(),
            (None, Some(body)) => body.as_str().to_owned(),
            (None, None) => panic!("an empty answer: {:?}", answer.status),
        }
    }

    fn check(&mut self, header: &str) -> bool {
        let request = Request { auth: Some(header.to_owned()), ..Request::default() };
        ResourceFlow::<_, Request>::prepare(&mut self.endpoint)
            .is_ok_and(|mut flow| flow.execute(request).is_ok())
    }

    fn subject(&mut self, token: &str) -> String {
        let grant = self.endpoint.inner.issuer.recover_token(token).unwrap().expect("a grant");
        assert_eq!(grant.scope, SCOPE.parse().unwrap());
        grant.owner_id
    }
}
