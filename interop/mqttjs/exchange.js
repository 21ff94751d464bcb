// What MQTT.js is to do with a broker, the same in Node.js and in a browser: at each QoS connect, subscribe, publish and
// receive, then what is retained. The caller gives it the library and takes its lines, one a check.

// Seconds until a check has failed.
const DEADLINE = 20;

// More than one frame and one read, and bytes that are no text.
const LARGE = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 31) % 256);

/** Runs the checks at `url` and reports a line for each, beginning with `name`. */
export async function exchange(mqtt, name, url, options, report) {
  const topic = `interop/${name.replaceAll(" ", "/")}`;
  for (const qos of [0, 1, 2]) {
    await passes(`${name} qos=${qos}`, roundTrip(mqtt, `${topic}/${qos}`, url, qos, options), report);
  }
  await passes(`${name} retained`, retained(mqtt, `${topic}/retained`, url, options), report);
}

/** Reports whether `work` succeeds in time, as a line that begins with `name`. */
export async function passes(name, work, report) {
  try {
    await within(DEADLINE, work);
    report(`${name} ok`);
  } catch (error) {
    report(`${name} FAILED: ${error?.message || error}`);
  }
}

/** Connects with MQTT 5.0, a clean start and `options`. */
export function connect(mqtt, url, options) {
  // Without retries: a connection that is refused is a failure, not something to wait for.
  const ours = { protocolVersion: 5, clean: true, reconnectPeriod: 0, properties: { receiveMaximum: 2 } };
  return mqtt.connectAsync(url, { ...options, ...ours }, false);
}

/** A message is kept for later subscriptions, is an ordinary one for those that are there, and goes when it is removed. */
async function retained(mqtt, topic, url, options) {
  const client = await connect(mqtt, url, options);
  try {
    const messages = arrivals(client);
    const comes = async (payload, retain) => {
      const message = await messages.next();
      equal(new TextDecoder().decode(message.payload), payload, "payload");
      equal(message.packet.retain, retain, `RETAIN of ${payload}`);
    };
    const kept = { qos: 1, retain: true };
    await client.publishAsync(topic, "kept", kept);
    await client.subscribeAsync(topic, { qos: 2 });
    await comes("kept", true);
    await client.publishAsync(topic, "anew", kept);
    await comes("anew", false);
    await client.unsubscribeAsync(topic);
    await client.publishAsync(topic, "", kept);
    await client.subscribeAsync(topic, { qos: 2 });
    await client.publishAsync(topic, "live", { qos: 1 });
    await comes("live", false);
    await client.endAsync();
  } finally {
    client.end(true);
  }
}

async function roundTrip(mqtt, topic, url, qos, options) {
  const client = await connect(mqtt, url, options);
  try {
    const messages = arrivals(client);
    const [granted] = await client.subscribeAsync(topic, { qos });
    equal(granted.qos, qos, "granted QoS");

    const properties = { contentType: "text/plain", userProperties: { from: "MQTT.js" } };
    const answers = [
      client.publishAsync(topic, "hello", { qos, properties }),
      client.publishAsync(topic, LARGE, { qos }),
      client.publishAsync(topic, "", { qos }),
    ];
    const [small, large, empty] = [await messages.next(), await messages.next(), await messages.next()];
    for (const { packet } of [small, large, empty]) {
      equal(packet.qos, qos, "QoS of a message");
      equal(packet.topic, topic, "topic of a message");
      equal(packet.dup, false, "DUP of a message");
    }
    equal(new TextDecoder().decode(small.payload), "hello", "payload");
    equal(small.packet.properties.contentType, "text/plain", "content type");
    equal(small.packet.properties.userProperties.from, "MQTT.js", "user property");
    equal(large.payload.length, LARGE.length, "length of a payload");
    if (!LARGE.every((byte, index) => byte === large.payload[index])) {
      throw new Error("a payload came with other bytes");
    }
    equal(empty.payload.length, 0, "length of an empty payload");
    for (const answer of await Promise.all(answers)) {
      equal(answer?.reasonCode ?? 0, 0, "reason code of an acknowledgement");
    }

    await client.unsubscribeAsync(topic);
    await client.endAsync();
  } finally {
    client.end(true);
  }
}

/** The messages of a client in their order: `next()` waits for one, and fails when the connection ends before. */
export function arrivals(client) {
  const come = [];
  const waiting = [];
  client.on("message", (_, payload, packet) => {
    const message = { payload, packet };
    const first = waiting.shift();
    if (first) first.resolve(message);
    else come.push(message);
  });
  const fail = (error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  client.on("error", fail);
  client.on("disconnect", ({ reasonCode }) => fail(new Error(`the broker sent DISCONNECT with reason ${reasonCode}`)));
  client.on("close", () => fail(new Error("the connection ended")));
  return {
    next: () =>
      come.length > 0
        ? Promise.resolve(come.shift())
        : new Promise((resolve, reject) => waiting.push({ resolve, reject })),
  };
}

function within(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export function equal(got, want, what) {
  if (got !== want) throw new Error(`${what}: ${got} instead of ${want}`);
}
