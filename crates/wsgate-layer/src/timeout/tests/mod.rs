//! Timeouts by themselves; `order` has them beside a keepalive.

mod idle;
mod lifetime;
mod order;
mod read;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsgate_frame::{CloseCode, Role};

use super::*;
use crate::{
    guard::tests::{Scripted, scripted, upgrade},
    keepalive::tests::{close_from, frame, frame_to, hears, hears_end, other, secs},
};

const BOTH: [Role; 2] = [Role::Client, Role::Server];
