//! A TLS connection without its socket: records in and plaintext out, and the other way round.

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, Error as TlsError, InvalidMessage, ServerConfig};
use tokio::io::ReadBuf;

use crate::connection::{Connection, Errand, Made, Order, What};
use crate::held::Held;
use crate::scratch::{BATCH, MAX_INCOMING, MAX_RECORD};

/// What there is of a connection beside its socket.
///
/// Whatever comes in is processed at once and to its end, so between two calls rustls holds
/// nothing: no record, no plaintext, nothing to be sent but the answer to a KeyUpdate, which goes
/// out with what is written next.
pub(crate) struct Session {
    connection: Connection,
    /// What came in and is not a whole record yet, or not a whole handshake message. rustls
    /// remembers places in it, so each input has to begin with it.
    incoming: Held,
    /// What the reader had no room for.
    plaintext: Held,
    /// Records that the socket did not take yet.
    outgoing: Held,
    reading: Reading,
    /// Whether our close_notify is made, so that nothing may come after it.
    closing: bool,
}

/// What a reader finds behind the plaintext.
#[derive(Debug)]
enum Reading {
    Open,
    /// The peer has said that no more will come.
    Closed,
    /// The socket ended, and the peer had not said so.
    Cut,
    /// A record was not what it should be, or the peer sent an alert.
    Failed(Box<TlsError>),
}

// ===== impl Session =====

impl Session {
    /// The end that waits for a hello.
    pub(crate) fn server(config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        Connection::server(config).map(Self::new)
    }

    /// The end that begins. Its hello is ready to be sent.
    pub(crate) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, TlsError> {
        let mut session = Self::new(Connection::client(config, name)?);
        session.run(&mut [], &mut ReadBuf::new(&mut []), None)?;
        Ok(session)
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            incoming: Held::default(),
            plaintext: Held::default(),
            outgoing: Held::default(),
            reading: Reading::Open,
            closing: false,
        }
    }

    pub(crate) fn facts(&self) -> &CommonState {
        self.connection.facts()
    }

    /// How much is kept: of records that came in, of plaintext, of records to be sent.
    #[cfg(test)]
    pub(crate) fn held(&self) -> [usize; 3] {
        [&self.incoming, &self.plaintext, &self.outgoing].map(Held::len)
    }

    // Reading

    /// Whether more should be read from the socket. `Ok(false)` is the orderly end.
    ///
    /// # Errors
    ///
    /// The same at each call, once the connection has failed or was cut.
    pub(crate) fn wants_input(&self) -> io::Result<bool> {
        match &self.reading {
            Reading::Open => Ok(true),
            Reading::Closed => Ok(false),
            Reading::Cut => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "peer closed connection without sending TLS close_notify",
            )),
            Reading::Failed(error) => Err(failed(error)),
        }
    }

    /// Gives the reader what it had no room for before. Says whether there was any.
    pub(crate) fn deliver(&mut self, room: &mut ReadBuf<'_>) -> bool {
        if self.plaintext.is_empty() {
            return false;
        }
        let count = self.plaintext.len().min(room.remaining());
        room.put_slice(&self.plaintext.as_slice()[..count]);
        self.plaintext.take(count);
        count > 0
    }

    /// Which part of the scratch buffer is to be filled from the socket, for a reader with `room`;
    /// the part in front of it is [`receive`](Self::receive)'s. `None` when the peer has more in
    /// the making than can be kept: then the connection has failed.
    ///
    /// What does not fit into the reader's buffer has to be kept, so no more is read than that, or
    /// than one record.
    pub(crate) fn window(&mut self, room: usize) -> Option<(usize, usize)> {
        let start = self.incoming.len();
        let end = if start < MAX_RECORD {
            room.saturating_add(OVERHEAD)
                .clamp(MAX_RECORD, BATCH + OVERHEAD)
        } else {
            (start + MAX_RECORD).min(MAX_INCOMING)
        };
        if start == end {
            self.fail(InvalidMessage::HandshakePayloadTooLarge.into());
            return None;
        }
        Some((start, end))
    }

    /// Processes what stands in the [window](Self::window) of `input`. Plaintext goes to `room`, and
    /// what does not fit is kept, as is what the peer has to be sent.
    pub(crate) fn receive(&mut self, input: &mut [u8], room: &mut ReadBuf<'_>) {
        let held = self.incoming.as_slice();
        input[..held.len()].copy_from_slice(held);
        match self.run(input, room, None) {
            // RFC 8446 6.1: what comes after a close_notify is ignored.
            Ok(_) if !matches!(self.reading, Reading::Open) => self.incoming.clear(),
            Ok(done) => self.incoming.replace(&input[done..]),
            Err(error) => self.fail(error),
        }
    }

    /// Takes note that the socket has ended. Who writes goes on, and needs what is kept of a handshake
    /// message: rustls looks behind it for more.
    pub(crate) fn cut(&mut self) {
        self.reading = Reading::Cut;
    }

    // Writing

    /// Records for the socket, which come before anything sealed now.
    pub(crate) fn outgoing(&mut self) -> &mut Held {
        &mut self.outgoing
    }

    /// Makes records of as much of `plain` as fits into `sealed`. Returns how much that was, and
    /// how long they are.
    ///
    /// # Errors
    ///
    /// When the connection has failed, or we have closed it.
    pub(crate) fn seal(&mut self, plain: &[u8], sealed: &mut [u8]) -> io::Result<(usize, usize)> {
        if let Reading::Failed(error) = &self.reading {
            return Err(failed(error));
        }
        if self.closing {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.write(What::Plaintext(plain), sealed)? {
            Made::Records { plain, len } => Ok((plain, len)),
            Made::Nothing => Err(io::ErrorKind::BrokenPipe.into()),
            Made::Refused => Err(io::Error::other(TlsError::EncryptError)),
        }
    }

    /// Makes a close_notify for the peer, unless it was sent one, or an alert in its place.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if self.closing || matches!(self.reading, Reading::Failed(_)) {
            return Ok(());
        }
        self.closing = true;
        // The answer to a KeyUpdate goes with it. It takes some 50 bytes with any cipher there is.
        let mut sealed = [0; 512];
        match self.write(What::CloseNotify, &mut sealed)? {
            Made::Records { len, .. } => self.outgoing.append(&sealed[..len]),
            Made::Nothing => {}
            Made::Refused => return Err(io::Error::other(TlsError::EncryptError)),
        }
        Ok(())
    }

    fn write(&mut self, what: What<'_>, sealed: &mut [u8]) -> io::Result<Made> {
        let mut made = Made::Nothing;
        let order = Order {
            what,
            sealed,
            made: &mut made,
        };
        // rustls gives a writer only to those who bring all input.
        let mut incoming = mem::take(&mut self.incoming);
        let mut no_room = ReadBuf::new(&mut []);
        match self.run(incoming.as_mut_slice(), &mut no_room, Some(order)) {
            Ok(done) => {
                incoming.take(done);
                self.incoming = incoming;
                Ok(made)
            }
            Err(error) => {
                let result = Err(failed(&error));
                self.fail(error);
                result
            }
        }
    }

    // Both

    fn run(
        &mut self,
        input: &mut [u8],
        room: &mut ReadBuf<'_>,
        order: Option<Order<'_>>,
    ) -> Result<usize, TlsError> {
        let mut errand = Errand {
            room,
            plaintext: &mut self.plaintext,
            outgoing: &mut self.outgoing,
            peer_closed: false,
            order,
        };
        let done = self.connection.run(input, &mut errand)?;
        if errand.peer_closed {
            self.reading = Reading::Closed;
        }
        Ok(done)
    }

    fn fail(&mut self, error: TlsError) {
        self.incoming.clear();
        self.reading = Reading::Failed(Box::new(error));
        self.connection.run_out(&mut Errand {
            room: &mut ReadBuf::new(&mut []),
            plaintext: &mut self.plaintext,
            outgoing: &mut self.outgoing,
            peer_closed: false,
            order: None,
        });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("version", &self.facts().protocol_version())
            .field("incoming", &self.incoming)
            .field("plaintext", &self.plaintext)
            .field("outgoing", &self.outgoing)
            .field("reading", &self.reading)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

/// As tokio-rustls has it, which is what callers look for.
fn failed(error: &TlsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}

/// What four records add to their plaintext: each a header, a nonce (TLS 1.2), its own type
/// (TLS 1.3) and a tag.
const OVERHEAD: usize = 4 * (5 + 8 + 1 + 16);
