//! Fields as HPACK says them, in the plainest of ways (RFC 7541).

/// Fields as HPACK says them with neither table nor Huffman (RFC 7541, 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x00);
        put_string(&mut block, name.as_bytes());
        put_string(&mut block, value.as_bytes());
    }
    block
}

/// A number behind a prefix of so many bits (RFC 7541, 5.1).
pub fn put_integer(into: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1_usize << bits) - 1;
    if value < most {
        into.push(first | value as u8);
        return;
    }
    into.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        into.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// A string as it is (RFC 7541, 5.2).
pub fn put_string(into: &mut Vec<u8>, string: &[u8]) {
    put_integer(into, 0x00, 7, string.len());
    into.extend_from_slice(string);
}

/// Three digits of RFC 7541's code (appendix B): of 5 bits those to 2, of 6 the others.
pub(super) fn huffman_digits(code: &[u8]) -> Vec<u8> {
    let bit = |at: usize| u32::from(code[at / 8] >> (7 - at % 8) & 1);
    let mut at = 0;
    let mut take = |bits: usize| {
        at += bits;
        (at - bits..at).fold(0, |value, at| value << 1 | bit(at))
    };
    let mut digit = || match take(5) {
        short @ 0..=2 => b'0' + short as u8,
        // 011001 is 3.
        long => b'3' + ((long << 1 | take(1)) - 0b01_1001) as u8,
    };
    vec![digit(), digit(), digit()]
}
