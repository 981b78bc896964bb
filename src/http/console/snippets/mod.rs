//! Programs that get a token for one app, in several languages, for a developer to copy.
//!
//! They have no secret: it comes from environment variables with the names of the page that shows new credentials.
//! Everything else stands in them as a literal, quoted for its language.

mod javascript;
mod program;
mod python;
mod quote;
mod rust;
mod shell;

use super::texts::snippets as text;
use crate::app::{CustomApp, Flow};
use program::Program;
pub(super) use program::Server;
pub(super) use quote::shell as shell_word;
pub(super) use shell::introspection;

/// A program in one language.
pub(super) struct Snippet {
    pub(super) id: String,
    pub(super) language: &'static str,
    pub(super) code: String,
}

/// The programs of a flow.
pub(super) struct FlowSnippets {
    pub(super) flow: Flow,
    pub(super) about: &'static str,
    pub(super) snippets: Vec<Snippet>,
}

/// Returns the programs of every flow that the app has.
pub(super) fn of_app(app: &CustomApp, server: &Server<'_>) -> Vec<FlowSnippets> {
    let flows = app.settings().flows().iter();
    let known = flows.filter_map(|flow| {
        let program = Program::of(app, *flow, server)?;
        let name = match flow {
            Flow::AuthorizationCode => "code",
            Flow::JwtBearer => "jwt",
            Flow::ClientCredentials => "machine",
            Flow::DeviceCode => "device",
            Flow::TokenExchange => "exchange",
        };
        let snippet = |language, code| Snippet {
            id: format!("{name}-{}", str::to_ascii_lowercase(language)),
            language,
            code,
        };
        let snippets = vec![
            snippet(text::SHELL, shell::write(&program)),
            snippet(text::RUST, rust::write(&program)),
            snippet(text::PYTHON, python::write(&program)),
            snippet(text::JAVASCRIPT, javascript::write(&program)),
        ];
        Some(FlowSnippets { flow: *flow, about: text::about(*flow), snippets })
    });
    known.collect()
}

#[cfg(test)]
mod tests;
