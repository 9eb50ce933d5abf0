"""A gateway on a real socket, a client that knows nothing of it, and builders for its snapshot."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import uvicorn

from galerne.gateway.app import Gateway, build_app
from galerne.gateway.recording import UsageRecord
from galerne.gateway.settings import GatewaySettings, uvicorn_options
from galerne.gateway.snapshot import (
    PUBLIC,
    KeyPolicy,
    Price,
    ReplicaAddress,
    ServedModel,
    Snapshot,
    index_models,
    key_digest,
)
from galerne.kit.clock import SystemClock
from galerne.runtimes.fake.server import FakeServer

PEPPER = b"pepper of the tests"
KEY = "gal_" + "k" * 26
SPARE_KEY = "gal_" + "s" * 26


async def until(condition: Callable[[], bool], seconds_max: float = 5.0) -> None:
    """Wait until `condition` holds, in real time: it is other tasks and processes that bring it about."""
    async with asyncio.timeout(seconds_max):
        while not condition():  # noqa: ASYNC110 - no event stands for all of them
            await asyncio.sleep(0.01)


class ListedSource:
    """Serves the snapshot it holds; fails while `error` is set."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.error: Exception | None = None

    async def load(self, known_version: str | None) -> Snapshot | None:
        if self.error is not None:
            raise self.error
        return None if known_version == self.snapshot.version else self.snapshot


class ListSink:
    """Keeps records by id, as a real sink must; fails while `error` is set."""

    def __init__(self) -> None:
        self.records: dict[str, UsageRecord] = {}
        self.received = 0
        self.error: Exception | None = None

    async def ingest(self, records: Sequence[UsageRecord]) -> None:
        if self.error is not None:
            raise self.error
        self.received += len(records)
        self.records.update({record.id: record for record in records})

    async def one(self, seconds_max: float = 5.0) -> UsageRecord:
        """Wait for the only record there is."""
        await until(lambda: bool(self.records), seconds_max)
        (record,) = self.records.values()
        return record


@dataclass
class Answer:
    """What came back over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])

    @property
    def events(self) -> list[Any]:
        """The data of each event; the last may be the text [DONE]."""
        datas = [event.removeprefix(b"data: ") for event in self.body.split(b"\n\n") if event]
        return [data.decode() if data == b"[DONE]" else json.loads(data) for data in datas]


class RunningGateway:
    """A gateway that listens, with a client that knows nothing of it but its port."""

    def __init__(self, app: Gateway, source: ListedSource, sink: ListSink, port: int) -> None:
        self.app = app
        self.source = source
        self.sink = sink
        self.port = port
        self.server: uvicorn.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(
        self, path: str, body: object = None, *, key: str | None = KEY, headers: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request and leave the answer unread."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        method = "GET" if body is None else "POST"
        bearer = f"authorization: Bearer {key}\r\n" if key else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{bearer}{headers}"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        return reader, writer

    async def ask(self, path: str, body: object = None, **how: Any) -> Answer:
        """Send a request and read the whole answer."""
        reader, writer = await self.open(path, body, **how)
        async with asyncio.timeout(20):
            raw = await reader.read()
        writer.close()
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        if headers.get("transfer-encoding") == "chunked":
            rest = dechunk(rest)
        return Answer(int(lines[0].split()[1]), headers, rest)

    async def chat(self, text: str = "one two three", **fields: Any) -> Answer:
        messages = [{"role": "user", "content": text}]
        return await self.ask(
            "/v1/chat/completions", {"model": "echo", "messages": messages, **fields}
        )


def dechunk(data: bytes) -> bytes:
    """Join the parts of a chunked body as far as it goes."""
    parts = []
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        parts.append(rest[:length])
        data = rest[length + 2 :]
    return b"".join(parts)


def replica_of(server: FakeServer, number: int = 1, **changes: Any) -> ReplicaAddress:
    plain = ReplicaAddress(
        replica_id=f"rep_{number}",
        base_url=server.base_url,
        model_name="echo",
        site_id="essonne-1",
        country="FR",
    )
    return replace(plain, **changes)


def model_of(*replicas: ReplicaAddress, **changes: Any) -> ServedModel:
    plain = ServedModel(
        name="echo",
        deployment_id="dep_1",
        organization_id="org_1",
        project_id="prj_1",
        created=1_700_000_000,
        owned_by="galerne",
        replicas=replicas,
        price=Price(input_nano_per_million=200_000_000, output_nano_per_million=600_000_000),
        context_tokens=4096,
    )
    return replace(plain, **changes)


def key_policy(**changes: Any) -> KeyPolicy:
    return replace(
        KeyPolicy(key_id="key_1", organization_id="org_1", project_id="prj_1"), **changes
    )


def snapshot_of(
    *models: ServedModel,
    version: str = "1",
    policy: KeyPolicy | None = None,
    public: Sequence[ServedModel] = (),
    spare: KeyPolicy | None = None,
) -> Snapshot:
    keys = {key_digest(PEPPER, KEY.encode()): policy or key_policy()}
    if spare is not None:
        keys[key_digest(PEPPER, SPARE_KEY.encode())] = spare
    by_project: dict[str | None, dict[str, ServedModel]] = {PUBLIC: index_models(public)}
    for model in models:
        by_project.setdefault(model.project_id, {}).update(index_models([model]))
    return Snapshot(version=version, key_pepper=PEPPER, keys=keys, models=by_project)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which belong to the test runner, and quick to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await until(lambda: self.should_exit, 600)


@contextlib.asynccontextmanager
async def running(snapshot: Snapshot, settings: GatewaySettings) -> AsyncIterator[RunningGateway]:
    source, sink = ListedSource(snapshot), ListSink()
    app = build_app(settings, source, sink, SystemClock())
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    options = {**uvicorn_options(settings), "loop": "none", "log_level": "critical"}
    server = _Server(uvicorn.Config(app, **options))
    gateway = RunningGateway(app, source, sink, listener.getsockname()[1])
    gateway.server = server
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started or task.done(), 10)
    try:
        yield gateway
    finally:
        server.should_exit = True
        await task
