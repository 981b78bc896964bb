use super::*;
use crate::jwt::SigningKey;
use crate::users::Members;

fn keys() -> VerifyingKeys {
    VerifyingKeys::from(SigningKey::generate(Algorithm::EdDSA).unwrap().verifying_key())
}

fn record() -> TrustedIssuer {
    let issuer = EvidenceIssuer::new("https://idp.example").unwrap();
    TrustedIssuer::new(issuer, "IdP", IssuerKeys::Keys(keys()), [Algorithm::EdDSA])
}

fn trust() -> UserTrust {
    UserTrust::new([ClientId::new("wiki").unwrap()])
}

fn rule(pattern: &str) -> WorkloadRule {
    WorkloadRule::new(ClientId::new("ci").unwrap(), SubjectPattern::new(pattern).unwrap())
}

/// A `*` never stands for a part of a segment, for no segment, or for more than one except at the end.
#[test]
fn a_pattern_of_subjects_matches_whole_segments() {
    for (pattern, yes, no) in [
        (
            "repo:acme/site:ref:refs/heads/main",
            &["repo:acme/site:ref:refs/heads/main"][..],
            &[
                "repo:acme/site:ref:refs/heads/main2",
                "repo:acme/site:ref:refs/heads/mai",
                "repo:acme/site:ref:refs/heads/Main",
                "repo:acme:site:ref:refs/heads/main",
                "repo:acme/site:ref:refs/heads/main:",
                " repo:acme/site:ref:refs/heads/main",
                "repo:acme/site:ref:refs/heads/main\n",
            ][..],
        ),
        (
            "repo:acme/*:environment:prod",
            &["repo:acme/site:environment:prod", "repo:acme/*:environment:prod"],
            &[
                "repo:acme/:environment:prod",
                "repo:acme/a/b:environment:prod",
                "repo:acme/a:b:environment:prod",
                "repo:acme/site/environment:prod",
                "repo:acme2/site:environment:prod",
                "repo:evil/acme/site:environment:prod",
            ],
        ),
        (
            "repo:acme/site:*",
            &["repo:acme/site:pull_request", "repo:acme/site:ref:refs/heads/x"],
            &[
                "repo:acme/site:",
                "repo:acme/site",
                "repo:acme/sitemap:x",
                "repo:acme/site::x",
                "repo:acme/site:/x",
            ],
        ),
        (
            "spiffe://prod.example/ns/*/sa/api",
            &["spiffe://prod.example/ns/pay/sa/api"],
            &["spiffe://prod.example/ns//sa/api", "spiffe://prod.example.evil/ns/pay/sa/api"],
        ),
        ("job", &["job"], &["job:1", "jo", ""]),
    ] {
        let pattern = SubjectPattern::new(pattern).unwrap();
        for subject in yes {
            assert!(pattern.matches(subject), "{pattern} {subject}");
        }
        for subject in no {
            assert!(!pattern.matches(subject), "{pattern} {subject}");
        }
    }
}

#[test]
fn a_pattern_that_would_match_too_much_is_refused() {
    let long = "a".repeat(256);
    for bad in
        ["", "*", "*:x", ":x", "/x", "a*", "a:*b", "a:**", "a b", "a:\u{e9}", ".*\n", long.as_str()]
    {
        assert!(SubjectPattern::new(bad).is_err(), "{bad}");
        assert!(serde_json::from_value::<SubjectPattern>(bad.into()).is_err(), "{bad}");
    }
    // Not a regular expression: these are compared as given.
    assert!(!SubjectPattern::new("a.c").unwrap().matches("abc"));
    assert!(!SubjectPattern::new("a|b").unwrap().matches("a"));
}

#[test]
fn a_workload_needs_every_claim_exactly() {
    let rule = rule("job:*").with_claim("ns", "prod").with_claim("id", "7");
    let claims = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert!(rule.admits("job:1", &claims(&[("ns", "prod"), ("id", "7"), ("x", "y")])));
    for other in [
        &[("ns", "prod")][..],
        &[("ns", "Prod"), ("id", "7")],
        &[("ns", "prod"), ("id", "70")],
        &[],
    ] {
        assert!(!rule.admits("job:1", &claims(other)), "{other:?}");
    }
    assert!(!rule.admits("job", &claims(&[("ns", "prod"), ("id", "7")])));
}

#[test]
fn a_record_is_plain_json_and_reads_back() {
    let full = record()
        .with_id_jag(
            trust().with_user_claim("aud_sub").with_email(true).with_required_resource(true),
        )
        .with_subject_tokens(trust().with_policy(ImpersonationPolicy::anyone()))
        .with_workloads([rule("job:*").with_claim("ns", "prod").with_authentication(true)])
        .with_workload_audience("api://acme")
        .with_tenant("acme")
        .with_reuse(true)
        .with_expiry(Some(UnixTime::from_seconds(9)))
        .with_global_revocation(
            RevocationTrust::default()
                .with_subject(true)
                .with_email(true)
                .with_users(Members::subjects(["ann".parse().unwrap()])),
        );
    for record in [record(), full] {
        record.check().unwrap();
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<TrustedIssuer>(&json).unwrap(), record);
    }
    let mut json = serde_json::to_value(record()).unwrap();
    json["trusts_everything"] = true.into();
    assert!(serde_json::from_value::<TrustedIssuer>(json).is_err());
}

#[test]
fn a_record_with_a_setting_out_of_range_is_refused_by_its_name() {
    let secret = crate::jwt::VerifyingKey::from_hmac_secret(&[7; 32]).unwrap();
    let with_keys = |keys, algorithms: &[Algorithm]| {
        TrustedIssuer::new(
            record().issuer,
            "IdP",
            IssuerKeys::Keys(keys),
            algorithms.iter().copied(),
        )
    };
    let many = Members::subjects(vec!["ann".parse().unwrap(); 1_001]);
    for (bad, field) in [
        (TrustedIssuer { name: String::new(), ..record() }, "name"),
        (TrustedIssuer { name: "a\nb".to_owned(), ..record() }, "name"),
        (with_keys(VerifyingKeys::from(secret), &[Algorithm::EdDSA]), "keys"),
        (with_keys(keys(), &[]), "algorithms"),
        (with_keys(keys(), &[Algorithm::EdDSA, Algorithm::HS256]), "algorithms"),
        (record().with_max_lifetime(0), "max_lifetime"),
        (record().with_max_lifetime(86_401), "max_lifetime"),
        (record().with_clock_skew(301), "clock_skew"),
        (record().with_tenant(""), "tenant"),
        (record().with_workload_audience("a".repeat(256)), "workload_audience"),
        (record().with_id_jag(UserTrust::new([])), "id_jag.apps"),
        (record().with_id_jag(trust().with_user_claim("")), "id_jag.user_claim"),
        (
            record().with_subject_tokens(trust().with_user_claim("email")),
            "subject_tokens.user_claim",
        ),
        (record().with_workloads(vec![rule("job"); 101]), "workloads"),
        (record().with_workloads([rule("job").with_claim("", "x")]), "workloads"),
        (record().with_workloads([rule("job").with_claim("x", "")]), "workloads"),
        (
            record().with_global_revocation(RevocationTrust::default().with_users(many)),
            "global_revocation.users",
        ),
    ] {
        assert_eq!(bad.check().unwrap_err().field(), field, "{bad:?}");
    }
}
