//! The MCP server: tools over the notes of the token's user.

use std::sync::Arc;

use grantor::Subject;
use grantor::jwt::AccessTokenClaims;
use grantor::store::sqlx::{self, sqlite::SqlitePool};
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::schemars::JsonSchema;
use rmcp::{ErrorData, ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;

use crate::site::{Users, log};

#[derive(Clone)]
pub(crate) struct Notes {
    users: Users,
    pool: SqlitePool,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct NewNote {
    /// The text of the note.
    text: String,
}

#[tool_router]
impl Notes {
    pub(crate) fn new(users: Users, pool: SqlitePool) -> Self {
        Self { users, pool }
    }

    #[tool(description = "Lists your notes.")]
    async fn list_notes(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        let notes = self.users.notes(&user(&parts)?).await.map_err(|error| failed(&error))?;
        Ok(notes.join("\n"))
    }

    #[tool(description = "Adds a note.")]
    async fn add_note(
        &self,
        Extension(parts): Extension<Parts>,
        Parameters(NewNote { text }): Parameters<NewNote>,
    ) -> Result<String, ErrorData> {
        let user = user(&parts)?;
        let added = sqlx::query("INSERT INTO notes VALUES (?, ?)").bind(user.as_str()).bind(text);
        added.execute(&self.pool).await.map_err(|error| failed(&error))?;
        Ok("added".to_owned())
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_instructions("Reads and writes the notes of the user.")
    }
}

/// Returns the user of the token. The layer has put its claims into the extensions of the request.
fn user(parts: &Parts) -> Result<Subject, ErrorData> {
    let claims = parts.extensions.get::<Arc<AccessTokenClaims>>();
    let claims = claims.ok_or_else(|| ErrorData::internal_error("no token was checked", None))?;
    Ok(claims.subject.clone())
}

fn failed(error: &dyn std::fmt::Display) -> ErrorData {
    log(&format!("a tool failed: {error}"));
    ErrorData::internal_error("try again in a minute", None)
}
