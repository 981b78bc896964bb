//! Audit events of administrative calls.

use super::*;
use crate::app::MobileSecurity;
use crate::store::AppRegistry as _;

#[test]
fn every_change_and_every_refusal_is_audited_with_actor_action_and_reason() {
    let world = World::new();
    let admin = world.admin();
    let client_id = world.register(service()).client_id;
    let told = || {
        let event = world.last_event();
        assert_eq!(event.actor, Actor::Administrator("root".into()));
        let outcome = event.outcome;
        (event.action.as_str(), outcome.as_str(), outcome.reason().map(str::to_owned))
    };
    let why = |reason: &str| Some(reason.to_owned());
    assert_eq!(told(), ("register_app", "success", None));

    let first = world.app(&client_id).version();
    block_on(admin.edit(&client_id, first, service().name("New").scope(scope("mail")))).unwrap();
    let changed = vec!["name".to_owned(), "scope".to_owned()];
    assert_eq!(world.last_event().action, Action::EditApp { changed });
    assert_eq!(world.last_event().client_id.as_ref(), Some(&client_id));

    let _ = block_on(admin.edit(&client_id, first, service()));
    assert_eq!(told(), ("edit_app", "refused", why("app_version_conflict")));
    let _ = block_on(admin.edit(&client_id, first + 1, service().code_lifetime(0)));
    assert_eq!(told(), ("edit_app", "refused", why("invalid_setting")));
    assert_eq!(world.last_event().outcome.setting(), Some("code_lifetime"));
    let security =
        |attempts| MobileSecurity { max_pin_attempts: Some(attempts), ..MobileSecurity::default() };
    let _ = block_on(admin.set_mobile_security(&client_id, security(0)));
    assert_eq!(world.last_event().outcome.setting(), Some("mobile_security.max_pin_attempts"));
    block_on(admin.set_mobile_security(&client_id, security(5))).unwrap();
    let changed = vec!["mobile_security".to_owned()];
    assert_eq!(world.last_event().action, Action::EditApp { changed });

    let _ = block_on(admin.import(ImportedApp::new(client_id.clone(), phone().build().unwrap())));
    assert_eq!(told(), ("import_app", "refused", why("app_already_exists")));
    block_on(admin.rotate_client_secret(&client_id, HOUR)).unwrap();
    assert_eq!(told(), ("rotate_client_secret", "success", None));
    block_on(admin.remove_superseded_secrets(&client_id)).unwrap();
    assert_eq!(told(), ("remove_superseded_secrets", "success", None));
    block_on(admin.regenerate_signature_secret(&client_id)).unwrap();
    assert_eq!(told(), ("regenerate_signature_secret", "success", None));
    block_on(admin.disable(&client_id)).unwrap();
    assert_eq!(told(), ("disable_app", "success", None));
    block_on(admin.enable(&client_id)).unwrap();
    assert_eq!(told(), ("enable_app", "success", None));
    block_on(admin.delete(&client_id)).unwrap();
    assert_eq!(told(), ("delete_app", "success", None));
    let _ = block_on(admin.delete(&client_id));
    assert_eq!(told(), ("delete_app", "refused", why("app_not_found")));
}

#[test]
fn a_failing_random_source_registers_no_app_and_is_audited_as_a_failure() {
    #[derive(Debug)]
    struct Broken;
    impl SecureRandom for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), crate::random::RandomError> {
            Err(crate::random::RandomError)
        }
    }
    let world = World::new();
    let mut admin = world.admin();
    admin.parts.random = &Broken;
    let result = block_on(admin.register(service().build().unwrap()));
    assert!(matches!(result, Err(AdminError::Random(_))));
    let page = block_on(world.store.list_apps(&AppQuery::all(), Page::first(1))).unwrap();
    assert!(page.items.is_empty());
    let told = world.last_event().outcome;
    assert_eq!(
        told.reason(),
        Some("no secret could be generated: the source of randomness failed")
    );
}
