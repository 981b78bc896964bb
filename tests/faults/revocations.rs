//! Revocations that race with uses of the same grant.

use serde_json::json;

use super::apps::{CODES, FAMILIES, administrator, introspect, order, redeem, refresh, revoke};
use super::cluster::{own_cluster, rounds};
use super::dice::Dice;
use super::ledger::{Family, Fate, Ledger};
use super::oracle::Tables;
use super::races::{Lane, run};
use super::servers::Servers;

impl Lane<'_> {
    /// Races a revocation with refreshes of the family. Afterwards the tokens of the refreshes are dead.
    fn revoked_while_refreshed(&mut self, revocation: &[u8], mut family: Family) {
        let request = refresh(family.app, &family.token);
        let answers = self.race(&[&request, &request, revocation, &request, &request]);
        self.must(answers[2].is_ok(), "a revocation was refused", &answers[2]);
        self.ledger.counts.revocations.one();
        for (number, answer) in answers.iter().enumerate().filter(|(number, _)| *number != 2) {
            if answer.is_ok() {
                let late = self.ask(&refresh(family.app, &answer.text("refresh_token")));
                self.must(late.is_invalid_grant(), "refreshed after a revocation", &late);
                self.ledger.counts.refreshes.one();
            } else {
                let why = format!("contender {number} got a wrong refusal");
                self.must(answer.is_invalid_grant(), &why, answer);
            }
        }
        if let Some(first) = answers.iter().find(|answer| !answer.text("access_token").is_empty()) {
            family.rotate(first);
        }
        self.ledger.keep(family.with_fate(Fate::Revoked));
    }

    /// Revokes a user while codes of that user are redeemed. Afterwards all tokens of the codes are dead.
    fn revoked_while_redeemed(&mut self, bearer: &str) {
        let codes: Vec<_> = (0..4).map(|_| redeem(&self.code())).collect();
        let order = order(bearer, &json!({ "app_and_subject": [CODES, self.user] }));
        let answers = self.race(&[&codes[0], &codes[1], &order, &codes[2], &codes[3]]);
        self.must(answers[2].is_ok(), "a revocation was refused", &answers[2]);
        self.ledger.counts.revocations.one();
        for answer in [&answers[0], &answers[1], &answers[3], &answers[4]] {
            if answer.is_ok() {
                let family = Family::new(CODES, answer);
                self.ledger.counts.codes.one();
                self.is_dead(&family);
            } else {
                self.must(answer.is_invalid_grant(), "the refusal is wrong", answer);
            }
        }
    }

    fn is_dead(&mut self, family: &Family) {
        let late = self.ask(&refresh(family.app, &family.token));
        self.must(late.is_invalid_grant(), "refreshed after a revocation", &late);
        let facts = self.ask(&introspect(&family.access));
        let inactive = facts.is_ok() && facts.json()["active"] == false;
        self.must(inactive, "an access token outlived a revocation", &facts);
    }
}

/// Runs `rounds` races of each of the three kinds.
pub(crate) fn run_all(place @ (ledger, servers, _): (&Ledger, &Servers, u64), rounds: usize) {
    let token = ledger.insist(&mut servers.clients()[0], &administrator());
    let bearer = token.text("access_token");
    run(place, "revocation by the app", rounds, |lane| {
        let family = lane.family(FAMILIES);
        let token = if lane.dice.once_in(2) { &family.token } else { &family.access };
        let revocation = revoke(FAMILIES, token);
        lane.revoked_while_refreshed(&revocation, family);
    });
    run(place, "revocation by an administrator", rounds, |lane| {
        let family = lane.family(FAMILIES);
        let order = order(&bearer, &json!({ "grant": family.grant }));
        lane.revoked_while_refreshed(&order, family);
    });
    run(place, "revocation of a user", rounds, |lane| lane.revoked_while_redeemed(&bearer));
}

/// R20, V5, V6: once a revocation is answered at one server, no server refreshes a token.
#[test]
fn nothing_is_refreshed_after_a_revocation_was_answered() {
    let _turn = super::turn();
    let Some(cluster) = own_cluster() else { return };
    let (seed, ledger) = (Dice::seed(), Ledger::default());
    let servers = Servers::over_postgres(&cluster, 4);
    run_all((&ledger, &servers, seed), rounds(super::RACES) / 5);
    ledger.check(&Tables::of_postgres(&cluster.options()), &servers);
    ledger.report(seed);
    ledger.assert_clean();
}
