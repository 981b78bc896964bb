//! The requirements of a request for login and consent: the parameters `prompt` and `max_age` of OpenID
//! Connect Core 1.0 section 3.1.2.1.

use crate::clock::UnixTime;
use crate::error::Rejection;
use crate::protocol::form::Form;

/// How long the way back from a required login may take, in seconds, if `max_age` is less. Without it a
/// user would have to log in again and again.
const RETURN_SECONDS: u64 = 60;

/// The requirements of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the words of `prompt` are a set")]
pub(super) struct Demands {
    /// `prompt=none`: if a page is needed, the app gets an error instead.
    pub(super) no_page: bool,
    /// `prompt=consent`: the user is always asked.
    pub(super) consent: bool,
    /// `prompt=select_account`: the user chooses the account.
    select_account: bool,
    /// `prompt=login`: the user logs in again. `max_age=0` means the same.
    login: bool,
    /// `max_age`, in seconds: the user logs in again if the last login is older.
    max_age: Option<u64>,
}

impl Demands {
    /// Reads the two parameters.
    pub(super) fn read(form: &Form<'_>) -> Result<Self, Rejection> {
        const PROMPT: Rejection = Rejection::UnsupportedParameter("prompt");
        let mut demands = Self::default();
        for word in form.get("prompt").into_iter().flat_map(|words| words.split(' ')) {
            match word {
                "none" => demands.no_page = true,
                "login" => demands.login = true,
                "consent" => demands.consent = true,
                "select_account" => demands.select_account = true,
                _ => return Err(PROMPT),
            }
        }
        if demands.no_page && (demands.login || demands.consent || demands.select_account) {
            return Err(PROMPT);
        }
        if let Some(text) = form.get("max_age") {
            if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Rejection::UnsupportedParameter("max_age"));
            }
            // Digits only, so a parse error is an overflow: it means no limit.
            match text.parse().unwrap_or(u64::MAX) {
                0 => demands.login = true,
                seconds => demands.max_age = Some(seconds),
            }
        }
        Ok(demands)
    }

    /// Returns whether the instant of the login matters.
    pub(super) const fn fresh_login(&self) -> bool {
        self.login || self.max_age.is_some()
    }

    /// Returns whether the user has to choose the account.
    pub(super) const fn select_account(&self) -> bool {
        self.select_account
    }

    /// Returns whether the user has to visit the login page of this request, so that a marker tells
    /// the way back.
    pub(super) const fn visit(&self) -> bool {
        self.fresh_login() || self.select_account
    }

    /// Returns whether a login at `auth_time` is fresh enough. `demanded_at` is the instant when this
    /// request sent the user to log in, if it did.
    pub(super) fn are_met(
        &self,
        auth_time: UnixTime,
        demanded_at: Option<UnixTime>,
        now: UnixTime,
    ) -> bool {
        // Hosts keep whole seconds.
        let auth_time = auth_time.as_seconds();
        let answered = demanded_at.is_some_and(|at| auth_time >= at.as_seconds());
        let age = u64::try_from(now.as_seconds().saturating_sub(auth_time)).unwrap_or(0);
        let just_now = answered && age <= RETURN_SECONDS;
        let young = self.max_age.is_none_or(|max_age| age <= max_age || just_now);
        young && (answered || !self.login)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Result<Demands, Rejection> {
        Demands::read(&Form::parse(query.as_bytes()).unwrap())
    }

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_millis(1_700_000_000_000 + millis)
    }

    #[test]
    fn the_words_of_prompt_are_a_set_in_which_none_stands_alone() {
        let all = Demands { login: true, consent: true, ..Demands::default() };
        for (query, expected) in [
            ("", Demands::default()),
            ("prompt=", Demands::default()),
            ("prompt=none", Demands { no_page: true, ..Demands::default() }),
            ("prompt=login", Demands { login: true, ..Demands::default() }),
            ("prompt=consent", Demands { consent: true, ..Demands::default() }),
            ("prompt=select_account", Demands { select_account: true, ..Demands::default() }),
            (
                "prompt=consent+select_account",
                Demands { consent: true, select_account: true, ..Demands::default() },
            ),
            ("prompt=login+consent", all),
            ("prompt=consent%20login+login", all),
        ] {
            assert_eq!(read(query), Ok(expected), "{query}");
        }
        for words in [
            "none+select_account",
            "select_account+none",
            "select-account",
            "None",
            "LOGIN",
            "none+login",
            "consent+none",
            "login++consent",
            "+login",
            "login+",
            "+",
            "login%09consent",
            "login,consent",
        ] {
            let refused = Err(Rejection::UnsupportedParameter("prompt"));
            assert_eq!(read(&format!("prompt={words}")), refused, "{words}");
        }
    }

    #[test]
    fn max_age_is_digits() {
        let max_age = |seconds| Demands { max_age: Some(seconds), ..Demands::default() };
        let login = Demands { login: true, ..Demands::default() };
        for (text, expected) in [
            ("", Demands::default()),
            ("0", login),
            ("000", login),
            ("1", max_age(1)),
            ("0060", max_age(60)),
            ("18446744073709551615", max_age(u64::MAX)),
            ("99999999999999999999999", max_age(u64::MAX)),
        ] {
            assert_eq!(read(&format!("max_age={text}")), Ok(expected), "{text}");
        }
        for text in ["-1", "%2B1", "1.5", "1e3", "+1", "1+", "x", "0x10", "%D9%A1"] {
            let refused = Err(Rejection::UnsupportedParameter("max_age"));
            assert_eq!(read(&format!("max_age={text}")), refused, "{text}");
        }
    }

    #[test]
    fn a_login_is_fresh_when_it_came_after_the_demand_or_is_young_enough() {
        let login = read("prompt=login").unwrap();
        for (auth_time, demanded_at, met) in [
            (0, None, false),
            (0, Some(0), true),
            (0, Some(999), true),
            (0, Some(1_000), false),
            (999, Some(1_000), false),
            (5_000, Some(1), true),
        ] {
            let met_now = login.are_met(at(auth_time), demanded_at.map(at), at(5_000));
            assert_eq!(met_now, met, "{auth_time} {demanded_at:?}");
        }
        let young = |max_age: u64, age: i64| {
            read(&format!("max_age={max_age}")).unwrap().are_met(at(0), None, at(age))
        };
        assert!(young(1, 1_999) && !young(1, 2_000));
        assert!(young(3_600, 3_600_999) && !young(3_600, 3_601_000));
        assert!(young(u64::MAX, 4_000_000_000_000) && young(1, -5_000));
        // A login that was demanded has time to come back, once.
        let short = read("max_age=5").unwrap();
        assert!(short.are_met(at(0), Some(at(0)), at(60_999)));
        assert!(!short.are_met(at(0), Some(at(0)), at(61_000)));
        assert!(!short.are_met(at(0), Some(at(1_000)), at(6_000)));
        let both = read("max_age=3600&prompt=login").unwrap();
        assert!(both.are_met(at(0), Some(at(0)), at(3_600_000)));
        assert!(!both.are_met(at(0), Some(at(0)), at(3_601_000)));
        assert!(!both.are_met(at(0), None, at(0)));
    }

    proptest! {
        /// No rule of whole seconds is stricter than the instants themselves.
        #[test]
        fn whole_seconds_are_never_stricter(
            auth_time in 0_i64..10_000, later in 0_i64..100_000, max_age in 1_u64..90,
        ) {
            let age = i64::try_from(max_age * 1_000).unwrap();
            let demands = read(&format!("max_age={max_age}")).unwrap();
            let now = at(auth_time + later);
            prop_assert!(later > age || demands.are_met(at(auth_time), None, now));
            prop_assert!(later < age + 1_000 || !demands.are_met(at(auth_time), None, now));
            let login = read("prompt=login").unwrap();
            prop_assert!(login.are_met(now, Some(at(auth_time)), now));
        }
    }
}
