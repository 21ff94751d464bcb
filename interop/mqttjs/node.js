// MQTT.js in Node.js against a broker: `node node.js CA_FILE EXAMPLES URL...` prints a line for each check, and ends
// with 1 when one of them failed. CA_FILE holds the certificate that has signed the broker's, EXAMPLES is the folder with
// those of our client.

import { readFileSync } from "node:fs";

import mqtt from "mqtt";

import { exchange, passes } from "./exchange.js";
import { fromOurs, toOurs } from "./ours.js";

const [ca, examples, ...urls] = process.argv.slice(2);
const options = { ca: readFileSync(ca) };
let failures = 0;

for (const url of urls) {
  const scheme = url.split(":")[0];
  const name = `mqtt.js ${scheme}`;
  await exchange(mqtt, name, url, options, report);
  // Our examples know no certificate but those of the machine.
  if (scheme === "mqtt") {
    await passes(`${name} to-ours`, toOurs(mqtt, "interop/mqtt.js/to", url, examples), report);
    await passes(`${name} from-ours`, fromOurs(mqtt, "interop/mqtt.js/from", url, examples), report);
  }
}

function report(line) {
  console.log(line);
  if (!line.endsWith(" ok")) failures += 1;
}

process.exit(failures > 0 ? 1 : 0);
