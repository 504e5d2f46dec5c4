//! The frames of HTTP/2, as they pass.

/// Finds the headers of frames (RFC 9113 4.1) in bytes that come in any pieces, and passes over
/// everything else.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    /// How much of the header is there.
    filled: usize,
    /// How much of a payload is still to come.
    payload: usize,
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;

/// On DATA and HEADERS: the sender's side of the stream ends with it.
pub(super) const END_STREAM: u8 = 0x1;

const HEADER: usize = 9;

// ===== impl Frames =====

impl Frames {
    /// Tells of each header that is whole.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(FrameHeader)) {
        loop {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let more = (HEADER - self.filled).min(bytes.len());
            let (part, rest) = bytes.split_at(more);
            self.header[self.filled..][..more].copy_from_slice(part);
            self.filled += more;
            bytes = rest;
            if self.filled == HEADER {
                let [a, b, c, kind, flags, stream @ ..] = self.header;
                self.filled = 0;
                self.payload = u32::from_be_bytes([0, a, b, c]) as usize;
                // The first bit is reserved.
                let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
                tell(FrameHeader {
                    kind,
                    flags,
                    stream,
                });
            }
        }
    }

    /// Whether a frame may begin here.
    pub(super) const fn at_boundary(&self) -> bool {
        self.filled == 0 && self.payload == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cutting_gives_the_same_frames() {
        let bytes = [
            &b"\0\0\x03\x00\x01\x80\0\0\x05abc"[..],
            b"\0\0\0\x04\x01\0\0\0\0",
            b"\0\0\x02\x01\x05\0\0\0\x07hi",
        ]
        .concat();
        let header = |kind, flags, stream| FrameHeader {
            kind,
            flags,
            stream,
        };
        let expected = [
            header(DATA, END_STREAM, 5),
            header(0x4, 0x1, 0),
            header(HEADERS, 0x5, 7),
        ];
        for size in 1..=bytes.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(size) {
                frames.feed(piece, |header| seen.push(header));
            }
            assert_eq!(seen, expected, "in pieces of {size}");
            assert!(frames.at_boundary());
            frames.feed(b"\0", |_| {});
            assert!(!frames.at_boundary());
        }
    }
}
