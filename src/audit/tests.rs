use std::sync::Arc;

use super::*;
use crate::app::AppOrigin;
use crate::ids::DeviceId;
use crate::observe::Step;
use crate::protocol::grant_type::GrantType;
use crate::store::RevocationTarget;

fn event(action: Action, outcome: Outcome) -> AuditEvent {
    let app = ClientId::new("reports").unwrap();
    AuditEvent::new(UnixTime::from_seconds(7), Actor::App(app), action, outcome)
}

fn issue_token() -> Action {
    Action::IssueToken { grant_type: Some(GrantType::RefreshToken) }
}

#[test]
fn an_event_is_one_flat_object() {
    let outcome = Outcome::refused(Step::Grant, "not_permitted", Some("jwt.impersonation"));
    let source = Source::new("192.0.2.1").unwrap();
    let event = event(issue_token(), outcome)
        .with_subject(&Subject::new("ann").unwrap())
        .with_grant(GrantId::from_bytes([7; 16]))
        .with_source(Some(&source));
    assert_eq!(
        serde_json::to_value(&event).unwrap(),
        serde_json::json!({
            "at": 7_000,
            "actor": "app",
            "actor_name": "reports",
            "action": "issue_token",
            "grant_type": "refresh_token",
            "outcome": "refused",
            "step": "grant",
            "reason": "not_permitted",
            "setting": "jwt.impersonation",
            "client_id": "reports",
            "subject": "ann",
            "grant_id": "BwcHBwcHBwcHBwcHBwcHBw",
            "source": "192.0.2.1",
        })
    );
}

/// D17: the source of a device stands beside that of the user. An event without it has no such member.
#[test]
fn an_event_of_a_device_has_both_sources() {
    let [device, user] = ["203.0.113.9", "192.0.2.7"].map(|it| Source::new(it).unwrap());
    let event = event(Action::ApproveDevice, Outcome::Success)
        .with_source(Some(&user))
        .with_device_source(Some(&device));
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(
        (&json["source"], &json["device_source"]),
        (&"192.0.2.7".into(), &"203.0.113.9".into())
    );
    assert_eq!(serde_json::from_value::<AuditEvent>(json).unwrap(), event);
    let without = event.with_device_source(None);
    let json = serde_json::to_value(&without).unwrap();
    assert!(json.get("device_source").is_none());
    assert_eq!(serde_json::from_value::<AuditEvent>(json).unwrap(), without);
}

#[test]
fn every_stable_name_is_the_serialized_one() {
    let actions = [
        issue_token(),
        Action::RetryRefresh,
        Action::DetectRewind,
        Action::UseSupersededSecret,
        Action::RenewDigest,
        Action::Authorize,
        Action::RequireLogin,
        Action::IssueCode,
        Action::DenyAuthorization,
        Action::AuthorizeDevice,
        Action::EnterUserCode,
        Action::ApproveDevice,
        Action::Introspect,
        Action::RevokeToken,
        Action::RevokeGlobally,
        Action::ReadRevocations,
        Action::TellWipe { device: DeviceId::new("phone").ok() },
        Action::FinishWipe { device: None, pin: true },
        Action::ReadPolicy,
        Action::ReadRegistration,
        Action::RegisterApp,
        Action::ImportApp,
        Action::EditApp { changed: vec!["scope".to_owned()] },
        Action::RotateClientSecret,
        Action::SetClientSecret,
        Action::RemoveSupersededSecrets,
        Action::RegenerateSignatureSecret,
        Action::EnableApp,
        Action::DisableApp,
        Action::DeleteApp,
        Action::SetAppOrigin { origin: AppOrigin::Declared },
        Action::Revoke { target: RevocationTarget::Everything },
        Action::WithdrawConsent,
        Action::OrderWipe { device: DeviceId::new("phone").unwrap() },
        Action::AddTrustedIssuer { issuer: "https://idp.example".parse().unwrap() },
        Action::EditTrustedIssuer { issuer: "https://idp.example".parse().unwrap() },
        Action::RemoveTrustedIssuer { issuer: "https://idp.example".parse().unwrap() },
        Action::WithdrawWipe { device: DeviceId::new("phone").unwrap() },
        Action::AbandonWipe { device: DeviceId::new("phone").unwrap() },
    ];
    for action in actions {
        let json = serde_json::to_value(event(action.clone(), Outcome::Success)).unwrap();
        assert_eq!(json["action"], action.as_str());
        assert_eq!(json["outcome"], "success");
    }
    let steps = [
        Step::Parse,
        Step::RateLimit,
        Step::Client,
        Step::Grant,
        Step::Scope,
        Step::Hook,
        Step::Claim,
        Step::Mint,
    ];
    for step in steps {
        assert_eq!(serde_json::to_value(step).unwrap(), step.as_str());
    }
    let actors = [
        Actor::App(ClientId::new("a").unwrap()),
        Actor::User(Subject::new("a").unwrap()),
        Actor::Administrator("a".into()),
        Actor::Server,
        Actor::Unknown,
    ];
    for actor in actors {
        let json = serde_json::to_value(&actor).unwrap();
        assert_eq!(json["actor"], actor.kind());
        assert_eq!(json.get("actor_name").and_then(|name| name.as_str()), actor.name());
    }
}

#[test]
fn a_failure_lists_its_causes() {
    let error = crate::store::StoreError::new("connection reset");
    let outcome = Outcome::failed(Step::Claim, &error);
    assert_eq!(outcome.reason(), Some("the store failed: connection reset"));
    assert_eq!(event(issue_token(), outcome).severity(), Severity::Error);
}

#[test]
fn replays_and_a_rewound_store_are_warnings_and_other_refusals_are_not() {
    let severity = |reason| {
        let outcome = Outcome::refused(Step::Claim, reason, None);
        event(issue_token(), outcome).severity()
    };
    for reason in [CODE_REPLAYED, CODE_GUESSED, REFRESH_TOKEN_REUSED, ASSERTION_REPLAYED] {
        assert_eq!(severity(reason), Severity::Warning, "{reason}");
    }
    assert_eq!(severity("grant_expired"), Severity::Info);
    assert_eq!(event(Action::DetectRewind, Outcome::Success).severity(), Severity::Warning);
}

#[test]
fn memory_keeps_the_newest_events_and_filters_by_app_subject_and_time() {
    let audit = MemoryAudit::with_capacity(4);
    for (seconds, app, user) in
        [(1, "a", "ann"), (2, "a", "ann"), (3, "b", "ann"), (4, "a", "bob"), (5, "a", "ann")]
    {
        let app = ClientId::new(app).unwrap();
        let at = UnixTime::from_seconds(seconds);
        let event = AuditEvent::new(at, Actor::App(app), issue_token(), Outcome::Success);
        audit.record(&event.with_subject(&Subject::new(user).unwrap()));
    }
    let found = |query: AuditQuery| -> Vec<i64> {
        audit.find(&query).iter().map(|event| event.at.as_seconds()).collect()
    };
    let app = |id| ClientId::new(id).unwrap();
    let ann = Subject::new("ann").unwrap();
    assert_eq!(found(AuditQuery::all()), [5, 4, 3, 2]);
    assert_eq!(found(AuditQuery::all().limit(2)), [5, 4]);
    assert_eq!(found(AuditQuery::all().app(app("a"))), [5, 4, 2]);
    assert_eq!(found(AuditQuery::all().app(app("a")).subject(ann.clone())), [5, 2]);
    let (three, four) = (UnixTime::from_seconds(3), UnixTime::from_seconds(4));
    assert_eq!(found(AuditQuery::all().since(three).until(four)), [4, 3]);
    assert_eq!(found(AuditQuery::all().subject(ann).until(four)), [3, 2]);
}

#[test]
fn a_list_of_sinks_passes_every_event_to_each() {
    let (first, second) = (Arc::new(MemoryAudit::default()), Arc::new(MemoryAudit::default()));
    let both: Vec<Arc<dyn AuditSink>> =
        vec![Arc::<MemoryAudit>::clone(&first), Arc::<MemoryAudit>::clone(&second)];
    both.record(&event(issue_token(), Outcome::Success));
    assert_eq!(first.find(&AuditQuery::all()), second.find(&AuditQuery::all()));
    assert_eq!(first.find(&AuditQuery::all()).len(), 1);
}

#[cfg(feature = "tracing")]
mod to_tracing {
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::Mutex;

    use ::tracing::field::{Field, Visit};
    use ::tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    #[derive(Default)]
    struct Collector(Mutex<Vec<(Level, BTreeMap<&'static str, String>)>>);

    struct Fields(BTreeMap<&'static str, String>);

    impl Visit for Fields {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name(), value.to_owned());
        }

        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name(), format!("{value:?}"));
        }
    }

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "grantor::audit"
        }

        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields(BTreeMap::new());
            event.record(&mut fields);
            self.0.lock().unwrap().push((*event.metadata().level(), fields.0));
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn an_event_is_emitted_as_fields_at_the_level_of_its_severity() {
        let collector = Arc::new(Collector::default());
        ::tracing::subscriber::with_default(Arc::<Collector>::clone(&collector), || {
            let reused = Outcome::refused(Step::Claim, REFRESH_TOKEN_REUSED, None);
            TracingAudit::new().record(&event(issue_token(), reused));
            let failed = Outcome::failed(Step::Claim, &crate::store::StoreError::new("gone"));
            TracingAudit::new().record(&event(Action::Introspect, failed));
        });
        let events = collector.0.lock().unwrap();
        let levels: Vec<Level> = events.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::WARN, Level::ERROR]);
        let fields: Vec<_> = events[0].1.iter().map(|(name, text)| (*name, &**text)).collect();
        assert_eq!(
            fields,
            [
                ("action", "issue_token"),
                ("actor", "app"),
                ("actor_name", "reports"),
                ("at", "1970-01-01T00:00:07Z"),
                ("client_id", "reports"),
                ("detail", "IssueToken { grant_type: Some(RefreshToken) }"),
                ("grant_type", "refresh_token"),
                ("outcome", "refused"),
                ("reason", "refresh_token_reused"),
                ("step", "claim"),
            ]
        );
    }
}

#[test]
fn a_list_of_sinks_listens_if_one_of_them_does() {
    let deaf: Arc<dyn AuditSink> = Arc::new(NoAudit::new());
    let keen: Arc<dyn AuditSink> = Arc::new(Shielded(MemoryAudit::default()));
    assert!(!vec![Arc::clone(&deaf), Arc::clone(&deaf)].is_listening());
    assert!(!Shielded(Arc::clone(&deaf)).is_listening());
    assert!(vec![deaf, keen].is_listening());
}

#[test]
fn a_list_of_sinks_passes_each_event_to_all_of_them_also_if_one_panics() {
    #[derive(Debug)]
    struct Panicking;
    impl AuditSink for Panicking {
        fn record(&self, _: &AuditEvent) {
            panic!("no space left on device");
        }
    }
    let kept = [(); 2].map(|()| Arc::new(MemoryAudit::default()));
    let mut sinks: Vec<Arc<dyn AuditSink>> = vec![Arc::new(Shielded(Panicking))];
    sinks.extend(kept.iter().map(|it| Arc::clone(it) as Arc<dyn AuditSink>));
    let event = |seconds| {
        let at = UnixTime::from_seconds(seconds);
        AuditEvent::new(at, Actor::Server, Action::Introspect, Outcome::Success)
    };
    sinks.record(&event(1));
    sinks.record_owned(event(2));
    for sink in kept {
        assert_eq!(sink.find(&AuditQuery::all()), [event(2), event(1)]);
    }
    // An empty list has no sink that takes it.
    Vec::<Arc<dyn AuditSink>>::new().record_owned(event(3));
}
