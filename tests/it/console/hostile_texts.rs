//! Every page with hostile texts. A new page is added to `PAGES`.

use grantor::app::{
    AppDraft, Flow, ImpersonationPolicy, JwtSettings, MobileSecurity, RevocationTrust,
    SubjectPattern, TrustedIssuer, UserTrust, WorkloadRule,
};
use grantor::audit::{Action, Actor, AuditEvent};
use grantor::clock::UnixTime;
use grantor::http::console::{Console, ConsoleBrand, Playground};
use grantor::ids::{ClientId, DeviceId, EvidenceIssuer, Group, Subject};
use grantor::jwt::Algorithm;
use grantor::observe::Outcome;
use grantor::protocol::RedirectUri;
use grantor::store::{DeviceKey, MemoryStore};
use grantor::users::Members;

use super::audit::console_with_events;
use super::desk::{Desk, MOUNT, console, registered};
use super::html::{check, tags};
use crate::phones::world_of_phones_with;
use crate::support::{World, code_app, encode, scope, subject};
use crate::trusted_issuers::{idp_keys, trust};

/// The pages, with `{app}` for an app whose every text is hostile and `{text}` for such a text in a query.
const PAGES: &[&str] = &[
    "/apps",
    "/apps?search={text}",
    "/apps?search={text}&state={text}&origin={text}&flow={text}&after={text}&done={text}",
    "/new-app",
    "/apps/{app}",
    "/apps/{app}/settings",
    "/apps/{app}/new-credentials",
    "/apps/{app}/credentials",
    "/apps/{app}/danger",
    "/apps/{app}/danger/delete",
    "/apps/{app}/danger/{text}",
    "/apps/{app}/activity?user={text}&outcome={text}&action={text}&after={text}",
    "/audit",
    "/audit?app={text}",
    "/audit?user={text}",
    "/apps/{app}?done={text}",
    "/apps/{app}/scopes",
    "/apps/{app}/security",
    "/apps/{app}/impersonation",
    "/apps/{app}/impersonation?user={text}",
    "/apps/{app}/preview?flow=authorization_code&user={text}",
    "/apps/{app}/preview?flow=jwt_bearer&user={text}&scope={text}&resource={text}",
    "/apps/{app}/preview?flow={text}&scope={text}",
    "/apps/{app}/users",
    "/apps/{app}/users?user={text}&after={text}",
    "/apps/{app}/users/revoke?user={text}",
    "/apps/{app}/users/revoke?grant={text}",
    "/users/{text}",
    "/users/{text}/revoke",
    "/playground",
    "/playground?search={text}",
    "/playground?app={app}",
    "/playground?app={text}",
    "/apps/{app}/swagger",
    "/playground/callback?code={text}&state={text}&error={text}",
    "/server?done={text}",
    "/server/revoke",
    "/server/import",
    "/issuers",
    "/issuers?search={text}&done={text}",
    "/new-issuer",
    "/issuers/{issuer}",
    "/issuers/{issuer}/settings",
    "/issuers/{issuer}/check",
    "/issuers/{issuer}/check?app={text}&evidence={text}",
    "/issuers/{issuer}/danger",
    "/issuers/{issuer}/danger/remove",
    "/issuers/{issuer}/danger/{text}",
    "/issuers/{text}",
    "/devices",
    "/devices?app={text}&user={text}&state={text}&after={text}",
    "/devices?user={text}",
    "/apps/{app}/devices",
    "/apps/{app}/devices?user={text}&after={text}/{text}/{text}",
    "/devices/{device}",
    "/devices/{device}?done={text}",
    "/devices/{device}/revoke",
    "/devices/{device}/wipe",
    "/devices/{device}/abandon",
    "/devices/{device}/{text}",
    "/devices/{app}/{text}/{text}",
    "/apps/{app}/usage",
    "/apps/{app}/usage?days={text}",
    "/{text}",
    "/apps/{text}",
];

const PLAYGROUND: &str = "https://as.example.com/admin/oauth/playground/callback";

/// The texts of the form of an app.
const FIELDS: &[&str] = &[
    "name",
    "description",
    "authentication",
    "client_keys",
    "client_keys_file",
    "redirect_uris",
    "access_days",
    "refresh_hours",
    "scope",
    "other_scopes",
    "jwt_issuer",
    "jwt_audience",
    "jwt_signed_by",
    "jwt_keys",
    "jwt_user_claim",
    "jwt_allow",
    "jwt_subjects",
    "jwt_groups",
    "jwt_except_subjects",
    "jwt_except_groups",
];

/// Markup, marks of direction, emoji and schemes that run script. The last is 10 KB long.
pub(super) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</textarea></title></style><style>*{display:none}</style>",
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "{{ 7*7 }} {% include \"x\" %} ${x}",
        "&lt;b&gt; &amp;#60;b&amp;#62;",
        "\u{202e}cba\u{2066}\u{202d}\u{200f}",
        "\u{1f469}\u{200d}\u{1f4bb} \u{1f4a9} \u{5d0}\u{5d1}",
        "//evil.example/x",
        "https://evil.example/x",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("<i>x".repeat(2_500));
    texts
}

/// Users and groups that have this text as a name, if they may.
fn hostile_members(text: &str) -> Members {
    let short: String = text.chars().take(60).collect();
    let subjects: Vec<_> = Subject::new(&*short).into_iter().collect();
    let groups: Vec<_> = Group::new(&*short).into_iter().collect();
    Members::subjects(subjects).and_groups(groups)
}

/// A policy that lists this text.
fn hostile_policy(text: &str) -> JwtSettings {
    let list = hostile_members(text);
    let policy = ImpersonationPolicy::members(list.clone()).except(list);
    JwtSettings::signature_secret().with_user_claim("<b>claim").with_impersonation(policy)
}

/// A trusted issuer with hostile texts: its names, the users it knows, the claims and patterns of its workloads.
pub(super) fn hostile_issuer(text: &str) -> TrustedIssuer {
    let short: String = text.chars().take(60).collect();
    let issuer = EvidenceIssuer::new(&*short).unwrap();
    let ascii = if short.is_ascii() { short.replace(' ', "") } else { "x".to_owned() };
    let app = ClientId::new(&*ascii).unwrap();
    let users = UserTrust::new([app.clone()])
        .with_user_claim(&*short)
        .with_policy(hostile_policy(text).impersonation().clone());
    let pattern = SubjectPattern::new(&format!("x:{}", ascii.replace('*', ""))).unwrap();
    let rule = WorkloadRule::new(app, pattern).with_claim(&*short, &*short);
    let ends = RevocationTrust::default().with_users(hostile_members(text));
    TrustedIssuer::new(issuer, &*short, idp_keys(), [Algorithm::ES256])
        .with_id_jag(users.clone())
        .with_subject_tokens(users)
        .with_workloads([rule])
        .with_workload_audience(&*short)
        .with_tenant(&*short)
        .with_global_revocation(ends)
}

/// Trusts an issuer with hostile texts, and returns the segment of its path.
fn trust_hostile(world: &World, desk: &Desk<'_>, text: &str) -> String {
    let record = hostile_issuer(text);
    let name = record.name().to_owned();
    trust(world, record);
    super::issuers::path_of(desk, &name).strip_prefix("/issuers/").unwrap().to_owned()
}

/// H5: hostile texts stay texts, on every page.
#[test]
fn every_page_shows_hostile_texts_as_texts() {
    for text in texts() {
        let world = world_of_phones_with(|builder| builder.trusted_issuers(MemoryStore::new()));
        let short: String = text.chars().take(90).collect();
        let mut rules = MobileSecurity::default();
        rules.remote_wipe = true;
        let draft = AppDraft::confidential(&short)
            .description(text.chars().take(1_000).collect::<String>())
            .flow(Flow::AuthorizationCode)
            .mobile_security(rules)
            .flow(Flow::JwtBearer)
            .jwt(hostile_policy(&text))
            .redirect_uri(
                RedirectUri::parse("https://evil.example/cb?javascript:alert(1)").unwrap(),
            )
            .redirect_uri(RedirectUri::parse("myapp:/javascript:alert(1)").unwrap())
            .scope(scope("<script>alert(1)</script> javascript:alert(1)"));
        let (app, _) = registered(&world, draft);
        // A device has printable ASCII only.
        let device = if short.is_ascii() { &short } else { "phone" };
        super::users::grant_on(&world, &app.id, &short, device, 1);
        // One whose wipe an administrator with such a name has ordered, and one without.
        let [ordered, key] = [device, "tablet"].map(|device| DeviceKey {
            client_id: app.id.clone(),
            subject: subject(&short),
            device_id: DeviceId::new(device).unwrap(),
        });
        for key in [&ordered, &key] {
            super::devices::see(&world, key, Some(&text));
        }
        world.block_on(world.server.admin(&*text).order_wipe(&ordered)).unwrap();
        let actor = Actor::Administrator(text.as_str().into());
        let edit = Action::EditApp { changed: vec![text.clone()] };
        let edit = AuditEvent::new(UnixTime::EPOCH, actor, edit, Outcome::Success);
        let console = console_with_events(&world, &[edit.with_app(&app.id)]);
        let console = console.with_brand(ConsoleBrand::new(&text));
        let console = console.with_playground(Playground::new());
        let desk = Desk::new(&console, "security");
        let own = AppDraft::public(&short)
            .flow(Flow::AuthorizationCode)
            .redirect_uri(RedirectUri::parse(PLAYGROUND).unwrap())
            .scope(scope("<script>alert(1)</script> javascript:alert(1)"));
        world.import(Playground::CLIENT_ID, own);
        let issuer = trust_hostile(&world, &desk, &text);
        let listed = desk.page("/devices");
        let links = tags(&listed);
        let links = links.iter().filter_map(|tag| tag.attribute("href"));
        let devices: Vec<_> =
            links.filter_map(|url| url.strip_prefix("/admin/oauth/devices/")).collect();
        assert_eq!(devices.len(), 2, "{listed}");
        let segments = devices.iter().find(|it| it.ends_with("/tablet")).unwrap();
        let ordered = devices.iter().find(|it| !it.ends_with("/tablet")).unwrap();
        for page in [format!("/devices/{ordered}"), format!("/devices/{ordered}/abandon")] {
            check(&desk.page(&page), MOUNT);
        }
        for page in PAGES {
            // The URI of a request has at most 64 KiB.
            let several = page.matches("{text}").count() > 1;
            let text = if several { &short } else { &text };
            let query = encode(&[("", text)]);
            let page = page.replace("{text}", query.trim_start_matches('='));
            let page = page.replace("{app}", app.id.as_str());
            let page = page.replace("{device}", segments).replace("{issuer}", &issuer);
            let answer = desk.get(&page);
            check(&answer.body, MOUNT);
            if page.starts_with("/apps?") || page.ends_with("/settings") || page.ends_with("/wipe")
            {
                assert_eq!(answer.status, 200, "{page}");
            }
            if page == format!("/issuers/{issuer}/check") {
                for named in ["assertion", "jwt", "access_token", &short] {
                    let fields =
                        ["app", "evidence", "actor", "targets"].map(|name| (name, &*short));
                    let fields = [&fields[..], &[("presented_as", named)]].concat();
                    check(&desk.post(&page, &fields).body, MOUNT);
                    let fields = [&fields[1..], &[("app", app.id.as_str())]].concat();
                    check(&desk.post(&page, &fields).body, MOUNT);
                }
            }
            if page.ends_with(app.id.as_str()) {
                assert!(
                    tags(&answer.body).iter().any(|tag| tag.name == "bdi" && tag.text == short)
                );
            }
        }
    }
}

/// H5: a form comes back with what was typed, and a conflict shows it beside the stored values.
#[test]
fn every_form_shows_hostile_texts_again() {
    for text in texts() {
        let world = World::new();
        let (app, path) = registered(&world, code_app());
        let console = console(&world);
        let desk = Desk::new(&console, "security");
        let all: Vec<(&str, &str)> = FIELDS.iter().map(|name| (*name, &*text)).collect();
        for (below, flows) in [("/new-app", true), ("/new-app", false)] {
            let boxes = [("authorization_code", "on"), ("jwt_bearer", "on")];
            let fields = if flows { [&all[..], &boxes].concat() } else { all.clone() };
            let answer = desk.post(below, &fields);
            assert_eq!(answer.status, 422);
            check(&answer.body, MOUNT);
            let typed = text.trim().replace("\r\n", "\n");
            assert_eq!(super::html::value_of(&answer.body, "name"), typed);
        }
        let (_, backend) = registered(&world, crate::assertions::backend_app());
        let policy = ["allow", "subjects", "groups", "except_subjects", "limit", "scope"];
        let mut policy: Vec<_> = policy.iter().map(|name| (*name, &*text)).collect();
        policy.push(("version", "1"));
        let answer = desk.post(&format!("{backend}/impersonation"), &policy);
        assert_eq!(answer.status, 422);
        check(&answer.body, MOUNT);
        trusted_form_shows_again(&text);
        let settings = format!("{path}/settings");
        let short: String = text.chars().take(90).collect();
        let page = desk.page(&settings);
        world.edit(&app, |draft| draft.name(&short).description(&short));
        let mut fields = super::settings::typed(&page);
        fields.retain(|(name, _)| name != "name" && name != "description");
        let mut fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let own = format!("{short}.");
        fields.extend([("name", &*own), ("description", &*own)]);
        let answer = desk.post(&settings, &fields);
        assert_eq!(answer.status, 409, "{}", answer.body);
        check(&answer.body, MOUNT);
    }
}

/// Sends the form of a trusted issuer with one text in each field.
fn trusted_form_shows_again(text: &str) {
    let world = crate::trusted_issuers::world();
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let new = desk.page("/new-issuer");
    let fields = super::settings::typed(&new);
    let mut typed: Vec<_> = fields.iter().map(|(name, _)| (&**name, text)).collect();
    for (name, value) in [
        ("id_jag", "on"),
        ("subject_tokens", "on"),
        ("workloads", "on"),
        ("global_revocation", "on"),
        ("ends_limited", "on"),
    ] {
        typed.push((name, value));
    }
    let answer = desk.post("/new-issuer", &typed);
    assert_eq!(answer.status, 422);
    check(&answer.body, MOUNT);
    let typed = text.trim().replace("\r\n", "\n");
    assert_eq!(super::html::value_of(&answer.body, "issuer"), typed);
}

/// H5: the name of an administrator is a text like any other.
#[test]
fn the_name_of_an_administrator_is_a_text() {
    let world = World::new();
    let console: super::desk::Desks =
        Console::new(world.server, super::desk::Staff, MOUNT).unwrap();
    let desk = Desk { console: &console, cookie: "staff=<script>x</script>.view.s".to_owned() };
    check(&desk.page("/apps"), MOUNT);
}
