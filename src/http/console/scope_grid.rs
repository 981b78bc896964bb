//! The scopes of the catalog as a grid, and as a sentence.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::scopes as text;
use crate::catalog::{ApiCatalog, Endpoint};
use crate::protocol::scope::Scope;

/// The order of columns. Other methods follow.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// A scope token that can be ticked.
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) token: String,
    /// The operations that it allows.
    pub(super) titles: Vec<String>,
    pub(super) is_ticked: bool,
}

/// A group of the catalog: its cells are in the order of the grid's methods.
pub(super) struct Row {
    pub(super) group: String,
    pub(super) cells: Vec<(String, Vec<Choice>)>,
}

/// The scope tokens of the catalog by group and method, and those that fit into no grid.
#[derive(Default)]
pub(super) struct ScopeGrid {
    pub(super) methods: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Tokens of the catalog whose names do not begin with a method.
    pub(super) listed: Vec<Choice>,
    /// Tokens that the catalog does not have.
    pub(super) unknown: Vec<Choice>,
}

struct Known<'a> {
    group: &'a str,
    method: Option<&'a str>,
    titles: Vec<String>,
}

impl<'a> Known<'a> {
    fn of(endpoint: &'a Endpoint) -> Self {
        let (token, method) = (endpoint.scope(), endpoint.method());
        let rest = token.as_str().strip_prefix(method);
        let follows = token.is_endpoint_scope() && rest.is_some_and(|rest| rest.starts_with('/'));
        Self { group: endpoint.group(), method: follows.then_some(method), titles: Vec::new() }
    }
}

impl ScopeGrid {
    /// Arranges the tokens of `catalog` and those of `own`.
    pub(super) fn new(
        catalog: Option<&ApiCatalog>,
        own: &Scope,
        ticked: &BTreeSet<String>,
    ) -> Self {
        let mut known: BTreeMap<&str, Known<'_>> = BTreeMap::new();
        for endpoint in catalog.map_or(&[][..], ApiCatalog::endpoints) {
            let entry = known.entry(endpoint.scope().as_str());
            let entry = entry.or_insert_with(|| Known::of(endpoint));
            if !endpoint.title().is_empty() {
                entry.titles.push(endpoint.title().to_owned());
            }
        }
        let mut grid = Self::default();
        let methods: BTreeSet<&str> = known.values().filter_map(|it| it.method).collect();
        let place = |method: &str| METHODS.iter().position(|own| *own == method);
        grid.methods = methods.into_iter().map(str::to_owned).collect();
        grid.methods.sort_by_key(|method| place(method).unwrap_or(METHODS.len()));
        let groups: BTreeSet<&str> =
            known.values().filter(|it| it.method.is_some()).map(|it| it.group).collect();
        let empty = |group: &&str| Row {
            group: (*group).to_owned(),
            cells: grid.methods.iter().map(|method| (method.clone(), Vec::new())).collect(),
        };
        grid.rows = groups.iter().map(empty).collect();
        let mut number = 0;
        let mut choice = |token: &str, titles| {
            number += 1;
            let is_ticked = ticked.contains(token);
            Choice { id: format!("scope-{number}"), token: token.to_owned(), titles, is_ticked }
        };
        let others: BTreeSet<&str> = own
            .tokens()
            .chain(ticked.iter().map(String::as_str))
            .filter(|token| !known.contains_key(token))
            .collect();
        for token in others {
            let scope = Scope::parse(token).unwrap_or_default();
            let texts = catalog.map(|catalog| catalog.texts(&scope)).unwrap_or_default();
            let reached = texts.iter().flat_map(|text| &text.endpoints);
            let titles = reached.map(|it| it.title()).filter(|title| !title.is_empty());
            let titles = titles.map(str::to_owned).collect();
            grid.unknown.push(choice(token, titles));
        }
        for (token, Known { group, method, titles }) in known {
            let choice = choice(token, titles);
            let row = grid.rows.iter_mut().find(|row| method.is_some() && row.group == group);
            let cell = row
                .and_then(|row| row.cells.iter_mut().find(|(own, _)| Some(own.as_str()) == method));
            match cell {
                Some((_, choices)) => choices.push(choice),
                None => grid.listed.push(choice),
            }
        }
        grid
    }

    /// Ticks what a button selects: `all`, `none`, `row:1` or `column:GET`.
    pub(super) fn select(&mut self, button: &str) {
        let (kind, value) = button.split_once(':').unwrap_or((button, ""));
        for (number, row) in self.rows.iter_mut().enumerate() {
            for (method, choices) in &mut row.cells {
                let is_selected = match kind {
                    "row" => value.parse() == Ok(number),
                    "column" => value == method,
                    _ => kind == "all",
                };
                for choice in choices {
                    choice.is_ticked = (choice.is_ticked || is_selected) && kind != "none";
                }
            }
        }
        for choice in &mut self.listed {
            choice.is_ticked = (choice.is_ticked || kind == "all") && kind != "none";
        }
    }
}

/// A part of the sentence that says what an app can do.
pub(super) struct Ability {
    pub(super) verbs: String,
    /// The name of the group, which the host chose.
    pub(super) group: String,
    pub(super) after: &'static str,
}

/// Returns what `scope` allows by the catalog, as the parts of a sentence.
pub(super) fn abilities(catalog: Option<&ApiCatalog>, scope: &Scope) -> Vec<Ability> {
    let texts = catalog.map(|catalog| catalog.texts(scope)).unwrap_or_default();
    let mut groups: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for endpoint in texts.iter().flat_map(|text| &text.endpoints) {
        groups.entry(endpoint.group()).or_default().insert(text::verb(endpoint.method()));
    }
    let count = groups.len();
    let ability = |(number, (group, verbs)): (usize, (&str, BTreeSet<usize>))| {
        let verbs: Vec<_> = verbs.iter().filter_map(|verb| text::VERBS.get(*verb)).collect();
        Ability {
            verbs: text::listed(&verbs),
            group: if group.is_empty() { text::REST.to_owned() } else { group.to_owned() },
            after: text::after(count - number),
        }
    };
    groups.into_iter().enumerate().map(ability).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> ApiCatalog {
        serde_json::from_str(
            r#"{"endpoints": [
                {"method": "DELETE", "path": "/files/{id}", "scope": "DELETE/files/*", "group": "Files"},
                {"method": "GET", "path": "/files/{id}", "scope": "GET/files/*", "title": "See a file", "group": "Files"},
                {"method": "GET", "path": "/files", "scope": "GET/files/*", "title": "List files", "group": "Files"},
                {"method": "PUT", "path": "/users/{id}", "scope": "PUT/users/*", "group": "Users"},
                {"method": "GET", "path": "/reports", "scope": "reports", "group": "Reports"}
            ]}"#,
        )
        .unwrap()
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn ticked(grid: &ScopeGrid) -> Vec<&str> {
        let cells = grid.rows.iter().flat_map(|row| &row.cells).flat_map(|(_, choices)| choices);
        let all = cells.chain(&grid.listed).chain(&grid.unknown);
        all.filter(|choice| choice.is_ticked).map(|choice| &*choice.token).collect()
    }

    /// H10: tokens that begin with their method stand in the grid, each once.
    #[test]
    fn tokens_that_follow_the_pattern_make_a_grid_and_others_a_list() {
        let (catalog, own) = (catalog(), scope("GET/files/* x */files/*"));
        let tokens = own.tokens().map(str::to_owned).collect();
        let grid = ScopeGrid::new(Some(&catalog), &own, &tokens);
        assert_eq!(grid.methods, ["GET", "PUT", "DELETE"]);
        let groups: Vec<_> = grid.rows.iter().map(|row| &*row.group).collect();
        assert_eq!(groups, ["Files", "Users"]);
        assert_eq!(grid.rows[0].cells[0].1[0].titles, ["See a file", "List files"]);
        assert!(grid.rows[0].cells[1].1.is_empty());
        assert_eq!(grid.listed[0].token, "reports");
        let unknown: Vec<_> = grid.unknown.iter().map(|it| (&*it.token, it.titles.len())).collect();
        assert_eq!(unknown, [("*/files/*", 2), ("x", 0)]);
        assert_eq!(ticked(&grid), ["GET/files/*", "*/files/*", "x"]);
        let none = ScopeGrid::new(None, &own, &BTreeSet::new());
        assert_eq!((none.rows.len(), none.listed.len(), none.unknown.len()), (0, 0, 3));
    }

    /// H10: a row, a column and everything are selected by one button each.
    #[test]
    fn a_button_ticks_a_row_a_column_or_everything() {
        let catalog = catalog();
        for (button, expected) in [
            ("row:0", &["GET/files/*", "DELETE/files/*", "x"][..]),
            ("column:PUT", &["PUT/users/*", "x"]),
            ("all", &["GET/files/*", "DELETE/files/*", "PUT/users/*", "reports", "x"]),
            ("none", &["x"]),
            ("row:9", &["x"]),
            ("nonsense", &["x"]),
        ] {
            let ticks = ["x".to_owned()].into();
            let mut grid = ScopeGrid::new(Some(&catalog), &Scope::empty(), &ticks);
            grid.select(button);
            assert_eq!(ticked(&grid), expected, "{button}");
        }
    }

    #[test]
    fn a_scope_is_a_sentence() {
        let catalog = catalog();
        let said = |text: &str| {
            let parts = abilities(Some(&catalog), &scope(text)).into_iter();
            parts
                .flat_map(|it| [it.verbs, " ".to_owned(), it.group, it.after.to_owned()])
                .collect::<String>()
        };
        assert_eq!(said("GET/files/*"), "read Files.");
        assert_eq!(said("*/files/* PUT/users/*"), "read and delete Files and change Users.");
        assert_eq!(
            said("*/files/* */users/* reports"),
            "read and delete Files, read Reports and change Users."
        );
        assert_eq!(said("unknown"), "");
    }
}
