// A page in headless Chromium against a broker: `node chromium.js CHROMIUM CHAIN_FILE PROFILE URL...` serves the page, has
// Chromium open it once, and prints the lines that the page reports. PROFILE is a folder for Chromium's own use.

import { spawn } from "node:child_process";
import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

// Seconds until the page has failed.
const DEADLINE = 60;

const FILES = {
  "/": ["page.html", "text/html"],
  "/exchange.js": ["exchange.js", "text/javascript"],
  "/mqtt.esm.js": ["node_modules/mqtt/dist/mqtt.esm.js", "text/javascript"],
};

const [program, chain, profile, ...urls] = process.argv.slice(2);
let failures = 0;
let browser;

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (request.method === "POST") {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      response.end();
      if (pathname === "/done") finish();
      else report(body);
    });
  } else if (pathname in FILES) {
    const [file, type] = FILES[pathname];
    response.writeHead(200, { "content-type": type });
    response.end(readFileSync(new URL(file, import.meta.url)));
  } else {
    response.writeHead(404).end();
  }
});

server.listen(0, "127.0.0.1", () => {
  const page = new URL(`http://127.0.0.1:${server.address().port}/`);
  for (const url of urls) page.searchParams.append("url", url);
  browser = spawn(
    program,
    [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      `--user-data-dir=${profile}`,
      `--ignore-certificate-errors-spki-list=${fingerprint()}`,
      page.href,
    ],
    { stdio: "ignore" },
  );
  browser.on("error", (error) => fail(`${program}: ${error.message}`));
  browser.on("exit", (code, signal) => fail(`it ended with ${signal ?? code} before the page was done`));
});

setTimeout(() => fail(`the page was not done within ${DEADLINE} s`), DEADLINE * 1000);
process.on("SIGTERM", finish);
process.on("SIGINT", finish);

/** Chromium takes no authority from its command line, but the hash of a public key that it is to believe. */
function fingerprint() {
  const key = new X509Certificate(readFileSync(chain)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

function report(line) {
  console.log(line);
  if (!line.endsWith(" ok")) failures += 1;
}

function fail(why) {
  report(`chromium FAILED: ${why}`);
  finish();
}

/** Ends the browser, waits until it has left its profile alone, and ends. */
function finish() {
  const end = () => process.exit(failures > 0 ? 1 : 0);
  browser?.removeAllListeners("exit");
  if (browser?.pid === undefined || browser.exitCode !== null || browser.signalCode !== null) end();
  browser.once("exit", end);
  browser.kill("SIGTERM");
  setTimeout(() => browser.kill("SIGKILL"), 3000).unref();
}
