// What stands round the conversation: rooms, people, who is typing, the connection, the colours.

import { element, hue } from "./log.js";

const TYPING_LASTS = 4_000;
const TRACE_POINTS = 24;
const PROTOCOLS = { h2: "HTTP/2", "http/1.1": "HTTP/1.1" };
const STATES = { connecting: "Connecting", open: "Connected", waiting: "Offline", stopped: "Closed" };

export const byId = (id) => document.getElementById(id);

/** The rooms as links, so that one can be opened in another tab, or sent to somebody. */
export function showRooms(rooms, current) {
  const shown = rooms.some(({ name }) => name === current) ? rooms : [...rooms, { name: current, people: 0 }];
  const items = shown.map(({ name, people }) => {
    const link = element("a", "", "");
    link.href = `?room=${encodeURIComponent(name)}`;
    link.dataset.room = name;
    if (people > 0) link.dataset.lit = "";
    if (name === current) link.ariaCurrent = "page";
    const count = element("span", "count", people || "");
    count.ariaHidden = "true";
    link.append(element("bdi", "", name), count, element("span", "quiet", `, ${countPeople(people)}`));
    const item = document.createElement("li");
    item.append(link);
    return item;
  });
  replaceKeepingFocus(byId("rooms"), items, "room");
}

export function showPeople(people, you) {
  const sorted = [...people].sort((a, b) => (b.id === you) - (a.id === you) || a.name.localeCompare(b.name));
  const items = sorted.map(({ id, name }) => {
    const item = document.createElement("li");
    item.dataset.person = id;
    const window = element("span", "window", [...name][0].toUpperCase());
    window.ariaHidden = "true";
    window.style.setProperty("--hue", hue(name));
    item.append(window, element("bdi", "", name));
    if (id === you) item.append(element("span", "you", "you"));
    return item;
  });
  byId("people").replaceChildren(...items);
  byId("people-count").textContent = people.length;
  byId("room-note").textContent = people.length === 1 ? "Only you so far" : countPeople(people.length);
}

export class Typing {
  #until = new Map();
  #timer = 0;

  set(name, active) {
    if (active) this.#until.set(name, performance.now() + TYPING_LASTS);
    else this.#until.delete(name);
    this.#show();
  }

  clear() {
    this.#until.clear();
    this.#show();
  }

  #show() {
    const now = performance.now();
    for (const [name, until] of this.#until) if (until <= now) this.#until.delete(name);
    const names = [...this.#until.keys()];
    const who = names.length > 2 ? "Several people" : names.join(" and ");
    byId("typing").textContent = who && `${who} ${names.length > 1 ? "are" : "is"} typing`;
    clearTimeout(this.#timer);
    if (names.length) this.#timer = setTimeout(() => this.#show(), 500);
  }
}

export function showState(state, { seconds, reason }) {
  const shown = byId("state");
  const wasOpen = shown.dataset.state === "open";
  shown.dataset.state = state;
  byId("state-text").textContent = STATES[state];
  const down = state === "waiting" || state === "stopped";
  // While an attempt is under way the banner stays, so that nothing jumps every few seconds.
  if (down || state === "open") byId("outage").hidden = !down;
  if (state !== "open") showProtocol("");
  if (state === "stopped") {
    byId("outage-text").textContent = `The service closed the connection: ${reason || "no reason given"}.`;
    byId("countdown").textContent = "";
  } else if (down) {
    if (wasOpen) traceLost();
    byId("outage-text").textContent = "The connection is lost.";
    byId("countdown").textContent = `Next attempt in ${seconds} s.`;
  } else if (state === "connecting") {
    byId("countdown").textContent = "Trying now.";
  }
}

/** How the WebSocket came to the site: the service is told by the site, and tells us. */
export function showProtocol(protocol) {
  byId("state").dataset.protocol = protocol;
  byId("protocol").textContent = PROTOCOLS[protocol] ?? protocol;
}

const trace = [];

export function showRoundTrip(milliseconds) {
  const shown = byId("rtt");
  shown.dataset.ms = milliseconds.toFixed(1);
  shown.textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  trace.push(milliseconds);
  if (trace.length > TRACE_POINTS) trace.shift();
  const highest = Math.max(10, ...trace);
  const step = 72 / (TRACE_POINTS - 1);
  const x = (index) => (72 - (trace.length - 1 - index) * step).toFixed(1);
  const y = (value) => (16 - (value / highest) * 14).toFixed(1);
  byId("trace-line").setAttribute("points", trace.map((value, index) => `${x(index)},${y(value)}`).join(" "));
}

function traceLost() {
  trace.length = 0;
  byId("trace-line").setAttribute("points", "");
  byId("rtt").textContent = "";
}

/** On narrow screens the panels are drawers: one at a time, closed by Escape or a tap beside them. */
export function wireDrawers() {
  const drawers = [
    [byId("rooms-toggle"), byId("rooms-panel")],
    [byId("people-toggle"), byId("people-panel")],
  ];
  const set = (open) => {
    for (const [toggle, panel] of drawers) {
      toggle.ariaExpanded = String(panel === open);
      panel.toggleAttribute("data-open", panel === open);
    }
  };
  for (const [toggle, panel] of drawers) {
    toggle.addEventListener("click", () => {
      const opening = toggle.ariaExpanded === "false";
      set(opening ? panel : null);
      if (opening) panel.querySelector("a, button, input")?.focus();
    });
  }
  document.addEventListener("keydown", ({ key }) => {
    const open = drawers.find(([toggle]) => toggle.ariaExpanded === "true");
    if (key !== "Escape" || !open) return;
    set(null);
    open[0].focus();
  });
  byId("main").addEventListener("pointerdown", () => set(null));
  return () => set(null);
}

/** Dark or light by choice; without one the system's, and with it when that changes. */
export function wireTheme(remember) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => (byId("theme").ariaPressed = String(isDark()));
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

function countPeople(count) {
  return count === 1 ? "1 person" : `${count || "no"} people`;
}

/** Replaces the items of a list, and puts the focus back to the link that had it. */
function replaceKeepingFocus(list, items, key) {
  const focused = list.contains(document.activeElement) && document.activeElement.dataset[key];
  list.replaceChildren(...items);
  if (focused) list.querySelector(`[data-${key}="${CSS.escape(focused)}"]`)?.focus();
}
