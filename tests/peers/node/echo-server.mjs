// An echo server made with `ws`. Its one argument is JSON: { subprotocols }. It prints its port, then
// what happens, and ends when its standard input does.

import { WebSocketServer } from "ws";
import { message, pairs, report } from "./report.mjs";

const { subprotocols } = JSON.parse(process.argv[2]);
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  // Threshold 0: small messages are compressed as well.
  perMessageDeflate: { threshold: 0 },
  maxPayload: 0,
  handleProtocols: (offered) => [...offered].find((offer) => subprotocols.includes(offer)) ?? false,
});

server.on("listening", () => report("listening", { port: server.address().port }));
server.on("connection", (socket, request) => {
  report("request", { target: request.url, fields: pairs(request.rawHeaders) });
  socket.on("message", (data, isBinary) => {
    report(...message(data, isBinary));
    socket.send(data, { binary: isBinary });
  });
  socket.on("ping", (data) => report("ping", { data: data.toString() }));
  socket.on("error", (error) => report("error", { message: error.message }));
  socket.on("close", (code, reason) => {
    report("close", { code, reason: reason.toString(), clean: code !== 1006 });
  });
});

process.stdin.resume().on("end", () => process.exit());
