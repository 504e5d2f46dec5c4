//! The service as its clients see it, over loopback.

mod client;

use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

use self::client::{Client, join, names, over, start, url};
use super::{
    Hub, Limits, Pace,
    names::{PersonName, RoomName},
    protocol::{CLIENT_PROTOCOL, ErrorCode, Message as Said, ServerFrame},
};

#[tokio::test]
async fn greets_with_limits_the_clients_protocol_and_the_rooms() {
    let chat = start(Limits::default()).await;
    let mut request = url(&chat).into_client_request().unwrap();
    request
        .headers_mut()
        .insert(CLIENT_PROTOCOL, "h2".parse().unwrap());
    let mut client = Client::open(&chat, request).await.unwrap();
    let ServerFrame::Hello {
        protocol, limits, ..
    } = client.next().await
    else {
        panic!("hello comes first");
    };
    assert_eq!(protocol.as_deref(), Some("h2"));
    assert_eq!(limits, Limits::default().bounds());
    let rooms = client.rooms().await;
    assert_eq!(
        rooms,
        [
            ("garden".into(), 0),
            ("lobby".into(), 0),
            ("workshop".into(), 0)
        ]
    );
    over(chat, [client]).await;
}

#[tokio::test]
async fn a_message_reaches_everyone_in_the_room_and_nobody_else() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    let (mut bob, _) = Client::join(&chat, "lobby", "Bob").await;
    let (mut eve, _) = Client::join(&chat, "garden", "Eve").await;
    assert_eq!(ada.event().await, "Bob arrived");
    ada.say("  hello\n").await;
    assert_eq!(ada.event().await, "Ada: hello");
    assert_eq!(bob.event().await, "Ada: hello");
    eve.say("alone").await;
    assert_eq!(eve.event().await, "Eve: alone");
    over(chat, [ada, bob, eve]).await;
}

#[tokio::test]
async fn who_comes_goes_or_types_is_told_to_the_others() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    let (mut bob, room) = Client::join(&chat, "lobby", "Bob").await;
    assert_eq!(names(&room), ["Ada", "Bob"]);
    assert_eq!(ada.event().await, "Bob arrived");
    bob.send(r#"{"type":"typing","active":true}"#).await;
    assert_eq!(ada.event().await, format!("{} typing true", room.you));
    bob.close().await;
    assert_eq!(ada.event().await, "Bob left");
    over(chat, [ada]).await;
}

#[tokio::test]
async fn a_connection_that_breaks_off_leaves_its_room() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    let (bob, _) = Client::join(&chat, "lobby", "Bob").await;
    assert_eq!(ada.event().await, "Bob arrived");
    drop(bob);
    assert_eq!(ada.event().await, "Bob left");
    over(chat, [ada]).await;
}

#[tokio::test]
async fn joining_again_moves_to_another_room_or_changes_the_name() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    let (mut bob, _) = Client::join(&chat, "lobby", "Bob").await;
    assert_eq!(ada.event().await, "Bob arrived");
    assert_eq!(
        names(&bob.enter("lobby", "Robert").await),
        ["Ada", "Robert"]
    );
    assert_eq!(ada.event().await, "Robert arrived");
    assert_eq!(ada.event().await, "Bob left");
    assert_eq!(names(&bob.enter("garden", "Robert").await), ["Robert"]);
    assert_eq!(ada.event().await, "Robert left");
    over(chat, [ada, bob]).await;
}

#[tokio::test]
async fn a_newcomer_is_shown_the_last_messages_and_no_more() {
    let chat = start(Limits {
        history: 3,
        ..Limits::default()
    })
    .await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    for n in 1..=5 {
        ada.say(&format!("no. {n}")).await;
        ada.event().await;
    }
    let (bob, room) = Client::join(&chat, "lobby", "Bob").await;
    let said: Vec<&str> = room.history.iter().map(|said| said.text.as_str()).collect();
    assert_eq!(said, ["no. 3", "no. 4", "no. 5"]);
    assert!(room.history.is_sorted_by(|a, b| a.id < b.id));
    over(chat, [ada, bob]).await;
}

#[tokio::test]
async fn a_key_comes_back_with_its_message_and_in_the_history() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    ada.send(r#"{"type":"say","text":"hi","key":"k1"}"#).await;
    let ServerFrame::Message(message) = ada.next_event().await else {
        panic!("a message was said");
    };
    assert_eq!(message.key.as_deref(), Some("k1"));
    let room = ada.enter("lobby", "Ada").await;
    assert_eq!(room.history, [message]);
    over(chat, [ada]).await;
}

#[tokio::test]
async fn what_is_said_again_with_the_same_key_is_heard_once() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    ada.send(r#"{"type":"say","text":"hi","key":"k1"}"#).await;
    ada.send(r#"{"type":"say","text":"hi","key":"k1"}"#).await;
    ada.send(r#"{"type":"say","text":"hi","key":"k2"}"#).await;
    assert_eq!(ada.event().await, "Ada: hi");
    assert_eq!(ada.event().await, "Ada: hi");
    assert_eq!(ada.enter("lobby", "Ada").await.history.len(), 2);
    over(chat, [ada]).await;
}

#[tokio::test]
async fn a_ping_comes_back_as_it_was() {
    let chat = start(Limits::default()).await;
    let mut client = Client::connect(&chat).await;
    client.send(r#"{"type":"ping","at":1234.5}"#).await;
    let pong = client.next_event().await;
    assert!(
        matches!(pong, ServerFrame::Pong { at: 1234.5, .. }),
        "{pong:?}"
    );
    over(chat, [client]).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_code() {
    let chat = start(Limits {
        people: 1,
        rooms: 4,
        ..Limits::default()
    })
    .await;
    let (ada, _) = Client::join(&chat, "attic", "Ada").await;
    let (mut bob, _) = Client::join(&chat, "lobby", "Bob").await;
    let mut stranger = Client::connect(&chat).await;

    let long = format!(r#"{{"type":"say","text":"{}"}}"#, "x".repeat(2_001));
    stranger.refused("nonsense", ErrorCode::BadFrame).await;
    stranger
        .refused(r#"{"type":"dance"}"#, ErrorCode::BadFrame)
        .await;
    stranger
        .refused(r#"{"type":"say","text":"x"}"#, ErrorCode::NotJoined)
        .await;
    stranger
        .refused(r#"{"type":"typing","active":true}"#, ErrorCode::NotJoined)
        .await;
    stranger
        .refused(&join("lobby", " "), ErrorCode::BadName)
        .await;
    stranger
        .refused(&join("a b", "Eve"), ErrorCode::BadRoom)
        .await;
    stranger
        .refused(&join("lobby", "Eve"), ErrorCode::RoomFull)
        .await;
    stranger
        .refused(&join("cellar", "Eve"), ErrorCode::TooManyRooms)
        .await;
    bob.refused(&long, ErrorCode::BadText).await;
    bob.refused(r#"{"type":"say","text":" "}"#, ErrorCode::BadText)
        .await;
    let key = format!(r#"{{"type":"say","text":"x","key":"{}"}}"#, "k".repeat(65));
    bob.refused(&key, ErrorCode::BadText).await;
    over(chat, [ada, bob, stranger]).await;
}

#[tokio::test]
async fn a_refused_move_leaves_one_where_one_was() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    ada.refused(&join("no such room!", "Ada"), ErrorCode::BadRoom)
        .await;
    ada.say("still here").await;
    assert_eq!(ada.event().await, "Ada: still here");
    over(chat, [ada]).await;
}

#[tokio::test]
async fn frames_that_come_too_fast_are_refused_and_then_end_it() {
    let chat = start(Limits {
        pace: Pace::new(2, Duration::from_secs(3600)),
        patience: Pace::new(1, Duration::from_secs(3600)),
        ..Limits::default()
    })
    .await;
    let mut client = Client::connect(&chat).await;
    for _ in 0..4 {
        client.send(r#"{"type":"ping","at":0}"#).await;
    }
    for _ in 0..2 {
        assert!(matches!(
            client.next_event().await,
            ServerFrame::Pong { .. }
        ));
    }
    for _ in 0..2 {
        let refusal = client.next_event().await;
        assert!(matches!(
            refusal,
            ServerFrame::Error {
                code: ErrorCode::TooFast,
                ..
            }
        ));
    }
    assert_eq!(client.closed().await, 1008);
    over(chat, [client]).await;
}

#[tokio::test]
async fn binary_frames_are_not_taken() {
    let chat = start(Limits::default()).await;
    let mut client = Client::connect(&chat).await;
    client.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.closed().await, 1003);
    over(chat, [client]).await;
}

#[tokio::test]
async fn a_frame_too_big_is_not_taken() {
    let limits = Limits::default();
    let size = limits.frame_bytes + 1;
    let chat = start(limits).await;
    let mut client = Client::connect(&chat).await;
    client.send(&" ".repeat(size)).await;
    assert_eq!(client.closed().await, 1009);
    over(chat, [client]).await;
}

#[tokio::test]
async fn one_connection_too_many_is_answered_503() {
    let chat = start(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let first = Client::connect(&chat).await;
    let refusal = Client::open(&chat, url(&chat).into_client_request().unwrap()).await;
    let Err(tungstenite::Error::Http(response)) = refusal else {
        panic!("there was a seat for a second");
    };
    assert_eq!(response.status(), 503);
    first.close().await;
    chat.stop().await.unwrap();
}

#[tokio::test]
async fn stopping_says_goodbye_with_1001() {
    let chat = start(Limits::default()).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    let stopping = tokio::spawn(chat.stop());
    assert_eq!(ada.closed().await, 1001);
    ada.close().await;
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed_and_shown_the_room_again() {
    let limits = Limits {
        queue: 4,
        history: 2,
        pace: Pace::new(u32::MAX, Duration::from_secs(1)),
        ..Limits::default()
    };
    let chat = start(limits).await;
    let (mut ada, _) = Client::join(&chat, "lobby", "Ada").await;
    let (mut bob, _) = Client::join(&chat, "lobby", "Bob").await;
    assert_eq!(ada.event().await, "Bob arrived");

    // Ada hears each of her messages before the next, so that she keeps up; Bob reads nothing, and
    // after some megabytes the sockets between him and the service are full.
    let last = 8_000;
    let padding = "x".repeat(1_900);
    for n in 1..=last {
        ada.say(&format!("{n} {padding}")).await;
        ada.event().await;
    }
    let number = |said: &Said| {
        let (number, _) = said.text.split_once(' ').unwrap();
        number.parse::<u32>().unwrap()
    };
    let mut missed = 0;
    let mut heard = 0;
    while heard < last {
        match bob.next_event().await {
            ServerFrame::Message(said) => {
                assert_eq!(number(&said), heard + 1, "a gap that Bob was not told of");
                heard += 1;
            }
            ServerFrame::Missed { count } => {
                missed += count;
                let ServerFrame::Joined(room) = bob.next_event().await else {
                    panic!("the room as it is follows at once");
                };
                assert_eq!(room.history.len(), 2);
                heard = number(&room.history[1]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(missed > 0, "the queue was never full");
    ada.say("again").await;
    assert_eq!(bob.event().await, "Ada: again");
    over(chat, [ada, bob]).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_room_is_forgotten_in_time_and_a_standing_one_never() {
    let limits = Limits::default();
    let hub = Hub::new(limits.clone());
    let enter = |room: &str| {
        let room = RoomName::parse(room, &limits).unwrap();
        let name = PersonName::parse("Ada", &limits).unwrap();
        hub.join(room, name).unwrap()
    };
    let count = || hub.rooms().len();

    let ada = enter("attic");
    ada.say("hello", None).unwrap();
    tokio::time::advance(2 * limits.memory).await;
    assert_eq!(count(), 4, "somebody is in it");
    drop(ada);
    tokio::time::advance(limits.memory - Duration::from_secs(1)).await;
    assert_eq!(hub.history("attic").unwrap().len(), 1, "it may be a reload");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(count(), 3);
    assert_eq!(hub.history("attic"), None);
}

#[tokio::test(start_paused = true)]
async fn a_new_room_takes_the_place_of_the_one_empty_for_longest() {
    let limits = Limits {
        rooms: 5,
        ..Limits::default()
    };
    let hub = Hub::new(limits.clone());
    let visit = async |room: &str| {
        let room = RoomName::parse(room, &limits).unwrap();
        let name = PersonName::parse("Ada", &limits).unwrap();
        drop(hub.join(room, name).unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
    };
    visit("attic").await;
    visit("cellar").await;
    visit("attic").await;
    visit("porch").await;
    let names: Vec<String> = hub
        .rooms()
        .iter()
        .map(|room| room.name.to_string())
        .collect();
    assert_eq!(names, ["attic", "garden", "lobby", "porch", "workshop"]);
}
