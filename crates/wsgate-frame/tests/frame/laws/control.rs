//! The control frames that we build, read back by the tracker.

use wsgate_frame::{Close, CloseCode, ControlError, ControlFrame, Event, OpCode, Role, Tracker};

/// A ping, a pong and a Close made of `bytes` are refused, or give back what was put in.
pub(crate) fn gives_back_what_was_put_in(bytes: &[u8]) {
    let Some((&[masked, m0, m1, m2, m3, high, low], payload)) = bytes.split_first_chunk() else {
        return;
    };
    let mask = (masked & 1 != 0).then_some([m0, m1, m2, m3]);
    ping_and_pong(payload, mask);

    let code = CloseCode(u16::from_be_bytes([high, low]));
    if let Ok(reason) = str::from_utf8(payload) {
        close(code, reason, mask);
    }
}

/// Pings and pongs of up to 125 bytes can be built, and carry them.
pub(crate) fn ping_and_pong(payload: &[u8], mask: Option<[u8; 4]>) {
    let ping = ControlFrame::ping(payload, mask);
    let pong = ControlFrame::pong(payload, mask);
    if payload.len() > 125 {
        assert_eq!(ping, Err(ControlError::PayloadTooLong));
        assert_eq!(pong, Err(ControlError::PayloadTooLong));
        return;
    }
    assert_carries(
        &ping.expect("a payload of up to 125 bytes"),
        OpCode::Ping,
        payload,
        mask,
    );
    assert_carries(
        &pong.expect("a payload of up to 125 bytes"),
        OpCode::Pong,
        payload,
        mask,
    );
}

/// A Close with a sendable code and a reason of up to 123 bytes can be built, and carries both.
pub(crate) fn close(code: CloseCode, reason: &str, mask: Option<[u8; 4]>) {
    let frame = match ControlFrame::close(code, reason, mask) {
        Ok(frame) => frame,
        Err(ControlError::UnsendableCode(refused)) => {
            assert_eq!(refused, code);
            assert!(!code.is_sendable());
            return;
        }
        Err(error) => {
            assert_eq!(error, ControlError::PayloadTooLong);
            assert!(reason.len() > 123);
            return;
        }
    };
    let payload = [&code.0.to_be_bytes(), reason.as_bytes()].concat();
    let tracker = assert_carries(&frame, OpCode::Close, &payload, mask);

    let seen = tracker.close().expect("a Close has passed");
    assert_eq!((seen.code(), seen.reason()), (Some(code), Some(reason)));
    assert_eq!(seen.check(), Ok(()));
    assert_eq!(Close::parse(&payload).as_ref(), Some(seen));
}

/// The tracker sees one control frame with this payload, and has nothing to say against it.
fn assert_carries(
    frame: &ControlFrame,
    opcode: OpCode,
    payload: &[u8],
    mask: Option<[u8; 4]>,
) -> Tracker {
    assert_eq!(frame.len(), 2 + mask.map_or(0, |_| 4) + payload.len());

    let mut tracker = Tracker::new(if mask.is_some() {
        Role::Client
    } else {
        Role::Server
    });
    let mut passed = 0;
    tracker.feed(frame, |event| match event {
        Event::Control {
            opcode: seen,
            payload: carried,
            start,
        } => {
            assert_eq!((seen, carried, start), (opcode, payload, 0));
            passed += 1;
        }
        Event::Violation { violation, .. } => panic!("{violation} in {frame:?}"),
        _ => {}
    });
    assert_eq!(passed, 1);
    assert!(tracker.at_boundary());
    tracker
}
