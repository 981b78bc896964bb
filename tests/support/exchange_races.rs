//! Ends of access that race with whole exchanges of tokens at another server, over any store.

use std::fmt;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use grantor::ServerBuilder;
use grantor::app::{
    AppDraft, DelegationPolicy, Flow, ImpersonationPolicy, IssuerKeys, TrustedIssuer, UserTrust,
};
use grantor::clock::{SystemClock, UnixTime};
use grantor::endpoint::FormRequest;
use grantor::hooks::{Hooks, NoHooks};
use grantor::ids::{ClientId, EvidenceIssuer, GrantId, Resource, SessionId, Subject};
use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
use grantor::random::OsRandom;
use grantor::rate_limit::RateLimits;
use grantor::resource_server::ResourceServer;
use grantor::store::conformance::Runner;
use grantor::store::{MemoryStore, RevocationTarget, Store};
use grantor::users::{User, UserDirectory};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::shared::{
    Answer, App, ISSUER, ROOT, Server, World, body_of, code_app, machine_app, subject,
};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const ORDERS: &str = "https://orders.example.com";
const FILES: &str = "https://files.example.com";
const MAIL: &str = "https://mail.example.com";
const IDP: &str = "https://idp.example.com";
const PRIVATE: &[u8] = include_bytes!("../fixtures/test_only_ed25519_private.pem");
const PUBLIC: &str = include_str!("../fixtures/test_only_ed25519_public.pem");

/// The link of a lineage that ends during the exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Grant,
    App,
    User,
    AppAndUser,
    Device,
    Session,
    EvidenceIssuer,
    /// The app gives the subject token back (RFC 7009).
    GivenBack,
    /// The app of the first exchange gives its token back, during the second.
    DerivedGivenBack,
    /// All access of the app of the first exchange.
    Exchanger,
    /// The subject token is of a trusted issuer, which is revoked.
    TrustedIssuer,
    /// The same, and one of its tokens is revoked by its name in `via`.
    TokenOfIssuer,
    /// The record of the trusted issuer is removed.
    Record,
}

impl Link {
    pub(crate) const ALL: [Self; 13] = [
        Self::Grant,
        Self::App,
        Self::User,
        Self::AppAndUser,
        Self::Device,
        Self::Session,
        Self::EvidenceIssuer,
        Self::GivenBack,
        Self::DerivedGivenBack,
        Self::Exchanger,
        Self::TrustedIssuer,
        Self::TokenOfIssuer,
        Self::Record,
    ];

    const fn is_foreign(self) -> bool {
        matches!(self, Self::TrustedIssuer | Self::TokenOfIssuer | Self::Record)
    }
}

/// The results of the races.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rounds: usize,
    /// The races in which an exchange overlapped the end.
    pub(crate) met: usize,
    /// The tokens that were given before or during the end.
    pub(crate) given: usize,
    /// The tokens of these that are dated after the end of all access of their app, and live.
    pub(crate) later: usize,
    /// The exchanges that were refused because of the end.
    pub(crate) refused: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, met, given, later, refused } = self;
        let void = given - later;
        write!(f, "{rounds} rounds, {met} met, {void} tokens given and void, {refused} refused, ")?;
        write!(f, "{later} dated after the end of all access of an app")
    }
}

type Shared<S, R> = World<NoHooks, S, SystemClock, R>;

/// Two servers over one database, and the apps of a chain of exchanges.
struct Scene<S, R> {
    world: Shared<S, R>,
    other: Arc<Server<S>>,
    web: App,
    orders: App,
    files: App,
}

/// Races every link `rounds` times. No token survives the end of a link of its lineage.
pub(crate) fn nothing_survives<S, R>(stores: [Arc<S>; 2], runner: R, rounds: usize) -> Counts
where
    S: Store + 'static,
    R: Runner + Copy,
{
    let scene = Scene::new(stores, runner);
    let mut counts = Counts::default();
    for link in Link::ALL {
        for round in 0..rounds {
            scene.race(link, round, &mut counts);
        }
    }
    counts
}

fn resource(name: &str) -> Resource {
    Resource::new(name).unwrap()
}

fn configure<S: Store, U: UserDirectory, H: Hooks>(
    builder: ServerBuilder<S, U, H>,
    issuers: &Arc<MemoryStore>,
) -> ServerBuilder<S, U, H> {
    let api = |name, app| ResourceServer::new(resource(name), ClientId::new(app).unwrap());
    builder
        .rate_limits(RateLimits::none())
        .token_exchange(true)
        .trusted_issuers(Arc::clone(issuers))
        .resource_server(api(ORDERS, "orders"))
        .resource_server(api(FILES, "files"))
}

fn record() -> TrustedIssuer {
    let keys = IssuerKeys::Keys(VerifyingKeys::from_pem(PUBLIC).unwrap());
    let users = UserTrust::new([ClientId::new("orders").unwrap()]);
    TrustedIssuer::new(EvidenceIssuer::new(IDP).unwrap(), "IdP", keys, [Algorithm::EdDSA])
        .with_subject_tokens(users.with_policy(ImpersonationPolicy::anyone()))
        .with_clock_skew(0)
        .with_reuse(true)
}

fn policy(app: &str, target: &str) -> AppDraft {
    let policy = DelegationPolicy::new([ClientId::new(app).unwrap()], [resource(target)])
        .with_issuers([EvidenceIssuer::new(IDP).unwrap()])
        .with_users(ImpersonationPolicy::anyone());
    machine_app().flow(Flow::TokenExchange).delegation(policy)
}

/// A request for an exchange, and when it was under way.
struct Call {
    answer: Answer,
    began: Instant,
    ended: Instant,
}

impl<S: Store + 'static, R: Runner + Copy> Scene<S, R> {
    fn new([here, there]: [Arc<S>; 2], runner: R) -> Self {
        let key = || SigningKey::from_hmac_secret(ROOT).unwrap();
        let issuers = Arc::new(MemoryStore::new());
        let world: Shared<S, R> = World::over(here, SystemClock::new(), runner, key(), |builder| {
            configure(builder, &issuers)
        });
        let other = world.beside(key(), there, Arc::clone(&world.users));
        let other = Arc::new(configure(other, &issuers).build());
        world.block_on(world.server.admin("root").add_trusted_issuer(record())).unwrap();
        let web = world.import("web", code_app());
        let orders = world.import("orders", policy("web", FILES));
        let files = world.import("files", policy("orders", MAIL));
        Self { world, other, web, orders, files }
    }

    /// Ends one link at the other server while a chain of two exchanges goes on at this one.
    fn race(&self, link: Link, round: usize, counts: &mut Counts) {
        // Later than every cutoff of the round before.
        let now = self.world.clock_now().as_millis();
        while self.world.clock_now().as_millis() < now + 3 {
            thread::yield_now();
        }
        let user = subject(&format!("{link:?}-{round}"));
        self.world.users.put(User::new(user.clone()));
        let token = self.subject_token(link, &user);
        let first = (link == Link::DerivedGivenBack).then(|| self.exchange(&self.orders, &token));
        // The name of the token is known from an earlier exchange.
        let before = (link == Link::TokenOfIssuer).then(|| self.exchange(&self.orders, &token));
        let end = self.end(link, &user, &token, first.as_ref(), before.as_ref());
        let (start, late) = (Barrier::new(2), round % 3);
        let (calls, ended) = thread::scope(|scope| {
            let ending = scope.spawn(|| {
                start.wait();
                // Some rounds begin with one side, some with the other.
                pause(if late == 1 { round } else { 0 });
                let began = instant();
                let at = end();
                (began, instant(), at)
            });
            start.wait();
            pause(if late == 2 { round } else { 0 });
            let mut calls = Vec::new();
            let mut next = token.clone();
            let mut chain = vec![&self.orders, &self.files];
            if let Some(Call { answer, .. }) = &first {
                answer.text("access_token").clone_into(&mut next);
                chain.remove(0);
            }
            for app in chain {
                let call = self.exchange(app, &next);
                let more = (call.answer.status == 200).then(|| call.answer.text("access_token"));
                let more = more.map(str::to_owned);
                calls.push(call);
                let Some(more) = more else { break };
                next = more;
            }
            (calls, ending.join().unwrap())
        });
        let mut given: Vec<&Answer> =
            [&first, &before].into_iter().flatten().map(|it| &it.answer).collect();
        for call in &calls {
            match call.answer.status {
                200 => given.push(&call.answer),
                _ => check_refusal(link, &call.answer),
            }
        }
        counts.given += given.len();
        counts.refused += calls.iter().filter(|call| call.answer.status != 200).count();
        counts.rounds += 1;
        let overlaps = |call: &&Call| call.began < ended.1 && ended.0 < call.ended;
        counts.met += usize::from(calls.iter().any(|call| overlaps(&call)));
        // All access of an app ends up to an instant. What it asks for later is new access, if the request was still under
        // way then, and its token is dated after the instant.
        let is_later = link == Link::Exchanger
            && calls[0].ended > ended.0
            && given.iter().all(|answer| Some(dated(answer)) > ended.2);
        counts.later += if is_later { given.len() } else { 0 };
        for answer in given.into_iter().filter(|_| !is_later) {
            assert!(self.world.is_revoked(answer), "{link:?} {round}: a token survives {answer:?}");
        }
        // The subject token is dead, too, unless only a token of the exchanger was ended.
        if !matches!(link, Link::DerivedGivenBack | Link::Exchanger) {
            let again = self.exchange(&self.orders, &token).answer;
            assert_ne!(again.status, 200, "{link:?} {round}: a dead token is exchanged");
            check_refusal(link, &again);
        }
        if link == Link::Record {
            let admin = self.world.server.admin("root");
            self.world.block_on(admin.add_trusted_issuer(record())).unwrap();
        }
    }

    fn exchange(&self, app: &App, token: &str) -> Call {
        let kind = if claims_of(token)["iss"] == IDP { "jwt" } else { "access_token" };
        let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
        let form = [GRANT, ("subject_token", token), ("subject_token_type", &*kind)];
        let body = body_of(app, &form);
        let began = instant();
        let answer = self.world.block_on(self.world.server.token(&FormRequest::new(&body)));
        Call { answer: Answer::from(answer), began, ended: instant() }
    }

    /// Signs a token for *orders* as this server does, with every kind of link, or as the trusted issuer does.
    fn subject_token(&self, link: Link, user: &Subject) -> String {
        let now = self.world.clock_now();
        if link.is_foreign() {
            self.world.users.link(&EvidenceIssuer::new(IDP).unwrap(), user.as_str(), user);
            let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
            header.typ = Some("at+jwt".to_owned());
            // Whole seconds would be older than the cutoff of the round before.
            let millis = now.as_millis().rem_euclid(1_000);
            let issued_at = format!("{}.{millis:03}", now.as_seconds());
            let claims = json!({
                "iss": IDP, "sub": user.as_str(), "aud": ORDERS, "exp": now.as_seconds() + 600,
                "iat": serde_json::from_str::<Value>(&issued_at).unwrap(),
            });
            let key = EncodingKey::from_ed_pem(PRIVATE).unwrap();
            return jsonwebtoken::encode(&header, &claims, &key).unwrap();
        }
        let claims = json!({
            "iss": ISSUER, "sub": user.as_str(), "aud": ORDERS, "client_id": "web", "scope": "a b",
            "iat": now.as_seconds(), "exp": now.as_seconds() + 600, "jti": user.as_str(),
            "grant_id": GrantId::generate(&OsRandom::new()).unwrap().to_string(),
            "authorized_at": now.as_millis(), "device": "phone", "sid": session(user).as_str(),
            "evidence_issuer": evidence_issuer(user).as_str(),
        });
        own(&claims)
    }

    /// Returns the end of a link at the other server, which tells its instant if the store does.
    fn end(
        &self,
        link: Link,
        user: &Subject,
        token: &str,
        first: Option<&Call>,
        before: Option<&Call>,
    ) -> impl Fn() -> Option<UnixTime> + Sync {
        let (web, phone) = (self.web.id.clone(), "phone".parse().unwrap());
        let target = match link {
            Link::Grant => Some(RevocationTarget::Grant(grant_of(&claims_of(token)["grant_id"]))),
            Link::App => Some(RevocationTarget::App(web)),
            Link::User => Some(RevocationTarget::Subject(user.clone())),
            Link::AppAndUser => Some(RevocationTarget::AppAndSubject(web, user.clone())),
            Link::Device => Some(RevocationTarget::Device(web, user.clone(), phone)),
            Link::Session => Some(RevocationTarget::Session(session(user))),
            Link::EvidenceIssuer => Some(RevocationTarget::EvidenceIssuer(evidence_issuer(user))),
            Link::Exchanger => Some(RevocationTarget::App(self.orders.id.clone())),
            Link::TrustedIssuer => Some(RevocationTarget::EvidenceIssuer(IDP.parse().unwrap())),
            Link::TokenOfIssuer => {
                let claims = before.unwrap().answer.claims();
                Some(RevocationTarget::Grant(grant_of(&claims["via"][0]["grant_id"])))
            }
            Link::GivenBack | Link::DerivedGivenBack | Link::Record => None,
        };
        let given_back = match first {
            Some(first) => body_of(&self.orders, &[("token", first.answer.text("access_token"))]),
            None => body_of(&self.web, &[("token", token)]),
        };
        move || {
            let admin = self.other.admin("tester");
            if let Some(target) = &target {
                Some(self.world.block_on(admin.revoke(target.clone())).unwrap().at)
            } else if link == Link::Record {
                let issuer = EvidenceIssuer::new(IDP).unwrap();
                Some(self.world.block_on(admin.remove_trusted_issuer(&issuer)).unwrap().at)
            } else {
                let request = FormRequest::new(&given_back);
                self.world.block_on(self.other.revoke(&request)).unwrap();
                None
            }
        }
    }
}

#[track_caller]
fn check_refusal(link: Link, answer: &Answer) {
    answer.assert_error(400, "invalid_request");
    let text = answer.text("error_description");
    let is_gone = link == Link::Record && text.contains("not of an issuer that this server");
    assert!(is_gone || text == "subject_token was revoked", "{link:?}: {answer:?}");
}

fn own(claims: &Value) -> String {
    let mut header = Header::new(jsonwebtoken::Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(ROOT)).unwrap()
}

fn claims_of(token: &str) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Returns the date of a token.
fn dated(answer: &Answer) -> UnixTime {
    UnixTime::from_millis(answer.claims()["authorized_at"].as_i64().unwrap())
}

fn grant_of(id: &Value) -> GrantId {
    id.as_str().unwrap().parse().unwrap()
}

fn session(user: &Subject) -> SessionId {
    SessionId::new(format!("session of {user}")).unwrap()
}

fn evidence_issuer(user: &Subject) -> EvidenceIssuer {
    EvidenceIssuer::new(format!("https://{user}.example")).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the clock of the library counts milliseconds")]
fn instant() -> Instant {
    Instant::now()
}

/// Waits for up to 130 microseconds, without giving up the processor.
fn pause(round: usize) {
    let until = instant() + Duration::from_micros((round % 14 * 10).try_into().unwrap());
    while instant() < until {
        std::hint::spin_loop();
    }
}
