//! Which streams a connection over HTTP/2 has open.

use super::frames::{DATA, END_STREAM, FrameHeader, Frames, HEADERS, RST_STREAM};

/// Follows both directions of a connection. Over HTTP/1.1 it follows nothing.
#[derive(Debug, Default)]
pub(super) struct Streams {
    protocol: Protocol,
    incoming: Frames,
    outgoing: Frames,
    /// Those of which one side at least has not ended. hyper lets a client have 200 of them.
    open: Vec<Stream>,
    /// The newest that the client has opened.
    last: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Protocol {
    /// So many bytes of the preface have come, and nothing else.
    Unknown(usize),
    Http1,
    Http2,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    client_ended: bool,
    server_ended: bool,
}

/// What HTTP/2 begins with (RFC 9113 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Beyond what hyper lets a client have they are refused, and need not be remembered.
const MOST: usize = 1024;

// ===== impl Streams =====

impl Streams {
    pub(super) fn on_read(&mut self, mut bytes: &[u8]) {
        if let Protocol::Unknown(seen) = &mut self.protocol {
            let expected = &PREFACE[*seen..];
            let length = expected.len().min(bytes.len());
            let (preface, rest) = bytes.split_at(length);
            *seen += length;
            bytes = rest;
            if preface != &expected[..length] {
                self.protocol = Protocol::Http1;
            } else if *seen == PREFACE.len() {
                self.protocol = Protocol::Http2;
            }
        }
        if self.protocol == Protocol::Http2 {
            let (open, last) = (&mut self.open, &mut self.last);
            self.incoming.feed(bytes, |frame| {
                if frame.kind == HEADERS && frame.stream > *last && open.len() < MOST {
                    *last = frame.stream;
                    open.push(Stream {
                        id: frame.stream,
                        client_ended: false,
                        server_ended: false,
                    });
                }
                end(open, frame, |stream| stream.client_ended = true);
            });
        }
    }

    pub(super) fn on_write(&mut self, bytes: &[u8]) {
        // hyper's first words are frames, and it says nothing before it knows the protocol.
        if self.protocol == Protocol::Http2 {
            let open = &mut self.open;
            self.outgoing.feed(bytes, |frame| {
                end(open, frame, |stream| stream.server_ended = true);
            });
        }
    }

    /// Whether it is HTTP/2 and there is no stream.
    pub(super) fn are_idle(&self) -> bool {
        self.protocol == Protocol::Http2 && self.open.is_empty()
    }

    /// Tells the client that what it has asked for was answered, and no more will be (RFC 9113 6.8).
    /// `None` where a frame is under way.
    pub(super) fn go_away(&self) -> Option<Box<[u8]>> {
        if !self.outgoing.at_boundary() {
            return None;
        }
        let mut frame = [0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        frame[9..13].copy_from_slice(&self.last.to_be_bytes());
        Some(frame.into())
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::Unknown(0)
    }
}

/// Does what a frame means for the end of its stream.
fn end(open: &mut Vec<Stream>, frame: FrameHeader, side: impl FnOnce(&mut Stream)) {
    let is_reset = frame.kind == RST_STREAM;
    let is_end = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
    if !is_reset && !is_end {
        return;
    }
    let Some(at) = open.iter().position(|stream| stream.id == frame.stream) else {
        return;
    };
    side(&mut open[at]);
    if is_reset || (open[at].client_ended && open[at].server_ended) {
        open.swap_remove(at);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame with a payload of zeros.
    pub(in crate::watch) fn frame(kind: u8, flags: u8, stream: u32, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.resize(9 + usize::from(length), 0);
        frame
    }

    fn http2() -> Streams {
        let mut streams = Streams::default();
        for byte in PREFACE {
            assert!(!streams.are_idle());
            streams.on_read(&[*byte]);
        }
        streams
    }

    #[test]
    fn a_stream_is_open_until_both_sides_have_ended() {
        #[track_caller]
        fn check(opening: u8, ends: &[(bool, u8, u8)]) {
            let mut streams = http2();
            assert!(streams.are_idle());
            streams.on_read(&frame(HEADERS, opening, 1, 3));
            for (of_client, kind, flags) in ends {
                assert!(!streams.are_idle());
                let bytes = frame(*kind, *flags, 1, 4);
                match of_client {
                    true => streams.on_read(&bytes),
                    false => streams.on_write(&bytes),
                }
            }
            assert!(streams.are_idle());
        }
        let (client, server) = (true, false);
        check(0x5, &[(server, HEADERS, 0x5)]);
        check(
            0x4,
            &[(server, DATA, 0), (server, DATA, 1), (client, DATA, 1)],
        );
        check(0x4, &[(client, HEADERS, 0x5), (server, HEADERS, 0x5)]);
        check(0x4, &[(server, RST_STREAM, 0)]);
        check(0x5, &[(client, RST_STREAM, 1)]);
        check(0x4, &[(client, DATA, 1), (server, RST_STREAM, 0)]);
    }

    #[test]
    fn frames_of_streams_that_are_gone_open_none() {
        let mut streams = http2();
        streams.on_read(&frame(HEADERS, 0x5, 3, 3));
        streams.on_write(&frame(HEADERS, 0x5, 3, 3));
        for stream in [1, 3] {
            streams.on_read(&frame(HEADERS, 0x5, stream, 3));
            streams.on_read(&frame(DATA, 0x1, stream, 3));
            assert!(streams.are_idle());
        }
        assert_eq!(streams.go_away().unwrap()[9..13], [0, 0, 0, 3]);
    }

    #[test]
    fn a_flood_of_streams_takes_little_memory() {
        let mut streams = http2();
        for stream in 0..5000 {
            streams.on_read(&frame(HEADERS, 0x4, 2 * stream + 1, 3));
        }
        assert_eq!(streams.open.len(), MOST);
    }

    #[test]
    fn no_last_word_is_said_within_a_frame() {
        let mut streams = http2();
        streams.on_write(&frame(0x4, 0, 0, 6)[..11]);
        assert_eq!(streams.go_away(), None);
    }

    #[test]
    fn http1_has_no_streams() {
        let mut streams = Streams::default();
        streams.on_read(b"PR");
        streams.on_read(b"OPFIND / HTTP/1.1\r\n\r\n");
        streams.on_read(PREFACE);
        assert!(!streams.are_idle());
    }
}
