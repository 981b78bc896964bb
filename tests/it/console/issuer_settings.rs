//! *New issuer* and *Settings* of a trusted issuer, and conflicts.

use grantor::app::{
    ImpersonationPolicy, IssuerKeys, RevocationTrust, SubjectPattern, TrustedIssuer, UserTrust,
    WorkloadRule,
};
use grantor::audit::Actor;
use grantor::clock::UnixTime;
use grantor::ids::{ClientId, Group};
use grantor::jwt::Algorithm;
use grantor::users::Members;
use serde_json::json;

use super::desk::{Desk, MOUNT, console, reported};
use super::html::{check, tags, value_of, words};
use super::issuers::path_of;
use super::settings::{typed, with};
use crate::assertions::fixture;
use crate::support::{World, scope, subject};
use crate::trusted_issuers::{IDP, ask, idp, trust, wiki, world};

fn records(world: &World) -> Vec<TrustedIssuer> {
    let all = world.block_on(world.server.admin("x").trusted_issuers()).unwrap();
    all.into_iter().map(|record| record.settings).collect()
}

/// A record with every setting.
fn whole(app: &ClientId) -> TrustedIssuer {
    let list = Members::subjects([subject("ann")]).and_groups([Group::new("staff").unwrap()]);
    let except = Members::subjects([subject("root")]);
    let users = UserTrust::new([app.clone()])
        .with_user_claim("employee")
        .with_email(true)
        .with_policy(ImpersonationPolicy::members(list).except(except).with_scope(scope("a b")));
    let rule =
        |pattern: &str| WorkloadRule::new(app.clone(), SubjectPattern::new(pattern).unwrap());
    let revocation = RevocationTrust::default().with_subject(true).with_email(true);
    let ended = Members::subjects([subject("bob")]).and_groups([Group::new("guests").unwrap()]);
    idp()
        .with_id_jag(users.clone().with_required_resource(true))
        .with_subject_tokens(users)
        .with_workloads([
            rule("repo:acme/site:*")
                .with_claim("repository_owner_id", "65")
                .with_claim("environment", "prod = blue")
                .with_authentication(true)
                .with_scope(scope("c")),
            rule("system:serviceaccount:prod:api"),
        ])
        .with_workload_audience("https://api.example.com")
        .with_tenant("blue")
        .with_reuse(true)
        .with_max_lifetime(90)
        .with_clock_skew(30)
        .with_expiry(Some(UnixTime::from_millis(4_000_000_000_123)))
        .with_global_revocation(revocation.with_users(ended))
}

/// H24: an unchanged form changes nothing, so that every setting has a field; and the role `Security` alone has a form.
#[test]
fn an_unchanged_form_of_a_whole_record_changes_nothing() {
    let world = world();
    let app = world.register(wiki());
    trust(&world, whole(&app.id));
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let settings = format!("{}/settings", path_of(&desk, "Acme"));
    let page = desk.page(&settings);
    check(&page, MOUNT);
    let fields = typed(&page);
    let same = desk.post(&settings, &with(&fields, &[]));
    assert_eq!(reported(&same), format!("{MOUNT}{settings}?done=unchanged"), "{fields:?}");
    assert_eq!(records(&world), [whole(&app.id)]);
    for role in ["view", "edit"] {
        let other = Desk::new(&console, role);
        let looked = other.page(&settings);
        check(&looked, MOUNT);
        assert!(!looked.contains("method=\"post\"") && looked.contains("can change these"));
        assert_eq!(other.post(&settings, &with(&fields, &[])).status, 403);
        assert_eq!(other.get("/new-issuer").status, 403);
        assert_eq!(other.post("/new-issuer", &[]).status, 403);
        assert!(!other.page("/issuers").contains("/new-issuer"));
    }
}

/// H15, H24: an issuer is added by the form, its evidence is accepted at once, and an edit that takes a user away holds at
/// once.
#[test]
fn an_issuer_is_added_and_edited_by_its_form() {
    let world = world();
    let app = world.register(wiki());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let new = desk.page("/new-issuer");
    check(&new, MOUNT);
    let (fields, keys) = (typed(&new), fixture("p256_public"));
    let changed = [
        ("name", "Acme"),
        ("issuer", IDP),
        ("keys", &*keys),
        ("id_jag", "on"),
        ("id_jag_apps", app.id.as_str()),
        ("id_jag_allow", "members"),
        ("id_jag_groups", "staff"),
    ];
    ask(&world, &app, &json!({})).assert_error(400, "invalid_grant");
    let added = desk.post("/new-issuer", &with(&fields, &changed));
    let link = reported(&added);
    assert!(link.ends_with("?done=issuer-added"), "{link}");
    assert_eq!(world.last_event().action.as_str(), "add_trusted_issuer");
    assert_eq!(world.last_event().actor, Actor::Administrator("ann".into()));
    assert_eq!(ask(&world, &app, &json!({})).status, 200);
    let again = desk.post("/new-issuer", &with(&fields, &changed));
    assert_eq!(again.status, 422);
    assert!(again.body.contains("The server trusts this issuer already."));

    let settings = format!("{}/settings", path_of(&desk, "Acme"));
    let fields = typed(&desk.page(&settings));
    let changed = [
        ("id_jag_except_subjects", "ann"),
        ("workloads", "on"),
        ("rule_1_app", app.id.as_str()),
        ("rule_1_subject", "repo:acme/*"),
        ("rule_1_claims", "owner_id = 65\r\nref=main"),
        ("expires", "2100-01-31 12:00"),
        ("global_revocation", "on"),
        ("ends_by_email", "on"),
        ("ends_limited", "on"),
        ("ends_groups", "staff\r\nguests"),
    ];
    let saved = desk.post(&settings, &with(&fields, &changed));
    assert_eq!(reported(&saved), format!("{MOUNT}{settings}?done=saved"));
    assert_eq!(world.last_event().action.as_str(), "edit_trusted_issuer");
    assert_eq!(world.last_event().actor, Actor::Administrator("ann".into()));
    ask(&world, &app, &json!({})).assert_error(400, "invalid_grant");
    let all = records(&world);
    let [record] = &all[..] else { panic!() };
    let claims: Vec<_> = record.workloads()[0].claims().iter().collect();
    let [owner, reference] = &claims[..] else { panic!("{claims:?}") };
    assert_eq!((owner.0.as_str(), owner.1.as_str()), ("owner_id", "65"));
    assert_eq!((reference.0.as_str(), reference.1.as_str()), ("ref", "main"));
    assert_eq!(record.expires_at(), Some(UnixTime::from_seconds(4_105_080_000)));
    assert_eq!(record.algorithms(), [Algorithm::ES256, Algorithm::RS256]);
    let listed = ["staff", "guests"].map(|group| Group::new(group).unwrap());
    let ends = RevocationTrust::default().with_email(true).with_users(Members::groups(listed));
    assert_eq!(record.global_revocation(), Some(&ends));
    // The rule goes with its texts, and the list of users with its box.
    let fields = typed(&desk.page(&settings));
    let empty = [
        ("rule_1_app", ""),
        ("rule_1_subject", ""),
        ("rule_1_claims", ""),
        ("workloads", ""),
        ("ends_limited", ""),
    ];
    assert_eq!(desk.post(&settings, &with(&fields, &empty)).status, 303);
    let record = &records(&world)[0];
    assert!(record.workloads().is_empty());
    assert_eq!(record.global_revocation(), Some(&RevocationTrust::default().with_email(true)));
}

/// H24: each wrong field has its sentence beside it, the cursor is in the first, nothing is lost, and nothing is stored.
#[test]
fn each_wrong_field_has_its_sentence() {
    let world = world();
    let app = world.register(wiki());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let fields = typed(&desk.page("/new-issuer"));
    let good = [
        ("name", "Acme"),
        ("issuer", IDP),
        ("keys", "https://idp.example/keys"),
        ("id_jag", "on"),
        ("id_jag_apps", app.id.as_str()),
        ("workloads", "on"),
        ("rule_1_app", app.id.as_str()),
        ("rule_1_subject", "repo:acme/*"),
        ("global_revocation", "on"),
    ];
    for (field, wrong, sentence) in [
        ("name", "", "Give the issuer a name."),
        ("issuer", "", "Write the iss of the issuer"),
        ("keys", "", "Write the URL of the keys"),
        ("keys", "https://u@idp.example/", "Must be an https URL"),
        ("keys", "nonsense", "."),
        ("max_lifetime_days", "x", "Write whole numbers"),
        ("max_lifetime_days", "2", "Must be 1 to 86400 seconds."),
        ("clock_skew", "x", "Write a whole number from 0 to 300."),
        ("clock_skew", "301", "Must be 0 to 300 seconds."),
        ("expires", "soon", "Write a day, or a day and a time"),
        ("id_jag_apps", "", "Name at least one app"),
        ("id_jag_apps", "wiki", "There is no app wiki."),
        ("id_jag_user_claim", "email", "leave this empty and tick the box below"),
        ("id_jag_allow", "members", "List a user or a group"),
        ("id_jag_except_groups", " staff", "it begins or ends with a space"),
        ("id_jag_limit", "listed", "List a scope"),
        ("rule_1_app", "", "It "),
        ("rule_1_app", "gone", "There is no app gone."),
        ("rule_1_subject", "*", "Must not begin with `*`"),
        ("rule_1_claims", "owner", "it is not like repository_owner_id = 65"),
        ("rule_1_limited", "on", "List a scope"),
        ("ends_limited", "on", "List a user or a group, or let the issuer end"),
        ("ends_subjects", " ann", "it begins or ends with a space"),
        ("ends_groups", "a\tb", "Line 1"),
    ] {
        let typed: Vec<_> = with(&fields, &good);
        let typed: Vec<_> = typed.into_iter().filter(|(name, _)| *name != field).collect();
        let ends = [("ends_limited", "on")];
        let ends =
            if field.starts_with("ends_") && field != "ends_limited" { &ends[..] } else { &[] };
        let answer = desk.post("/new-issuer", &[&typed[..], &[(field, wrong)], ends].concat());
        assert_eq!(answer.status, 422, "{field} {wrong}");
        check(&answer.body, MOUNT);
        let beside = match field {
            "max_lifetime_days" => "max_lifetime",
            "id_jag_allow" => "id_jag_subjects",
            "id_jag_limit" => "id_jag_scope",
            "rule_1_limited" => "rule_1_scope",
            "ends_limited" => "ends_subjects",
            field => field,
        };
        let tags = tags(&answer.body);
        let place = format!("{beside}_error");
        let at = tags.iter().position(|tag| tag.attribute("id") == Some(&place));
        let at = at.unwrap_or_else(|| panic!("{field} {wrong}: {}", words(&answer.body)));
        let said = tags[at..].iter().find(|tag| tag.name == "bdi").unwrap();
        assert!(said.text.contains(sentence), "{field} {wrong}: {}", said.text);
        let focus: Vec<_> =
            tags.iter().filter(|tag| tag.attribute("autofocus").is_some()).collect();
        assert_eq!(focus.len(), 1, "{field} {wrong}");
        assert!(focus[0].attribute("id").unwrap().starts_with(beside), "{field}: {focus:?}");
    }
    let many = [("algorithm", ""), ("rule_1_app", ""), ("rule_1_subject", "")];
    let answer = desk.post("/new-issuer", &with(&with_names(&fields, &good), &many));
    let said = words(&answer.body);
    for sentence in ["Choose at least one algorithm.", "Write a rule, or trust the issuer not"] {
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
    assert_eq!(value_of(&answer.body, "issuer"), IDP);
    assert_eq!(records(&world), []);
    // An issuer of this name would be the server itself.
    let own = [("issuer", crate::support::ISSUER)];
    let answer = desk.post("/new-issuer", &with(&with_names(&fields, &good), &own));
    assert!(words(&answer.body).contains("Must not be this server."), "{}", answer.body);
}

fn with_names(fields: &[(String, String)], changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = with(fields, changed);
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// H24: a button adds the fields of one more rule, without script, and keeps what was typed.
#[test]
fn a_button_adds_the_fields_of_one_more_rule() {
    let world = world();
    let app = world.register(wiki());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let fields = typed(&desk.page("/new-issuer"));
    let keys = fixture("p256_public");
    let first = [
        ("name", "Builds"),
        ("issuer", IDP),
        ("keys", &*keys),
        ("workloads", "on"),
        ("rule_1_app", app.id.as_str()),
        ("rule_1_subject", "repo:acme/site"),
        ("more", "on"),
    ];
    let more = desk.post("/new-issuer", &with(&fields, &first));
    assert_eq!(more.status, 200);
    check(&more.body, MOUNT);
    assert_eq!(value_of(&more.body, "rules"), "2");
    assert_eq!(value_of(&more.body, "rule_1_subject"), "repo:acme/site");
    let fields = typed(&more.body);
    let second = [("rule_2_app", app.id.as_str()), ("rule_2_subject", "repo:acme/api")];
    assert_eq!(desk.post("/new-issuer", &with(&fields, &second)).status, 303);
    let all = records(&world);
    let [record] = &all[..] else { panic!() };
    let subjects: Vec<_> = record.workloads().iter().map(|it| it.subject().as_str()).collect();
    assert_eq!(subjects, ["repo:acme/site", "repo:acme/api"]);
    assert!(matches!(record.keys(), IssuerKeys::Keys(_)));
    for count in ["0", "x", "99999999999"] {
        let asked = [("rules", count), ("more", "on")];
        assert_eq!(desk.post("/new-issuer", &with(&fields, &asked)).status, 200, "{count}");
    }
}

/// H8, H24: the second of two administrators sees both versions of an issuer, and loses nothing.
#[test]
fn a_conflict_about_an_issuer_shows_both_versions() {
    let world = world();
    let app = world.register(wiki());
    trust(&world, idp());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let settings = format!("{}/settings", path_of(&desk, "Acme"));
    let opened = typed(&desk.page(&settings));
    let theirs = [("name", "Acme of others"), ("tenant", "red")];
    assert_eq!(desk.post(&settings, &with(&opened, &theirs)).status, 303);
    let mine = [
        ("name", "Acme of mine"),
        ("id_jag", "on"),
        ("id_jag_apps", app.id.as_str()),
        ("global_revocation", "on"),
        ("ends_by_subject", "on"),
    ];
    let conflict = desk.post(&settings, &with(&opened, &mine));
    assert_eq!(conflict.status, 409);
    check(&conflict.body, MOUNT);
    let said = words(&conflict.body);
    let issuer = |page: &str| {
        let own = tags(page).into_iter().skip_while(|tag| tag.attribute("id") != Some("form"));
        own.into_iter().any(|tag| tag.name == "bdi" && tag.text == IDP)
    };
    assert!(issuer(&conflict.body), "the issuer has no field, and stays on the page");
    let wrong = desk.post(&settings, &with(&opened, &[("name", "")]));
    assert!(wrong.status == 422 && issuer(&wrong.body));
    for text in [
        "Another administrator has changed this issuer",
        "Name Acme of mine Acme of others",
        "Tenant empty red",
        "Users, by identity assertion yes no",
        "It may end all access of a user yes no",
        "Also by the sub of this server yes empty",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert_eq!(records(&world)[0].name(), "Acme of others");
    let fields = typed(&conflict.body);
    assert_eq!(desk.post(&settings, &with(&fields, &[])).status, 303);
    assert_eq!(records(&world)[0].name(), "Acme of mine");
    // A form that guesses the next version is a conflict, too.
    let guessed = [("version", "9007199254740991")];
    assert_eq!(desk.post(&settings, &with(&fields, &guessed)).status, 409);
}
