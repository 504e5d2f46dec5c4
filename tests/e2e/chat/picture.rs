//! A lively room, which is also the picture in the README.
//!
//! `WSGATE_SCREENSHOTS=docs cargo test -p wsgate-tests --test e2e chat::picture` takes the pictures
//! anew and keeps them in that folder of the repository. `TZ` chooses the time of day they show.

use std::path::{Path, PathBuf};

use serde_json::json;
use wsgate_tests::browser::Browser;
use wsgate_tests::trace;

use super::{Chat, Person};

#[tokio::test]
async fn a_lively_room_fits_the_window() {
    let _trace = trace::init();
    let chat = Chat::start(&[]).await;
    let guests = Browser::start(&chat.ca).await;
    guests.open(&chat.url).await;
    guests.run(GUESTS).await;
    for (name, room) in [
        ("Grace", "lobby"),
        ("Édouard", "lobby"),
        ("Wren", "garden"),
        ("Tomás", "garden"),
        ("Ines", "workshop"),
    ] {
        guests
            .run(&format!("await come({}, {})", json!(name), json!(room)))
            .await;
    }

    // Letters stand where the font wants them, not where the pixels are.
    let browser = Browser::start_with(&chat.ca, &["--font-render-hinting=none"]).await;
    browser.resize(1280, 800).await;
    let ada = Person::enter_with(browser, &chat, "Ada").await;
    ada.is_among(&["Ada", "Édouard", "Grace"]).await;
    ada.until("document.querySelectorAll('#rooms a[data-lit]').length === 3")
        .await;
    for (name, text) in CONVERSATION {
        match (*name, *text) {
            ("Ada", text) => ada.say(text).await,
            (name, "") => {
                guests
                    .run(&format!("await come({}, 'lobby')", json!(name)))
                    .await;
                ada.is_told(&format!("{name} came in")).await;
                continue;
            }
            (name, text) => {
                let say = format!("say({}, {})", json!(name), json!(text));
                guests.run(&say).await;
            }
        }
        ada.hears(name, text).await;
    }
    // Coming back online is a reason to measure: the line of round trips grows without waiting.
    for measured in 2..=24 {
        ada.browser.run("dispatchEvent(new Event('online'))").await;
        let line = "document.querySelector('#trace-line').points.length";
        ada.until(&format!("{line} >= {measured}")).await;
    }
    ada.press("Darjeeling, pl").await;
    // The list of rooms comes at its own pace.
    ada.until("document.querySelector('#rooms a[data-room=lobby] .count').textContent === '4'")
        .await;
    ada.until(
        "[document.documentElement, document.querySelector('#log')].every(box =>\
            box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight)",
    )
    .await;

    let temporary = tempfile::tempdir().unwrap();
    let folder = asked_for().unwrap_or_else(|| temporary.path().to_owned());
    for (theme, file) in [("light", "chat.png"), ("dark", "chat-dark.png")] {
        let root = "document.documentElement";
        let set = format!("{root}.dataset.theme = {}", json!(theme));
        ada.browser.run(&set).await;
        ada.until("!document.getAnimations().some(running => running instanceof CSSTransition)")
            .await;
        // Said last, as it is forgotten after a while.
        guests.run("type('Mei')").await;
        ada.until("document.querySelector('#typing').textContent === 'Mei is typing'")
            .await;
        let file = folder.join(file);
        ada.browser.screenshot(&file).await;
        assert_eq!(size_of_png(&file), (1280, 800));
    }
    ada.leave().await;
    guests.close().await;
    chat.stop().await;
}

/// Where the pictures are to be kept, if somebody asks for that.
fn asked_for() -> Option<PathBuf> {
    let folder = std::env::var_os("WSGATE_SCREENSHOTS")?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Some(repository.join(folder))
}

/// Width and height, which follow the signature and the head of the first chunk (PNG, 11.2.1).
fn size_of_png(file: &Path) -> (u32, u32) {
    let png = std::fs::read(file).unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    (number(16), number(20))
}

/// People who need no window of their own, only a WebSocket each.
const GUESTS: &str = "
    const guests = {};
    globalThis.come = (name, room) => new Promise((resolve, reject) => {
        const socket = guests[name] = new WebSocket('/websocket');
        socket.onopen = () => socket.send(JSON.stringify({ type: 'join', room, name }));
        socket.onmessage = ({ data }) => JSON.parse(data).type === 'joined' && resolve();
        socket.onclose = () => reject(name + ' was sent away');
    });
    const send = (name, frame) => guests[name].send(JSON.stringify(frame));
    globalThis.say = (name, text) => send(name, { type: 'say', text, key: crypto.randomUUID() });
    globalThis.type = name => send(name, { type: 'typing', active: true });
";

/// Who says what; those who say nothing come in.
const CONVERSATION: &[(&str, &str)] = &[
    (
        "Grace",
        "Morning, everyone. Who moved the chat behind the gateway?",
    ),
    (
        "Ada",
        "I did, last night. One route in the app we already had:\n.route(\"/websocket\", any(proxy))",
    ),
    (
        "Édouard",
        "And the service? It still listens on plain ws, on a loopback port.",
    ),
    (
        "Ada",
        "It does, and it has no idea. HTTP/2 and TLS end at the door.",
    ),
    ("Mei", ""),
    (
        "Mei",
        "I am on the train. The tunnel cut me off, and the room was there again before I had found my place.",
    ),
    ("Grace", "Which tunnel, the railway's or ours?"),
    ("Mei", "The railway's. Ours just opened again."),
    (
        "Édouard",
        "Then there is nothing left to do but tea. Assam or Darjeeling?",
    ),
];
