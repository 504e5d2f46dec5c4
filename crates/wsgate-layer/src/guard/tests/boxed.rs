//! Policies of any type, side by side.

use std::{
    io,
    task::{Context, Poll},
};

use wsgate_frame::{Event, Header, Role};

use super::super::{Action, Ending, Place, Policy, Wants};
use crate::{moment::Moment, tunnel::Tunnel};

/// What stands in a stack of different policies.
pub(crate) type Boxed = Box<dyn Policy + Send>;

impl Policy for Boxed {
    fn wants(&self) -> Wants {
        (**self).wants()
    }

    fn counts_unread(&self) -> bool {
        (**self).counts_unread()
    }

    fn on_read(&mut self, now: Moment) {
        (**self).on_read(now);
    }

    fn has_begun(&mut self) -> bool {
        (**self).has_begun()
    }

    fn on_passed(&mut self, now: Moment) {
        (**self).on_passed(now);
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        (**self).on_frame(header)
    }

    fn refuses(&mut self, event: &Event<'_>, from: Role) -> Option<Ending> {
        (**self).refuses(event, from)
    }

    fn on_incoming(&mut self, event: &Event<'_>, now: Moment, tunnel: &Tunnel) {
        (**self).on_incoming(event, now, tunnel);
    }

    fn on_outgoing(&mut self, event: &Event<'_>, tunnel: &Tunnel) {
        (**self).on_outgoing(event, tunnel);
    }

    fn on_unblocked(&mut self, now: Moment) {
        (**self).on_unblocked(now);
    }

    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        (**self).on_ping_sent(payload, now)
    }

    fn expects_pong(&self) -> bool {
        (**self).expects_pong()
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], now: Moment, tunnel: &Tunnel) -> bool {
        (**self).absorbs_pong(payload, now, tunnel)
    }

    fn pauses_until(&self) -> Option<Moment> {
        (**self).pauses_until()
    }

    fn deadline(&self) -> Option<Moment> {
        (**self).deadline()
    }

    fn deadline_while(&self, reads: bool) -> Option<Moment> {
        (**self).deadline_while(reads)
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        (**self).on_deadline(now, place)
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_signal(cx)
    }

    fn on_end(&mut self, error: Option<&io::Error>) {
        (**self).on_end(error);
    }

    fn on_shutdown(&mut self) {
        (**self).on_shutdown();
    }

    fn on_drop(&mut self, place: Place<'_>) {
        (**self).on_drop(place);
    }
}
