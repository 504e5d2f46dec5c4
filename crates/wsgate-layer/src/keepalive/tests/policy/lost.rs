//! Where frames have lost their place.

use super::*;

/// A length that is no number of bytes: whatever follows it, nobody knows what it is.
const LOST: &[u8] = &[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn where_no_ping_can_go_out_silence_tells() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(LOST, |_| {});
    // Nobody is asked.
    bench.waits(10);
    bench.dies(14);
}

#[test]
fn where_no_ping_can_go_out_any_byte_is_life() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(LOST, |_| {});
    bench.waits(10);
    for second in [13, 16, 19] {
        bench.reads(second);
    }
    bench.waits(23);
    bench.reads(26);
    bench.waits(30);
    bench.dies(34);
}
