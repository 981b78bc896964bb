//! Trusted issuers that the configuration declares, or that an import brings.

use std::sync::Arc;

use grantor::admin::{AdminError, ApplyError, DeclaredApps, ImportError, IssuerChanges};
use grantor::app::{
    AppDraft, DelegationPolicy, Flow, ImpersonationPolicy, RevocationTrust, TrustedIssuer,
};
use grantor::ids::{EvidenceIssuer, Resource};
use grantor::store::MemoryStore;
use grantor::users::Members;
use pollster::block_on;
use serde_json::{Value, json};

use super::{id, machine, public_pem};
use crate::support::{App, World, machine_app, scope, subject};

fn world() -> World {
    World::with(|builder| builder.trusted_issuers(MemoryStore::new()))
}

fn issuer(host: &str, change: &Value) -> Value {
    let json = json!({
        "issuer": format!("https://{host}"),
        "name": host,
        "keys": { "keys": public_pem() },
        "algorithms": ["ES256"],
        "id_jag": { "apps": ["one"], "policy": { "allow": "anyone" } },
    });
    crate::assertions::with(&json, change)
}

fn read(apps: &Value, issuers: &Value) -> Result<DeclaredApps, String> {
    let whole = json!({ "apps": apps, "trusted_issuers": issuers }).to_string();
    DeclaredApps::from_json(&whole, |_| Err("none".to_owned())).map_err(|it| it.to_string())
}

fn apply(world: &World, apps: &Value, issuers: &Value) -> IssuerChanges {
    let declared = read(apps, issuers).unwrap();
    let admin = world.server.admin("deploy");
    let planned = block_on(admin.plan(&declared)).unwrap();
    let applied = block_on(admin.apply(&declared)).unwrap();
    assert_eq!(planned, applied);
    applied.issuers
}

/// Returns the stored issuers, and whether the configuration declares them.
fn stored(world: &World) -> Vec<String> {
    let all = block_on(world.server.admin("t").trusted_issuers()).unwrap();
    all.iter().map(|it| format!("{} {}", it.settings.issuer().as_str(), it.declared)).collect()
}

fn shown(changes: &IssuerChanges) -> Value {
    serde_json::to_value(changes).unwrap()
}

/// Z60: a declaration adds, changes and removes its issuers. Applied again, it writes nothing.
#[test]
fn a_declaration_makes_the_trusted_issuers_agree() {
    let world = world();
    let apps = json!([machine("one", "a")]);
    let both = json!([issuer("a.example", &json!({})), issuer("b.example", &json!({}))]);
    let names = json!(["https://a.example", "https://b.example"]);
    assert_eq!(shown(&apply(&world, &apps, &both)), json!({ "added": names }));
    assert_eq!(stored(&world), ["https://a.example true", "https://b.example true"]);
    let events = world.events();
    let actions: Vec<_> = events.iter().rev().map(|it| it.action.as_str()).collect();
    assert_eq!(actions, ["import_app", "add_trusted_issuer", "add_trusted_issuer"]);
    let versions = block_on(world.server.admin("t").trusted_issuers()).unwrap();
    for _ in 0..2 {
        assert_eq!(shown(&apply(&world, &apps, &both)), json!({ "unchanged": names }));
    }
    assert_eq!(world.events().len(), events.len());
    assert_eq!(block_on(world.server.admin("t").trusted_issuers()).unwrap(), versions);

    // Settings that an administrator edits go back.
    let admin = world.server.admin("ann");
    let edited = versions[0].settings.clone().with_clock_skew(3);
    let edited = block_on(admin.edit_trusted_issuer(versions[0].version, edited)).unwrap();
    assert!(edited.declared);
    let changed =
        json!([issuer("a.example", &json!({})), issuer("b.example", &json!({ "tenant": "t" }))]);
    assert_eq!(
        shown(&apply(&world, &apps, &changed)),
        json!({ "changed": [
            { "issuer": "https://a.example", "changed": ["clock_skew"] },
            { "issuer": "https://b.example", "changed": ["tenant"] },
        ] })
    );
    // A member that is left out has its default again.
    let back = apply(&world, &apps, &both);
    assert_eq!(shown(&back)["changed"][0]["changed"], json!(["tenant"]));

    // One that an administrator trusts is not touched.
    let record: TrustedIssuer = serde_json::from_value(issuer(
        "c.example",
        &json!({ "keys": { "uri": "https://c.example/keys" } }),
    ))
    .unwrap();
    block_on(admin.add_trusted_issuer(record)).unwrap();
    let one = json!([issuer("b.example", &json!({}))]);
    let removed = apply(&world, &apps, &one);
    assert_eq!(shown(&removed)["removed"], json!(["https://a.example"]));
    assert_eq!(world.last_event().action.as_str(), "remove_trusted_issuer");
    assert_eq!(stored(&world), ["https://b.example true", "https://c.example false"]);
    let taken = read(&apps, &json!([issuer("c.example", &json!({}))])).unwrap();
    let refused = block_on(admin.apply(&taken)).unwrap_err();
    assert!(
        matches!(&refused, ApplyError::Invalid(it) if it.problems()[0].path == "trusted_issuers[0].issuer"),
        "{refused:?}"
    );
    // A file of before declares none.
    let old = DeclaredApps::from_value(json!({ "apps": apps }), |_| Err(String::new())).unwrap();
    let applied = block_on(admin.apply(&old)).unwrap();
    assert_eq!(shown(&applied.issuers), json!({ "removed": ["https://b.example"] }));
    assert_eq!(stored(&world), ["https://c.example false"]);
}

/// Z60: a server without a store of issuers, and one that has too many, write nothing of the file.
#[test]
fn a_declaration_that_does_not_fit_changes_nothing() {
    let without = World::new();
    let apps = json!([machine("one", "a")]);
    let declared = read(&apps, &json!([issuer("a.example", &json!({}))])).unwrap();
    let admin = without.server.admin("deploy");
    let refused = block_on(admin.apply(&declared)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "trusted_issuers: need a server with ServerBuilder::trusted_issuers"
    );
    let refused = block_on(admin.plan_import(&declared)).unwrap_err();
    assert!(matches!(refused, ImportError::Invalid(_)));
    assert!(block_on(admin.find(&id("one"))).unwrap().is_none());
    assert_eq!(without.events().len(), 0);
    // Without issuers, it needs none.
    let fits = read(&apps, &json!([])).unwrap();
    assert!(block_on(admin.apply(&fits)).unwrap().issuers.is_unchanged());
    assert!(block_on(admin.export_all()).unwrap().trusted_issuers().is_empty());

    let world = world();
    let own = read(&apps, &json!([issuer("as.example.com", &json!({}))])).unwrap();
    let refused = block_on(world.server.admin("deploy").apply(&own)).unwrap_err();
    assert_eq!(refused.to_string(), "trusted_issuers[0].issuer: must not be this server");
    let many = |from: usize, to: usize| -> Value {
        (from..to).map(|at| issuer(&format!("{at}.example"), &json!({}))).collect()
    };
    assert!(read(&apps, &many(0, 101)).unwrap_err().contains("at most 100"));
    let admin = world.server.admin("ann");
    let imported = read(&json!([]), &many(0, 60)).unwrap();
    let plan = block_on(admin.plan_import(&imported)).unwrap().fingerprint();
    let done = block_on(admin.import_all(&imported, &plan)).unwrap();
    assert_eq!(done.issuers.added.len(), 60);
    let refused = block_on(admin.apply(&read(&apps, &many(60, 101)).unwrap())).unwrap_err();
    assert!(refused.to_string().contains("more than a server trusts"), "{refused}");
    assert!(block_on(admin.find(&id("one"))).unwrap().is_none());
    let twice = json!([issuer("a.example", &json!({})), issuer("a.example", &json!({}))]);
    let problem = "trusted_issuers[1].issuer: is that of trusted_issuers[0], too";
    assert_eq!(read(&apps, &twice).unwrap_err(), problem);
}

/// Z60: an import shows what it would do, does that and no more, and leaves issuers of the configuration alone.
#[test]
fn an_import_of_issuers_does_what_its_plan_says() {
    let world = world();
    let apps = json!([machine("one", "a")]);
    apply(&world, &apps, &json!([issuer("a.example", &json!({}))]));
    let admin = world.server.admin("ann");
    let taken = read(&json!([]), &json!([issuer("a.example", &json!({ "reuse": true }))])).unwrap();
    let refused = block_on(admin.plan_import(&taken)).unwrap_err();
    assert!(refused.to_string().contains("that the host's configuration declares"), "{refused}");

    let file = |name: &str| {
        read(&json!([]), &json!([issuer("b.example", &json!({ "name": name }))])).unwrap()
    };
    let import = |file: &DeclaredApps| {
        let plan = block_on(admin.plan_import(file)).unwrap();
        let done = block_on(admin.import_all(file, &plan.fingerprint())).unwrap();
        assert!(done.failed_issuer.is_none());
        assert_eq!(
            (done.issuers.added, done.issuers.changed),
            (plan.issuers.added, plan.issuers.changed)
        );
    };
    import(&file("B"));
    let renamed = block_on(admin.plan_import(&file("C"))).unwrap();
    assert_eq!(renamed.issuers.changed[0].changed, ["name"]);
    assert!(!renamed.is_unchanged());
    // Another administrator was first: another version is another plan.
    let record = block_on(admin.trusted_issuers()).unwrap().remove(1);
    block_on(admin.edit_trusted_issuer(record.version, record.settings)).unwrap();
    let late = block_on(admin.import_all(&file("C"), &renamed.fingerprint()));
    assert!(matches!(late, Err(ImportError::Changed)), "{late:?}");
    import(&file("C"));
    assert!(block_on(admin.plan_import(&file("C"))).unwrap().is_unchanged());
    assert_eq!(stored(&world), ["https://a.example true", "https://b.example false"]);
}

/// Z61: a server's apps and issuers are the same elsewhere, each setting, and a second import changes nothing.
#[test]
fn delegation_and_issuers_travel_whole() {
    let (from, to) = (world(), world());
    let api = |name: &str| Resource::new(format!("https://{name}.example")).unwrap();
    let users =
        ImpersonationPolicy::members(Members::subjects([subject("ann")])).with_scope(scope("a"));
    let mut policy =
        DelegationPolicy::new([id("web")], [api("files"), api("mail")]).with_users(users);
    policy.issuers = vec![EvidenceIssuer::new("https://a.example").unwrap()];
    policy.actors = vec![id("desk")];
    policy.max_actors = 2;
    policy.impersonated = true;
    let draft: AppDraft = machine_app().flow(Flow::TokenExchange).delegation(policy.clone());
    let app: App = from.import("one", draft);
    let revocation = RevocationTrust::default().with_email(true);
    let record: TrustedIssuer = serde_json::from_value(issuer(
        "a.example",
        &json!({ "keys": { "uri": "https://a.example/keys" } }),
    ))
    .unwrap();
    let record = record.with_global_revocation(revocation);
    block_on(from.server.admin("ann").add_trusted_issuer(record)).unwrap();

    let exported = block_on(from.server.admin("ann").export_all()).unwrap().to_json();
    let file = DeclaredApps::from_json(&exported, |_| Err(String::new())).unwrap();
    let admin = to.server.admin("bob");
    let plan = block_on(admin.plan_import(&file)).unwrap();
    assert_eq!((plan.inserted.len(), plan.issuers.added.len()), (1, 1));
    let done = block_on(admin.import_all(&file, &plan.fingerprint())).unwrap();
    assert!(done.failed.is_none() && done.failed_issuer.is_none());
    let [before, after] =
        [&from, &to].map(|world| block_on(world.server.admin("t").find(&app.id)).unwrap().unwrap());
    assert_eq!(before.settings(), after.settings());
    assert_eq!(after.settings().delegation(), Some(&policy));
    let issuers = |world: &World| {
        let all = block_on(world.server.admin("t").trusted_issuers()).unwrap();
        all.into_iter().map(|it| it.settings).collect::<Vec<_>>()
    };
    assert_eq!(issuers(&from), issuers(&to));
    assert!(block_on(admin.plan_import(&file)).unwrap().is_unchanged());
    assert_eq!(block_on(admin.export_all()).unwrap().to_json(), exported);

    // A policy that the file no longer has is a difference.
    let mut less: Value = serde_json::from_str(&exported).unwrap();
    less["apps"][0]["settings"].as_object_mut().unwrap().remove("delegation");
    less["apps"][0]["settings"]["flows"] = json!(["client_credentials"]);
    let less = DeclaredApps::from_value(less, |_| Err(String::new())).unwrap();
    let plan = block_on(admin.plan_import(&less)).unwrap();
    assert_eq!(plan.changed[0].changed, ["delegation", "flows"]);
    let done = block_on(admin.import_all(&less, &plan.fingerprint())).unwrap();
    assert!(done.failed.is_none());
    let after = block_on(admin.find(&app.id)).unwrap().unwrap();
    assert_eq!(after.settings().delegation(), None);
}

/// Z60: what an administrator removed comes back, and processes that apply one declaration at once write it once.
#[test]
fn a_record_that_an_administrator_removed_is_declared_again() {
    let world = world();
    let apps = json!([machine("one", "a")]);
    let one = json!([issuer("a.example", &json!({}))]);
    apply(&world, &apps, &one);
    let name = EvidenceIssuer::new("https://a.example").unwrap();
    let admin = world.server.admin("ann");
    block_on(admin.remove_trusted_issuer(&name)).unwrap();
    let gone = block_on(admin.remove_trusted_issuer(&name));
    assert!(matches!(gone, Err(AdminError::NotFound)));
    assert_eq!(shown(&apply(&world, &apps, &one)), json!({ "added": ["https://a.example"] }));
    // Processes that apply it at once write it once.
    let declared = Arc::new(read(&apps, &json!([issuer("b.example", &json!({}))])).unwrap());
    let added: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (declared, world) = (Arc::clone(&declared), &world);
                scope.spawn(move || {
                    let applied = block_on(world.server.admin("deploy").apply(&declared)).unwrap();
                    applied.issuers.added.len()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(added, 1);
    assert_eq!(stored(&world), ["https://b.example true"]);
}
