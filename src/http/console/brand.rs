//! The host's name, logo and colour.

/// The contrast of text that WCAG 2.2 AA asks for (1.4.3).
const CONTRAST: f64 = 4.5;
/// The backgrounds of the console in both schemes.
const LIGHT: Rgb = Rgb([0xf5, 0xf6, 0xf8]);
const DARK: Rgb = Rgb([0x1b, 0x20, 0x28]);
const BLACK: Rgb = Rgb([0; 3]);
const WHITE: Rgb = Rgb([255; 3]);

/// A setting of a [`ConsoleBrand`] that cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBrand {
    /// The colour is not `#` and six hexadecimal digits.
    #[error("a colour is # and six hexadecimal digits, such as #1f5fbf")]
    Accent,
    /// The logo is of another type, empty or too long.
    #[error("a logo is image/svg+xml, image/png or image/webp of at most 256 KiB")]
    Logo,
}

/// The host's name, logo and colour in the console.
///
/// ```
/// use grantor::http::console::ConsoleBrand;
///
/// let brand = ConsoleBrand::new("Example Files").with_accent("#1f5fbf")?;
/// # Ok::<(), grantor::http::console::InvalidBrand>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConsoleBrand {
    name: String,
    accent: Rgb,
    logo: Option<Logo>,
}

type Logo = (&'static str, &'static str, Vec<u8>);

impl Default for ConsoleBrand {
    /// *Authorization server*, blue, without logo.
    fn default() -> Self {
        Self::new("Authorization server")
    }
}

impl ConsoleBrand {
    /// The longest logo, in bytes.
    pub const MAX_LOGO_BYTES: usize = 256 * 1024;

    /// Creates the brand of a host with this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), accent: Rgb([0x1f, 0x5f, 0xbf]), logo: None }
    }

    /// Sets the colour of links, buttons and the focus, as `#` and six hexadecimal digits. Where its contrast is
    /// too low to read, it is made darker in the light scheme, and lighter in the dark one.
    ///
    /// # Errors
    ///
    /// [`InvalidBrand::Accent`].
    pub fn with_accent(mut self, colour: &str) -> Result<Self, InvalidBrand> {
        self.accent = Rgb::parse(colour).ok_or(InvalidBrand::Accent)?;
        Ok(self)
    }

    /// Sets the logo, which is shown 28 pixels high before the name: `image/svg+xml`, `image/png` or `image/webp`
    /// of at most [256 KiB](Self::MAX_LOGO_BYTES).
    ///
    /// # Errors
    ///
    /// [`InvalidBrand::Logo`].
    pub fn with_logo(
        mut self,
        content_type: &str,
        image: impl Into<Vec<u8>>,
    ) -> Result<Self, InvalidBrand> {
        let (extension, content_type) = match content_type {
            "image/svg+xml" => ("svg", "image/svg+xml"),
            "image/png" => ("png", "image/png"),
            "image/webp" => ("webp", "image/webp"),
            _ => return Err(InvalidBrand::Logo),
        };
        let image = image.into();
        if image.is_empty() || image.len() > Self::MAX_LOGO_BYTES {
            return Err(InvalidBrand::Logo);
        }
        self.logo = Some((extension, content_type, image));
        Ok(self)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn logo(&self) -> Option<(&'static str, &'static str, &[u8])> {
        self.logo
            .as_ref()
            .map(|(extension, content_type, image)| (*extension, *content_type, &**image))
    }

    /// Returns the stylesheet with the colours.
    pub(super) fn style(&self) -> String {
        let colours = |ground: Rgb, towards: Rgb| {
            let accent = self.accent.readable_on(ground, towards);
            let white = accent.contrast(WHITE) >= accent.contrast(BLACK);
            let on_accent = if white { WHITE } else { BLACK };
            format!(
                "--accent:{};--on-accent:{};--accent-ground:{}",
                accent.to_css(),
                on_accent.to_css(),
                ground.mixed(accent, 12).to_css(),
            )
        };
        format!(
            ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
            colours(LIGHT, BLACK),
            colours(DARK, WHITE),
        )
    }
}

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rgb([u8; 3]);

impl Rgb {
    fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix('#').filter(|hex| hex.len() == 6)?;
        let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(hex, 16).ok().filter(|_| digits)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    fn to_css(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Returns the relative luminance of WCAG 2.2.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126f64.mul_add(red, 0.7152f64.mul_add(green, 0.0722 * blue))
    }

    fn contrast(self, other: Self) -> f64 {
        let (own, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        own.max(other) / own.min(other)
    }

    /// Mixes `percent` of `other` into this colour.
    fn mixed(self, other: Self, percent: u16) -> Self {
        let mix = |own: u8, other: u8| {
            let sum = u16::from(own) * (100 - percent) + u16::from(other) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [r2, g2, b2]) = (self.0, other.0);
        Self([mix(r, r2), mix(g, g2), mix(b, b2)])
    }

    /// Returns the nearest colour on the way to `towards` that can be read on `ground`, also when `ground` is
    /// tinted with it.
    fn readable_on(self, ground: Self, towards: Self) -> Self {
        let fits = |colour: &Self| colour.contrast(ground.mixed(*colour, 12)) >= CONTRAST;
        (0..=100)
            .step_by(4)
            .map(|percent| self.mixed(towards, percent))
            .find(fits)
            .unwrap_or(towards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H16: links and buttons can be read in any colour of a host.
    #[test]
    fn every_colour_is_made_readable_in_both_schemes() {
        for text in ["#1f5fbf", "#ffffff", "#000000", "#ffff00", "#777777", "#ff0000", "#00FF7f"] {
            let colour = Rgb::parse(text).unwrap();
            for (ground, towards) in [(LIGHT, BLACK), (DARK, WHITE)] {
                let accent = colour.readable_on(ground, towards);
                assert!(accent.contrast(ground) >= CONTRAST, "{text}");
                let best = accent.contrast(WHITE).max(accent.contrast(BLACK));
                assert!(best >= CONTRAST, "{text}");
            }
        }
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 0.01);
    }

    #[test]
    fn a_colour_cannot_carry_a_rule() {
        let brand = || ConsoleBrand::new("x");
        for bad in ["", "red", "#fff", "#12345g", "#1234567", "#12345;", "# 12345", "#+12345"] {
            assert_eq!(brand().with_accent(bad).unwrap_err(), InvalidBrand::Accent, "{bad}");
        }
        let style = brand().with_accent("#1f5fbf").unwrap().style();
        assert!(style.starts_with(":root{--accent:#1f5fbf;--on-accent:#ffffff;"), "{style}");
    }

    #[test]
    fn a_logo_has_its_documented_bounds() {
        let with =
            |content_type, bytes| ConsoleBrand::new("x").with_logo(content_type, vec![0; bytes]);
        assert!(with("image/png", ConsoleBrand::MAX_LOGO_BYTES).is_ok());
        for (content_type, bytes) in [
            ("image/png", 0),
            ("image/png", ConsoleBrand::MAX_LOGO_BYTES + 1),
            ("text/html", 1),
            ("image/svg", 1),
        ] {
            assert_eq!(with(content_type, bytes).unwrap_err(), InvalidBrand::Logo);
        }
    }
}
