//! The WebSocket below the conversation.

use wsgate_tests::browser::Browser;
use wsgate_tests::trace;

use super::{Chat, Person};

#[tokio::test]
async fn people_over_http1_and_http2_meet() {
    let _trace = trace::init();
    let chat = Chat::start(&[]).await;
    let ann = Person::enter(&chat, "Ann").await;
    let browser = Browser::start_http1(&chat.ca).await;
    let ben = Person::enter_with(browser, &chat, "Ben").await;
    ann.is_connected_by("h2").await;
    ben.is_connected_by("http/1.1").await;
    assert_eq!(ann.text("#protocol").await, "HTTP/2");
    assert_eq!(ben.text("#protocol").await, "HTTP/1.1");

    ann.say("to the older one").await;
    ben.hears("Ann", "to the older one").await;
    ben.say("and back").await;
    ann.hears("Ben", "and back").await;
    ann.leave().await;
    ben.leave().await;
    chat.stop().await;
}

#[tokio::test]
async fn a_site_without_http2_is_a_chat_too() {
    let _trace = trace::init();
    let chat = Chat::start(&["--without-http2"]).await;
    let ann = Person::enter(&chat, "Ann").await;
    ann.is_connected_by("http/1.1").await;
    ann.say("hello").await;
    ann.hears("Ann", "hello").await;
    ann.leave().await;
    chat.stop().await;
}

#[tokio::test]
async fn the_conversation_goes_on_after_a_restart() {
    let _trace = trace::init();
    let chat = Chat::start(&[]).await;
    let ann = Person::enter(&chat, "Ann").await;
    let ben = Person::enter(&chat, "Ben").await;
    ann.say("before").await;
    ben.hears("Ann", "before").await;

    let stopped = chat.stop().await;
    for person in [&ann, &ben] {
        person
            .until("document.querySelector('#state').dataset.state === 'waiting'")
            .await;
        person
            .until("document.querySelector('#outage').checkVisibility()")
            .await;
    }
    ann.say("said into the dark").await;
    ann.until("document.querySelector('#log .line[data-pending]')")
        .await;

    let chat = stopped.start().await;
    for person in [&ann, &ben] {
        // Chromium opens no HTTP/2 connection for a WebSocket alone: the page sees to that.
        person.is_connected_by("h2").await;
        person.hears("Ann", "said into the dark").await;
        person
            .until("!document.querySelector('#outage').checkVisibility()")
            .await;
    }
    // Once, and as one's own although the service knows one by another number now.
    let heard = ("Ann".to_owned(), "said into the dark".to_owned());
    assert_eq!(ann.log().await, [heard]);
    ann.until("document.querySelectorAll('#log .turn[data-own]').length === 1")
        .await;
    ann.until("!document.querySelector('#log .line[data-pending]')")
        .await;
    ann.is_among(&["Ann", "Ben"]).await;

    ben.say("there you are").await;
    ann.hears("Ben", "there you are").await;
    ann.leave().await;
    ben.leave().await;
    chat.stop().await;
}
