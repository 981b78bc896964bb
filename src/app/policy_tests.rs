use proptest::prelude::*;

use super::*;
use crate::app::{
    AppDraft, DelegationPolicy, DelegationTarget, Flow, IssuerKeys, SubjectPattern, TrustedIssuer,
    UserTrust,
};
use crate::ids::{Group, Resource, Subject};
use crate::jwt::{Algorithm, SigningKey, VerifyingKeys};
use crate::protocol::resources::Resources;
use crate::users::Members;

const NOW: UnixTime = UnixTime::from_seconds(1_000);

fn app(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn user(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().map(|group| Group::new(*group).unwrap());
    User::new(Subject::new(name).unwrap()).with_groups(groups)
}

fn groups(names: &[&str]) -> Members {
    Members::groups(names.iter().map(|name| Group::new(*name).unwrap()))
}

fn settings(policy: Option<ImpersonationPolicy>) -> AppSettings {
    let draft = AppDraft::confidential("app").scope(Scope::parse("a b").unwrap());
    let jwt = policy.map(|it| JwtSettings::signature_secret().with_impersonation(it));
    let flow = if jwt.is_some() { Flow::JwtBearer } else { Flow::ClientCredentials };
    draft.flow(flow).jwt(jwt).build().unwrap()
}

fn idp() -> TrustedIssuer {
    // Keys play no part in the decision.
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap().verifying_key();
    let keys = IssuerKeys::Keys(VerifyingKeys::from(key));
    let issuer = EvidenceIssuer::new("https://idp.example").unwrap();
    TrustedIssuer::new(issuer, "IdP", keys, [Algorithm::EdDSA])
}

fn trust(policy: ImpersonationPolicy) -> UserTrust {
    UserTrust::new([app("app")]).with_policy(policy)
}

fn rule_for(record: &TrustedIssuer, own: Option<ImpersonationPolicy>, user: &User) -> &'static str {
    let settings = settings(own);
    let evidence = Evidence::IdentityAssertion(record);
    decide(&app("app"), &settings, &evidence, Some(user), NOW).rule().as_str()
}

/// An issuer is trusted for one kind of evidence, for the apps that its record names, until it expires.
#[test]
fn an_issuer_is_trusted_for_what_its_record_says_and_for_nothing_else() {
    let ann = user("ann", &["staff"]);
    let anyone = || trust(ImpersonationPolicy::anyone());
    assert_eq!(rule_for(&idp(), None, &ann), "not_trusted");
    assert_eq!(rule_for(&idp().with_subject_tokens(anyone()), None, &ann), "not_trusted");
    let good = idp().with_id_jag(anyone());
    assert_eq!(rule_for(&good, None, &ann), "anyone");
    assert_eq!(rule_for(&good.clone().with_expiry(Some(NOW)), None, &ann), "issuer_expired");
    let later = NOW.plus(std::time::Duration::from_millis(1));
    assert_eq!(rule_for(&good.with_expiry(Some(later)), None, &ann), "anyone");
    let other =
        UserTrust::new([app("App"), app("app2")]).with_policy(ImpersonationPolicy::anyone());
    assert_eq!(rule_for(&idp().with_id_jag(other), None, &ann), "app_not_named");
    // The default policy of a record allows no user.
    assert_eq!(
        rule_for(&idp().with_id_jag(UserTrust::new([app("app")])), None, &ann),
        "none_allowed"
    );
}

/// The policy of the app is for its own assertions. Its exceptions hold for those of others, too.
#[test]
fn the_exceptions_of_an_app_hold_for_every_evidence() {
    let record =
        idp().with_id_jag(trust(ImpersonationPolicy::anyone().except(groups(&["guests"]))));
    let own = || Some(ImpersonationPolicy::none().except(groups(&["admins"])));
    assert_eq!(rule_for(&record, own(), &user("ann", &["staff"])), "anyone");
    assert_eq!(rule_for(&record, own(), &user("eve", &["guests"])), "excepted_group");
    assert_eq!(rule_for(&record, own(), &user("eve", &["guests", "admins"])), "excepted_group");
    assert_eq!(rule_for(&record, own(), &user("root", &["admins"])), "excepted_group_of_app");
    assert_eq!(rule_for(&record, own(), &user("ann", &[]).with_active(false)), "inactive");
    let settings = settings(own());
    let unknown = decide(&app("app"), &settings, &Evidence::IdentityAssertion(&record), None, NOW);
    assert_eq!(
        (unknown.rule(), unknown.outcome()),
        (PolicyRule::UnknownUser, Err(Refusal::UnknownUser))
    );
}

/// The rule that admits a workload is one of the app, and names it in the record of the decision.
#[test]
fn a_workload_is_admitted_by_a_rule_of_its_app() {
    let rule = |name: &str, pattern: &str| {
        WorkloadRule::new(app(name), SubjectPattern::new(pattern).unwrap())
    };
    let record = idp().with_workloads([
        rule("other", "job:*"),
        rule("app", "job:1").with_claim("ns", "prod"),
        rule("app", "job:2").with_scope(Scope::parse("a").unwrap()),
    ]);
    let settings = settings(None);
    let claims = BTreeMap::from([("ns".to_owned(), "test".to_owned())]);
    let asked = |client: &str, subject: &'static str| {
        let workload = Workload { issuer: &record, subject, claims: &claims };
        let decision = decide(&app(client), &settings, &Evidence::Workload(workload), None, NOW);
        let told = decision.record(&[]);
        assert_eq!(told.issuer.as_ref(), Some(record.issuer()));
        (decision.outcome(), told.entry, decision.scope().map(|scope| scope.to_string()))
    };
    assert_eq!(asked("app", "job:2"), (Ok(()), Some("job:2".to_owned()), Some("a".to_owned())));
    assert_eq!(asked("app", "job:1"), (Err(Refusal::NoWorkloadRule), None, None));
    assert_eq!(asked("app", "job:3"), (Err(Refusal::NoWorkloadRule), None, None));
    assert_eq!(asked("other", "job:3"), (Ok(()), Some("job:*".to_owned()), None));
    assert_eq!(asked("third", "job:2"), (Err(Refusal::AppNotNamed), None, None));
}

/// A subject token is refused by the rules that do not depend on its user, before the list.
#[test]
fn a_subject_token_needs_a_listed_source_and_target() {
    let [files, mail] =
        ["https://files.example", "https://mail.example"].map(|name| Resource::new(name).unwrap());
    let policy = DelegationPolicy {
        apps: vec![app("web")],
        targets: vec![files.clone()],
        actors: vec![app("worker")],
        users: ImpersonationPolicy::members(groups(&["staff"])),
        ..DelegationPolicy::default()
    };
    let (web, phone, me, worker) = (app("web"), app("phone"), app("app"), app("worker"));
    let both: Resources = "https://files.example https://mail.example".parse().unwrap();
    let [files, mail] = [files, mail].map(Resources::from);
    let good = SubjectToken {
        policy: Some(&policy),
        source: TokenSource::App(&web),
        is_for_app: true,
        target: DelegationTarget::Apis(&files),
        actor: &me,
        may_act: true,
        actors: 0,
        impersonated: false,
    };
    let record = idp().with_subject_tokens(trust(ImpersonationPolicy::none()));
    let settings = settings(None);
    for (token, user, rule) in [
        (good, user("ann", &["staff"]), "listed_group"),
        (good, user("eve", &[]), "not_listed"),
        (SubjectToken { policy: None, ..good }, user("ann", &["staff"]), "no_delegation_policy"),
        (
            SubjectToken { source: TokenSource::App(&phone), ..good },
            user("ann", &["staff"]),
            "source_not_listed",
        ),
        (
            SubjectToken { source: TokenSource::Issuer(&record), ..good },
            user("ann", &["staff"]),
            "source_not_listed",
        ),
        (
            SubjectToken { target: DelegationTarget::Apis(&mail), ..good },
            user("ann", &["staff"]),
            "target_not_listed",
        ),
        (
            SubjectToken { target: DelegationTarget::Apis(&both), ..good },
            user("ann", &["staff"]),
            "target_not_listed",
        ),
        (
            SubjectToken { is_for_app: false, ..good },
            user("ann", &["staff"]),
            "subject_token_not_for_app",
        ),
        (SubjectToken { actor: &worker, ..good }, user("ann", &["staff"]), "listed_group"),
        (SubjectToken { actor: &phone, ..good }, user("ann", &["staff"]), "actor_not_listed"),
        (SubjectToken { may_act: false, ..good }, user("ann", &["staff"]), "not_may_act"),
        (
            SubjectToken { impersonated: true, ..good },
            user("ann", &["staff"]),
            "impersonated_subject_token",
        ),
        (SubjectToken { actors: 3, ..good }, user("ann", &["staff"]), "listed_group"),
        (SubjectToken { actors: 4, ..good }, user("ann", &["staff"]), "too_many_actors"),
    ] {
        let decision =
            decide(&app("app"), &settings, &Evidence::SubjectToken(token), Some(&user), NOW);
        assert_eq!(decision.rule().as_str(), rule, "{token:?}");
        assert_eq!(decision.outcome().is_ok(), rule == "listed_group");
    }
}

const NAMES: [&str; 4] = ["ann", "bob", "staff", "admins"];

fn any_members() -> impl Strategy<Value = Members> {
    let names = || proptest::sample::subsequence(NAMES.to_vec(), 0..=2);
    (names(), names()).prop_map(|(subjects, groups)| Members {
        subjects: subjects.into_iter().map(|name| Subject::new(name).unwrap()).collect(),
        groups: groups.into_iter().map(|name| Group::new(name).unwrap()).collect(),
    })
}

fn any_policy() -> impl Strategy<Value = ImpersonationPolicy> {
    let allow = prop_oneof![
        Just(ImpersonationPolicy::none()),
        Just(ImpersonationPolicy::anyone()),
        any_members().prop_map(ImpersonationPolicy::members),
    ];
    (allow, any_members()).prop_map(|(policy, except)| policy.except(except))
}

fn any_user() -> impl Strategy<Value = User> {
    let groups = proptest::sample::subsequence(NAMES.to_vec(), 0..=3);
    (0..NAMES.len(), groups, any::<bool>())
        .prop_map(|(name, groups, active)| user(NAMES[name], &groups).with_active(active))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// With every evidence, an allowed user is active and in none of the exceptions, and the policy of the
    /// evidence alone allows. The policies of other evidence have no part in it.
    #[test]
    fn no_evidence_allows_more_than_its_policy(
        own in any_policy(),
        theirs in any_policy(),
        other in any_policy(),
        user in any_user(),
        named in any::<bool>(),
        expired in any::<bool>(),
    ) {
        let settings = settings(Some(own.clone()));
        let client = app(if named { "app" } else { "else" });
        let of_app = decide(&client, &settings, &Evidence::OwnAssertion, Some(&user), NOW);
        prop_assert_eq!(of_app.rule(), PolicyRule::User(own.decide(&user)));

        let record = idp()
            .with_id_jag(trust(theirs.clone()))
            .with_subject_tokens(trust(other))
            .with_expiry(expired.then_some(NOW));
        let evidence = Evidence::IdentityAssertion(&record);
        let of_issuer = decide(&client, &settings, &evidence, Some(&user), NOW);
        let expected = named
            && !expired
            && user.active
            && theirs.permits(&user).is_ok()
            && own.except.find(&user).is_none();
        prop_assert_eq!(of_issuer.outcome().is_ok(), expected, "{:?}", of_issuer);
        // A decision has one rule, and the same again.
        prop_assert_eq!(decide(&client, &settings, &evidence, Some(&user), NOW), of_issuer);
    }

    /// A subject token of an issuer is allowed exactly if the record, the policy of the app for exchanges and the
    /// exceptions of the app's own policy allow it. The scope is below both ceilings.
    #[test]
    fn a_subject_token_of_an_issuer_needs_both_policies(
        own in any_policy(),
        of_app in any_policy(),
        of_record in any_policy(),
        user in any_user(),
        named in any::<bool>(),
        listed in any::<bool>(),
        expired in any::<bool>(),
        scopes in (any::<bool>(), any::<bool>()),
    ) {
        let settings = settings(Some(own.clone()));
        let limited = |policy: &ImpersonationPolicy, limits: bool, scope: &str| {
            let scope = Scope::parse(scope).unwrap();
            if limits { policy.clone().with_scope(scope) } else { policy.clone() }
        };
        let issuers = listed.then(|| idp().issuer().clone());
        let target = Resource::new("https://files.example").unwrap();
        let policy = DelegationPolicy::new([], [target.clone()])
            .with_issuers(issuers)
            .with_users(limited(&of_app, scopes.0, "a b"));
        let record = idp()
            .with_subject_tokens(trust(limited(&of_record, scopes.1, "b c")))
            .with_expiry(expired.then_some(NOW));
        let client = app(if named { "app" } else { "else" });
        let targets = Resources::from(target);
        let token = SubjectToken {
            policy: Some(&policy),
            source: TokenSource::Issuer(&record),
            is_for_app: true,
            target: DelegationTarget::Apis(&targets),
            actor: &client,
            may_act: true,
            actors: 0,
            impersonated: false,
        };
        let decision = decide(&client, &settings, &Evidence::SubjectToken(token), Some(&user), NOW);
        let expected = named
            && listed
            && !expired
            && user.active
            && of_app.permits(&user).is_ok()
            && of_record.permits(&user).is_ok()
            && own.except.find(&user).is_none();
        prop_assert_eq!(decision.outcome().is_ok(), expected, "{:?}", decision);
        let scope = decision.scope().map(|scope| scope.to_string());
        let ceiling = match scopes {
            (true, true) => Some("b"),
            (true, false) => Some("a b"),
            (false, true) => Some("b c"),
            (false, false) => None,
        };
        prop_assert_eq!(scope.as_deref(), ceiling);
    }
}
