//! Masking: RFC 6455 5.3.

/// Masks `payload` in place, or unmasks it: the operation is its own inverse.
///
/// `offset` is how many bytes of the frame's payload come before `payload`, so that a payload can
/// be done in pieces.
///
/// It is meant for control payloads, at most 125 bytes each; data payloads pass through a relay as
/// they are.
///
/// # Example
///
/// ```
/// use wsgate_frame::apply_mask;
///
/// // The masked "Hello" of RFC 6455 5.7.
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58";
/// apply_mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
/// assert_eq!(&payload, b"Hello");
/// ```
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    for (byte, key) in payload
        .iter_mut()
        .zip(key.into_iter().cycle().skip(offset % 4))
    {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn pieces_make_the_whole() {
        let plain: [u8; 125] = core::array::from_fn(|at| at as u8);
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut whole = plain;
        apply_mask(&mut whole, key, 0);
        assert_ne!(whole, plain);

        for cut in 0..=plain.len() {
            let mut pieces = plain;
            let (before, after) = pieces.split_at_mut(cut);
            apply_mask(before, key, 0);
            apply_mask(after, key, cut);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }

    #[test]
    fn undoes_itself_at_any_offset() {
        for offset in [0, 1, 2, 3, 4, usize::MAX] {
            let mut payload = *b"Hello";
            apply_mask(&mut payload, [1, 2, 3, 4], offset);
            apply_mask(&mut payload, [1, 2, 3, 4], offset);
            assert_eq!(&payload, b"Hello");
        }
    }
}
