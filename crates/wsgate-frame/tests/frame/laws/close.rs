//! Any bytes as the payload of a Close: what is said of it is what the RFC says, and a close frame can be
//! made of it again exactly where it may be sent.

use wsgate_frame::{Close, CloseFault, ControlFrame};

/// A payload, as it is after unmasking.
pub(crate) fn is_as_it_is_read(payload: &[u8]) {
    let Some(close) = Close::parse(payload) else {
        assert!(payload.len() > 125, "a control frame has room for it");
        return;
    };
    assert_eq!(close.payload(), payload);
    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
    assert_eq!(close.code().map(|code| code.0), code);
    let reason = str::from_utf8(payload.get(2..).unwrap_or_default()).ok();
    assert_eq!(close.reason(), reason);

    let sendable = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    match close.check() {
        Ok(()) => assert!(payload.is_empty() || (code.is_some_and(sendable) && reason.is_some())),
        Err(CloseFault::HalfCode) => assert_eq!(payload.len(), 1),
        Err(CloseFault::UnsendableCode(found)) => {
            assert!(Some(found.0) == code && !sendable(found.0));
        }
        Err(CloseFault::ReasonNotUtf8) => assert!(reason.is_none()),
        Err(fault) => panic!("the law does not know {fault:?}"),
    }
    if let (Some(code), Some(reason)) = (close.code(), close.reason()) {
        let frame = ControlFrame::close(code, reason, None);
        assert_eq!(frame.is_ok(), close.check().is_ok());
        if let Ok(frame) = frame {
            assert_eq!(&frame[2..], payload);
        }
    }
    // For a log line, whatever it is.
    assert!(!format!("{close:?}").contains(['\r', '\n']));
}
