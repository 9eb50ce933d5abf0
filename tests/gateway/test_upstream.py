"""Replicas that speak HTTP in every odd way: what the client gets, and which connections are kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from tests.gateway.harness import RunningGateway, model_of, running, snapshot_of, until

from galerne.gateway.recording import Outcome, TokenCountMethod
from galerne.gateway.settings import GatewaySettings
from galerne.gateway.snapshot import ReplicaAddress

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BODY = (
    b'{"object":"chat.completion","model":"echo","choices":[{"message":{"content":"hi"}}],'
    b'"usage":{"prompt_tokens":2,"completion_tokens":1}}'
)
EVENT = b'data: {"model":"echo","choices":[{"delta":{"content":"hi"}}]}\n\n'
USAGE = b'data: {"model":"echo","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"


def whole(body: bytes = BODY, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end


class Scripted:
    """A replica that answers the requests of each connection from a list, then closes it."""

    def __init__(self, *connections: list[list[bytes]]) -> None:
        self._connections = list(connections)
        self.opened = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = self._connections[min(self.opened, len(self._connections) - 1)]
        self.opened += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            for parts in answers:
                await _read_request(reader)
                for part in parts:
                    writer.write(part)
                    await asyncio.sleep(0.02)
            await _read_request(reader)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    at = head.index(b"content-length: ") + 16
    await reader.readexactly(int(head[at:].split(b"\r", 1)[0]))


@asynccontextmanager
async def in_front_of(talk: Talk, settings: GatewaySettings) -> AsyncIterator[RunningGateway]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = ReplicaAddress("rep_1", f"http://127.0.0.1:{port}", "echo", "s", "FR")
    async with running(snapshot_of(model_of(address)), settings) as gateway:
        yield gateway
    server.close()


async def test_an_answer_in_pieces(settings: GatewaySettings) -> None:
    """Head and body cut anywhere make one answer, and the connection is kept."""
    data = whole()
    pieces = [data[:9], data[9:40], data[40:60], data[60:]]
    replica = Scripted([pieces, [b"HTTP/1.1 100 Continue\r\n\r\n", data], [data]])
    async with in_front_of(replica.talk, settings) as gateway:
        answers = [await gateway.chat() for _ in range(3)]

    assert [answer.body for answer in answers] == [BODY] * 3
    assert replica.opened == 1


async def test_a_kept_connection_that_closes_on_the_next_request(settings: GatewaySettings) -> None:
    """The request is sent again on a fresh connection: nothing of an answer had come."""
    replica = Scripted([[whole()]])
    async with in_front_of(replica.talk, settings) as gateway:
        answers = [await gateway.chat() for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert replica.opened == 3


async def test_a_stream_whose_end_comes_late(settings: GatewaySettings) -> None:
    """The client is not kept waiting for the end of the body, and the connection is kept for the next."""
    late = [chunked(EVENT, USAGE, DONE, end=b""), b"", b"0\r\n\r\n"]
    replica = Scripted([late, [whole()]])
    async with in_front_of(replica.talk, settings) as gateway:
        stream = await gateway.chat(stream=True)
        await asyncio.sleep(0.1)
        after = await gateway.chat()

    assert stream.events[-1] == "[DONE]"
    assert after.status == 200
    assert replica.opened == 1


async def test_a_stream_without_done(settings: GatewaySettings) -> None:
    """An engine that ends after its usage has ended well; the client gets the end it expects."""
    replica = Scripted([[chunked(EVENT, USAGE)]])
    async with in_front_of(replica.talk, settings) as gateway:
        answer = await gateway.chat(stream=True)
        record = await gateway.sink.one()

    assert answer.events[-1] == "[DONE]"
    assert (record.outcome, record.completion_tokens) == (Outcome.OK, 1)


@pytest.mark.parametrize(
    "answer",
    [
        chunked(EVENT),
        chunked(EVENT, b'data: {"error":{"message":"out of memory"}}\n\n'),
        chunked(EVENT, EVENT[:20] + b"\n\n", DONE),
    ],
)
async def test_a_stream_that_goes_wrong(settings: GatewaySettings, answer: bytes) -> None:
    """Ended early, with an error or with garbage: the client gets an error event, once recorded."""
    replica = Scripted([[answer[:116], answer[116:]]])
    async with in_front_of(replica.talk, settings) as gateway:
        got = await gateway.chat(stream=True)
        record = await gateway.sink.one()

    assert got.events[-1]["error"]["code"] == "upstream_failed"
    assert record.outcome is Outcome.UPSTREAM_FAILED
    assert record.completion_tokens >= 1


async def test_a_stream_that_is_an_error_from_the_start(settings: GatewaySettings) -> None:
    """Before the first event of worth, a failure is an answer of its own and not a broken stream."""
    replica = Scripted([[chunked(b'data: {"error":{"message":"no memory"}}\n\n')]])
    async with in_front_of(replica.talk, settings) as gateway:
        answer = await gateway.chat(stream=True)

    assert (answer.status, answer.code) == (502, "upstream_failed")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error":{"message":"bad grammar"}}', (400, "upstream_rejected")),
        (422, b"not JSON", (400, "upstream_rejected")),
        (
            400,
            b'{"message":"This model\'s maximum context length is 8"}',
            (400, "context_length_exceeded"),
        ),
        (401, b"{}", (502, "upstream_failed")),
        (404, b"{}", (502, "upstream_failed")),
        (429, b"{}", (503, "overloaded")),
        (500, b"[]", (502, "upstream_failed")),
        (200, b'{"object":"list"}', (502, "upstream_failed")),
        (200, b"[1]", (502, "upstream_failed")),
        (200, b"\xff", (502, "upstream_failed")),
    ],
)
async def test_refusals_of_the_replica(
    settings: GatewaySettings, status: int, body: bytes, expected: tuple[int, str]
) -> None:
    """What is the client's fault comes back as 400; what is ours is never blamed on the client."""
    replica = Scripted([[whole(body, status)]])
    async with in_front_of(replica.talk, settings) as gateway:
        answer = await gateway.chat()

    assert (answer.status, answer.code) == expected
    assert "galerne-cost-nano-eur" not in answer.headers


async def test_an_answer_that_is_too_long(settings: GatewaySettings) -> None:
    """An answer beyond the bound is cut off, whole or in one endless event."""
    small = replace(settings, response_bytes_max=20_000, event_bytes_max=20_000)
    endless = chunked(EVENT, b"data: " + b"x" * 200_000, end=b"")
    replica = Scripted([[whole(b" " * 200_000)]], [[endless]])
    async with in_front_of(replica.talk, small) as gateway:
        long = await gateway.chat()
        stream = await gateway.chat(stream=True)

    assert (long.status, long.code) == (502, "upstream_failed")
    assert stream.events[-1]["error"]["code"] == "upstream_failed"


async def test_a_replica_that_dies_within_its_answer(settings: GatewaySettings) -> None:
    """An answer that ends early is a failure and nothing is charged, though a part had come."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        writer.write(whole()[:60])
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with in_front_of(talk, settings) as gateway:
        answer = await gateway.chat()
        record = await gateway.sink.one()

    assert (answer.status, answer.code) == (502, "upstream_failed")
    assert (record.prompt_tokens, record.completion_tokens) == (0, 0)


async def test_bytes_that_nobody_asked_for(settings: GatewaySettings) -> None:
    """A connection on which more comes than was asked is not used again."""
    opened: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await _read_request(reader)
            writer.write(whole())
            await asyncio.sleep(0.02)
            writer.write(whole())
            await _read_request(reader)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with in_front_of(talk, settings) as gateway:
        first = await gateway.chat()
        await asyncio.sleep(0.1)
        second = await gateway.chat()

    assert (first.status, second.status) == (200, 200)
    assert len(opened) == 2


async def test_resting_connections_are_closed(settings: GatewaySettings) -> None:
    """A connection that rests too long is closed, also when its replica left the snapshot."""
    short = replace(settings, upstream_idle_seconds_max=0.05)
    replica = Scripted([[whole(), whole()]])
    async with in_front_of(replica.talk, short) as gateway:
        await gateway.chat()
        pool = gateway.app._pool
        await until(lambda: pool.open_connections == 0)
        await gateway.chat()
        gateway.source.snapshot = snapshot_of(model_of(), version="2")
        await until(lambda: pool.open_connections == 0)

    assert replica.opened == 2


async def test_a_whole_answer_that_was_not_counted(settings: GatewaySettings) -> None:
    """Without usage the tokens are guessed from the length, and the record says so."""
    body = BODY.partition(b',"usage"')[0] + b"}"
    replica = Scripted([[whole(body)]])
    async with in_front_of(replica.talk, settings) as gateway:
        await gateway.chat()
        record = await gateway.sink.one()

    assert record.token_count_method is TokenCountMethod.CHUNKS
    assert record.prompt_tokens > 0
    assert record.completion_tokens > 0
