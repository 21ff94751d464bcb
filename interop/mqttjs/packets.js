// mqtt-packet, the codec of MQTT.js: `node packets.js FILE` decodes each line of hexadecimal digits and prints a line for it: `error`
// and why not, or the packet's type and, each behind a tab, its fields as NAME=VALUE: numbers as they are, flags as 0 or 1, texts and
// bytes as digits.

import { readFileSync } from "node:fs";

import constants from "mqtt-packet/constants.js";
import { parser as newParser } from "mqtt-packet";

const lines = readFileSync(process.argv[2], "utf8").trimEnd().split("\n");
process.stdout.write(lines.map((line) => decode(Buffer.from(line, "hex")) + "\n").join(""));

function decode(bytes) {
  const parser = newParser({ protocolVersion: 5 });
  const packets = [];
  const errors = [];
  parser.on("packet", (packet) => packets.push(packet));
  parser.on("error", (error) => errors.push(error.message));
  try {
    const left = parser.parse(bytes);
    if (errors.length === 0 && (packets.length !== 1 || left !== 0)) errors.push("not one whole packet");
  } catch (error) {
    errors.push(error.message);
  }
  if (errors.length > 0) return `error ${errors[0]}`;
  const fields = [packets[0].cmd.toUpperCase()];
  const tell = (name, value) => {
    if (value !== undefined && value !== null) fields.push(`${name}=${plain(value)}`);
  };
  packet(packets[0], tell);
  return fields.join("\t");
}

function packet(it, tell) {
  properties("property", it.properties, tell);
  if (it.cmd === "connect") {
    tell("clean start", it.clean);
    tell("keep alive", it.keepalive);
    tell("client id", it.clientId);
    tell("user name", it.username);
    tell("password", it.password);
    if (it.will) {
      properties("will property", it.will.properties, tell);
      tell("will qos", it.will.qos);
      tell("will retain", it.will.retain);
      tell("will topic", it.will.topic);
      tell("will payload", it.will.payload);
    }
  } else if (it.cmd === "publish") {
    tell("topic", it.topic);
    tell("dup", it.dup);
    tell("qos", it.qos);
    tell("retain", it.retain);
    tell("payload", it.payload);
  } else {
    tell("session present", it.sessionPresent);
    tell("reason", it.reasonCode);
  }
  tell("id", it.messageId);
  it.granted?.forEach((code, n) => tell(`code ${n}`, code));
  it.unsubscriptions?.forEach((filter, n) => tell(`filter ${n}`, filter));
  it.subscriptions?.forEach(({ topic, qos, nl, rap, rh }, n) => {
    tell(`filter ${n}`, topic);
    tell(`options ${n}`, qos | (nl << 2) | (rap << 3) | (rh << 4));
  });
}

function properties(kind, all, tell) {
  for (const [name, value] of Object.entries(all ?? {})) {
    const id = `${kind} ${constants.properties[name]}`;
    if (name === "userProperties") {
      for (const [key, values] of Object.entries(value)) {
        for (const one of [values].flat()) tell(id, { key, value: one });
      }
    } else {
      for (const one of [value].flat()) tell(id, one);
    }
  }
}

function plain(value) {
  switch (typeof value) {
    case "boolean":
      return value ? "1" : "0";
    case "number":
      return String(value);
    case "string":
      return Buffer.from(value).toString("hex");
    default:
      return Buffer.isBuffer(value) ? value.toString("hex") : `${plain(value.key)}:${plain(value.value)}`;
  }
}
