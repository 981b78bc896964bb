//! Processes that apply one declaration at once.

use grantor::admin::{Applied, DeclaredApps};
use grantor::store::{AppQuery, Page, Store};
use grantor::users::UserDirectory;
use grantor::{AuthorizationServer, app};
use serde_json::{Value, json};

const APPS: usize = 12;

fn declared(scope: &str, apps: usize) -> DeclaredApps {
    let one = |at: usize| {
        let settings = json!({ "name": "x", "flows": ["client_credentials"], "scope": scope });
        json!({ "client_id": format!("declared-{at}"), "client_secret": "declared", "settings": settings })
    };
    let apps: Value = (0..apps).map(one).collect();
    DeclaredApps::from_value(json!({ "apps": apps }), |_| Err("none".to_owned())).unwrap()
}

/// Applies declarations by three servers of one store at once. Each succeeds, and each app is written once.
pub(crate) async fn apply_at_once<S: Store, U: UserDirectory>(
    servers: [&AuthorizationServer<S, U>; 3],
) {
    let admins = servers.map(|server| server.admin("deploy"));
    for (scope, apps) in [("a", APPS), ("a", APPS), ("a b", APPS), ("a b", 5), ("a b", APPS)] {
        let declared = declared(scope, apps);
        let [one, two, three] = &admins;
        let all = tokio::join!(one.apply(&declared), two.apply(&declared), three.apply(&declared));
        let reports: [Applied; 3] = [all.0.unwrap(), all.1.unwrap(), all.2.unwrap()];
        let listed = one.list(&AppQuery::all().declared(true), Page::first(100)).await.unwrap();
        assert_eq!(listed.items.len(), APPS);
        for app in listed.items {
            let at: usize =
                app.client_id().as_str().strip_prefix("declared-").unwrap().parse().unwrap();
            assert_eq!(app.is_enabled(), at < apps);
            let origin =
                if at < apps { app::AppOrigin::Declared } else { app::AppOrigin::Withdrawn };
            assert_eq!((app.origin(), app.credentials().client_secrets.len()), (origin, 1));
            if at < apps {
                assert_eq!(app.settings().scope().to_string(), scope);
            }
        }
        for report in &reports {
            assert_eq!(report.inserted.len() + report.changed.len() + report.unchanged.len(), apps);
        }
        let inserted: usize = reports.iter().map(|report| report.inserted.len()).sum();
        assert!(inserted == 0 || inserted == APPS, "{reports:?}");
        assert!(one.apply(&declared).await.unwrap().is_unchanged());
    }
}
