//! What messages carry: bytes that tell which message they belong to and where in it they stand.
//!
//! A payload begins with its message's number, and goes on with noise from a place in a table that
//! the number chooses. All of what comes back is compared with what was sent, which costs no more
//! than a `memcmp`: a proxy that loses, repeats, mixes up or forgets to unmask is never fast.

use std::sync::LazyLock;

use crate::random::Random;

/// Appends the bytes of message `number` from `offset` on, up to `length`.
pub(crate) fn append(number: u64, offset: usize, length: usize, out: &mut Vec<u8>) {
    parts(number, offset, length, |part, _| {
        out.extend_from_slice(part)
    });
}

/// Whether `bytes` are those of message `number` from `offset` on.
pub(crate) fn matches(number: u64, offset: usize, bytes: &[u8]) -> bool {
    let mut same = true;
    parts(number, offset, bytes.len(), |part, at| {
        same &= bytes[at..at + part.len()] == *part;
    });
    same
}

/// Hands out the parts that make up `length` bytes from `offset` on, each with where it goes.
fn parts(number: u64, offset: usize, length: usize, mut part: impl FnMut(&[u8], usize)) {
    let name = number.to_le_bytes();
    let mut done = 0;
    if offset < name.len() {
        let named = &name[offset..];
        let named = &named[..named.len().min(length)];
        part(named, 0);
        done = named.len();
    }
    let shift = (number % PERIOD as u64) as usize * name.len();
    while done < length {
        let start = (shift + offset + done) % PERIOD;
        let count = (length - done).min(PERIOD);
        part(&NOISE[start..start + count], done);
        done += count;
    }
}

/// Two periods, so that one of them can be copied from any place within the first.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Random::seeded(0x9e37_79b9_7f4a_7c15);
    let mut noise: Vec<u8> = (0..PERIOD).map(|_| random.next() as u8).collect();
    noise.extend_from_within(..);
    noise
});

/// A prime: no buffer of a proxy is a multiple of it, so chunks that change places do not match.
const PERIOD: usize = 65_521;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(number: u64, length: usize) -> Vec<u8> {
        let mut payload = Vec::new();
        append(number, 0, length, &mut payload);
        payload
    }

    proptest! {
        #[test]
        fn a_payload_is_the_same_in_any_two_pieces(number: u64, length in 0usize..200_000, cut: f64) {
            let cut = (cut.fract().abs() * length as f64) as usize;
            let payload = whole(number, length);
            prop_assert_eq!(payload.len(), length);
            let mut pieces = Vec::new();
            append(number, 0, cut, &mut pieces);
            append(number, cut, length - cut, &mut pieces);
            prop_assert!(pieces == payload);
            prop_assert!(matches(number, 0, &payload[..cut]));
            prop_assert!(matches(number, cut, &payload[cut..]));
        }

        #[test]
        fn any_byte_that_is_wrong_is_seen(number: u64, at in 0usize..100_000) {
            let mut payload = whole(number, 100_000);
            payload[at] ^= 1;
            prop_assert!(!matches(number, 0, &payload));
        }
    }

    #[test]
    fn another_message_does_not_match() {
        for length in [1, 7, 8, 64, 100_000] {
            assert!(!matches(7, 0, &whole(8, length)), "{length}");
        }
    }

    #[test]
    fn chunks_that_change_places_do_not_match() {
        for chunk in [4096, 16_384, 65_536] {
            let payload = whole(3, 4 * chunk);
            assert!(
                !matches(3, chunk, &payload[2 * chunk..3 * chunk]),
                "{chunk}"
            );
        }
    }
}
