//! The ways in which access ends, for tests that place an end between the steps of a request.

use grantor::ids::{ClientId, GrantId, Subject};
use grantor::store::RevocationTarget;
use pollster::block_on;

use crate::support::{Server, subject};

/// A way in which access ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Everything,
    App,
    Subject,
    AppAndSubject,
    Withdrawal,
    Disabled,
    Deleted,
    Grant,
}

impl End {
    pub(crate) const ALL: [Self; 8] = [
        Self::Everything,
        Self::App,
        Self::Subject,
        Self::AppAndSubject,
        Self::Withdrawal,
        Self::Disabled,
        Self::Deleted,
        Self::Grant,
    ];

    /// Ends the access of `ann` and of the app itself, as an administrator of `server`.
    pub(crate) fn happen(self, server: &Server, app: &ClientId, grant: Option<GrantId>) {
        let admin = server.admin("tester");
        // The app is the subject of its own tokens.
        let users = [subject("ann"), Subject::new(app.as_str()).unwrap()];
        let targets = match self {
            Self::Everything => vec![RevocationTarget::Everything],
            Self::App => vec![RevocationTarget::App(app.clone())],
            Self::Subject => users.map(RevocationTarget::Subject).to_vec(),
            Self::AppAndSubject => {
                users.map(|user| RevocationTarget::AppAndSubject(app.clone(), user)).to_vec()
            }
            Self::Grant => vec![RevocationTarget::Grant(grant.unwrap())],
            Self::Withdrawal => {
                for user in &users {
                    block_on(admin.withdraw_consent(app, user)).unwrap();
                }
                Vec::new()
            }
            Self::Disabled => {
                block_on(admin.disable(app)).unwrap();
                block_on(admin.enable(app)).unwrap();
                Vec::new()
            }
            Self::Deleted => {
                block_on(admin.delete(app)).unwrap();
                Vec::new()
            }
        };
        for target in targets {
            block_on(admin.revoke(target)).unwrap();
        }
    }
}
