// restate.mjs - a durable chain in Restate: restate.mjs STEPS, in an empty working directory.
//
// A server of its own on free ports of 127.0.0.1, a service with one handler that does STEPS times
// `ctx.run`, one call of it. Writes how long the call took, in nanoseconds, to the file `clock`: the
// start of the server is not part of it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { createRequire } from "node:module";
import { createServer } from "node:net";

// Newer than some versions of node that are still in use.
Promise.withResolvers ??= () => {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
};
const { endpoint, service } = await import("@restatedev/restate-sdk");

const START_MS = 30000;
const steps = Number(process.argv[2]);

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

const post = (port, path, body) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

async function registered(admin, app) {
  for (const end = Date.now() + START_MS; Date.now() < end; ) {
    try {
      if ((await post(admin, "/deployments", { uri: `http://127.0.0.1:${app}` })).ok) return;
    } catch {
      // it does not listen yet
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("the server did not start; see restate.log");
}

const chain = service({
  name: "bench",
  handlers: {
    chain: async (ctx, count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += await ctx.run("step", () => 1);
      return sum;
    },
  },
});

const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()];
const app = http2.createServer(endpoint().bind(chain).http2Handler()).listen(0, "127.0.0.1");
await once(app, "listening");

const platform = `linux-${process.arch}`;
const binary = createRequire(import.meta.url).resolve(`@restatedev/restate-server-${platform}/bin/restate-server`);
const log = openSync("restate.log", "w");
const server = spawn(binary, ["--base-dir", "data"], {
  stdio: ["ignore", log, log],
  env: {
    ...process.env,
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
    RESTATE_DISABLE_TELEMETRY: "true",
  },
});
const ended = once(server, "exit");

let status = 1;
try {
  await registered(admin, app.address().port);
  const from = process.hrtime.bigint();
  const answer = await post(ingress, "/bench/chain", steps);
  const sum = await answer.json();
  writeFileSync("clock", `${process.hrtime.bigint() - from}\n`);
  status = answer.ok && sum === steps ? 0 : 1;
} finally {
  server.kill("SIGKILL"); // what it has is thrown away
  await ended;
}
process.exit(status);
