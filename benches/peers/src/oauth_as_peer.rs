//! `oauth-as`, over its `MemoryStorage` and its service for `http` types.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, header};
use oauth_as::client::{Client, ClientAuth, ClientId, SecretHash};
use oauth_as::grant::GrantType;
use oauth_as::http::{ApprovalDecision, AuthorizationService, Response, ServiceBuilder};
use oauth_as::jwt::{
    AccessTokenFormat, EcCurve, EcdsaP256Key, Jwk, JwsAlg, JwsSignature, JwsSigner, JwtConfig,
    SignerError,
};
use oauth_as::scope::ScopeSet;
use oauth_as::server::{AuthorizationServer, ServerConfig, SystemClock};
use oauth_as::store::{MemoryStorage, Storage as _};
use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, KeyPair as _};

use crate::grantor_peer::{get, post};
use crate::peer::{self, Ask, CALLBACK, ES256_PEM, ISSUER, Peer, SCOPE, SECRET, now_ready};
use crate::token::{TokenKey, der, key_pair};

const CLIENT_ID: &str = "6cRXgQpH3TqL0n0rXnQzZw";
const KID: &str = "k1";

/// The access tokens of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// Random text, the default.
    Opaque,
    /// ES256 by the built-in signer over `p256`.
    BuiltIn,
    /// ES256 by `ring`, through the trait for signers.
    Ring,
}

/// A signer over `ring`.
struct RingSigner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

#[expect(clippy::disallowed_methods, reason = "a signer of the peer")]
fn random() -> SystemRandom {
    SystemRandom::new()
}

impl JwsSigner for RingSigner {
    fn alg(&self) -> JwsAlg {
        JwsAlg::Es256
    }

    fn sign(
        &self,
        signing_input: &[u8],
    ) -> impl Future<Output = Result<JwsSignature, SignerError>> + Send {
        let signature = self
            .pair
            .sign(&self.random, signing_input)
            .ok()
            .and_then(|signature| JwsSignature::from_wire(JwsAlg::Es256, signature.as_ref()))
            .ok_or_else(|| SignerError::new("ring failed"));
        std::future::ready(signature)
    }

    fn public_jwk(&self) -> Jwk {
        let point = self.pair.public_key().as_ref();
        Jwk::Ec {
            crv: EcCurve::P256,
            x: URL_SAFE_NO_PAD.encode(&point[1..33]),
            y: URL_SAFE_NO_PAD.encode(&point[33..]),
            kid: Some(KID.to_owned()),
        }
    }
}

/// A server with one client.
pub(crate) struct OauthAs {
    server: Arc<AuthorizationServer<MemoryStorage>>,
    service: AuthorizationService<MemoryStorage, SystemClock>,
    query: String,
    basic: String,
    /// `None` for opaque tokens.
    key: Option<TokenKey>,
}

impl OauthAs {
    pub(crate) fn new(tokens: Tokens) -> Self {
        let mut config = ServerConfig::new(ISSUER, format!("{ISSUER}/device"));
        let pair = key_pair(ES256_PEM, &random());
        let point = pair.public_key().as_ref().to_vec();
        let key = (tokens != Tokens::Opaque).then(|| TokenKey::es256(point));
        let jwt = match tokens {
            Tokens::Opaque => None,
            Tokens::BuiltIn => {
                let built_in = EcdsaP256Key::from_pkcs8_der(KID, &der(ES256_PEM)).unwrap();
                Some(JwtConfig::new(built_in, ISSUER))
            }
            Tokens::Ring => Some(JwtConfig::new(RingSigner { pair, random: random() }, ISSUER)),
        };
        if let Some(jwt) = jwt {
            let jwt = jwt.with_jwks_uri(format!("{ISSUER}/jwks"));
            config.access_token_format = AccessTokenFormat::Jwt(Box::new(jwt));
        }
        let server = Arc::new(AuthorizationServer::new(config, MemoryStorage::new()));
        let scopes = ScopeSet::from_tokens(SCOPE.split(' ')).unwrap();
        let client = Client {
            client_id: ClientId::new(CLIENT_ID),
            auth: ClientAuth::ConfidentialSecretHash { hash: SecretHash::sha256(SECRET) },
            grant_types: vec![
                GrantType::AuthorizationCode,
                GrantType::ClientCredentials,
                GrantType::RefreshToken,
            ],
            redirect_uris: vec![CALLBACK.to_owned()],
            allowed_scopes: scopes.clone(),
            default_scopes: scopes,
            name: Some("Reports".to_owned()),
            registration: None,
        };
        now_ready(server.register_client(client)).unwrap();
        let service = ServiceBuilder::new(Arc::clone(&server))
            .with_subject_resolver(|headers| {
                headers.get("x-user").and_then(|user| user.to_str().ok()).map(str::to_owned)
            })
            .with_approval_resolver(|_| ApprovalDecision::Approve)
            .build()
            .unwrap();
        Self {
            server,
            service,
            query: peer::query(CLIENT_ID),
            basic: peer::basic(CLIENT_ID, SECRET),
            key,
        }
    }
}

impl Peer for OauthAs {
    type Request = Request<String>;
    type Answer = Response;

    fn authorization(&mut self, user: &str) -> Request<String> {
        get("/authorize", &self.query, user)
    }

    fn request(&mut self, ask: Ask<'_>) -> Request<String> {
        let path = if matches!(ask, Ask::Introspect { .. }) { "/introspect" } else { "/token" };
        post(path, &self.basic, peer::form(ask))
    }

    fn answer(&mut self, request: Request<String>) -> Response {
        now_ready(self.service.handle(request))
    }

    fn text(answer: Response) -> String {
        if let Some(location) = answer.headers().get(header::LOCATION) {
            return location.to_str().unwrap().to_owned();
        }
        String::from_utf8(answer.into_body().into_bytes().to_vec()).unwrap()
    }

    fn check(&mut self, header: &str) -> bool {
        let Some(token) = header.strip_prefix("Bearer ") else { return false };
        now_ready(self.server.introspect(token)).unwrap().is_some()
    }

    fn subject(&mut self, token: &str) -> String {
        if let Some(key) = &self.key {
            let claims = key.verify(token);
            assert_eq!(claims["scope"], SCOPE);
        }
        let request = self.request(Ask::Introspect { token });
        let answer: serde_json::Value =
            serde_json::from_str(&Self::text(self.answer(request))).unwrap();
        assert_eq!(answer["active"], true);
        assert_eq!(answer["scope"], SCOPE);
        // A token of the client itself has none.
        answer["sub"].as_str().unwrap_or_default().to_owned()
    }

    fn sweep(&mut self) {
        let later = SystemTime::now() + Duration::from_mins(2);
        now_ready(self.server.store().sweep_expired(later)).unwrap();
    }
}
