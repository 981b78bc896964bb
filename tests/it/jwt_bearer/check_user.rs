//! `Admin::check_user`: the policy's answer about a user, and the rule that decided.

use grantor::admin::AdminError;
use grantor::app::{Flow, ImpersonationPolicy, ImpersonationRule};
use grantor::error::Rejection;
use grantor::ids::Group;
use grantor::jwt::AssertionError;
use grantor::users::{Member, Members, User};
use pollster::block_on;
use serde_json::json;

use super::impersonation::{Directory, server_with};
use crate::assertions::{backend_app, backend_jwt, impersonator};
use crate::support::{World, code_app, scope, subject};

/// H11: the answer is that of the token endpoint, with the same reason and scope. Nothing is recorded.
#[test]
fn a_checked_user_gets_the_answer_of_the_token_endpoint() {
    let world = World::unlimited();
    world.users.put(User::new(subject("plain")));
    let staff = Members::groups([Group::new("staff").unwrap()]);
    let root = Members::subjects([subject("root"), subject("bob")]);
    let policies = [
        ImpersonationPolicy::none(),
        ImpersonationPolicy::anyone().except(root),
        ImpersonationPolicy::members(staff.clone()).with_scope(scope("b x")),
        ImpersonationPolicy::members(Members::default()),
        ImpersonationPolicy::members(staff).with_scope(scope("x")),
    ];
    let mut permitted = 0;
    for policy in policies {
        let app = world.register(impersonator(backend_jwt().with_impersonation(policy)));
        for name in ["ann", "bob", "root", "gone", "plain", "stranger", "Ann", "", "line\nbreak"] {
            let events = world.events().len();
            let admin = world.server.admin("eve");
            let check = block_on(admin.check_user(&app.id, name)).unwrap();
            assert_eq!(world.events().len(), events, "a question is no event");
            assert_eq!(check.app.client_id(), &app.id);
            let answer = world.act(&app, &json!({ "sub": name }));
            match check.answer {
                Ok(scope) => {
                    assert_eq!(answer.claims()["scope"], scope.as_str());
                    permitted += 1;
                }
                Err(rejection) => {
                    answer.assert_error(400, rejection.error_code().as_str());
                    let outcome = world.last_event().outcome;
                    assert_eq!(outcome.reason(), Some(rejection.reason()), "{name}");
                    assert_eq!(outcome.setting(), rejection.setting(), "{name}");
                }
            }
        }
    }
    assert_eq!(permitted, 4);
}

/// H11: the rule names its entry. A disabled app, and one without the flow, are told first, beside the rule.
#[test]
fn the_rule_is_named_also_if_the_app_gets_no_token_at_all() {
    let world = World::new();
    let admin = world.server.admin("eve");
    let (staff, root) = (Group::new("staff").unwrap(), subject("root"));
    let policy = ImpersonationPolicy::members(Members::groups([staff.clone()]))
        .except(Members::subjects([root.clone()]));
    let app = world.register(impersonator(backend_jwt().with_impersonation(policy)));
    let check = |name| block_on(admin.check_user(&app.id, name)).unwrap();
    let listed = ImpersonationRule::Listed(Member::Group(&staff));
    let ann = check("ann");
    assert_eq!((ann.rule(), ann.answer.clone()), (Some(listed), Ok(scope("a b c"))));
    assert_eq!(ann.user.as_ref().unwrap().groups, std::slice::from_ref(&staff));
    let excepted = ImpersonationRule::Excepted(Member::Subject(&root));
    assert_eq!(check("root").rule(), Some(excepted));
    assert_eq!(check("gone").rule(), Some(ImpersonationRule::Inactive));
    let stranger = check("stranger");
    assert_eq!((stranger.rule(), stranger.answer.clone()), (None, Err(Rejection::UnknownUser)));
    for own in [app.id.as_str(), ""] {
        let wrong = Rejection::Assertion(AssertionError::Sub);
        assert_eq!(check(own).answer, Err(wrong), "{own:?}");
    }

    world.edit(&app, |draft| draft.flows([Flow::ClientCredentials]));
    let flow = check("ann");
    assert_eq!(flow.rule(), Some(listed));
    assert!(matches!(flow.answer, Err(Rejection::FlowNotAllowed(_))));
    block_on(admin.disable(&app.id)).unwrap();
    let disabled = check("ann");
    assert_eq!(
        (disabled.rule(), disabled.answer.clone()),
        (Some(listed), Err(Rejection::AppDisabled))
    );

    let without = world.register(code_app());
    let check = block_on(admin.check_user(&without.id, "ann")).unwrap();
    assert_eq!((check.user.as_ref(), check.rule()), (None, None));
    block_on(admin.delete(&without.id)).unwrap();
    let gone = block_on(admin.check_user(&without.id, "ann"));
    assert!(matches!(gone, Err(AdminError::NotFound)));
}

/// H11: the rule is told by reference, so that the decision of a token request allocates nothing.
#[test]
fn a_decision_allocates_nothing() {
    let staff = Members::groups([Group::new("staff").unwrap()]);
    let policy = ImpersonationPolicy::members(staff).except(Members::subjects([subject("root")]));
    let users = ["ann", "root", "eve"].map(|name| User::new(subject(name)));
    let [ann, root, eve] = users;
    let ann = ann.with_groups([Group::new("staff").unwrap()]);
    let mut permitted = 0;
    let used = allocation_counter::measure(|| {
        for user in [&ann, &root, &eve] {
            permitted += usize::from(policy.decide(user).outcome().is_ok());
        }
    });
    assert_eq!((permitted, used.count_total), (1, 0));
}

/// H11: the user is found as the JWT bearer grant finds the user: by the app's claim, and by `sub` exactly.
#[test]
fn a_checked_user_is_found_by_the_claim_of_the_app() {
    let world = World::new();
    let directory = World::new();
    directory.users.put(User::new(subject("seven")));
    let mail = server_with(&world, Directory::Mail(directory));
    let app = world.import("seven", impersonator(backend_jwt().with_user_claim("email")));
    let check = |name| block_on(mail.admin("eve").check_user(&app.id, name)).unwrap();
    assert_eq!(check("bob@example.com").user.unwrap().subject, subject("bob"));
    assert_eq!(check("bob").answer, Err(Rejection::UnknownUser));
    assert_eq!(check("seven@example.com").answer, Err(Rejection::SubjectIsClientId));

    let app = world.register(backend_app());
    let folding = server_with(&world, Directory::Folding(World::new()));
    let check = |name| block_on(folding.admin("eve").check_user(&app.id, name)).unwrap();
    assert!(check("ann").answer.is_ok());
    assert_eq!(check("ANN").answer, Err(Rejection::UnknownUser));

    let down = server_with(&world, Directory::Down);
    let failed = block_on(down.admin("eve").check_user(&app.id, "ann"));
    assert!(matches!(failed, Err(AdminError::Directory(_))), "{failed:?}");
}
