"""An OpenAI-shaped server that echoes, at a pace and with the faults that its options state.

It holds no model and checks nothing: it is the upstream in tests, demos and benchmarks. Standard
library only.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, cast

REQUESTS_KEPT = 64
BODY_BYTES_MAX = 64 << 20
BURST_TOKENS_MAX = 256


class Fault(StrEnum):
    """What goes wrong with every request while it is set."""

    NONE = "none"
    HANG = "hang"  # Reads the request and never answers.
    GARBAGE = "garbage"  # Answers with bytes that are not HTTP.
    BAD_JSON = "bad_json"  # Answers 200 with a body that is not JSON.
    DIE_MID_STREAM = "die_mid_stream"  # Closes the connection after half of the tokens.
    STALL_MID_STREAM = "stall_mid_stream"  # Falls silent after half of the tokens.
    NO_USAGE = "no_usage"  # Never says how many tokens it spent.
    LOADING = "loading"  # Answers 503, as a program that is still loading its weights.
    REFUSE = "refuse"  # Answers 400 with an error object.


@dataclass(slots=True)
class FakeOptions:
    """The server's behaviour; may be changed while it runs."""

    model_name: str = "echo"
    tokens: int = 16  # Unless the request asks for fewer.
    first_token_seconds: float = 0.0
    token_seconds: float = 0.0
    token_text: str = ""  # Empty: the words of the prompt in turn.
    fault: Fault = Fault.NONE


@dataclass(slots=True)
class FakeTotals:
    """What the server has done since it started."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    running: int = 0
    finished: int = 0
    cancelled: int = 0  # Clients that left before the end.
    connections: int = 0
    bodies: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))


class FakeServer:
    """Listens on loopback; use as an asynchronous context manager."""

    def __init__(
        self, options: FakeOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.options = options or FakeOptions()
        self.totals = FakeTotals()
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self.options, self.totals, self._connections),
            self._host,
            self._port,
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop at once: open connections are aborted, as when a replica is killed."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class _Connection(asyncio.Protocol):
    """One client: reads requests one after the other and answers each in a task or at once."""

    def __init__(
        self, options: FakeOptions, totals: FakeTotals, connections: set["_Connection"]
    ) -> None:
        self._options = options
        self._totals = totals
        self._connections = connections
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._totals.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._connections.discard(self)
        self._writable.set()
        if self._task is not None and not self._task.done():
            self._totals.cancelled += 1
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._task is None or self._task.done():
            self._next_request()

    def _next_request(self) -> None:
        request = _take_request(self._received)
        if request is None:
            return
        method, path, body = request
        self._task = asyncio.get_running_loop().create_task(self._answer(method, path, body))

    async def _answer(self, method: str, path: str, body: bytes) -> None:
        if method == "GET":
            self._write(_get(path, self._options, self._totals))
        else:
            await self._generate(path, json.loads(body))
        if self._received:
            asyncio.get_running_loop().call_soon(self._next_request)

    async def _generate(self, path: str, body: dict[str, Any]) -> None:
        options, totals = self._options, self._totals
        totals.bodies.append(body)
        if await self._fails_at_once(options.fault):
            return
        answer = _Answer(path, body, options)
        totals.running += 1
        try:
            if options.first_token_seconds:
                await asyncio.sleep(options.first_token_seconds)
            if body.get("stream"):
                await self._stream(answer)
            else:
                await self._whole(answer)
            totals.finished += 1
            totals.prompt_tokens += answer.prompt_tokens
        finally:
            totals.running -= 1

    async def _fails_at_once(self, fault: Fault) -> bool:
        match fault:
            case Fault.HANG:
                await asyncio.sleep(3600)
            case Fault.GARBAGE:
                self._write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            case Fault.BAD_JSON:
                self._write(_response(200, b"<html>not JSON</html>"))
            case Fault.LOADING:
                self._write(_response(503, b'{"error":{"message":"Loading model","code":503}}'))
            case Fault.REFUSE:
                self._write(
                    _response(
                        400,
                        b'{"error":{"message":"the prompt is too long",'
                        b'"type":"exceed_context_size_error","code":400}}',
                    )
                )
            case _:
                return False
        return True

    async def _whole(self, answer: "_Answer") -> None:
        if self._options.token_seconds:
            await asyncio.sleep(self._options.token_seconds * answer.tokens)
        if self._options.fault is Fault.DIE_MID_STREAM:
            self.abort()
            return
        self._totals.completion_tokens += answer.tokens
        self._write(_response(200, answer.whole()))

    async def _stream(self, answer: "_Answer") -> None:
        self._write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        events: Iterable[bytes] = answer.events()
        if not self._options.token_seconds and answer.tokens <= BURST_TOKENS_MAX:
            events = list(events)  # So that a burst leaves as fast as the socket takes it.
        for number, event in enumerate(events):
            if number == answer.tokens // 2:
                if self._options.fault is Fault.DIE_MID_STREAM:
                    self.abort()
                    return
                if self._options.fault is Fault.STALL_MID_STREAM:
                    await asyncio.sleep(3600)
            self._write(b"%x\r\n%b\r\n" % (len(event), event))
            if number < answer.tokens:
                self._totals.completion_tokens += 1
                if self._options.token_seconds:
                    await asyncio.sleep(self._options.token_seconds)
            if not self._writable.is_set():
                await self._writable.wait()
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


class _Answer:
    """The tokens of one answer in the shape of its endpoint."""

    def __init__(self, path: str, body: dict[str, Any], options: FakeOptions) -> None:
        self._chat = "chat" in path
        self._options = options
        self._usage_asked = bool((body.get("stream_options") or {}).get("include_usage"))
        words = _prompt_words(body)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or options.tokens
        self.prompt_tokens = len(words)
        self.tokens = min(int(limit), options.tokens)
        source = [options.token_text] if options.token_text else (words or ["echo"])
        self._texts = [f"{source[i % len(source)]} " for i in range(self.tokens)]
        self._base = {
            "id": f"chatcmpl-{time.monotonic_ns():x}",
            "created": int(time.time()),
            "model": options.model_name,
        }

    def whole(self) -> bytes:
        text = "".join(self._texts)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
        if self._chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        answer = {**self._base, "object": self._object(""), "choices": [choice]}
        if self._options.fault is not Fault.NO_USAGE:
            answer["usage"] = self._usage()
        return _compact(answer)

    def events(self) -> Iterator[bytes]:
        for number, text in enumerate(self._texts):
            yield self._event([self._choice(text, first=number == 0)])
        yield self._event([self._choice(None, first=False)])
        if self._usage_asked and self._options.fault is not Fault.NO_USAGE:
            yield self._event([], usage=self._usage())
        yield b"data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], **extra: Any) -> bytes:
        event = {**self._base, "object": self._object(".chunk"), "choices": choices, **extra}
        return b"data: " + _compact(event) + b"\n\n"

    def _choice(self, text: str | None, *, first: bool) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if text is None else None}
        if self._chat:
            role = {"role": "assistant"} if first else {}
            choice["delta"] = {} if text is None else {**role, "content": text}
        else:
            choice["text"] = text or ""
        return choice

    def _object(self, suffix: str) -> str:
        return f"chat.completion{suffix}" if self._chat else "text_completion"

    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
        }


def _take_request(received: bytearray) -> tuple[str, str, bytes] | None:
    """Cut one complete request off the front of `received`, if there is one."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end])
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = min(int(value), BODY_BYTES_MAX)
    if len(received) < end + 4 + length:
        return None
    method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    body = bytes(received[end + 4 : end + 4 + length])
    del received[: end + 4 + length]
    return method, path, body


def _get(path: str, options: FakeOptions, totals: FakeTotals) -> bytes:
    if path == "/health":
        loading = options.fault is Fault.LOADING
        return _response(503 if loading else 200, b'{"status":"ok"}')
    if path == "/metrics":
        lines = (
            f"fake:prompt_tokens_total {totals.prompt_tokens}\n"
            f"fake:completion_tokens_total {totals.completion_tokens}\n"
            f"fake:requests_running {totals.running}\n"
        )
        return _response(200, lines.encode(), content_type="text/plain")
    return _response(200, _compact({"object": "list", "data": [{"id": options.model_name}]}))


def _prompt_words(body: dict[str, Any]) -> list[str]:
    if "messages" not in body:
        return str(body.get("prompt") or "").split()
    words: list[str] = []
    for message in body["messages"]:
        content = message.get("content") or ""
        parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content]
        words += " ".join(parts).split()
    return words


def _response(status: int, body: bytes, *, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
