// MQTT.js in Node.js against a broker: `node node.js CA_FILE URL...` prints a line for each check, and ends with 1 when
// one of them failed. CA_FILE holds the certificate that has signed the broker's.

import { readFileSync } from "node:fs";

import mqtt from "mqtt";

import { exchange } from "./exchange.js";

const [ca, ...urls] = process.argv.slice(2);
const options = { ca: readFileSync(ca) };
let failures = 0;

for (const url of urls) {
  const scheme = url.split(":")[0];
  await exchange(mqtt, `mqtt.js ${scheme}`, url, options, (line) => {
    console.log(line);
    if (!line.endsWith(" ok")) failures += 1;
  });
}
process.exit(failures > 0 ? 1 : 0);
