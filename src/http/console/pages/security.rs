//! *Security* of an app: the rules that it enforces on a phone.

use askama::Template;
use http::StatusCode;

use super::super::access::ConsoleRole;
use super::super::conflict::Difference;
use super::super::fields::Fields;
use super::super::frame::{Done, Frame, Tab};
use super::super::problem::Problem;
use super::super::texts::{self, security as text};
use super::super::visit::Visit;
use crate::admin::AdminError;
use crate::app::{AppDraft, CustomApp, MobileSecurity, PinPolicy};
use crate::hooks::Hooks;
use crate::http::Page;
use crate::store::Store;
use crate::users::UserDirectory;

#[derive(Template)]
#[template(path = "console/security.html")]
struct Security<'a> {
    frame: Frame<'a>,
    action: String,
    version: u64,
    may_edit: bool,
    typed: &'a Typed,
    mistakes: Mistakes,
}

/// The rules as an administrator typed them.
struct Typed {
    remote_wipe: bool,
    pin: String,
    minutes: String,
    attempts: String,
    biometrics: bool,
    clipboard: bool,
    allowed: String,
    block: String,
    wipe_after: String,
}

/// The sentences beside the fields.
#[derive(Default)]
struct Mistakes {
    pin: Option<&'static str>,
    minutes: Option<&'static str>,
    attempts: Option<&'static str>,
    allowed: Vec<String>,
    block: Option<&'static str>,
    wipe_after: Option<&'static str>,
}

impl Mistakes {
    fn is_empty(&self) -> bool {
        let Self { pin, minutes, attempts, allowed, block, wipe_after } = self;
        [pin, minutes, attempts, block, wipe_after].iter().all(|it| it.is_none())
            && allowed.is_empty()
    }
}

impl From<&MobileSecurity> for Typed {
    fn from(rules: &MobileSecurity) -> Self {
        let (pin, minutes) = match rules.pin {
            PinPolicy::Never => ("never", String::new()),
            PinPolicy::Always => ("always", String::new()),
            PinPolicy::WhenOffline => ("offline", String::new()),
            PinPolicy::AfterIdleMinutes(minutes) => ("after", minutes.to_string()),
        };
        let limit = |it: Option<u16>| it.map_or_else(String::new, |it| it.to_string());
        Self {
            remote_wipe: rules.remote_wipe,
            pin: pin.to_owned(),
            minutes,
            attempts: limit(rules.max_pin_attempts.map(u16::from)),
            biometrics: rules.biometrics,
            clipboard: rules.clipboard,
            allowed: rules.allowed_apps.join("\n"),
            block: limit(rules.block_after_hours),
            wipe_after: limit(rules.wipe_after_days),
        }
    }
}

impl Typed {
    fn of(form: &Fields) -> Self {
        Self {
            remote_wipe: form.has("remote_wipe"),
            pin: form.one("pin").to_owned(),
            minutes: form.one("minutes").trim().to_owned(),
            attempts: form.one("attempts").trim().to_owned(),
            biometrics: form.has("biometrics"),
            clipboard: form.has("clipboard"),
            allowed: form.one("allowed_apps").replace("\r\n", "\n"),
            block: form.one("block_after").trim().to_owned(),
            wipe_after: form.one("wipe_after").trim().to_owned(),
        }
    }

    /// Returns the rules, or a sentence for each wrong field.
    fn check(&self) -> Result<MobileSecurity, Mistakes> {
        let mut mistakes = Mistakes::default();
        let minutes = self.minutes.parse().ok().filter(|it| (1..=1_440).contains(it));
        let pin = match &*self.pin {
            "never" => PinPolicy::Never,
            "always" => PinPolicy::Always,
            "offline" => PinPolicy::WhenOffline,
            "after" => {
                mistakes.minutes = minutes.is_none().then_some(text::MINUTES_WRONG);
                PinPolicy::AfterIdleMinutes(minutes.unwrap_or(1))
            }
            _ => {
                mistakes.pin = Some(text::PIN_UNKNOWN);
                PinPolicy::Never
            }
        };
        let attempts: Option<u8> = self.attempts.parse().ok().filter(|it| (1..=20).contains(it));
        if attempts.is_none() && !self.attempts.is_empty() {
            mistakes.attempts = Some(text::ATTEMPTS_WRONG);
        }
        let lines = self.allowed.lines().map(str::trim).enumerate();
        let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty()).collect();
        if lines.len() > 100 {
            mistakes.allowed.push(text::ALLOWED_MANY.to_owned());
        } else {
            let wrong = lines.iter().filter(|(_, line)| !MobileSecurity::is_pattern(line));
            let sentence = |(number, line): &(usize, &str)| {
                let wrong = if line.contains('*') { text::wrong_star } else { text::wrong_line };
                wrong(number + 1)
            };
            mistakes.allowed.extend(wrong.map(sentence));
        }
        let limit =
            |typed: &str, max: u16| typed.parse::<u16>().ok().filter(|it| (1..=max).contains(it));
        let block = limit(&self.block, 8_760);
        if block.is_none() && !self.block.is_empty() {
            mistakes.block = Some(text::BLOCK_WRONG);
        }
        let wipe_after = limit(&self.wipe_after, 3_650);
        if wipe_after.is_none() && !self.wipe_after.is_empty() {
            mistakes.wipe_after = Some(text::WIPE_AFTER_WRONG);
        }
        let rules = MobileSecurity {
            remote_wipe: self.remote_wipe,
            pin,
            max_pin_attempts: attempts,
            biometrics: self.biometrics,
            clipboard: self.clipboard,
            allowed_apps: lines.into_iter().map(|(_, line)| line.to_owned()).collect(),
            block_after_hours: block,
            wipe_after_days: wipe_after,
        };
        if !rules.wipes_after_block() {
            mistakes.wipe_after = Some(text::WIPE_BEFORE_BLOCK);
        }
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    }

    fn differences(&self, stored: &Self) -> Vec<Difference> {
        let yes = |it: bool| (if it { text::YES } else { text::NO }).to_owned();
        let pin = |it: &Self| {
            let found = text::PINS.iter().find(|(value, ..)| *value == it.pin);
            let name = found.map_or("", |(_, name, _)| *name);
            if it.pin == "after" { format!("{name}: {}", it.minutes) } else { name.to_owned() }
        };
        [
            Difference::of(text::WIPE, yes(self.remote_wipe), yes(stored.remote_wipe)),
            Difference::of(text::PIN, pin(self), pin(stored)),
            Difference::of(text::ATTEMPTS, self.attempts.clone(), stored.attempts.clone()),
            Difference::of(text::BIOMETRICS, yes(self.biometrics), yes(stored.biometrics)),
            Difference::of(text::CLIPBOARD, yes(self.clipboard), yes(stored.clipboard)),
            Difference::of(text::ALLOWED, self.allowed.clone(), stored.allowed.clone()),
            Difference::of(text::BLOCK, self.block.clone(), stored.block.clone()),
            Difference::of(text::WIPE_AFTER, self.wipe_after.clone(), stored.wipe_after.clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl<S: Store, U: UserDirectory, H: Hooks> Visit<'_, S, U, H> {
    /// Shows the rules of an app.
    pub(in super::super) async fn security(&self, segment: &str) -> Result<Page, Problem> {
        let app = self.app(segment).await?;
        let stored = Typed::from(app.settings().mobile_security());
        self.security_form(StatusCode::OK, &app, app.version(), &stored, Mistakes::default())
    }

    /// Saves the rules of an app, or shows the form again with its mistakes or with a conflict.
    pub(in super::super) async fn save_security(
        &self,
        segment: &str,
        form: &Fields,
    ) -> Result<Page, Problem> {
        self.require(ConsoleRole::Edit)?;
        let version = form.one("version").parse().map_err(|_| Problem::BadForm)?;
        let typed = Typed::of(form);
        let app = self.app(segment).await?;
        let rules = match typed.check() {
            Ok(rules) => rules,
            Err(mistakes) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return self.security_form(status, &app, version, &typed, mistakes);
            }
        };
        let draft = AppDraft::from(app.settings()).mobile_security(rules.clone());
        match self.save(&app, version, draft).await {
            Ok(_) => Ok(self.see(&self.app_link(app.client_id(), "security"), Done::Saved)),
            Err(AdminError::Conflict { .. }) => {
                let app = self.app(segment).await?;
                let stored = Typed::from(app.settings().mobile_security());
                let differences = Typed::from(&rules).differences(&stored);
                self.conflict_page(&app, Tab::Security, form, differences)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn security_form(
        &self,
        status: StatusCode,
        app: &CustomApp,
        version: u64,
        typed: &Typed,
        mistakes: Mistakes,
    ) -> Result<Page, Problem> {
        let page = Security {
            frame: self.app_frame(app, Tab::Security),
            action: self.app_link(app.client_id(), "security"),
            version,
            may_edit: self.may(ConsoleRole::Edit),
            typed,
            mistakes,
        };
        self.page_with(status, &page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pin: &str, minutes: &str, attempts: &str, allowed: &str) -> Typed {
        let text = str::to_owned;
        Typed {
            pin: text(pin),
            minutes: text(minutes),
            attempts: text(attempts),
            allowed: text(allowed),
            ..Typed::from(&MobileSecurity::default())
        }
    }

    #[test]
    fn rules_survive_the_form_and_their_bounds_are_those_of_the_app() {
        for pin in [
            PinPolicy::Never,
            PinPolicy::Always,
            PinPolicy::WhenOffline,
            PinPolicy::AfterIdleMinutes(1_440),
        ] {
            let rules = MobileSecurity {
                pin,
                remote_wipe: true,
                max_pin_attempts: Some(20),
                allowed_apps: vec!["com.example.*".to_owned(), "*".to_owned()],
                block_after_hours: Some(8_760),
                wipe_after_days: Some(3_650),
                ..MobileSecurity::default()
            };
            assert_eq!(Typed::from(&rules).check().ok(), Some(rules));
        }
        let many = "a\n".repeat(101);
        for (wrong, fields) in [
            (typed("after", "0", "", ""), (false, true, false, 0)),
            (typed("after", "1441", "21", ""), (false, true, true, 0)),
            (typed("after", "", "0", "a b\n\nok\n\u{e4}"), (false, true, true, 2)),
            (typed("never", "", "", "*\na.*\na*\n.*\n**\n*.a"), (false, false, false, 4)),
            (typed("sometimes", "x", "-1", &many), (true, false, true, 1)),
            (typed("never", "x", "", &"a".repeat(256)), (false, false, false, 1)),
        ] {
            let Err(Mistakes { pin, minutes, attempts, allowed, .. }) = wrong.check() else {
                panic!("accepted");
            };
            let found = (pin.is_some(), minutes.is_some(), attempts.is_some(), allowed.len());
            assert_eq!(found, fields);
        }
        let allowed = typed("never", "", "", " a \n\n b.* ").check().ok().map(|it| it.allowed_apps);
        assert_eq!(allowed.unwrap(), ["a", "b.*"]);
    }

    /// W16: the bounds of the offline limits are those of the app.
    #[test]
    fn offline_limits_are_checked_as_those_of_the_app() {
        for (block, wipe_after, wrong) in [
            ("", "", (None, None)),
            ("1", "1", (None, None)),
            ("8760", "3650", (None, None)),
            ("24", "1", (None, None)),
            ("25", "1", (None, Some(text::WIPE_BEFORE_BLOCK))),
            ("0", "0", (Some(text::BLOCK_WRONG), Some(text::WIPE_AFTER_WRONG))),
            ("8761", "3651", (Some(text::BLOCK_WRONG), Some(text::WIPE_AFTER_WRONG))),
            ("a day", "-1", (Some(text::BLOCK_WRONG), Some(text::WIPE_AFTER_WRONG))),
            ("99999", "1", (Some(text::BLOCK_WRONG), None)),
        ] {
            let typed = Typed {
                block: block.to_owned(),
                wipe_after: wipe_after.to_owned(),
                ..typed("never", "", "", "")
            };
            let found = match typed.check() {
                Ok(_) => (None, None),
                Err(mistakes) => (mistakes.block, mistakes.wipe_after),
            };
            assert_eq!(found, wrong, "{block} {wipe_after}");
        }
    }
}
