//! Names and texts that cannot be wrong: checked once, where they come in.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Limits,
    protocol::{ErrorCode, Refusal},
};

/// The name of a room: letters, digits and hyphens, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RoomName(Arc<str>);

/// A person's name: printable, without blanks at either end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PersonName(Arc<str>);

// ===== impl RoomName =====

impl RoomName {
    pub(crate) fn parse(input: &str, limits: &Limits) -> Result<Self, Refusal> {
        let name = input.trim().to_lowercase();
        let fits = (1..=limits.room_chars).contains(&name.chars().count());
        if fits && name.chars().all(|c| c.is_alphanumeric() || c == '-') {
            return Ok(Self(name.into()));
        }
        Err(Refusal::new(
            ErrorCode::BadRoom,
            format!(
                "a room is named with 1 to {} letters, digits and hyphens",
                limits.room_chars
            ),
        ))
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// ===== impl PersonName =====

impl PersonName {
    pub(crate) fn parse(input: &str, limits: &Limits) -> Result<Self, Refusal> {
        let name = input.trim();
        let fits = (1..=limits.name_chars).contains(&name.chars().count());
        if fits && !name.chars().any(is_disruptive) {
            return Ok(Self(name.into()));
        }
        Err(Refusal::new(
            ErrorCode::BadName,
            format!("a name has 1 to {} printable characters", limits.name_chars),
        ))
    }
}

// ===== helpers =====

/// Checks what is to be said, without the blank lines round it.
pub(crate) fn parse_text(input: &str, limits: &Limits) -> Result<String, Refusal> {
    let text = input.trim();
    if (1..=limits.text_chars).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err(Refusal::new(
        ErrorCode::BadText,
        format!("a message has 1 to {} characters", limits.text_chars),
    ))
}

/// Control characters, and those that turn the direction of everything after them: a name stands in
/// other people's sentences.
fn is_disruptive(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_named_with_letters_digits_and_hyphens() {
        #[track_caller]
        fn check(input: &str, expected: Option<&str>) {
            let name = RoomName::parse(input, &Limits::default()).ok();
            assert_eq!(name.map(|name| name.to_string()).as_deref(), expected);
        }
        check("lobby", Some("lobby"));
        check(" Tea-Room-2 ", Some("tea-room-2"));
        check("café", Some("café"));
        check("", None);
        check("two words", None);
        check("a/b", None);
        check(&"x".repeat(33), None);
    }

    #[test]
    fn names_are_printable_and_neither_empty_nor_long() {
        #[track_caller]
        fn check(input: &str, expected: bool) {
            let name = PersonName::parse(input, &Limits::default());
            assert_eq!(name.is_ok(), expected, "{input:?}");
        }
        check("Ada Lovelace", true);
        check("  Zoë ", true);
        check(&"é".repeat(32), true);
        check(&"é".repeat(33), false);
        check("   ", false);
        check("a\nb", false);
        check("evil\u{202e}name", false);
    }
}
