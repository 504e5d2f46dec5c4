// A client made with `ws`. Its one argument is JSON: { url, ca, subprotocols, fields, steps }.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import WebSocket from "ws";
import { message, pairs, pattern, report } from "./report.mjs";

const { url, ca, subprotocols, fields, steps } = JSON.parse(process.argv[2]);
const socket = new WebSocket(url, subprotocols, {
  ca: ca && readFileSync(ca),
  headers: Object.fromEntries(fields),
  // Threshold 0: small messages are compressed as well.
  perMessageDeflate: { threshold: 0 },
  maxPayload: 0,
});

let received = 0;
let changed = () => {};
socket.on("upgrade", (response) => {
  const { statusCode: status, rawHeaders } = response;
  report("open", { status, fields: pairs(rawHeaders) });
});
socket.on("message", (data, isBinary) => {
  report(...message(data, isBinary));
  received += 1;
  changed();
});
socket.on("ping", (data) => report("ping", { data: data.toString() }));
socket.on("pong", (data) => report("pong", { data: data.toString() }));
socket.on("error", (error) => report("error", { message: error.message }));
const closed = new Promise((resolve) => {
  socket.addEventListener("close", ({ code, reason, wasClean }) => {
    report("close", { code, reason, clean: wasClean });
    resolve();
    changed();
  });
});
socket.on("unexpected-response", async (_, response) => {
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  const { statusCode: status, rawHeaders } = response;
  report("refused", { status, fields: pairs(rawHeaders), body: Buffer.concat(chunks).toString() });
  process.exit();
});

const play = {
  text: (data) => socket.send(data),
  binary: (length) => socket.send(pattern(length)),
  fragments: (parts) => parts.forEach((part, i) => socket.send(part, { fin: i === parts.length - 1 })),
  ping: async (data) => {
    socket.ping(data);
    await once(socket, "pong");
  },
  receive: async (count) => {
    while (received < count && socket.readyState === WebSocket.OPEN) {
      await new Promise((resolve) => (changed = resolve));
    }
  },
  close: ([code, reason]) => socket.close(code, reason),
};

// Not `once`: it would throw the error that has been reported.
await new Promise((resolve) => socket.on("open", resolve).on("close", resolve));
for (const step of steps) {
  if (socket.readyState !== WebSocket.OPEN) break;
  const [[name, argument]] = Object.entries(step);
  await play[name](argument);
}
await closed;
