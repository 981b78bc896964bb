//! Access ends between the checks of a request and its claim, over any store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::app::{Flow, ImpersonationPolicy, JwtSettings};
use grantor::clock::{Clock, UnixTime};
use grantor::hooks::{HookAnswer, HookError, Hooks, IssueDecision};
use grantor::rate_limit::RateLimits;
use grantor::store::conformance::Runner;
use grantor::store::{GrantStore, Revocation, RevocationReason, RevocationTarget, Store};
use serde_json::json;

use crate::shared::{Answer, App, ISSUER, World, code_app, new_key, subject};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A hook in which another process ends access: after every check, before the claim.
struct Overtake<S> {
    store: Arc<S>,
    next: Arc<Mutex<Option<RevocationTarget>>>,
}

impl<S: GrantStore> Hooks for Overtake<S> {
    async fn before_issue(&self, decision: &IssueDecision<'_>) -> Result<HookAnswer, HookError> {
        let target = self.next.lock().unwrap().take();
        if let Some(target) = target {
            self.store.revoke(&revocation(target, decision.now)).await.unwrap();
        }
        Ok(HookAnswer::Issue)
    }
}

fn revocation(target: RevocationTarget, now: UnixTime) -> Revocation {
    let until = now.plus(Duration::from_hours(24));
    Revocation { target, at: now, why: RevocationReason::Administrator, until }
}

/// Returns an assertion of the app about `ann`. `number` is its `jti`.
fn assertion(app: &App, number: usize, now: UnixTime) -> String {
    let now = now.as_seconds();
    let claims = json!({
        "iss": app.id.as_str(), "sub": "ann", "aud": ISSUER,
        "iat": now, "exp": now + 120, "jti": number.to_string(),
    });
    let secret = app.signature_secret.as_deref().unwrap();
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

/// Ends access before the claim of each grant, and asserts that nothing survives and that the next request is
/// answered with what lives. The host's clock may be ahead.
pub(crate) fn nothing_survives_an_end_before_the_claim<S, C, R>(store: Arc<S>, clock: C, runner: R)
where
    S: Store + 'static,
    C: Clock + 'static,
    R: Runner,
{
    let next = Arc::new(Mutex::new(None));
    let hooks = Overtake { store: Arc::clone(&store), next: Arc::clone(&next) };
    let world: World<Overtake<S>, S, C, R> =
        World::over(store, clock, runner, new_key(), |builder| {
            builder.rate_limits(RateLimits::none()).hooks(hooks)
        });
    let ann = subject("ann");
    for refreshes in [false, true] {
        let jwt = JwtSettings::signature_secret().with_impersonation(ImpersonationPolicy::anyone());
        let jwt = jwt.with_refresh_token(refreshes);
        let draft = code_app().flow(Flow::JwtBearer).flow(Flow::ClientCredentials).jwt(jwt);
        let app = world.register(draft);
        let itself = subject(app.id.as_str());
        let is_dead = |answer: &Answer, what: &str| {
            if answer.status == 200 {
                assert!(world.is_revoked(answer), "{what}: a token survives");
            } else {
                answer.assert_error(400, "invalid_grant");
            }
        };
        let is_alive = |answer: &Answer, what: &str| {
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            assert!(!world.is_revoked(answer), "{what}: dead on arrival");
        };
        for (number, user) in [&ann, &itself].into_iter().cycle().take(8).enumerate() {
            let target = match number / 2 {
                0 => RevocationTarget::Everything,
                1 => RevocationTarget::App(app.id.clone()),
                2 => RevocationTarget::Subject(user.clone()),
                _ => RevocationTarget::AppAndSubject(app.id.clone(), user.clone()),
            };
            let what = format!("{target:?}, refresh: {refreshes}");
            if *user == ann {
                let now = world.clock_now();
                let assertion = assertion(&app, number, now);
                let form = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
                *next.lock().unwrap() = Some(target.clone());
                let answer = world.post(&app, &form);
                is_dead(&answer, &what);
                if answer.status != 200 {
                    is_alive(&world.post(&app, &form), &what);
                }
                let tokens = world.tokens(&app);
                is_alive(&tokens, &what);
                *next.lock().unwrap() = Some(target.clone());
                is_dead(&world.refresh(&app, tokens.text("refresh_token")), &what);
                let (code, verifier) = world.code(&app);
                *next.lock().unwrap() = Some(target);
                is_dead(&world.redeem(&app, &code, &verifier), &what);
            } else {
                *next.lock().unwrap() = Some(target);
                is_dead(&world.post(&app, &[("grant_type", "client_credentials")]), &what);
                let answer = world.post(&app, &[("grant_type", "client_credentials")]);
                is_alive(&answer, &what);
            }
        }
    }
}
