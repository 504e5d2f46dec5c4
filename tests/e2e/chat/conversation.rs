//! People in a room.

use fantoccini::key::Key;
use wsgate_tests::trace;

use super::{Chat, Person, enter};

#[tokio::test]
async fn two_people_talk() {
    let _trace = trace::init();
    let chat = Chat::start(&[]).await;
    let ann = Person::enter(&chat, "Ann").await;
    ann.is_connected_by("h2").await;
    ann.is_among(&["Ann"]).await;
    ann.say("Is anybody here?").await;
    ann.hears("Ann", "Is anybody here?").await;

    // What was said before comes with the room.
    let ben = Person::enter(&chat, "Ben").await;
    ben.is_connected_by("h2").await;
    ben.hears("Ann", "Is anybody here?").await;
    ben.is_among(&["Ben", "Ann"]).await;
    ann.is_among(&["Ann", "Ben"]).await;
    ann.is_told("Ben came in").await;

    ben.press("I a").await;
    ann.until("document.querySelector('#typing').textContent === 'Ben is typing'")
        .await;
    ben.press(&enter("m.")).await;
    ann.hears("Ben", "I am.").await;
    ann.until("document.querySelector('#typing').textContent === ''")
        .await;
    ben.hears("Ben", "I am.").await;
    for person in [&ann, &ben] {
        let expected = [("Ann", "Is anybody here?"), ("Ben", "I am.")];
        let expected = expected.map(|(author, text)| (author.to_owned(), text.to_owned()));
        assert_eq!(person.log().await, expected);
    }
    ann.until("document.querySelector('.turn[data-author=Ann]').matches('[data-own]')")
        .await;
    ann.until("!document.querySelector('.turn[data-author=Ben]').matches('[data-own]')")
        .await;

    // The round trip is measured through the proxy, to the service and back.
    ann.until("Number(document.querySelector('#rtt').dataset.ms) > 0")
        .await;
    assert!(ann.text("#rtt").await.ends_with(" ms"));

    ben.leave().await;
    ann.is_told("Ben left").await;
    ann.is_among(&["Ann"]).await;
    ann.leave().await;
    chat.stop().await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let _trace = trace::init();
    let chat = Chat::start(&[]).await;
    let ann = Person::enter(&chat, "Ann").await;
    ann.say("one\ntwo").await;
    ann.hears("Ann", "one\ntwo").await;
    ann.until("document.activeElement.id === 'message'").await;

    // Round the page by Tab to another room, and in.
    let mut passed = Vec::new();
    let focused = "const { id, dataset } = document.activeElement; return dataset.room ?? id";
    while passed.last().is_none_or(|focus| focus != "garden") {
        assert!(passed.len() < 30, "{passed:?}");
        ann.press(&char::from(Key::Tab).to_string()).await;
        passed.push(ann.browser.run(focused).await);
    }
    ann.press(&enter("")).await;
    ann.until("document.querySelector('#room-title').textContent === 'garden'")
        .await;
    ann.until("document.activeElement.id === 'message'").await;
    ann.say("nobody here").await;
    ann.hears("Ann", "nobody here").await;
    assert_eq!(ann.log().await.len(), 1, "the other room's log has gone");
    ann.leave().await;
    chat.stop().await;
}

#[tokio::test]
async fn markup_stays_text() {
    let _trace = trace::init();
    let chat = Chat::start(&[]).await;
    let name = "<i>Eve</i>";
    let eve = Person::enter(&chat, name).await;
    for text in [
        "<img src=x onerror=\"document.title = 'gotcha'\">",
        "<b>bold</b> &amp; <script>document.title = 'gotcha'</script>",
    ] {
        eve.say(text).await;
        eve.hears(name, text).await;
    }
    eve.is_among(&[name]).await;
    eve.until("!document.querySelector('#log :is(img, b, i, script), #people i')")
        .await;
    eve.until("document.title !== 'gotcha'").await;
    eve.leave().await;
    chat.stop().await;
}
