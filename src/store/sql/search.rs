//! The columns of an app for searches, beside its document.
//!
//! A covering index has these columns, so that a search reads the documents of its page only. Rust folds the text,
//! because databases differ in the letters that they fold. The columns name the version of the app for which they
//! were written: a program that does not know them changes the app alone. If the versions differ, a search reads the
//! document. [`AppQuery::admits`] decides in either case.

use super::read_app;
use crate::app::{CustomApp, Flow};
use crate::store::AppQuery;
use crate::store::app_registry::{fold, folded_text};

const ENABLED: i64 = 1;
const DECLARED: i64 = 1 << 1;
const SELF_DESCRIBED: i64 = 1 << 2;

/// Returns the mark of the apps with `flow`. Rows have it, so it never changes.
const fn mark_of(flow: Flow) -> i64 {
    match flow {
        Flow::AuthorizationCode => 1 << 3,
        Flow::JwtBearer => 1 << 4,
        Flow::ClientCredentials => 1 << 5,
        Flow::DeviceCode => 1 << 6,
        Flow::TokenExchange => 1 << 7,
    }
}

/// The columns of an app that searches compare.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Searched {
    /// The folded name and description, or `None` if they are too long.
    pub(in crate::store) folded: Option<String>,
    pub(in crate::store) marks: i64,
}

impl Searched {
    /// The greatest length of a folded text in bytes. A longer one is left out, and searches read the document.
    /// PostgreSQL refuses an index entry of more than 2,704 bytes.
    pub(in crate::store) const MAX_FOLDED: usize = 2_000;

    pub(in crate::store) fn of(app: &CustomApp) -> Self {
        let mut marks = if app.is_enabled() { ENABLED } else { 0 };
        if app.origin().is_declared() {
            marks |= DECLARED;
        }
        if app.origin().is_self_described() {
            marks |= SELF_DESCRIBED;
        }
        for flow in app.settings().flows() {
            marks |= mark_of(*flow);
        }
        let folded = without_nul(folded_text(app));
        Self { folded: Some(folded).filter(|it| it.len() <= Self::MAX_FOLDED), marks }
    }

    /// Returns the columns for a stored document. A document that this version cannot read has none: it fails the
    /// search that reads it, and not the opening of the store.
    pub(in crate::store) fn of_document(document: &str) -> Option<Self> {
        read_app(document).ok().map(|app| Self::of(&app))
    }
}

/// The parameters of a search. It finds every app that the query selects, and may find others.
pub(in crate::store) struct Search {
    pub(in crate::store) text: Option<String>,
    /// The marks that are compared.
    pub(in crate::store) mask: i64,
    /// Those of them that the app has.
    pub(in crate::store) marks: i64,
}

impl Search {
    pub(in crate::store) fn of(query: &AppQuery) -> Self {
        let (mut mask, mut marks) = (0, 0);
        let flow = query.flow.map(mark_of);
        for (asked, mark) in [
            (query.enabled, ENABLED),
            (query.declared, DECLARED),
            (query.self_described, SELF_DESCRIBED),
            (flow.map(|_| true), flow.unwrap_or_default()),
        ] {
            if let Some(has) = asked {
                mask |= mark;
                marks |= if has { mark } else { 0 };
            }
        }
        let text = query.text.as_deref().map(|text| without_nul(fold(text)));
        Self { text, mask, marks }
    }
}

/// PostgreSQL has no text with U+0000.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{AppDraft, AppOrigin, Credentials};
    use crate::clock::UnixTime;
    use crate::ids::ClientId;

    const FLOWS: [Flow; 5] = [
        Flow::AuthorizationCode,
        Flow::JwtBearer,
        Flow::ClientCredentials,
        Flow::DeviceCode,
        Flow::TokenExchange,
    ];

    fn app(name: &str, description: &str, origin: AppOrigin) -> CustomApp {
        let draft = AppDraft::confidential(name).description(description);
        let settings = draft.flow(Flow::ClientCredentials).build().unwrap();
        let id = ClientId::new("app").unwrap();
        let at = UnixTime::from_millis(0);
        let app = CustomApp::new(id, settings, Credentials::default(), 1, at);
        app.edited(at, |edit| *edit.origin = origin)
    }

    fn finds(query: &AppQuery, app: &CustomApp) -> bool {
        let (search, searched) = (Search::of(query), Searched::of(app));
        searched.marks & search.mask == search.marks
            && search
                .text
                .is_none_or(|text| searched.folded.is_none_or(|folded| folded.contains(&text)))
    }

    /// A search that missed an app would hide it from administrators.
    #[test]
    fn a_search_finds_every_app_that_the_query_selects() {
        let origins = [
            AppOrigin::Registered,
            AppOrigin::Declared,
            AppOrigin::Withdrawn,
            AppOrigin::SelfRegistered,
            AppOrigin::Document,
        ];
        let texts = ["", "Archive", "ARCHIVE", "ΟΔΟΣ", "İstanbul", "straße", "ı", "\0", "x\ny"];
        let mut selected = 0;
        for origin in origins {
            for (name, description) in
                [("Archive", "Keeps ΟΔΟΣ"), ("ΟΔΟΣ", ""), ("İSTANBUL", "STRAßE I"), ("x", "y")]
            {
                let app = app(name, description, origin);
                for text in texts {
                    for declared in [None, Some(false), Some(true)] {
                        for self_described in [None, Some(false), Some(true)] {
                            for flow in FLOWS.map(Some).into_iter().chain([None]) {
                                let mut query = AppQuery::all().containing(text);
                                query.enabled = declared.map(|it| !it);
                                (query.declared, query.self_described) = (declared, self_described);
                                query.flow = flow;
                                let is_found = finds(&query, &app);
                                if query.admits(&app) {
                                    selected += 1;
                                    assert!(is_found, "{query:?} misses {name}");
                                }
                                // Only a text across both parts is found in vain.
                                assert!(!is_found || query.admits(&app) || text == "x\ny");
                            }
                        }
                    }
                }
            }
        }
        assert!(selected > 100, "{selected}");
    }

    #[test]
    fn each_flow_has_a_mark_of_its_own() {
        let all = FLOWS.map(mark_of).into_iter().chain([ENABLED, DECLARED, SELF_DESCRIBED]);
        assert_eq!(all.sum::<i64>(), 255);
    }

    #[test]
    fn a_long_text_is_left_out_and_a_query_with_nul_is_text() {
        let long = app("x", &"\u{4e2d}".repeat(1_000), AppOrigin::Registered);
        assert_eq!(Searched::of(&long).folded, None);
        assert!(finds(&AppQuery::all().containing("any"), &long));
        assert_eq!(Search::of(&AppQuery::all().containing("a\0B")).text.unwrap(), "a\u{fffd}b");
        assert_eq!(Searched::of_document("{}"), None);
    }
}
