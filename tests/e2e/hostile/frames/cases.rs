//! One of each fault, from either side.

use wsgate_tests::stage::Ends;
use wsgate_tests::{Frame, Role, Tunnel};

/// What one side sends, the last frame of which breaks a rule.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) from: Role,
    /// Frames that are right.
    pub(super) before: Vec<u8>,
    /// The one that is not.
    pub(super) wrong: Vec<u8>,
    /// What the log calls it.
    pub(super) violation: String,
    /// What both sides are told where they are held to the rules.
    pub(super) reason: String,
    /// What a gateway that passes it all can say after it.
    pub(super) after: After,
}

/// What is known of the place after a wrong frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Where the next frame begins.
    Known,
    /// The same, but it was a Close.
    Closed,
    /// Nothing.
    Lost,
}

/// All of them.
pub(super) fn all() -> Vec<Case> {
    [Role::Client, Role::Server].map(from).concat()
}

/// A client's only.
pub(super) fn from(role: Role) -> Vec<Case> {
    let list = List {
        role,
        cases: Vec::new(),
    };
    list.masks().first_bytes().lengths().order().closes().cases
}

struct List {
    role: Role,
    cases: Vec<Case>,
}

// ===== impl Case =====

impl Case {
    /// The end that breaks the rule, and the other one.
    pub(super) fn ends<'e>(&self, ends: &'e mut Ends) -> (&'e mut Tunnel, &'e mut Tunnel) {
        match self.from {
            Role::Client => (&mut ends.client, &mut ends.upstream),
            Role::Server => (&mut ends.upstream, &mut ends.client),
        }
    }

    /// A frame of this side's with nothing wrong.
    pub(super) fn good(&self, text: &str) -> Vec<u8> {
        right(self.role(), Frame::text(text))
    }

    pub(super) const fn role(&self) -> Role {
        self.from
    }
}

// ===== impl List =====

impl List {
    fn masks(self) -> Self {
        let other = match self.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let wrong = right(other, Frame::text("hi"));
        let (violation, reason) = match self.role {
            Role::Client => ("client frame without a mask", "frame without a mask"),
            Role::Server => ("server frame with a mask", "frame with a mask"),
        };
        self.with(b"", wrong, violation, reason, After::Known)
    }

    fn first_bytes(mut self) -> Self {
        for first in [0xc1, 0xa1, 0x91, 0xc9, 0xca, 0xf2] {
            let wrong = raw(self.role, first, &[2], b"hi");
            self = self.one(
                b"",
                wrong,
                "reserved bit without an extension",
                After::Known,
            );
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            let wrong = raw(self.role, 0x80 | opcode, &[2], b"hi");
            self = self.one(b"", wrong, "reserved opcode", After::Known);
        }
        for opcode in [8, 9, 10] {
            let wrong = raw(self.role, opcode, &[2], &1000u16.to_be_bytes());
            self = self.one(b"", wrong, "fragmented control frame", after(opcode));
        }
        self
    }

    fn lengths(mut self) -> Self {
        for opcode in [8, 9, 10] {
            let wrong = raw(self.role, 0x80 | opcode, &[126, 0, 126], &[b'x'; 126]);
            let fault = "control frame of more than 125 bytes";
            self = self.one(b"", wrong, fault, after(opcode));
        }
        for length in [&[126, 0, 2][..], &[127, 0, 0, 0, 0, 0, 0, 0, 2]] {
            for opcode in [1, 2, 8, 9] {
                let wrong = raw(self.role, 0x80 | opcode, length, &1000u16.to_be_bytes());
                self = self.one(b"", wrong, "length not in its shortest form", after(opcode));
            }
        }
        let medium = raw(
            self.role,
            0x82,
            &[127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[7; 0xffff],
        );
        self = self.one(b"", medium, "length not in its shortest form", After::Known);
        for length in [
            [127, 0x80, 0, 0, 0, 0, 0, 0, 0],
            [127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            let wrong = raw(self.role, 0x82, &length, b"what is this");
            self = self.one(b"", wrong, "frame length of more than 63 bits", After::Lost);
        }
        self
    }

    fn order(self) -> Self {
        let role = self.role;
        let end = right(role, Frame::continuation("hi"));
        let begun = right(role, Frame::text("one").unfinished());
        let another = right(role, Frame::text("two"));
        let known = After::Known;
        self.one(b"", end, "continuation of no message", known).one(
            &begun,
            another,
            "new message inside a fragmented one",
            known,
        )
    }

    fn closes(mut self) -> Self {
        let role = self.role;
        let code = |code: u16| {
            (
                code.to_be_bytes().to_vec(),
                "close code that must not be sent",
            )
        };
        for (payload, reason) in [
            (vec![3], "close payload of one byte"),
            (
                b"\x03\xe8\xce\xba\xe1".to_vec(),
                "close reason is not utf-8",
            ),
            code(0),
            code(999),
            code(1005),
            code(1006),
            code(1015),
            code(2999),
            code(5000),
        ] {
            let wrong = right(role, Frame::new(8, payload.clone()));
            let violation = match payload.first_chunk() {
                Some(code) if payload.len() == 2 => {
                    let code = wsgate::layer::CloseCode(u16::from_be_bytes(*code));
                    format!("close code {code} must not be sent")
                }
                _ => reason.to_owned(),
            };
            self = self.with(b"", wrong, &violation, reason, After::Closed);
        }
        self
    }

    fn one(self, before: &[u8], wrong: Vec<u8>, fault: &str, after: After) -> Self {
        self.with(before, wrong, fault, fault, after)
    }

    fn with(
        mut self,
        before: &[u8],
        wrong: Vec<u8>,
        violation: &str,
        reason: &str,
        after: After,
    ) -> Self {
        let who = match self.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        self.cases.push(Case {
            from: self.role,
            before: before.to_vec(),
            wrong,
            violation: violation.to_owned(),
            reason: format!("{who}: {reason}"),
            after,
        });
        self
    }
}

fn after(opcode: u8) -> After {
    match opcode {
        8 => After::Closed,
        _ => After::Known,
    }
}

/// A frame as this side sends it.
pub(super) fn right(role: Role, frame: Frame) -> Vec<u8> {
    match role {
        Role::Client => frame.masked(KEY).to_bytes(),
        Role::Server => frame.to_bytes(),
    }
}

/// A frame as this side sends it, with what no [`Frame`] can say.
pub(super) fn raw(role: Role, first: u8, length: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    frame.extend(length);
    match role {
        Role::Client => {
            frame[1] |= 0x80;
            frame.extend(KEY);
            frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k));
        }
        Role::Server => frame.extend(payload),
    }
    frame
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
