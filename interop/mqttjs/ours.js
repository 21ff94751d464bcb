// Messages from and to the client of this workspace: its examples `publish` and `subscribe` in the folder `examples`.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { arrivals, connect, equal } from "./exchange.js";

/** Our example `subscribe` shows what MQTT.js publishes. */
export async function toOurs(mqtt, topic, url, examples) {
  const client = await connect(mqtt, url, {});
  const message = { properties: { userProperties: { from: "MQTT.js" } } };
  try {
    // Who has received a retained message has subscribed.
    await client.publishAsync(topic, "kept", { ...message, qos: 1, retain: true });
    await run(join(examples, "subscribe"), [url, topic], async (ours) => {
      await ours.shows(`${topic}: kept (AtLeastOnce, retained)`, "  from: MQTT.js");
      for (const [qos, name] of ["AtMostOnce", "AtLeastOnce", "ExactlyOnce"].entries()) {
        await client.publishAsync(topic, "hello", { ...message, qos });
        await ours.shows(`${topic}: hello (${name})`, "  from: MQTT.js");
      }
      ours.interrupt();
      await ours.shows("closed");
    });
    await client.publishAsync(topic, "", { qos: 1, retain: true });
    await client.endAsync();
  } finally {
    client.end(true);
  }
}

/** The ten readings of our example `publish` reach MQTT.js. */
export async function fromOurs(mqtt, topic, url, examples) {
  const client = await connect(mqtt, url, {});
  try {
    const messages = arrivals(client);
    await client.subscribeAsync(topic, { qos: 2 });
    await run(join(examples, "publish"), [url, topic], async (ours) => {
      for (let tenth = 1; tenth <= 10; tenth += 1) {
        const celsius = (20 + tenth / 10).toFixed(1);
        const { payload, packet } = await messages.next();
        equal(payload.toString(), celsius, "payload");
        equal(packet.qos, 1, "QoS of a reading");
        equal(packet.retain, false, "RETAIN of a reading");
        equal(packet.properties.contentType, "text/plain", "content type");
        equal(packet.properties.userProperties.unit, "degree Celsius", "user property");
        await ours.shows(`${topic}: ${celsius}: Success (0x00)`);
      }
      await ours.shows("closed, 0 messages left");
    });
    await client.publishAsync(topic, "", { qos: 1, retain: true });
    await client.endAsync();
  } finally {
    client.end(true);
  }
}

/** Runs a program while `work` talks to it; it should end with 0, and is killed if `work` fails. */
async function run(program, args, work) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  // One that does not start has no lines either, and fails there.
  const ended = new Promise((resolve) => {
    child.on("exit", (code, signal) => resolve(signal ?? code));
    child.on("error", (error) => resolve(error.message));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { done, value } = await lines.next();
    if (done) throw new Error(`our program ended with ${await ended}`);
    return value;
  };
  const shows = async (...wanted) => {
    for (const want of wanted) {
      let said = await line();
      // What it says of its connection is of no interest.
      while (said.startsWith("connected to ")) said = await line();
      equal(said, want, "a line of our program");
    }
  };
  try {
    await work({ shows, interrupt: () => child.kill("SIGINT") });
    equal(await ended, 0, "exit code of our program");
  } finally {
    child.kill("SIGKILL");
  }
}
