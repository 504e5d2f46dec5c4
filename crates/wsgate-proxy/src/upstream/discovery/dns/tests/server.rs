//! A name server with a handful of names.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, SRV},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};

/// Answers for as long as it is there.
pub(super) struct Server {
    address: SocketAddr,
    names: Names,
    _tasks: JoinSet<()>,
}

/// What a name is answered with.
pub(super) enum Answer {
    /// Those of the type that is asked for; an alias always.
    Records(Vec<Entry>),
    Nxdomain,
    Servfail,
}

/// A record, or that a question for its type fails.
pub(super) enum Entry {
    Record(Box<Record>),
    Fails(RecordType),
}

type Names = Arc<Mutex<HashMap<Name, Answer>>>;

// ===== impl Server =====

impl Server {
    pub(super) async fn start() -> Self {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // The same port by UDP may be somebody else's.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let names = Names::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&names)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&names)));
        Self {
            address,
            names,
            _tasks: tasks,
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Records as in a zone file: `A 10.0.0.1`, perhaps with a TTL of its own behind it; `A SERVFAIL`
    /// for questions that fail.
    pub(super) fn set<'a>(&self, name: &str, ttl: u32, records: impl IntoIterator<Item = &'a str>) {
        let owner = absolute(name);
        let entries = records.into_iter().map(|text| entry(&owner, ttl, text));
        let answer = Answer::Records(entries.collect());
        self.names.lock().unwrap().insert(owner, answer);
    }

    pub(super) fn fail(&self, name: &str, answer: Answer) {
        self.names.lock().unwrap().insert(absolute(name), answer);
    }
}

async fn serve_udp(socket: UdpSocket, names: Names) {
    let mut buf = [0; 4_096];
    loop {
        let (len, peer) = socket.recv_from(&mut buf).await.unwrap();
        let (answer, most) = answer(&buf[..len], &names);
        let answer = match answer.to_vec().unwrap() {
            bytes if bytes.len() > most => answer.truncate().to_vec().unwrap(),
            bytes => bytes,
        };
        socket.send_to(&answer, peer).await.unwrap();
    }
}

async fn serve_tcp(listener: TcpListener, names: Names) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Ok(len) = stream.read_u16().await {
            let mut query = vec![0; len.into()];
            stream.read_exact(&mut query).await.unwrap();
            let answer = answer(&query, &names).0.to_vec().unwrap();
            let len = u16::try_from(answer.len()).unwrap();
            stream.write_u16(len).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    }
}

/// The answer, and how long it may be by UDP.
fn answer(query: &[u8], names: &Names) -> (Message, usize) {
    let query = Message::from_vec(query).unwrap();
    let asked = query.queries[0].clone();
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    answer.add_query(asked.clone());
    match names.lock().unwrap().get(&asked.name) {
        None | Some(Answer::Nxdomain) => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(Answer::Servfail) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(Answer::Records(entries)) => {
            for entry in entries {
                match entry {
                    Entry::Fails(kind) if *kind == asked.query_type => {
                        answer.metadata.response_code = ResponseCode::ServFail;
                    }
                    Entry::Record(record)
                        if [asked.query_type, RecordType::CNAME]
                            .contains(&record.record_type()) =>
                    {
                        answer.add_answer(Record::clone(record));
                    }
                    _ => {}
                }
            }
        }
    }
    (answer, query.max_payload().into())
}

fn entry(owner: &Name, ttl: u32, text: &str) -> Entry {
    let words: Vec<_> = text.split(' ').collect();
    let (owner, data) = match words[..] {
        ["A", "SERVFAIL"] => return Entry::Fails(RecordType::A),
        ["AAAA", "SERVFAIL"] => return Entry::Fails(RecordType::AAAA),
        ["A", ip] => (owner.clone(), RData::A(A(ip.parse().unwrap()))),
        // Behind an alias: of the name that the alias is for.
        ["A", ip, _] => (absolute("other.test"), RData::A(A(ip.parse().unwrap()))),
        ["AAAA", ip] => (owner.clone(), RData::AAAA(AAAA(ip.parse().unwrap()))),
        ["CNAME", name] => (owner.clone(), RData::CNAME(CNAME(absolute(name)))),
        ["SRV", priority, weight, port, target] => {
            let number = |word: &str| word.parse().unwrap();
            let (priority, weight, port) = (number(priority), number(weight), number(port));
            let srv = SRV::new(priority, weight, port, absolute(target));
            (owner.clone(), RData::SRV(srv))
        }
        _ => panic!("no record: {text}"),
    };
    let ttl = match words[..] {
        ["A", _, ttl] => ttl.parse().unwrap(),
        _ => ttl,
    };
    Entry::Record(Record::from_rdata(owner, ttl, data).into())
}

fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    name
}
