// The chat: what the person does becomes frames, what frames say is shown.

import { Connection } from "./connection.js";
import { Log } from "./log.js";
import { Typing, byId, showPeople, showProtocol, showRooms, showRoundTrip, showState, wireDrawers, wireTheme } from "./panels.js";

const TYPING_EVERY = 2_000;
const OWN_KEPT = 300;

const me = { id: 0, name: recall("name") ?? "", joined: "" };
/** The room to be in: the one in the address. */
let room = roomInAddress();
let rooms = [];
let people = [];
/** What was said but not yet heard, by key. It survives a lost connection. */
const pending = new Map();
/** The ids of this tab's own messages: after a reconnect the person behind them has another id. */
const own = new Set(JSON.parse(recall("own", sessionStorage) ?? "[]"));

let typingToldAt = -Infinity;
const typing = new Typing();
const log = new Log(byId("log"), byId("jump"), {
  isOwn: ({ id, key, from }) => from.id === me.id || own.has(id) || pending.has(key),
  onUnread: (count) => (document.title = `${count ? `(${count}) ` : ""}${me.joined || "Courtyard"} · Courtyard`),
});
const connection = new Connection(`${location.origin.replace("http", "ws")}/websocket`, {
  state: showState,
  frame: (frame) => on[frame.type]?.(frame),
  roundTrip: showRoundTrip,
});

// ===== what the service says =====

const on = {
  hello({ protocol, limits }) {
    showProtocol(protocol ?? "");
    byId("name").maxLength = limits.name;
    byId("new-room").maxLength = limits.room;
    byId("message").maxLength = limits.text;
    if (me.name) join();
  },

  rooms(frame) {
    rooms = frame.rooms;
    showRooms(rooms, room);
  },

  joined(frame) {
    const keep = me.joined === frame.room;
    const first = document.body.dataset.view === "door";
    me.id = frame.you;
    me.joined = room = frame.room;
    people = frame.people;
    remember("name", me.name);
    document.body.dataset.view = "room";
    document.title = `${room} · Courtyard`;
    byId("room-title").textContent = room;
    byId("message").placeholder = `Say something in ${room}`;
    byId("join-error").textContent = byId("hint").textContent = "";
    if (roomInAddress() !== room) history.pushState(null, "", address(room));
    typing.clear();
    showRooms(rooms, room);
    showPeople(people, me.id);
    for (const message of frame.history) settle(message);
    log.show(frame.history, { keep });
    showPending();
    sayAgain();
    if (first || !keep) byId("message").focus();
  },

  message(message) {
    settle(message);
    byId("hint").textContent = "";
    typing.set(message.from.name, false);
    log.add(message);
  },

  arrived({ person }) {
    people.push(person);
    showPeople(people, me.id);
    log.notice(`${person.name} came in`);
  },

  left({ person }) {
    people = people.filter(({ id }) => id !== person.id);
    showPeople(people, me.id);
    typing.set(person.name, false);
    log.notice(`${person.name} left`);
  },

  typing({ person, active }) {
    const typist = people.find(({ id }) => id === person);
    if (typist && person !== me.id) typing.set(typist.name, active);
  },

  missed({ count }) {
    byId("hint").textContent = `Your connection was too slow for ${count} frames; the room is shown afresh.`;
  },

  error({ code, message }) {
    const atDoor = document.body.dataset.view === "door";
    byId(atDoor ? "join-error" : "hint").textContent = `${message[0].toUpperCase()}${message.slice(1)}.`;
    if (atDoor) byId("name").focus();
    if (code === "too_fast") setTimeout(sayAgain, 1_000);
    // A room that does not let us in: stay in the one we are in.
    if (me.joined && (code === "bad_room" || code === "room_full" || code === "too_many_rooms")) {
      room = me.joined;
      history.replaceState(null, "", address(room));
      showRooms(rooms, room);
    }
  },
};

function join() {
  connection.send({ type: "join", room, name: me.name });
}

/** Takes note of a message that has come back: it was heard, and it is ours. */
function settle({ id, key }) {
  if (!pending.delete(key)) return;
  log.removePending(key);
  own.add(id);
  for (const old of own) {
    if (own.size <= OWN_KEPT) break;
    own.delete(old);
  }
  remember("own", JSON.stringify([...own]), sessionStorage);
}

/** Says again what was not heard. What was heard after all has its key known: it is heard once. */
function sayAgain() {
  for (const [key, said] of pending) {
    if (said.room === me.joined) connection.send({ type: "say", text: said.text, key });
  }
}

function showPending() {
  for (const [key, said] of pending) {
    if (said.room === me.joined) log.addPending({ key, text: said.text, from: { id: me.id, name: me.name } });
  }
}

// ===== what the person does =====

byId("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  me.name = byId("name").value.trim();
  if (!me.name) return;
  join();
});

byId("rename").addEventListener("click", () => {
  closeDrawers();
  openDoor();
  byId("cancel").hidden = false;
});

byId("cancel").addEventListener("click", () => {
  document.body.dataset.view = "room";
  byId("message").focus();
});

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("message").value.trim();
  if (!text) return;
  const key = crypto.randomUUID();
  pending.set(key, { text, room: me.joined });
  log.addPending({ key, text, from: { id: me.id, name: me.name } });
  connection.send({ type: "say", text, key });
  byId("message").value = byId("hint").textContent = "";
  grow();
  // The message says for itself that its author has stopped typing.
  typingToldAt = -Infinity;
});

byId("message").addEventListener("keydown", (event) => {
  // The Enter that ends a word in an input method is not meant for us.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});

byId("message").addEventListener("input", () => {
  grow();
  tellTyping();
});

byId("rooms").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  enter(link.dataset.room);
});

byId("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("new-room").value.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "");
  byId("new-room").value = "";
  if (name) enter(name);
});

byId("reconnect").addEventListener("click", () => connection.connect());
addEventListener("popstate", () => enter(roomInAddress()));

function enter(name) {
  closeDrawers();
  if (name === room && name === me.joined) return;
  room = name;
  byId("door-room").textContent = room;
  showRooms(rooms, room);
  // Without a connection the wish is kept, and asked for once there is one.
  if (me.joined) join();
}

function openDoor() {
  document.body.dataset.view = "door";
  byId("door-room").textContent = room;
  byId("name").value = me.name;
  byId("name").focus();
}

/** Tells the room that we type, now and then while we do, and once when we no longer do. */
function tellTyping() {
  const active = byId("message").value.trim() !== "";
  const now = performance.now();
  if (active && now - typingToldAt < TYPING_EVERY) return;
  if (!active && typingToldAt === -Infinity) return;
  typingToldAt = active ? now : -Infinity;
  connection.send({ type: "typing", active });
}

/** Lets the box grow with what is in it, up to the height that the style sheet allows. */
function grow() {
  const box = byId("message");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

// ===== helpers =====

function roomInAddress() {
  return new URLSearchParams(location.search).get("room")?.toLowerCase() || "lobby";
}

function address(name) {
  return name === "lobby" ? "/" : `?room=${encodeURIComponent(name)}`;
}

function recall(key, storage = localStorage) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, value, storage = localStorage) {
  try {
    storage.setItem(key, value);
  } catch {
    // A browser that keeps nothing still chats.
  }
}

// ===== begin =====

const closeDrawers = wireDrawers();
wireTheme(remember);
openDoor();
connection.connect();
