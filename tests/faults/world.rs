//! Two servers over one database, a client and a user at each, and the records of their answers.

use serde_json::Value;

use super::apps::{Session, administrator, refresh};
use super::client::{Answer, Client, get};
use super::ledger::{Family, Ledger};
use super::sandbox::wait_until;
use super::servers::Servers;

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) servers: Servers,
    clients: Vec<Client>,
    sessions: Vec<Session>,
    asked: usize,
}

impl World {
    pub(crate) fn new(servers: Servers) -> Self {
        let clients = servers.clients();
        let sessions = clients.iter().map(|_| Session::new("ann")).collect();
        Self { ledger: Ledger::default(), servers, clients, sessions, asked: 0 }
    }

    /// Asks the servers in turn until one has recovered and answers.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answer {
        self.asked += 1;
        let index = self.asked % self.clients.len();
        self.ledger.insist(&mut self.clients[index], request)
    }

    /// Asks the server again that was asked last.
    pub(crate) fn stay(&mut self) {
        self.asked += 1;
    }

    pub(crate) fn code(&mut self) -> String {
        let mut code = None;
        wait_until("there is a code", || {
            code = self.sessions[0].code(&mut self.clients[0]).ok().flatten();
            code.is_some()
        });
        code.unwrap()
    }

    #[track_caller]
    pub(crate) fn rotate(&mut self, family: &mut Family) {
        let answer = self.ask(&refresh(family.app, &family.token));
        assert!(answer.is_ok(), "{answer:?}");
        family.rotate(&answer);
    }

    /// Returns an access token of the administrator.
    pub(crate) fn administrator(&mut self) -> String {
        self.ask(&administrator()).text("access_token")
    }

    /// Returns the latest events of the log in the database, newest first.
    pub(crate) fn stored_events(&mut self, administrator: &str) -> Vec<Value> {
        let bearer = format!("Bearer {administrator}");
        let request = get("/admin/audit?limit=200", &[("Authorization", &*bearer)]);
        let mut events = Vec::new();
        // A query writes the events of its server first, so the last query shows all events.
        for client in &mut self.clients {
            let answer = self.ledger.insist(client, &request);
            let json = answer.json();
            events.clone_from(json["events"].as_array().unwrap_or_else(|| panic!("{answer:?}")));
        }
        events
    }
}
