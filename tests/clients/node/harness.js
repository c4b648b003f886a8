// Starts the two programs that the suite talks to: the scripted upstream and the real Tollgate.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const MASTER_KEY = "sk-master-of-the-tests-0123456789abcdef";
const PATIENCE_MS = 30_000;

function binary(name) {
  const path = join(TARGET, "debug", name);
  if (!existsSync(path)) throw new Error(`${path} is missing: run \`cargo xtask test\``);
  return path;
}

export async function call(method, url, body, key) {
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

export async function startUpstream() {
  const child = spawn(binary("scripted-upstream"), { stdio: ["pipe", "pipe", "inherit"] });
  const url = await new Promise((found, failed) => {
    createInterface({ input: child.stdout }).once("line", found);
    child.once("exit", () => failed(new Error("the scripted upstream ended")));
  });
  return {
    url,
    requests: async () => (await call("GET", `${url}/_scripted/requests`)).body.requests,
    last: async () => (await call("GET", `${url}/_scripted/requests`)).body.requests.at(-1),
    script: (...words) => call("POST", `${url}/_scripted/script`, words),
    forget: () => call("POST", `${url}/_scripted/forget`, {}),
    stop: () => child.kill("SIGKILL"),
  };
}

export async function startGate(config, env) {
  const folder = await mkdtemp(join(tmpdir(), "tollgate-clients-"));
  await writeFile(join(folder, "config.yaml"), config);
  const args = ["serve", "--config", join(folder, "config.yaml"), "--host", "127.0.0.1"];
  args.push("--port", "0", "--database", `sqlite://${join(folder, "tollgate.db")}`);
  const child = spawn(binary("tollgate"), args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, LITELLM_MASTER_KEY: MASTER_KEY, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const stop = async () => {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  };
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (text) => (log += text));
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const url = /listening on (http:\/\/[\w.:]+)/.exec(log)?.[1];
    if (url && (await ready(url))) {
      const key = async (fields = {}) =>
        (await call("POST", `${url}/key/generate`, fields, MASTER_KEY)).body.key;
      return { url, key, stop };
    }
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`tollgate is not ready:\n${log}`);
    }
    await new Promise((later) => setTimeout(later, 10));
  }
}

async function ready(url) {
  try {
    return (await fetch(`${url}/health/readiness`)).ok;
  } catch {
    return false;
  }
}
