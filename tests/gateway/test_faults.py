"""Requests that end badly: each is answered or cut, and accounted for once."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.gateway.harness import (
    KEY,
    RunningGateway,
    model_of,
    replica_of,
    running,
    snapshot_of,
    until,
)

from galerne.gateway.journal import replay
from galerne.gateway.recording import Outcome, TokenCountMethod, decode
from galerne.gateway.settings import GatewaySettings
from galerne.runtimes.fake.server import FakeOptions, FakeServer, Fault

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


async def test_a_client_that_hangs_up_mid_stream(gateway: RunningGateway, fake: FakeServer) -> None:
    """The replica is told to stop, and what was sent is recorded once as closed by the client."""
    fake.options.tokens, fake.options.token_seconds = 200, 0.02
    reader, writer = await gateway.open("/v1/chat/completions", {**CHAT, "stream": True})
    await reader.readuntil(b"data: ")
    writer.close()

    await until(lambda: fake.totals.cancelled == 1)
    record = await gateway.sink.one()
    await asyncio.sleep(0.1)

    assert record.outcome is Outcome.CLIENT_CLOSED
    assert record.token_count_method is TokenCountMethod.CHUNKS
    assert 1 <= record.completion_tokens < 50
    assert record.prompt_tokens > 0
    assert gateway.sink.received == 1


async def test_a_client_that_hangs_up_before_the_answer(
    gateway: RunningGateway, fake: FakeServer
) -> None:
    """A request that is not streamed is withdrawn from the replica too."""
    fake.options.first_token_seconds = 30
    _, writer = await gateway.open("/v1/chat/completions", CHAT)
    await until(lambda: fake.totals.running == 1)
    writer.close()

    record = await gateway.sink.one()

    assert (record.outcome, record.completion_tokens) == (Outcome.CLIENT_CLOSED, 0)
    await until(lambda: fake.totals.cancelled == 1)


async def test_a_slow_reader_holds_little_memory(gateway: RunningGateway, fake: FakeServer) -> None:
    """A client that stops reading stops the replica's stream: nothing piles up in between."""
    fake.options.tokens, fake.options.token_text = 100_000, "x" * 400
    reader, writer = await gateway.open("/v1/chat/completions", {**CHAT, "stream": True})
    await reader.readuntil(b"data: ")
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    before = -1
    while before != fake.totals.completion_tokens:
        before = fake.totals.completion_tokens
        await asyncio.sleep(0.3)

    # Socket buffers of two legs and our own bound: far from the 50 MB of the whole stream.
    assert before * 500 < 16 << 20
    writer.transport.abort()
    assert (await gateway.sink.one()).outcome is Outcome.CLIENT_CLOSED


async def test_a_client_that_never_reads_is_cut(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """A stalled client is given up after its time, and accounted for."""
    fake.options.tokens, fake.options.token_text = 100_000, "x" * 400
    hasty = replace(settings, client_seconds_max=0.3)
    async with running(snapshot_of(model_of(replica_of(fake))), hasty) as gateway:
        _, writer = await gateway.open("/v1/chat/completions", {**CHAT, "stream": True})
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

        record = await gateway.sink.one()
        transport.abort()

    assert record.outcome is Outcome.CLIENT_CLOSED


async def test_a_client_that_never_sends_its_body(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """A body that does not come in time is answered with 408."""
    hasty = replace(settings, client_seconds_max=0.2)
    async with running(snapshot_of(model_of(replica_of(fake))), hasty) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\n"
            "content-length: 100\r\n\r\n{".encode()
        )
        line = await reader.readline()
        writer.close()

    assert b" 408 " in line


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.GARBAGE, (502, "upstream_failed")),
        (Fault.BAD_JSON, (502, "upstream_failed")),
        (Fault.HANG, (504, "upstream_timeout")),
        (Fault.LOADING, (503, "no_replica_ready")),
        (Fault.REFUSE, (400, "context_length_exceeded")),
    ],
)
async def test_faults_of_the_replica(
    fake: FakeServer,
    settings: GatewaySettings,
    fault: Fault,
    expected: tuple[int, str],
    *,
    stream: bool,
) -> None:
    """Each fault before the first byte has a status and a code of its own; nothing is charged."""
    status, code = expected
    fake.options.fault = fault
    hasty = replace(settings, first_byte_seconds_max=0.2, idle_seconds_max=0.2)
    async with running(snapshot_of(model_of(replica_of(fake))), hasty) as gateway:
        answer = await gateway.chat(stream=stream)

    assert (answer.status, answer.code) == (status, code)
    assert sum(r.prompt_tokens + r.completion_tokens for r in gateway.sink.records.values()) == 0
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("fault", [Fault.DIE_MID_STREAM, Fault.STALL_MID_STREAM])
async def test_a_replica_that_dies_mid_stream(
    fake: FakeServer, settings: GatewaySettings, fault: Fault
) -> None:
    """The client gets an error event instead of an end, and what was sent is recorded."""
    fake.options.fault, fake.options.token_seconds = fault, 0.005
    hasty = replace(settings, idle_seconds_max=0.3)
    async with running(snapshot_of(model_of(replica_of(fake))), hasty) as gateway:
        answer = await gateway.chat(stream=True)
        record = await gateway.sink.one()

    assert answer.status == 200
    assert "error" in answer.events[-1]
    assert "[DONE]" not in answer.events
    assert (record.outcome, record.completion_tokens) == (Outcome.UPSTREAM_FAILED, 4)
    assert gateway.sink.received == 1


async def test_another_replica_answers_when_one_is_gone(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """Before the first byte a request goes on to the next replica: gone, loading or closing."""
    async with FakeServer(FakeOptions(fault=Fault.LOADING)) as loading, FakeServer() as gone:
        await gone.stop()
        replicas = (replica_of(gone, 1), replica_of(loading, 2), replica_of(fake, 3))
        async with running(snapshot_of(model_of(*replicas)), settings) as gateway:
            answers = [await gateway.chat(stream=n % 2 == 0) for n in range(6)]

    assert [answer.status for answer in answers] == [200] * 6
    assert len(gateway.sink.records) == 6
    assert {record.replica_id for record in gateway.sink.records.values()} == {"rep_3"}


async def test_no_replica_at_all(settings: GatewaySettings) -> None:
    """A model without replicas answers 503 and says when to come back."""
    async with running(snapshot_of(model_of()), settings) as gateway:
        answer = await gateway.chat()

    assert (answer.status, answer.code) == (503, "no_replica_ready")
    assert "retry-after" in answer.headers


async def test_a_connection_that_rested_too_long(gateway: RunningGateway, fake: FakeServer) -> None:
    """A kept connection that the replica has closed meanwhile is replaced without a word."""
    assert (await gateway.chat()).status == 200
    for connection in tuple(fake._connections):
        connection.abort()

    assert (await gateway.chat()).status == 200


async def test_an_oversized_body(fake: FakeServer, settings: GatewaySettings) -> None:
    """A body over the bound is refused with 413, declared or not, and the client gets to read it."""
    small = replace(settings, body_bytes_max=10_000)
    body = json.dumps({**CHAT, "user": "x" * 3_000_000}).encode()
    async with running(snapshot_of(model_of(replica_of(fake))), small) as gateway:
        declared = await gateway.ask("/v1/chat/completions", body)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
        )
        for start in range(0, len(body), 60_000):
            part = body[start : start + 60_000]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        writer.write(b"0\r\n\r\n")
        line = await reader.readline()
        writer.close()

    assert (declared.status, declared.code) == (413, "body_too_large")
    assert b" 413 " in line
    assert fake.totals.connections == 0


async def test_bottomless_json(gateway: RunningGateway) -> None:
    """Ten thousand nested lists are refused, not a crash."""
    answer = await gateway.ask(
        "/v1/chat/completions", b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    )

    assert (answer.status, answer.code) == (400, "invalid_json")


async def test_more_requests_than_the_bound(fake: FakeServer, settings: GatewaySettings) -> None:
    """Over the bound on concurrency a request is refused at once, and the others are unharmed."""
    fake.options.first_token_seconds = 0.3
    narrow = replace(settings, inflight_requests_max=2)
    async with running(snapshot_of(model_of(replica_of(fake))), narrow) as gateway:
        answers = await asyncio.gather(*(gateway.chat() for _ in range(5)))
        after = await gateway.chat()

    assert sorted(answer.status for answer in answers) == [200, 200, 503, 503, 503]
    assert {answer.code for answer in answers if answer.status == 503} == {"overloaded"}
    assert after.status == 200


async def test_a_sink_that_fails_for_a_while(fake: FakeServer, settings: GatewaySettings) -> None:
    """Records wait in the journal and arrive once each when the sink is back."""
    patient = replace(settings, ship_backoff_seconds_max=0.1)
    async with running(snapshot_of(model_of(replica_of(fake))), patient) as gateway:
        gateway.sink.error = ConnectionError("the database is away")
        ids = {(await gateway.chat()).headers["x-request-id"] for _ in range(5)}
        await until(lambda: gateway.app._shipper.failures >= 2)
        page = (await gateway.ask("/metrics")).body.decode()
        gateway.sink.error = None
        await until(lambda: len(gateway.sink.records) == 5)

    assert "journal_pending_records 5.0" in page
    assert set(gateway.sink.records) == ids
    assert gateway.sink.received == 5


async def test_records_survive_a_sink_that_never_comes_back(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """What could not be shipped before the stop is shipped after the next start."""
    snapshot = snapshot_of(model_of(replica_of(fake)))
    async with running(snapshot, settings) as gateway:
        gateway.sink.error = ConnectionError("the database is away")
        sent = (await gateway.chat()).headers["x-request-id"]
    async with running(snapshot, settings) as restarted:
        record = await restarted.sink.one()

    assert record.id == sent


async def test_the_last_snapshot_serves_on(gateway: RunningGateway) -> None:
    """While the control plane is down, requests are served by the last policy, and metrics say so."""
    gateway.source.error = TimeoutError("the control plane is down")
    await until(lambda: gateway.app.parts.snapshots.failures >= 2)

    answer = await gateway.chat()
    page = (await gateway.ask("/metrics")).body.decode()

    assert answer.status == 200
    assert "galerne_gateway_snapshot_failures 0.0" not in page
    gateway.source.error = None
    await until(lambda: gateway.app.parts.snapshots.failures == 0)


async def test_no_snapshot_yet(fake: FakeServer, settings: GatewaySettings) -> None:
    """A gateway that never reached the control plane is not ready, and says that it is starting."""
    async with running(snapshot_of(model_of(replica_of(fake))), settings) as gateway:
        gateway.app.parts.snapshots.current = None
        gateway.source.error = TimeoutError("the control plane is down")

        assert (await gateway.ask("/readyz")).status == 503
        assert (await gateway.chat()).code == "starting"
        assert (await gateway.ask("/v1/models")).code == "starting"


async def test_a_disk_that_refuses(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While usage cannot be written no request is taken; the one that was is recorded afterwards."""
    real_write = os.write

    def refuse(descriptor: int, data: bytes) -> int:
        if descriptor == gateway.app._journal._descriptor:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", refuse)
    first = await gateway.chat()
    second = await gateway.chat()
    ready = await gateway.ask("/readyz")
    monkeypatch.undo()
    record = await gateway.sink.one()

    assert first.status == 200
    assert (second.status, second.code) == (503, "journal_unavailable")
    assert ready.status == 503
    assert record.id == first.headers["x-request-id"]
    assert (await gateway.chat()).status == 200


GATEWAY_PROCESS = """
import sys
from pathlib import Path
import uvicorn
from galerne.gateway.app import build_app
from galerne.gateway.settings import GatewaySettings, uvicorn_options
from galerne.kit.clock import SystemClock
from tests.gateway.harness import ListedSource, ListSink, model_of, replica_of, snapshot_of

class Address:
    base_url = sys.argv[1]

settings = GatewaySettings(journal_directory=Path(sys.argv[2]), tick_seconds=0.02)
sink = ListSink()
sink.error = ConnectionError("away")
app = build_app(settings, ListedSource(snapshot_of(model_of(replica_of(Address())))), sink, SystemClock())
uvicorn.run(app, port=int(sys.argv[3]), log_level="critical", **uvicorn_options(settings))
"""


@pytest.fixture
async def gateway_process(fake: FakeServer, tmp_path: Path) -> AsyncIterator[tuple[int, int]]:
    """A gateway in a process of its own whose sink is away; yields port and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        GATEWAY_PROCESS,
        fake.base_url,
        str(tmp_path / "j"),
        str(port),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])},
    )
    try:
        await until(lambda: _listens(port), 15)
        yield port, process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_kill_9_of_the_gateway(
    gateway_process: tuple[int, int], fake: FakeServer, settings: GatewaySettings, tmp_path: Path
) -> None:
    """Every client that saw the end of its answer is in the journal; a restart ships each once."""
    port, pid = gateway_process
    client = RunningGateway.__new__(RunningGateway)
    client.port = port
    finished: set[str] = set()

    async def ask_for_ever(*, stream: bool) -> None:
        while True:
            answer = await client.chat(stream=stream)
            if stream and answer.events[-1] != "[DONE]":
                return
            finished.add(answer.headers["x-request-id"])

    tasks = [asyncio.create_task(ask_for_ever(stream=n % 2 == 0)) for n in range(4)]
    await until(lambda: len(finished) > 60, 15)
    os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*tasks, return_exceptions=True)
    recorded = [decode(payload).id for payload in replay(tmp_path / "j")]

    assert finished <= set(recorded)
    assert len(recorded) == len(set(recorded))
    again = replace(settings, journal_directory=tmp_path / "j")
    async with running(snapshot_of(model_of(replica_of(fake))), again) as restarted:
        await until(lambda: set(restarted.sink.records) >= finished)
    assert restarted.sink.received == len(recorded)
