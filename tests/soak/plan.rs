//! What a client will do with its tunnel, decided before it opens.

use std::ops::Range;
use std::time::Duration;

use crate::random::Random;

/// One tunnel's life.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) habit: Habit,
    /// How long until it ends.
    pub(crate) life: Duration,
    pub(crate) exit: Exit,
    /// Whether it stops reading now and then.
    pub(crate) is_slow: bool,
}

/// How much it says, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Small messages, steadily.
    Chat,
    /// Large messages, in one frame or in many.
    Bulk,
    /// Many small messages at once, then a rest.
    Bursts,
    /// Hears news, and says nothing: the gateway has to ping it.
    Listens,
    /// Nothing at all.
    Idle,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Has everything that is on its way, then closes.
    Orderly,
    /// Closes in the middle of everything, and waits for the answer.
    Close,
    /// Closes, and is gone before the answer.
    CloseAndGo,
    /// Is gone, by FIN or, where something was left to read, by what the kernel makes of it.
    Fin,
    /// Is gone, by RST.
    Rst,
    /// Is gone within a frame.
    MidFrame,
}

// ===== impl Plan =====

impl Plan {
    pub(crate) fn new(random: &mut Random, longest: Duration) -> Self {
        let habit = match random.within(0..100) {
            0..35 => Habit::Chat,
            35..47 => Habit::Bulk,
            47..62 => Habit::Bursts,
            62..82 => Habit::Listens,
            _ => Habit::Idle,
        };
        let exit = match random.within(0..100) {
            0..60 => Exit::Orderly,
            60..68 => Exit::Close,
            68..74 => Exit::CloseAndGo,
            74..82 => Exit::Fin,
            82..91 => Exit::Rst,
            _ => Exit::MidFrame,
        };
        let longest = longest.as_millis() as usize;
        Self {
            habit,
            life: random.millis(longest / 10..longest),
            exit,
            is_slow: random.percent(20),
        }
    }

    /// The path with what the upstream is to do.
    pub(crate) fn path(&self, tunnel: u64) -> String {
        let news = match self.habit {
            Habit::Listens => 40,
            Habit::Bursts => 500,
            Habit::Chat | Habit::Bulk | Habit::Idle => 0,
        };
        format!("/soak?tunnel={tunnel}&news={news}")
    }
}

// ===== impl Habit =====

impl Habit {
    /// How long it is silent, in milliseconds.
    pub(crate) fn pause(self) -> Option<Range<usize>> {
        match self {
            Self::Chat => Some(20..300),
            Self::Bulk => Some(200..1200),
            Self::Bursts => Some(500..2500),
            Self::Listens | Self::Idle => None,
        }
    }

    /// How many messages it then sends.
    pub(crate) fn messages(self, random: &mut Random) -> usize {
        match self {
            Self::Bursts => random.within(10..80),
            _ => 1,
        }
    }

    pub(crate) fn length(self, random: &mut Random) -> usize {
        match self {
            Self::Bulk => random.within(10_000..200_000),
            _ if random.percent(3) => random.within(1_000..20_000),
            _ => random.within(0..300),
        }
    }

    pub(crate) fn frames(self, random: &mut Random) -> usize {
        match random.percent(30) {
            true => random.within(2..12),
            false => 1,
        }
    }
}

// ===== impl Exit =====

impl Exit {
    /// As the table has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Orderly => "in order",
            Self::Close => "a Close in the middle of everything",
            Self::CloseAndGo => "a Close, and gone before the answer",
            Self::Fin => "gone by FIN",
            Self::Rst => "gone by RST",
            Self::MidFrame => "gone within a frame",
        }
    }
}
