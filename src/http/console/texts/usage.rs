//! Texts of the usage of an app by day.

use crate::protocol::grant_type::GrantType;

type Text = &'static str;

pub(in super::super) const DAYS: Text = "Time";
pub(in super::super) const CHOICES: [(u64, Text); 3] =
    [(7, "7 days"), (30, "30 days"), (90, "90 days")];
pub(in super::super) const TITLE: Text = "Tokens and refusals by day";
pub(in super::super) const REFUSED: Text = "Refused";
pub(in super::super) const DAY: Text = "Day";
pub(in super::super) const TABLE: Text = "The same as a table";
pub(in super::super) const QUIET: Text = "Days without requests are left out, and so are days whose events were pruned. Days begin at midnight in UTC.";
pub(in super::super) const MORE: Text = "Usage by day";
pub(in super::super) const NONE_TITLE: Text = "No requests in this time";
pub(in super::super) const NONE: Text = "Each token, and each refusal of the app after it has authenticated, counts on its day, until the events of the day are pruned.";
pub(in super::super) const NO_LOG_TITLE: Text = "No audit log is connected";
pub(in super::super) const NO_LOG: Text = "Usage by day comes from a store of events. Write events into it with an AuditQueue, and connect it with \
     Console::with_audit_log.";

pub(in super::super) const fn flow(grant_type: GrantType) -> Text {
    match grant_type {
        GrantType::AuthorizationCode => "Authorization code",
        GrantType::RefreshToken => "Refresh token",
        GrantType::JwtBearer => "JWT bearer",
        GrantType::ClientCredentials => "Client credentials",
        GrantType::DeviceCode => "Device code",
        GrantType::TokenExchange => "Token exchange",
    }
}

/// Writes 1234567 as `1,234,567`.
pub(in super::super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn tokens(count: u64) -> String {
    format!("{} {}", number(count), if count == 1 { "token" } else { "tokens" })
}

fn refusals(count: u64) -> String {
    format!("{} {}", number(count), if count == 1 { "refusal" } else { "refusals" })
}

/// Says what happened on a day.
pub(in super::super) fn day(day: &str, issued: u64, refused: u64) -> String {
    format!("{day}: {}, {}", tokens(issued), refusals(refused))
}

/// Says what happened in all days.
pub(in super::super) fn sentence(days: u64, issued: u64, refused: u64) -> String {
    format!("{} and {} in the last {days} days.", tokens(issued), refusals(refused))
}

/// The top of the vertical axis.
pub(in super::super) fn most(issued: u64) -> String {
    format!("{} on one day at most", tokens(issued))
}

/// The bottom of the vertical axis.
pub(in super::super) fn most_refused(refused: u64) -> String {
    format!("{} on one day at most", refusals(refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (count, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(number(count), text);
        }
        assert_eq!(sentence(7, 1, 2_000), "1 token and 2,000 refusals in the last 7 days.");
    }
}
