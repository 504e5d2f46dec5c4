// What both Node scripts share: events as JSON lines on stdout, and payloads that check themselves.

export function report(event, details = {}) {
  process.stdout.write(JSON.stringify({ event, ...details }) + "\n");
}

// rawHeaders is a flat list of names and values, spelt and ordered as they came.
export function pairs(rawHeaders) {
  const fields = [];
  for (let i = 0; i < rawHeaders.length; i += 2) fields.push([rawHeaders[i], rawHeaders[i + 1]]);
  return fields;
}

// Byte i is i modulo 251, a prime, so that a lost or doubled buffer of any usual size shows.
export function pattern(length) {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = i % 251;
  return bytes;
}

export function message(data, isBinary) {
  if (!isBinary) return ["text", { data: data.toString() }];
  return ["binary", { length: data.length, intact: data.equals(pattern(data.length)) }];
}
