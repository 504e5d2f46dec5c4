// The WebSocket, kept alive: it comes back by itself, and measures the round trip.

const PING_EVERY = 5_000;
// A connection that answers no ping for so long is dead, whatever the operating system believes.
const DEAD_AFTER = 12_000;
const CONNECT_WITHIN = 10_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 20_000;
// Only a connection that lived for so long counts as a success. A service that accepts and falls
// over must not be called twice a second.
const SETTLED_AFTER = 5_000;

/** The service looked at what we sent and asked us to leave: coming back at once is no answer. */
const POLICY = 1008;
const TRY_AGAIN_LATER = 1013;

export class Connection {
  /** "connecting", "open", "waiting" (for the next attempt) or "stopped". */
  state = "connecting";
  #url;
  #on;
  #socket = null;
  /** Aborted when the present attempt is given up. */
  #giveUp = new AbortController();
  #attempt = 0;
  #retryAt = 0;
  #openedAt = 0;
  #pingAt = null;
  #timers = [];

  /**
   * `on.state(state, {seconds, reason})` is called at each change and for each second of waiting,
   * `on.frame(frame)` for each frame, `on.roundTrip(milliseconds)` for each answered ping.
   */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake());
  }

  async connect() {
    this.#drop();
    this.#enter("connecting");
    this.#timers.push(setTimeout(() => this.#lose({}), CONNECT_WITHIN));
    this.#giveUp = new AbortController();
    const { signal } = this.#giveUp;
    // Browsers open a WebSocket over HTTP/2 only on a connection that they already have. The page
    // came by one; after an outage a request has to make it.
    if (this.#attempt > 0 && !(await answers(signal))) {
      if (!signal.aborted) this.#lose({});
      return;
    }
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    // An error tells nothing that the close after it does not.
    socket.onclose = (event) => this.#lose(event);
  }

  /** Sends a frame if the connection is open, and says whether it did. */
  send(frame) {
    if (this.state !== "open") return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #opened() {
    this.#clearTimers();
    this.#openedAt = performance.now();
    this.#enter("open");
    this.#ping();
    this.#timers.push(setInterval(() => this.#ping(), PING_EVERY));
  }

  #receive(frame) {
    if (frame.type !== "pong") return this.#on.frame(frame);
    this.#pingAt = null;
    this.#on.roundTrip(performance.now() - frame.at);
  }

  #ping() {
    const now = performance.now();
    if (this.#pingAt === null) {
      this.#pingAt = now;
      this.send({ type: "ping", at: now });
    } else if (now - this.#pingAt > DEAD_AFTER) {
      this.#lose({});
    }
  }

  #lose({ code, reason }) {
    const lived = this.state === "open" ? performance.now() - this.#openedAt : 0;
    this.#drop();
    if (code === POLICY) return this.#enter("stopped", { reason });
    if (lived > SETTLED_AFTER) this.#attempt = 0;
    if (code === TRY_AGAIN_LATER) this.#attempt = Math.max(this.#attempt, 4);
    // Half of the delay is chance: when a service restarts, its clients must not all come at once.
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#attempt);
    this.#attempt += 1;
    this.#retryAt = performance.now() + longest * (0.5 + Math.random() / 2);
    this.#countDown();
    this.#timers.push(setInterval(() => this.#countDown(), 200));
  }

  #countDown() {
    const left = this.#retryAt - performance.now();
    if (left <= 0) return this.connect();
    this.#enter("waiting", { seconds: Math.ceil(left / 1000) });
  }

  /** The network or the user is back: now is better than later. */
  #wake() {
    if (this.state === "waiting") this.connect();
    else if (this.state === "open") this.#ping();
  }

  #enter(state, details = {}) {
    this.state = state;
    this.#on.state(state, details);
  }

  /** Lets go of the socket, which may linger in its closing handshake without us. */
  #drop() {
    this.#clearTimers();
    this.#giveUp.abort();
    this.#pingAt = null;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #clearTimers() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
  }
}

/** Whether the site answers at all. Not if it is aborted meanwhile. */
async function answers(signal) {
  try {
    await fetch("/api/health", { cache: "no-store", signal });
    return !signal.aborted;
  } catch {
    return false;
  }
}
