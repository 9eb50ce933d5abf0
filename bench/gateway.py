"""What the gateway adds to a request: latency over direct access, and its own CPU time per request.

    python -m bench.gateway [--rounds 5] [--seconds 1.5] [--json FILE]

Four processes on loopback: the fake runtime (echo, 64 tokens), the gateway with everything on (key
check, validation, routing, usage journal with fsync, metrics, one log line per request), a relay, and this
load generator, closed loop with keep-alive. The relay copies bytes between two sockets on uvloop and
knows nothing of HTTP: what it costs is the floor under any proxy in Python on this machine, most of it
the kernel's. *direct*, *relay* and *gateway* alternate inside every round; figures are medians over
rounds. CPU is the process's own, all threads, from /proc/PID/task/*/schedstat; it is the steadiest figure
on a shared machine. Compare figures of one run only.
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import structlog
import uvicorn
import uvloop
from bench.harness import cpu_nanoseconds, free_port, resident_bytes

from galerne.gateway.app import build_app
from galerne.gateway.recording import UsageRecord
from galerne.gateway.settings import GatewaySettings, uvicorn_options
from galerne.gateway.snapshot import (
    KeyPolicy,
    Price,
    ReplicaAddress,
    ServedModel,
    Snapshot,
    index_models,
    key_digest,
)
from galerne.kit.clock import SystemClock

KEY = "gal_" + "b" * 26
TOKENS = 64
WARM_UP_SECONDS = 0.3
START_SECONDS_MAX = 15.0
REQUESTS_MAX = 20_000  # In one measurement.
PROMPT = "Write one sentence about carbon-aware scheduling in France and Germany, in plain words."


@dataclass(frozen=True)
class Mode:
    """One way to ask."""

    stream: bool
    clients: int

    @property
    def name(self) -> str:
        return f"{'stream' if self.stream else 'json'}, {self.clients} clients"


MODES = (Mode(False, 1), Mode(False, 32), Mode(True, 1), Mode(True, 32))


@dataclass(frozen=True)
class Sample:
    """One measurement of one mode."""

    p50_us: float
    p99_us: float
    requests_per_second: float
    cpu_us_per_request: float


class Client(asyncio.Protocol):
    """Sends one request again and again, each when the last is answered."""

    def __init__(
        self, request: bytes, *, stream: bool, until: float, latencies: list[float]
    ) -> None:
        self.finished = asyncio.get_running_loop().create_future()
        self._request = request
        self._stream = stream
        self._until = until
        self._latencies = latencies
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._length = 0
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._stream:
            # The end may be cut in two: five bytes of what came before are enough.
            self._received = self._received[-5:] + data
            if self._received.endswith(b"0\r\n\r\n"):
                self._answered()
            return
        self._received += data
        if not self._length:
            head, found, _ = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(self._received.decode())
            at = head.lower().index(b"content-length: ") + 16
            self._length = len(head) + 4 + int(head[at:].split(b"\r", 1)[0])
        if len(self._received) >= self._length:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(exc or ConnectionError("the connection was closed"))

    def _answered(self) -> None:
        now = time.perf_counter()
        self._latencies.append(now - self._sent_at)
        if now < self._until and len(self._latencies) < REQUESTS_MAX:
            self._send()
        elif not self.finished.done() and self._transport is not None:
            self.finished.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        assert self._transport is not None
        self._received, self._length = b"", 0
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)


def main() -> None:
    options = _options()
    if options.relay:
        uvloop.run(_serve_relay(options.relay, options.port))
    if options.serve:
        _serve_gateway(options.serve, options.port, options.journal)
        return
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        fake_port, relay_port, gateway_port = free_port(), free_port(), free_port()
        command = (sys.executable, "-m", "galerne.runtimes.fake.serve")
        arguments = [f"--port={fake_port}", f"--tokens={TOKENS}"]
        runtime = _start(stack, [*command, *arguments], fake_port)
        upstream = f"http://127.0.0.1:{fake_port}"
        arguments = [f"--serve={upstream}", f"--port={gateway_port}", f"--journal={scratch}"]
        itself = [sys.executable, "-m", "bench.gateway"]
        gateway = _start(stack, [*itself, *arguments], gateway_port)
        relay_options = [f"--relay={fake_port}", f"--port={relay_port}"]
        relay = _start(stack, [*itself, *relay_options], relay_port)
        targets = {
            "direct": (fake_port, runtime.pid),
            "relay": (relay_port, relay.pid),
            "gateway": (gateway_port, gateway.pid),
        }
        results = uvloop.run(_measure(targets, options.rounds, options.seconds))
        memory_mb = resident_bytes(gateway.pid) / 1e6
    report = _report(results, memory_mb)
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--json", type=Path, help="write the report there too")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--relay", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


async def _measure(
    targets: dict[str, tuple[int, int]], rounds: int, seconds: float
) -> dict[tuple[Mode, str], list[Sample]]:
    results: dict[tuple[Mode, str], list[Sample]] = {}
    for number in range(rounds):
        for mode in MODES:
            for target, (port, pid) in targets.items():
                sample = await _sample(mode, port, pid, seconds)
                results.setdefault((mode, target), []).append(sample)
            print(f"round {number + 1} of {rounds}: {mode.name}", file=sys.stderr)
    return results


async def _sample(mode: Mode, port: int, pid: int, seconds: float) -> Sample:
    await _load(mode, port, WARM_UP_SECONDS)
    cpu_before, begun = cpu_nanoseconds(pid), time.perf_counter()
    latencies = await _load(mode, port, seconds)
    elapsed = time.perf_counter() - begun
    cpu_ns = cpu_nanoseconds(pid) - cpu_before
    latencies.sort()
    return Sample(
        p50_us=latencies[len(latencies) // 2] * 1e6,
        p99_us=latencies[len(latencies) * 99 // 100] * 1e6,
        requests_per_second=len(latencies) / elapsed,
        cpu_us_per_request=cpu_ns / 1000 / len(latencies),
    )


async def _load(mode: Mode, port: int, seconds: float) -> list[float]:
    latencies: list[float] = []
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    request = _request(stream=mode.stream)
    clients = [
        (
            await loop.create_connection(
                lambda: Client(request, stream=mode.stream, until=until, latencies=latencies),
                "127.0.0.1",
                port,
            )
        )[1]
        for _ in range(mode.clients)
    ]
    await asyncio.gather(*(client.finished for client in clients))
    return latencies


def _request(*, stream: bool) -> bytes:
    body: dict[str, Any] = {
        "model": "echo",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant in the European Union."},
            {"role": "user", "content": PROMPT},
        ],
        "temperature": 0.7,
        "max_tokens": TOKENS,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {KEY}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _report(results: dict[tuple[Mode, str], list[Sample]], memory_mb: float) -> dict[str, Any]:
    def median(samples: Sequence[Sample], name: str) -> float:
        return float(statistics.median(getattr(sample, name) for sample in samples))

    def rows() -> Iterator[dict[str, Any]]:
        for mode in MODES:
            direct, relay, gateway = (
                results[mode, name] for name in ("direct", "relay", "gateway")
            )
            cpu_us = median(gateway, "cpu_us_per_request")
            relay_cpu_us = median(relay, "cpu_us_per_request")
            added = {
                f"added_{name}": median(gateway, name) - median(direct, name)
                for name in ("p50_us", "p99_us")
            }
            yield {
                "mode": mode.name,
                **{f"{name}": round(value, 1) for name, value in added.items()},
                "p50_ratio": round(median(gateway, "p50_us") / median(direct, "p50_us"), 2),
                "cpu_us_per_request": round(cpu_us, 1),
                "relay_cpu_us_per_request": round(relay_cpu_us, 1),
                "cpu_ratio_to_relay": round(cpu_us / relay_cpu_us, 2),
                "relay_added_p50_us": round(median(relay, "p50_us") - median(direct, "p50_us"), 1),
                "cpu_us_per_request_min": round(min(s.cpu_us_per_request for s in gateway), 1),
                "requests_per_second": round(median(gateway, "requests_per_second")),
                "direct_requests_per_second": round(median(direct, "requests_per_second")),
                "samples": {
                    name: [asdict(sample) for sample in results[mode, name]]
                    for name in ("direct", "relay", "gateway")
                },
            }

    packages = ("uvicorn", "uvloop", "httptools", "structlog")
    return {
        "claim": "latency and CPU that the gateway adds to a request, everything on",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "gateway_resident_mb": round(memory_mb, 1),
        "rows": list(rows()),
    }


def _print(report: dict[str, Any]) -> None:
    columns = ("added p50", "added p99", "relay p50", "CPU/request", "relay CPU", "ratio", "req/s")
    print(f"{'':22}" + "".join(f"{column:>13}" for column in columns))
    for row in report["rows"]:
        figures = (
            f"{row['added_p50_us']:.0f} µs",
            f"{row['added_p99_us']:.0f} µs",
            f"{row['relay_added_p50_us']:.0f} µs",
            f"{row['cpu_us_per_request']:.0f} µs",
            f"{row['relay_cpu_us_per_request']:.0f} µs",
            f"{row['cpu_ratio_to_relay']:.2f}",
            f"{row['requests_per_second']}",
        )
        print(f"{row['mode']:22}" + "".join(f"{figure:>13}" for figure in figures))
    print(
        f"gateway memory {report['gateway_resident_mb']} MB; {report['cores']} cores, load average "
        f"{report['load_average']:.1f}; a stream is {TOKENS} tokens and {TOKENS + 3} events"
    )


def _start(stack: ExitStack, command: Sequence[str], port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own programs
    stack.callback(process.wait)
    stack.callback(process.terminate)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)  # noqa: TID251 - a program of its own that waits for another
    raise SystemExit(f"{command} did not start")


def _serve_gateway(upstream: str, port: int, journal: Path) -> None:
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )
    settings = GatewaySettings(journal_directory=journal)
    app = build_app(settings, OneSnapshot(upstream), CountingSink(), SystemClock())
    uvicorn.run(app, port=port, log_level="warning", **uvicorn_options(settings))


async def _serve_relay(upstream_port: int, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Relay(upstream_port), "127.0.0.1", port)
    await server.serve_forever()


class Relay(asyncio.Protocol):
    """Copies bytes to a connection of its own, and back."""

    def __init__(self, upstream_port: int = 0, peer: asyncio.Transport | None = None) -> None:
        self._upstream_port = upstream_port
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._early = b""
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._peer is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self._peer is None:
            self._early += data
        else:
            self._peer.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._peer is not None:
            self._peer.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        back = Relay(peer=self._transport)
        peer, _ = await loop.create_connection(lambda: back, "127.0.0.1", self._upstream_port)
        self._peer = peer
        if self._early:
            self._peer.write(self._early)


class OneSnapshot:
    """A source with one key and one model."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    async def load(self, known_version: str | None) -> Snapshot | None:
        if known_version is not None:
            return None
        pepper = b"bench"
        served = ServedModel(
            name="echo",
            deployment_id="dep_bench",
            organization_id="org_bench",
            project_id="prj_bench",
            created=0,
            owned_by="bench",
            replicas=(ReplicaAddress("rep_bench", self._upstream, "echo", "site", "FR"),),
            price=Price(200_000_000, 600_000_000),
            refused_fields=frozenset({"n", "tools"}),
            context_tokens=4096,
        )
        policy = KeyPolicy("key_bench", "org_bench", "prj_bench", countries=frozenset({"FR"}))
        return Snapshot(
            version="1",
            key_pepper=pepper,
            keys={key_digest(pepper, KEY.encode()): policy},
            models={"prj_bench": index_models([served])},
        )


class CountingSink:
    """Takes records and forgets them."""

    def __init__(self) -> None:
        self.records = 0

    async def ingest(self, records: Sequence[UsageRecord]) -> None:
        self.records += len(records)


if __name__ == "__main__":
    main()
