"""Starts the two programs that the suites talk to: the scripted upstream and the real Tollgate."""

import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
MASTER_KEY = "sk-master-of-the-tests-0123456789abcdef"
PATIENCE_S = 30


def binary(name):
    path = TARGET / "debug" / name
    if not path.exists():
        raise RuntimeError(f"{path} is missing: run `cargo xtask test`, or `cargo build --workspace`")
    return str(path)


def call(method, url, body=None, key=None, headers=None):
    """Sends JSON and gives (status, headers, parsed body)."""
    request = urllib.request.Request(url, method=method, headers=dict(headers or {}))
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, data, timeout=PATIENCE_S) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return error.code, error.headers, json.loads(text)
        except ValueError:
            return error.code, error.headers, text.decode(errors="replace")


class Upstream:
    """The scripted upstream of `crates/testkit`."""

    def __init__(self):
        self.process = subprocess.Popen(
            [binary("scripted-upstream")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()

    def requests(self):
        return call("GET", f"{self.url}/_scripted/requests")[2]["requests"]

    def last(self):
        return self.requests()[-1]

    def hangups(self):
        return call("GET", f"{self.url}/_scripted/requests")[2]["hangups"]

    def forget(self):
        call("POST", f"{self.url}/_scripted/forget", {})

    def script(self, *replies):
        call("POST", f"{self.url}/_scripted/script", list(replies))

    def stop(self):
        self.process.kill()
        self.process.wait()


class Gate:
    """A running Tollgate with a configuration of its own and an empty database."""

    def __init__(self, config=None, env=None, master_key=MASTER_KEY):
        self.folder = tempfile.TemporaryDirectory(prefix="tollgate-clients-")
        folder = pathlib.Path(self.folder.name)
        arguments = [binary("tollgate"), "serve", "--host", "127.0.0.1", "--port", "0"]
        arguments += ["--database", f"sqlite://{folder / 'tollgate.db'}"]
        if config is not None:
            (folder / "config.yaml").write_text(config)
            arguments += ["--config", str(folder / "config.yaml")]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **(env or {})}
        if master_key:
            environment["LITELLM_MASTER_KEY"] = master_key
        self.master_key = master_key
        self.log = []
        self.url = None
        self.process = subprocess.Popen(
            arguments,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _read(self):
        for line in self.process.stdout:
            self.log.append(line)
            if self.url is None and "listening on http://" in line:
                rest = line.split("listening on http://", 1)[1]
                self.url = "http://" + rest.split()[0].split('"')[0].rstrip("/")

    def _wait(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"tollgate ended with {self.process.returncode}:\n{''.join(self.log)}")
            if self.url:
                try:
                    if call("GET", f"{self.url}/health/readiness")[0] == 200:
                        return
                except OSError:
                    pass
            time.sleep(0.01)
        raise RuntimeError(f"tollgate is not ready after {PATIENCE_S} s:\n{''.join(self.log)}")

    def admin(self, method, path, body=None):
        return call(method, f"{self.url}{path}", body, self.master_key)

    def key(self, **fields):
        """Makes a virtual key and gives its text."""
        status, _, body = self.admin("POST", "/key/generate", fields)
        assert status == 200, body
        return body["key"]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()
