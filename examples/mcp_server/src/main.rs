//! An MCP server with its own authorization server, in one process: tools over streamable HTTP (crate `rmcp`), a
//! login and a consent page, and a tool that needs more scope than the others. Users and pages are those of
//! `examples/host`.
//!
//! ```console
//! $ cargo run --manifest-path examples/mcp_server/Cargo.toml
//! ```
//!
//! | option | effect |
//! | --- | --- |
//! | `--listen ADDRESS` | default `127.0.0.1:8091` |
//! | `--issuer URL` | the public URL, behind a proxy; default `http://` and the address |
//! | `--folder PATH` | database and key file; default `target/mcp-server` |
//! | `--ready-file PATH` | a file that is written when the server accepts connections: JSON with `pid`, `issuer`, `mcp`, and `user` and `password` if the folder is new |
//! | `--fetch-local CA` | documents of clients come from this machine, too, with the authorities of this PEM file instead of the system's; for tests |
//! | `--identity-provider FILE` | users log in at the identity provider of their company, without a page here (enterprise-managed authorization): JSON with its `issuer`, its `jwks_uri`, and `client_id` and `client_secret` of the app that presents its assertions |
//! | `--check` | starts this program, goes through every step with the client of `rmcp`, and ends |
//! | `--client URL USER IDENTITY` | logs in at a running server with the client of `rmcp`. The password is in `MCP_PASSWORD`. IDENTITY is `registered=ID`, `document=URL` or `register` |

mod browser;
mod check;
mod client;
mod enterprise;
mod notes;
mod server;
#[path = "../../common/site/mod.rs"]
mod site;

use std::path::PathBuf;

use grantor::Issuer;
use tokio::net::TcpListener;

use client::Identity;
use enterprise::IdentityProvider;
use site::BoxError;

/// The options of a server.
struct Options {
    listen: String,
    issuer: Option<String>,
    folder: PathBuf,
    ready_file: Option<PathBuf>,
    fetch_local: Option<PathBuf>,
    identity_provider: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // The client of rmcp takes the provider of the process.
    _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = Options {
        listen: "127.0.0.1:8091".to_owned(),
        issuer: None,
        folder: "target/mcp-server".into(),
        ready_file: None,
        fetch_local: None,
        identity_provider: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--listen" => options.listen = value()?,
            "--issuer" => options.issuer = Some(value()?),
            "--folder" => options.folder = value()?.into(),
            "--ready-file" => options.ready_file = Some(value()?.into()),
            "--fetch-local" => options.fetch_local = Some(value()?.into()),
            "--identity-provider" => options.identity_provider = Some(value()?.into()),
            "--check" => return check::check().await,
            "--client" => {
                let (url, user, identity) = (value()?, value()?, value()?);
                let password = std::env::var("MCP_PASSWORD")?;
                return client::run(&url, &Identity::read(&identity)?, (&user, &password)).await;
            }
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    std::fs::create_dir_all(&options.folder)?;
    let listener = TcpListener::bind(&options.listen).await?;
    let own = format!("http://{}", listener.local_addr()?);
    let issuer = Issuer::new(options.issuer.unwrap_or(own))?;
    let fetcher = server::fetcher(options.fetch_local.as_deref())?;
    let provider = options.identity_provider.as_deref().map(IdentityProvider::read).transpose()?;
    let configured = server::Configured { issuer, fetcher, provider };
    server::serve(listener, configured, &options.folder, options.ready_file.as_deref()).await
}
