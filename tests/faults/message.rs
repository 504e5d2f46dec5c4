//! Messages that tell whether they are what was sent.

use bytes::Bytes;

/// A message: its number, a filling that follows from it, and the sum of both.
pub(crate) fn message(number: u64, length: usize) -> Bytes {
    let mut message = number.to_be_bytes().to_vec();
    message.extend((message.len()..length).map(|at| (number.wrapping_mul(31) + at as u64) as u8));
    message.extend(sum(&message).to_be_bytes());
    message.into()
}

/// The number of a message; nothing if it was damaged.
pub(crate) fn number(message: &[u8]) -> Option<u64> {
    let (content, end) = message.split_last_chunk()?;
    let number = content.first_chunk()?;
    (sum(content) == u64::from_be_bytes(*end)).then(|| u64::from_be_bytes(*number))
}

/// FNV-1a.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_number() {
        for length in [0, 8, 9, 5_000] {
            assert_eq!(number(&message(77, length)), Some(77));
        }
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        let whole = message(77, 20);
        for at in 0..whole.len() {
            let mut changed = whole.to_vec();
            changed[at] ^= 1;
            assert_eq!(number(&changed), None);
            assert_eq!(number(&whole[..at]), None);
        }
    }
}
