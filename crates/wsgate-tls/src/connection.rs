//! rustls' connection of either side, driven from one rest to the next.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, CommonState, Error as TlsError, ServerConfig};
use tokio::io::ReadBuf;

use crate::held::Held;

/// What rustls knows of a connection: keys, the state of the protocol, who the peer is.
///
/// Apart, because it is a kilobyte, and streams are moved about: into a task, into an upgrade and
/// out of it.
pub(crate) enum Connection {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// Where things go that rustls gives out, and what it is asked for.
pub(crate) struct Errand<'a, 'b> {
    /// For plaintext.
    pub(crate) room: &'a mut ReadBuf<'b>,
    /// For plaintext that has no room there.
    pub(crate) plaintext: &'a mut Held,
    /// For records that rustls makes of its own accord.
    pub(crate) outgoing: &'a mut Held,
    /// Turns true when the peer says that no more will come.
    pub(crate) peer_closed: bool,
    /// Taken out as soon as rustls lets us write.
    pub(crate) order: Option<Order<'a>>,
}

/// Something to be written.
pub(crate) struct Order<'a> {
    pub(crate) what: What<'a>,
    /// For its records.
    pub(crate) sealed: &'a mut [u8],
    /// What became of it.
    pub(crate) made: &'a mut Made,
}

#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    /// As much of it as there is room for.
    Plaintext(&'a [u8]),
    CloseNotify,
}

pub(crate) enum Made {
    /// Nothing: this connection has come to its end.
    Nothing,
    Records {
        /// How much of the plaintext is in them.
        plain: usize,
        /// How long they are.
        len: usize,
    },
    /// Nothing: the keys are worn out, and TLS 1.2 cannot change them.
    Refused,
}

// ===== impl Connection =====

impl Connection {
    pub(crate) fn server(config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        if config.max_early_data_size > 0 {
            return Err(TlsError::General("early data is not supported".to_owned()));
        }
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self::Server(Box::new(connection)))
    }

    pub(crate) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, TlsError> {
        let connection = UnbufferedClientConnection::new(config, name)?;
        Ok(Self::Client(Box::new(connection)))
    }

    pub(crate) fn facts(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }

    /// Lets rustls go on until it wants to see more input. Returns how much of it is done with; the
    /// rest has to come first the next time, as it stands there now.
    pub(crate) fn run(
        &mut self,
        input: &mut [u8],
        errand: &mut Errand<'_, '_>,
    ) -> Result<usize, TlsError> {
        let mut done = 0;
        loop {
            let (discard, at_rest) = self.step(&mut input[done..], errand)?;
            done += discard;
            if at_rest {
                return Ok(done);
            }
        }
    }

    /// Fetches the alert that tells the peer why the connection has failed.
    ///
    /// Not longer than there is something to send: then rustls would look for its input.
    pub(crate) fn run_out(&mut self, errand: &mut Errand<'_, '_>) {
        while self.facts().wants_write() && self.step(&mut [], errand).is_ok() {}
    }

    /// One of rustls' states. Returns how much of the input goes with it, and whether it is the
    /// last.
    fn step(
        &mut self,
        input: &mut [u8],
        errand: &mut Errand<'_, '_>,
    ) -> Result<(usize, bool), TlsError> {
        match self {
            Self::Server(connection) => errand.step(connection.process_tls_records(input)),
            Self::Client(connection) => errand.step(connection.process_tls_records(input)),
        }
    }
}

// ===== impl Errand =====

impl Errand<'_, '_> {
    fn step<Data>(
        &mut self,
        status: UnbufferedStatus<'_, '_, Data>,
    ) -> Result<(usize, bool), TlsError> {
        let UnbufferedStatus { mut discard, state } = status;
        let at_rest = match state? {
            // Comes up before the handshake is over, too, when the first request came with its end.
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    let count = record.payload.len().min(self.room.remaining());
                    let (fits, rest) = record.payload.split_at(count);
                    self.room.put_slice(fits);
                    self.plaintext.append(rest);
                }
                false
            }
            ConnectionState::EncodeTlsData(mut data) => {
                encode(&mut data, self.outgoing);
                false
            }
            // It is on its way as far as rustls is concerned.
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                false
            }
            ConnectionState::PeerClosed => {
                self.peer_closed = true;
                false
            }
            // Shows up before the client's Finished, when it means less than it says: only
            // `is_handshaking` tells.
            ConnectionState::WriteTraffic(writer) => {
                if let Some(order) = self.order.take() {
                    order.carry_out(writer);
                }
                true
            }
            ConnectionState::BlockedHandshake | ConnectionState::Closed => true,
            // Early data is for servers that offer to take it.
            _ => return Err(TlsError::General("a state that is unknown here".to_owned())),
        };
        Ok((discard, at_rest))
    }
}

// ===== impl Order =====

impl Order<'_> {
    fn carry_out<Data>(self, mut writer: WriteTraffic<'_, Data>) {
        *self.made = match self.what {
            What::Plaintext(plain) => seal(&mut writer, plain, self.sealed),
            What::CloseNotify => Made::of(0, writer.queue_close_notify(self.sealed)),
        };
    }
}

// ===== impl Made =====

impl Made {
    fn of(plain: usize, len: Result<usize, EncryptError>) -> Self {
        match len {
            Ok(len) => Self::Records { plain, len },
            Err(_) => Self::Refused,
        }
    }
}

fn seal<Data>(writer: &mut WriteTraffic<'_, Data>, plain: &[u8], sealed: &mut [u8]) -> Made {
    let mut count = plain.len();
    loop {
        match writer.encrypt(&plain[..count], sealed) {
            // Records that were set to be tiny add more than there is room for.
            Err(EncryptError::InsufficientSize(_)) if count > 1 => count /= 2,
            len => return Made::of(count, len),
        }
    }
}

fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, outgoing: &mut Held) {
    // Without room it says how much it needs.
    if let Err(EncodeError::InsufficientSize(error)) = data.encode(&mut []) {
        data.encode(outgoing.append_room(error.required_size))
            .expect("it has the room that it asked for");
    }
}
