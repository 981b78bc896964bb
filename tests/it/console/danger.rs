//! *Credentials* and the danger zone of an app.

use super::desk::{Desk, MOUNT, console, registered, reported};
use super::html::{check, tags};
use crate::support::{Answered, World, code_app, machine_app, public_app};

fn location(answer: &Answered) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header("location").unwrap().strip_prefix(MOUNT).unwrap().to_owned()
}

fn secret_of(page: &str) -> String {
    let tag = tags(page).into_iter().find(|tag| tag.attribute("id") == Some("client-secret"));
    tag.unwrap().text
}

/// H7: the old secret works until the chosen time, and both are listed by age.
#[test]
fn a_rotated_secret_overlaps_with_the_old_one_for_the_chosen_time() {
    let world = World::new();
    let (mut app, path) = registered(&world, machine_app());
    let old = app.secret.clone().unwrap();
    world.advance(3 * 86_400);
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let credentials = format!("{path}/credentials");
    let page = desk.page(&credentials);
    check(&page, MOUNT);
    assert!(page.contains("3 days ago") && !page.contains(&old));
    assert_eq!(desk.post(&format!("{credentials}/rotate"), &[("overlap", "5")]).status, 400);
    let answer = desk.post(&format!("{credentials}/rotate"), &[("overlap", "3600")]);
    let set = answer.header("set-cookie").unwrap().split(';').next().unwrap();
    let new = secret_of(&desk.with_cookie(set).page(&location(&answer)));
    let works = |app: &crate::support::App| {
        world.post(app, &[("grant_type", "client_credentials")]).status == 200
    };
    let page = desk.page(&credentials);
    check(&page, MOUNT);
    for text in ["just now", "Superseded", "Newest", "End old secrets now"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(works(&app));
    app.secret = Some(new.clone());
    assert!(works(&app));
    let ended = desk.post(&format!("{credentials}/end"), &[]);
    assert!(reported(&ended).ends_with("?done=ended"));
    app.secret = Some(old);
    assert!(!works(&app));
    for action in ["rotate_client_secret", "remove_superseded_secrets"] {
        assert_eq!(world.count(action), 1, "{action}");
    }
}

#[test]
fn a_signature_secret_is_regenerated_after_a_confirmation() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let regenerate = format!("{path}/credentials/regenerate");
    assert_eq!(desk.post(&regenerate, &[]).status, 400);
    let answer = desk.post(&regenerate, &[("sure", "on")]);
    let set = answer.header("set-cookie").unwrap().split(';').next().unwrap();
    let page = desk.with_cookie(set).page(&location(&answer));
    assert!(page.contains("gss_") && !page.contains(&app.signature_secret.unwrap()));
    // A public app has neither secrets nor the buttons for them.
    let (_, public) = registered(&world, public_app());
    let page = desk.page(&format!("{public}/credentials"));
    check(&page, MOUNT);
    assert_eq!(tags(&page).iter().filter(|tag| tag.name == "button").count(), 0);
    assert_eq!(
        desk.post(&format!("{public}/credentials/regenerate"), &[("sure", "on")]).status,
        400
    );
}

/// H9: an act that ends access has a page that names what ends, and a deletion needs the name.
#[test]
fn destructive_acts_name_what_ends_and_deletion_asks_for_the_name() {
    let world = World::new();
    let (app, path) = registered(&world, code_app());
    let tokens = world.tokens(&app);
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    check(&desk.page(&format!("{path}/danger")), MOUNT);
    for act in ["disable", "revoke", "delete"] {
        let page = desk.page(&format!("{path}/danger/{act}"));
        check(&page, MOUNT);
        for text in ["1 live grant.", "1 user and 0 devices lose access."] {
            assert!(page.contains(text), "{act}: {text}");
        }
    }
    assert!(!world.is_revoked(&tokens));
    let revoked = desk.post(&format!("{path}/danger/revoke"), &[]);
    assert!(reported(&revoked).ends_with("?done=revoked"));
    assert!(world.is_revoked(&tokens));

    let disabled = location(&desk.post(&format!("{path}/danger/disable"), &[]));
    let page = desk.page(&disabled);
    assert!(page.contains("This app is disabled.") && page.contains("Enable app"));
    assert_eq!(desk.page(&format!("{path}/danger")).matches("/danger/disable").count(), 0);

    for name in ["", "reports", "Report", "Reports x"] {
        let refused = desk.post(&format!("{path}/danger/delete"), &[("name", name)]);
        assert_eq!(refused.status, 422, "{name}");
        check(&refused.body, MOUNT);
    }
    let deleted = desk.post(&format!("{path}/danger/delete"), &[("name", "Reports")]);
    assert!(desk.page(&location(&deleted)).contains("The app is deleted"));
    assert_eq!(desk.get(&path).status, 404);
    assert_eq!(desk.get(&format!("{path}/danger/explode")).status, 404);
}

/// H9: no count needs a scan.
#[test]
fn a_page_of_the_danger_zone_counts_up_to_200_grants() {
    let world = World::unlimited();
    let (app, path) = registered(&world, code_app());
    let console = console(&world);
    let desk = Desk::new(&console, "security");
    let page = |grants: usize| {
        (0..grants).for_each(|_| drop(world.tokens(&app)));
        desk.page(&format!("{path}/danger/revoke"))
    };
    assert!(page(200).contains(">200 live grants."));
    let more = page(1);
    assert!(more.contains("At least 200 live grants.") && more.contains("At least 1 user"));
}

/// H2, H9: credentials and access are for the highest role.
#[test]
fn an_administrator_who_may_only_edit_ends_nothing() {
    let world = World::new();
    let (_, path) = registered(&world, code_app());
    let console = console(&world);
    let events = world.events().len();
    for role in ["view", "edit"] {
        let desk = Desk::new(&console, role);
        for below in ["credentials", "danger"] {
            let page = desk.page(&format!("{path}/{below}"));
            check(&page, MOUNT);
            let tags = tags(&page);
            let links = tags.iter().filter(|tag| {
                tag.name == "button"
                    || tag.attribute("href").is_some_and(|it| it.contains("/danger/"))
            });
            assert_eq!(links.count(), 0, "{role} {below}");
        }
        for act in ["danger/disable", "danger/revoke", "danger/delete"] {
            assert_eq!(desk.get(&format!("{path}/{act}")).status, 403);
            assert_eq!(desk.post(&format!("{path}/{act}"), &[("name", "Reports")]).status, 403);
        }
        for act in ["rotate", "end", "regenerate"] {
            let fields = [("overlap", "0"), ("sure", "on")];
            assert_eq!(desk.post(&format!("{path}/credentials/{act}"), &fields).status, 403);
        }
    }
    assert_eq!(world.events().len(), events);
}
