//! *Server*: its status, and *Revoke everything*.

use std::sync::Arc;
use std::time::Duration;

use grantor::audit::Actor;
use grantor::jwt::{Algorithm, KeyRing, RingKey, SigningKey};
use grantor::rate_limit::RateLimits;
use grantor::{ServerSecret, Upkeep};
use pollster::block_on;

use super::desk::{Desk, MOUNT, console, registered};
use super::html::{check, tags};
use crate::support::{ROOT, World, code_app, machine_app, public_app};

/// The texts of the labels of a page.
fn labels(page: &str) -> Vec<String> {
    let tags = tags(page).into_iter();
    tags.filter(|tag| tag.attribute("class").is_some_and(|it| it.starts_with("label")))
        .map(|tag| tag.text)
        .collect()
}

/// H9: *Revoke everything* has a page of its own that names what ends, asks for a word, and is audited.
#[test]
fn everything_is_revoked_after_a_typed_word() {
    let world = World::new();
    let (app, _) = registered(&world, code_app());
    let (phone, _) = registered(&world, public_app());
    let tokens = [world.tokens(&app), world.tokens(&phone)];
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let page = desk.page("/server/revoke");
    check(&page, MOUNT);
    for text in [
        "2 live grants.",
        "1 user and 0 devices",
        "At once:",
        "Within seconds:",
        "does not come back",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for word in ["", "Everything", "everything!", "<b>everything</b>"] {
        let refused = desk.post("/server/revoke", &[("word", word)]);
        assert_eq!(refused.status, 422, "{word}");
        check(&refused.body, MOUNT);
        assert!(refused.body.contains("This is not the word."));
    }
    assert!(tokens.iter().all(|tokens| !world.is_revoked(tokens)));
    let done = desk.post("/server/revoke", &[("word", " everything ")]);
    assert_eq!(done.status, 303);
    let next = done.header("location").unwrap().strip_prefix(MOUNT).unwrap();
    assert!(desk.page(next).contains("Everything that was granted before is revoked."));
    assert!(tokens.iter().all(|tokens| world.is_revoked(tokens)));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("revoke", "success"));
    assert_eq!(event.actor, Actor::Administrator("ann".into()));
    assert!(world.refresh(&app, tokens[0].text("refresh_token")).status == 400);
}

/// H9: no count needs a scan.
#[test]
fn the_page_that_revokes_everything_counts_up_to_200_grants() {
    let world = World::unlimited();
    let (app, _) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let page = |grants: usize| {
        (0..grants).for_each(|_| drop(world.tokens(&app)));
        desk.page("/server/revoke")
    };
    assert!(page(200).contains(">200 live grants."));
    assert!(page(1).contains("At least 200 live grants."));
}

/// H2, H9: lower roles see the state, and have neither the buttons nor the pages.
#[test]
fn a_lower_role_sees_the_state_of_the_server_and_ends_nothing() {
    let world = World::new();
    let (app, _) = registered(&world, code_app());
    let tokens = world.tokens(&app);
    let console = console(&world);
    for role in ["view", "edit"] {
        let desk = Desk::new(&console, role);
        let page = desk.page("/server");
        check(&page, MOUNT);
        assert!(!page.contains("/server/revoke") && !page.contains("/server/import"));
        assert!(page.contains("/server/export"));
        for below in ["/server/revoke", "/server/import"] {
            assert_eq!(desk.get(below).status, 403, "{role} {below}");
            assert_eq!(desk.post(below, &[("word", "everything")]).status, 403);
        }
    }
    assert!(!world.is_revoked(&tokens));
}

/// The state of keys, limits and the parts that a host may leave out, each as it is.
#[test]
fn the_status_says_which_keys_sign_and_what_is_switched_on() {
    let key = || SigningKey::generate(Algorithm::ES256).unwrap();
    let (old, new, gone) = (key(), key(), key().verifying_key());
    let (old_id, new_id) = (old.key_id().clone(), new.key_id().clone());
    let world = World::unlimited();
    let at = |seconds| world.clock_now().plus(Duration::from_secs(seconds));
    let ring = KeyRing::new(vec![
        RingKey::from(new).not_before(at(600)),
        RingKey::from(old).not_before(world.clock_now()).retire_after(at(4_200)),
        RingKey::verifying(gone.clone()).retire_after(at(60)),
    ]);
    let limits = RateLimits::default();
    let server = world.beside(ring.unwrap(), Arc::clone(&world.store), Arc::clone(&world.users));
    let server = Arc::new(server.rate_limits(limits).build());
    let own = super::desk::console_of(&server);
    let desk = Desk::new(&own, "view");
    let states = |page: &str| {
        let mut all = labels(page);
        // Those of the roots.
        assert_eq!(all.split_off(3), ["Active"; 3]);
        all
    };
    let page = desk.page("/server");
    check(&page, MOUNT);
    assert_eq!(states(&page), ["Published, signs later", "Active", "Retiring, verifies only"]);
    for text in [
        server.issuer().as_str(),
        env!("CARGO_PKG_VERSION"),
        "on, with the default quotas",
        "not connected to this console",
        "none, or unknown",
        old_id.as_str(),
        new_id.as_str(),
        gone.thumbprint().as_str(),
        "/oauth/token",
        "Console::with_upkeep",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let states_of = server.key_states();
    assert_eq!(states_of[0].key_id.as_ref(), Some(&new_id));
    assert_eq!((states_of[0].signs_from, states_of[0].kept_until), (Some(at(600)), None));
    assert_eq!(states_of[1].kept_until, Some(at(4_200)));
    assert_eq!((states_of[2].signs_from, &states_of[2].thumbprint), (None, gone.thumbprint()));
    world.advance(600);
    let later = states(&desk.page("/server"));
    assert_eq!(later, ["Active", "Retiring, verifies only", "Retired"]);
    let plain = console(&world);
    assert!(Desk::new(&plain, "view").page("/server").contains(">off<"));
}

/// The fingerprints of roots are those of the key file: no root is on the page.
#[test]
fn the_status_shows_which_roots_seal_and_which_only_open() {
    let world = World::new();
    let new = b"another root, 0123456789abcdef0123456789";
    let secret = ServerSecret::new(new).unwrap().accepting_handles(ROOT).unwrap();
    let claim = secret.roots_claim();
    let server = Arc::new(world.sibling(secret));
    assert_eq!(server.roots(), &claim);
    let own = super::desk::console_of(&server);
    let page = Desk::new(&own, "view").page("/server");
    check(&page, MOUNT);
    let roots = labels(&page).split_off(1);
    assert_eq!(roots, ["Active", "Retiring, opens only", "Active", "Active"]);
    assert_eq!(claim.accepted.len(), 4);
    for print in &claim.accepted {
        assert!(page.contains(&print.to_string()), "{print}");
    }
}

/// The upkeep's health: a late job and its failure, and an upkeep that ended.
#[test]
fn the_status_shows_how_each_job_of_the_upkeep_goes() {
    let world = World::new();
    let upkeep = Upkeep::of(&world.server);
    let handle = upkeep.handle();
    let own = console(&world).with_upkeep(handle.clone());
    let desk = Desk::new(&own, "view");
    let page = desk.page("/server");
    check(&page, MOUNT);
    assert!(page.contains("The upkeep does not run."));
    let mut running = Box::pin(upkeep.run(|_| std::future::pending::<()>()));
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    assert!(running.as_mut().poll(&mut context).is_pending());
    let page = desk.page("/server");
    check(&page, MOUNT);
    let health = handle.health();
    assert!(health.is_running && !page.contains("does not run"));
    assert!(!health.jobs.is_empty());
    for job in &health.jobs {
        assert!(page.contains(&format!("<code>{}</code>", job.job)), "{}", job.job);
    }
    assert!(page.contains("On time") && !page.contains("Late by"));
    world.advance(86_400);
    assert!(desk.page("/server").contains("Late by"));
    drop(running);
    assert!(desk.page("/server").contains("The upkeep does not run."));
}

/// H14: the export has every app, no secret, and can be imported.
#[test]
fn an_export_has_every_app_and_no_secret() {
    let world = World::new();
    let mut apps: Vec<_> = (0..3).map(|_| world.register(machine_app())).collect();
    apps.push(world.register(code_app()));
    world.block_on(world.server.admin("tester").disable(&apps[0].id)).unwrap();
    let console = console(&world);
    let file = Desk::new(&console, "view").get("/server/export");
    assert_eq!((file.status, file.header("content-type")), (200, Some("application/json")));
    let download = Some("attachment; filename=\"apps.json\"");
    assert_eq!(file.header("content-disposition"), download);
    assert_eq!(file.header("cache-control"), Some("no-store"));
    for app in &apps {
        assert!(file.body.contains(app.id.as_str()));
        assert!(!file.body.contains(app.secret.as_ref().unwrap()));
        assert!(!file.body.contains(app.signature_secret.as_ref().unwrap()));
    }
    let reader = |_: &_| Err("no reference".to_owned());
    let read = grantor::admin::DeclaredApps::from_json(&file.body, reader).unwrap();
    assert_eq!(read.apps().len(), 4);
    let disabled = read.apps().iter().find(|app| *app.client_id() == apps[0].id).unwrap();
    assert!(!disabled.is_enabled());
    // The same store finds nothing to do.
    let plan = block_on(world.server.admin("ann").plan_import(&read)).unwrap();
    assert!(plan.is_unchanged() && plan.unchanged.len() == 4, "{plan:?}");
}
