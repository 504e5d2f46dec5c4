//! The checksums of TCP and UDP, which the kernel leaves to the network card.
//!
//! A virtual interface has none, and hands its peer packets without: all right where they stay in the
//! kernel, and not where they are damaged on the way and somebody is to notice.

/// Fills in the checksum of a frame, if it is one of TCP or UDP over IPv4.
pub(super) fn fill_in(frame: &mut [u8]) {
    let Some(segment) = Segment::in_frame(frame) else {
        return;
    };
    let at = segment.start + segment.checksum;
    frame[at..at + 2].fill(0);
    let sum = !segment.sum(frame);
    // Nought means none in UDP (RFC 768), and is the same number as this.
    let sum = if sum == 0 { 0xffff } else { sum };
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Where in a frame the segment is, and where in that its checksum.
struct Segment {
    start: usize,
    end: usize,
    checksum: usize,
    protocol: u8,
}

// ===== impl Segment =====

impl Segment {
    fn in_frame(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET..)?;
        if frame[12..14] != IPV4 || packet.len() < 20 {
            return None;
        }
        let header = usize::from(packet[0] & 0xf) * 4;
        let length: usize = u16::from_be_bytes([packet[2], packet[3]]).into();
        let checksum = match packet[9] {
            TCP => 16,
            UDP => 6,
            _ => return None,
        };
        let fits = header + checksum + 2 <= length && length <= packet.len();
        fits.then_some(Self {
            start: ETHERNET + header,
            end: ETHERNET + length,
            checksum,
            protocol: packet[9],
        })
    }

    /// The sum of the segment and of what stands for the addresses (RFC 9293 3.1).
    fn sum(&self, frame: &[u8]) -> u16 {
        let segment = &frame[self.start..self.end];
        let addresses = &frame[ETHERNET + 12..ETHERNET + 20];
        let words = addresses.chunks(2).chain(segment.chunks(2));
        let words =
            words.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)));
        let sum = words.sum::<u32>() + u32::from(self.protocol) + segment.len() as u32;
        let folded = (sum & 0xffff) + (sum >> 16);
        (folded + (folded >> 16)) as u16
    }
}

const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const TCP: u8 = 6;
const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame around a segment, from 10.0.0.1 to 10.0.0.2.
    fn frame(protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = [&[0; 12][..], &IPV4].concat();
        let length = (20 + segment.len()) as u16;
        frame.extend([0x45, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(segment);
        frame
    }

    #[test]
    fn what_is_filled_in_checks() {
        for (protocol, length) in [(TCP, 20), (TCP, 21), (UDP, 8), (UDP, 1473)] {
            let segment: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let mut frame = frame(protocol, &segment);
            fill_in(&mut frame);
            let segment = Segment::in_frame(&frame).unwrap();
            // The checksum of a sum that has its own checksum in it (RFC 1071).
            assert_eq!(segment.sum(&frame), 0xffff);
        }
    }

    /// Added up by hand: a SYN from 10.0.0.1:1 to 10.0.0.2:2 without options or window.
    #[test]
    fn a_syn_has_the_checksum_of_rfc_9293() {
        let mut syn = [0; 20];
        syn[1] = 1;
        syn[3] = 2;
        syn[12] = 0x50;
        syn[13] = 0x02;
        let mut frame = frame(TCP, &syn);
        fill_in(&mut frame);
        // 0a00 + 0001 + 0a00 + 0002 + 0006 + 0014 + 0001 + 0002 + 5002
        assert_eq!(
            frame[ETHERNET + 36..ETHERNET + 38],
            (!0x6422_u16).to_be_bytes()
        );
    }

    #[test]
    fn what_is_no_segment_is_left_alone() {
        for frame in [
            vec![],
            vec![0; 13],
            vec![0; 60],
            frame(1, &[0; 20]),
            frame(TCP, &[0; 10]),
        ] {
            let mut filled = frame.clone();
            fill_in(&mut filled);
            assert_eq!(filled, frame);
        }
    }
}
