//! The laws, on generated input.

use proptest::collection::vec;
use proptest::prelude::*;
use wsgate_frame::{CloseCode, Event, Header, Rsv, Tracker};
use wsgate_seeds::replay;

use crate::generate::{conversation, cuts, header, mutated_header, role, rsv, unruly_stream};
use crate::laws::{close, control, header as header_law, tracker};

#[test]
fn what_fuzzing_came_upon() {
    replay("header", |bytes| {
        header_law::agrees_with_tungstenite(bytes);
        header_law::consumes_nothing_until_whole(bytes);
    });
    replay("tracker", tracker::holds_for);
    replay("control", control::gives_back_what_was_put_in);
    replay("close", close::is_as_it_is_read);
}

proptest! {
    #[test]
    fn parse_after_write_is_the_identity(header in header(), tail in vec(any::<u8>(), 0..4)) {
        let mut buf = [0; Header::MAX_SIZE];
        let bytes = header.write(&mut buf).unwrap();
        prop_assert_eq!(bytes.len(), header.size());
        let bytes = [bytes, &tail].concat();
        prop_assert_eq!(Header::parse(&bytes), Ok(Some((header, header.size()))));
    }

    #[test]
    fn the_header_parser_agrees_with_tungstenite(bytes in mutated_header()) {
        header_law::agrees_with_tungstenite(&bytes);
        header_law::consumes_nothing_until_whole(&bytes);
    }

    #[test]
    fn the_header_parser_agrees_with_tungstenite_on_any_bytes(bytes in vec(any::<u8>(), 0..20)) {
        header_law::agrees_with_tungstenite(&bytes);
        header_law::consumes_nothing_until_whole(&bytes);
    }

    #[test]
    fn pings_and_pongs_carry_their_payload(
        payload in vec(any::<u8>(), 0..=130),
        mask in any::<Option<[u8; 4]>>(),
    ) {
        control::ping_and_pong(&payload, mask);
    }

    #[test]
    fn a_close_carries_its_code_and_reason(
        code in prop_oneof![990..1020u16, 2990..5010u16, any::<u16>()],
        reason in "\\PC{0,60}",
        mask in any::<Option<[u8; 4]>>(),
    ) {
        control::close(CloseCode(code), &reason, mask);
    }

    #[test]
    fn control_frames_made_of_any_bytes_give_them_back(bytes in vec(any::<u8>(), 0..=140)) {
        control::gives_back_what_was_put_in(&bytes);
    }

    #[test]
    fn any_cutting_of_unruly_frames_agrees_with_the_model(
        role in role(),
        allowed in rsv(),
        stream in unruly_stream(),
        cuts in cuts(),
    ) {
        tracker::any_cutting_agrees_with_the_model(role, allowed, &stream, &cuts);
    }

    #[test]
    fn any_cutting_of_any_bytes_agrees_with_the_model(bytes in vec(any::<u8>(), 0..400)) {
        tracker::holds_for(&bytes);
    }
}

proptest! {
    // These streams may be large, and are read three times and a few beginnings more.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cutting_of_a_conversation_agrees_with_the_model(
        conversation in conversation(),
        cuts in cuts(),
    ) {
        let role = conversation.role;
        tracker::any_cutting_agrees_with_the_model(role, Rsv::NONE, &conversation.bytes, &cuts);
    }

    #[test]
    fn a_conversation_has_no_fault_and_its_counts_are_right(conversation in conversation()) {
        let mut tracker = Tracker::new(conversation.role);
        tracker.feed(&conversation.bytes, |event| {
            if let Event::Violation { violation, start } = event {
                panic!("{violation} at {start}");
            }
        });

        let counts = tracker.counts();
        prop_assert!(tracker.at_boundary() && !tracker.in_message());
        prop_assert_eq!(counts.messages, conversation.messages);
        prop_assert_eq!(counts.data_frames, conversation.data_frames);
        prop_assert_eq!(counts.control_frames, conversation.control_frames);
        prop_assert_eq!(counts.payload_bytes, conversation.payload_bytes);
        prop_assert_eq!(counts.wire_bytes, conversation.bytes.len() as u64);

        let close = tracker.close().map(|close| (close.code(), close.reason()));
        let expected = conversation.close.as_ref();
        prop_assert_eq!(close, expected.map(|(code, reason)| (Some(*code), Some(&reason[..]))));
    }
}
