// What was said: turns of one author, a rule between days, a mark where the unread begins.

const TURN_ENDS_AFTER = 5 * 60_000;
const NEAR_THE_END = 48;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class Log {
  #root;
  #jump;
  #isOwn;
  #onUnread;
  #last = null;
  #turn = null;
  #unread = 0;
  #mark = null;

  /** `isOwn(message)` tells one's own messages, `onUnread(count)` is told how many were not seen. */
  constructor(root, jump, { isOwn, onUnread }) {
    this.#root = root;
    this.#jump = jump;
    this.#isOwn = isOwn;
    this.#onUnread = onUnread;
    root.addEventListener("scroll", () => document.hidden || (this.#atEnd() && this.#seen()));
    document.addEventListener("visibilitychange", () => document.hidden || (this.#atEnd() && this.#seen()));
    jump.addEventListener("click", () => {
      this.#toEnd(true);
      root.focus({ preventScroll: true });
    });
    // The keyboard of a phone, a wider window: whoever read the newest goes on reading it.
    let following = true;
    root.addEventListener("scroll", () => (following = this.#atEnd()));
    new ResizeObserver(() => following && this.#toEnd()).observe(root);
  }

  /** Shows the room anew. `keep`: it is the same room as before, so stay where the reader is. */
  show(messages, { keep }) {
    const position = keep && !this.#atEnd() ? this.#root.scrollTop : null;
    // A hundred old messages are not news: nobody wants them read aloud.
    this.#root.ariaLive = "off";
    setTimeout(() => (this.#root.ariaLive = "polite"), 1000);
    this.#root.replaceChildren();
    this.#last = this.#turn = this.#mark = null;
    for (const message of messages) this.#append(message);
    if (position === null) this.#toEnd();
    else this.#root.scrollTop = position;
  }

  add(message) {
    const follow = this.#atEnd() || this.#isOwn(message);
    if (!follow || document.hidden) this.#countUnread();
    this.#append(message);
    if (follow) this.#toEnd();
  }

  /** Shows what was said but not yet heard by the service. */
  addPending({ key, text, from }) {
    const line = this.#append({ id: "", at: Date.now(), from, text, key });
    line.dataset.pending = key;
    line.append(element("span", "quiet", " (sending)"));
    this.#toEnd();
  }

  removePending(key) {
    const line = this.#root.querySelector(`[data-pending="${CSS.escape(key)}"]`);
    if (!line) return;
    const turn = line.closest(".turn");
    line.remove();
    if (turn.querySelector(".line")) return;
    turn.remove();
    this.#last = this.#turn = null;
  }

  notice(text) {
    const follow = this.#atEnd();
    this.#root.append(element("p", "notice", text));
    this.#last = null;
    if (follow) this.#toEnd();
  }

  #append(message) {
    if (!this.#continues(message)) this.#begin(message);
    const line = element("p", "line", message.text);
    line.dataset.id = message.id;
    line.dir = "auto";
    line.title = clock.format(message.at);
    this.#turn.append(line);
    this.#last = message;
    return line;
  }

  #continues(message) {
    return (
      this.#last?.from.id === message.from.id &&
      this.#last.from.name === message.from.name &&
      message.at - this.#last.at < TURN_ENDS_AFTER &&
      sameDay(message.at, this.#last.at)
    );
  }

  #begin(message) {
    const days = this.#root.querySelectorAll(".day");
    const day = calendar.format(message.at);
    if (days[days.length - 1]?.textContent !== day) this.#root.append(element("p", "day", day));

    const turn = element("article", "turn");
    turn.dataset.author = message.from.name;
    if (this.#isOwn(message)) turn.dataset.own = "";
    const by = element("header", "by");
    by.style.setProperty("--hue", hue(message.from.name));
    const time = element("time", "", clock.format(message.at));
    time.dateTime = new Date(message.at).toISOString();
    by.append(element("bdi", "author", message.from.name), time);
    this.#turn = element("div", "lines");
    turn.append(by, this.#turn);
    this.#root.append(turn);
  }

  #countUnread() {
    this.#unread += 1;
    if (this.#unread === 1) {
      this.#mark?.remove();
      this.#mark = element("p", "mark", "New");
      this.#root.append(this.#mark);
      this.#last = null;
    }
    this.#tellUnread();
  }

  #seen() {
    if (this.#unread === 0) return;
    this.#unread = 0;
    this.#tellUnread();
  }

  #tellUnread() {
    const count = this.#unread;
    this.#jump.hidden = count === 0 || this.#atEnd();
    this.#jump.textContent = count === 1 ? "1 new message" : `${count} new messages`;
    this.#onUnread(count);
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#root;
    return scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
  }

  #toEnd(slowly = false) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const behavior = slowly && !still ? "smooth" : "instant";
    this.#root.scrollTo({ top: this.#root.scrollHeight, behavior });
    if (!document.hidden && !slowly) this.#seen();
  }
}

/** An element with text in it. Text is only ever set as text: what people write is never markup. */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** The colour of a name, the same on every screen. */
export function hue(name) {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return String((hash * 47) % 360);
}

function sameDay(a, b) {
  return new Date(a).toDateString() === new Date(b).toDateString();
}
