"""A real installation: `galerne up` and its like as processes, a data directory, and its customers.

Everything runs as a user would run it: the `galerne` program of this environment, free ports, settings in
the environment. What a test starts ends with it, workloads included, whatever the test killed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psutil
import yaml

Json = dict[str, Any]
T = TypeVar("T")

GALERNE = Path(sys.executable).with_name("galerne")
POLL_SECONDS = 0.05
WAIT_SECONDS_MAX = 60.0
ENDED = frozenset({"succeeded", "failed", "stopped"})


def until(what: str, look: Callable[[], T | None], *, seconds: float = WAIT_SECONDS_MAX) -> T:
    """Poll until `look` returns something; fail with `what` after a bounded time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(POLL_SECONDS)  # noqa: TID251 - other processes run on real time


class Process:
    """A server process, with its JSON log in a file."""

    def __init__(self, command: str, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - our own program
                [GALERNE, command], env=env, stdout=output, stderr=output, start_new_session=True
            )
        self.pid = self._popen.pid

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._popen.kill()
        self._popen.wait(WAIT_SECONDS_MAX)

    def terminate(self) -> float:
        """Ask it to end, as a service manager does; return how long that took."""
        began = time.monotonic()
        self._popen.send_signal(signal.SIGTERM)
        assert self._popen.wait(WAIT_SECONDS_MAX) == 0, self.tail()
        return time.monotonic() - began

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class Installation:
    """One data directory and what runs on it."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.data = directory / "data"
        self.api_port, self.gateway_port = free_port(), free_port()
        self.env = {
            **{name: value for name, value in os.environ.items() if "GALERNE" not in name},
            "GALERNE_DATA_DIR": str(self.data),
            "GALERNE_CONFIG": str(directory / "contexts.toml"),
            "GALERNE_API__PORT": str(self.api_port),
            "GALERNE_GATEWAY__PORT": str(self.gateway_port),
            "GALERNE_SITE__NAME": "brest",
            "GALERNE_SITE__COUNTRY": "FR",
            "GALERNE_SITE__GRID_ZONE": "FRA",
            "NO_COLOR": "1",
            **settings,
        }
        self._processes: list[Process] = []
        self.clients: list[httpx2.Client] = []

    def start(self, command: str = "up", **settings: str) -> Process:
        """Start a server process, and return at once."""
        log = self.directory / f"{command}-{len(self._processes)}.jsonl"
        started = Process(command, {**self.env, **settings}, log)
        self._processes.append(started)
        return started

    def up(self) -> Process:
        """Start `galerne up`, and return when it is ready."""
        started = self.start("up")
        wait_until_ready(started, self.api_port)
        return started

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `galerne …` to its end, as a user does on the terminal."""
        return subprocess.run(  # noqa: S603 - our own program
            [GALERNE, *arguments],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
            cwd=self.directory,
        )

    def operator_key(self) -> str:
        for line in (self.data / "operator.toml").read_text().splitlines():
            name, _, value = line.partition(" = ")
            if name == "api_key":
                return str(json.loads(value))
        raise AssertionError("the operator has no key")

    def close(self) -> None:
        """End every process that belongs to this installation: servers, supervisors, workloads."""
        for client in self.clients:
            client.close()
        for process in self._processes:
            if process.is_running:
                process.kill()
        self.kill_workloads()

    def kill_workloads(self) -> None:
        """Kill supervisors and programs alike, until none is left."""

        def none_left() -> bool:
            found = self.belonging()
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return not found

        until("no workload is left", none_left)

    def belonging(self) -> list[psutil.Process]:
        """Find supervisors and workloads: each has our data directory on its command line."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = any(str(self.data) in argument for argument in process.cmdline())
            except psutil.Error:
                continue
            if mine:
                found.append(process)
        return found

    def launch(self, attempt_id: str, record: str = "running") -> Json:
        """Read a record of the local engine's: the supervisor's identity, or the program's."""
        path = self.data / "engine" / "launches" / attempt_id / f"{record}.json"
        return dict(json.loads(path.read_text()))


class Tenant:
    """An organization with one project labelled France-only, and its owner at the API."""

    def __init__(self, installation: Installation, name: str = "Essai") -> None:
        self.installation = installation
        self.api = f"http://127.0.0.1:{installation.api_port}"
        with self._client(installation.operator_key()) as operator:
            owner = {"email": "owner@example.fr", "name": "Owner"}
            body = {"legal_name": name, "country": "FR", "owner": owner}
            made = operator.post("/organizations", json=body)
            assert made.status_code == 201, made.text
        self.key = str(made.json()["secret"])
        self.client = self._client(self.key)
        installation.clients.append(self.client)
        self.ask("POST", "/projects", {"name": "main", "label": {"residency": ["FR"]}})

    def _client(self, key: str) -> httpx2.Client:
        return httpx2.Client(
            base_url=f"{self.api}/api/v1", headers={"authorization": f"Bearer {key}"}, timeout=30
        )

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def submit(self, name: str, *commands: str, **changes: Any) -> str:
        """Submit a small job; return its id."""
        return str(
            self.ask("POST", "/jobs", {"spec": job(name, *commands, **changes), "files": []})["id"]
        )

    def job(self, job_id: str) -> Json:
        return self.ask("GET", f"/jobs/{job_id}")

    def started(self, job_id: str) -> Json:
        """Wait until a job runs."""

        def look() -> Json | None:
            seen = self.job(job_id)
            assert seen["state"] not in ENDED, seen
            return seen if seen["state"] == "running" else None

        return until(f"{job_id} runs", look)

    def ended(self, job_id: str) -> Json:
        """Wait until a job has ended."""

        def look() -> Json | None:
            seen = self.job(job_id)
            return seen if seen["state"] in ENDED else None

        return until(f"{job_id} has ended", look)

    def log(self, job_id: str, offset: int = 0) -> httpx2.Response:
        return self.client.get(f"/jobs/{job_id}/logs", params={"offset": offset})

    def usage(self, **filters: str) -> list[Json]:
        answer = self.client.get("/usage/records", params={"limit": "500", **filters})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def settled_usage(self, job: Json) -> dict[str, int]:
        """Wait until all that a job's attempts used is on record; return quantities by meter."""
        counted = sum(attempt["cpu_nanoseconds"] for attempt in job["attempts"]) // 1_000_000
        assert counted > 0

        def look() -> dict[str, int] | None:
            sums: dict[str, int] = {}
            records = self.usage(workload_id=job["id"])
            for record in records:
                sums[record["meter"]] = sums.get(record["meter"], 0) + int(record["quantity"])
            # Of each window a fraction of a millisecond may be lost.
            return sums if sums.get("cpu_milliseconds", 0) >= counted - len(records) else None

        return until("its use is on record", look)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `galerne …` as the owner."""
        return self.installation.run(
            *arguments, GALERNE_URL=self.api, GALERNE_API_KEY=self.key, GALERNE_PROJECT="main"
        )

    def file(self, name: str, spec: Json) -> str:
        """Write a workload file; return its path."""
        path = self.installation.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        return str(path)


def job(name: str, *commands: str, **changes: Any) -> Json:
    return {
        "type": "job",
        "name": name,
        "commands": list(commands),
        "resources": {"cpu": 0.2, "memory": "64MB", "disk": "20MB"},
        "max_duration": "5m",
        **changes,
    }


def wait_until_ready(process: Process, port: int) -> None:
    def look() -> bool:
        assert process.is_running, process.tail()
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200
        except httpx2.TransportError:
            return False

    until(f"port {port} is ready", look)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
