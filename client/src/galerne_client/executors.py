"""The two ways to carry out calls: blocking and asynchronous. Each sends, pauses, and knows no more.

What is sent and when it is sent again is decided in `exchange`; what the calls are, in `resources`.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from galerne_client.calls import Answer, Call, Item, Pause, Steps, Stream
from galerne_client.errors import (
    ConnectionFailedError,
    FileError,
    GalerneError,
    NoAnswerInTimeError,
)
from galerne_client.exchange import Lost, Outgoing, RetryPolicy, exchange

T = TypeVar("T")
StepT = TypeVar("StepT")
API_ROOT = "/api/v1"
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Went:
    """A step that went well, and what it gave."""

    result: Any

    def into(self, steps: Generator[StepT, Any, Any]) -> StepT:
        return steps.send(self.result)


@dataclass(frozen=True, slots=True)
class Broke:
    """A call that ended in an error; the steps may catch it where they asked."""

    error: GalerneError

    def into(self, steps: Generator[StepT, Any, Any]) -> StepT:
        return steps.throw(self.error)


Resume = Went | Broke


class SyncExecutor:
    """Carries out calls one after another, blocking."""

    def __init__(
        self,
        http: httpx2.Client,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - injected; tests do not wait
    ) -> None:
        self.http = http
        self._policy = policy
        self._sleep = sleep

    def call(self, call: Call[T]) -> T:
        """Carry out one call."""
        attempts = exchange(call, self._policy)
        met: Answer | Lost | None = None
        while True:
            try:
                step = attempts.send(met)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                self._sleep(step.seconds)
                met = None
            else:
                met = self._send(step)

    def run(self, steps: Steps[T]) -> T:
        """Carry out steps to their end and return their result."""
        resume: Resume = Went(None)
        while True:
            try:
                step = resume.into(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            resume = self._step(step)

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out steps as far as the reader asks for items."""
        resume: Resume = Went(None)
        while True:
            try:
                step = resume.into(stream)
            except StopIteration:
                return
            if isinstance(step, Item):
                yield step.value
                resume = Went(None)
            else:
                resume = self._step(step)

    def _step(self, step: Call[Any] | Pause) -> Resume:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return Went(None)
        try:
            return Went(self.call(step))
        except GalerneError as error:
            return Broke(error)

    def _send(self, outgoing: Outgoing) -> Answer | Lost:
        call = outgoing.call
        content = _pieces(call.upload, call.on_bytes) if call.upload else None
        request = _request(self.http, outgoing, content)
        try:
            response = self.http.send(request, stream=True)
            try:
                if call.download and response.is_success:
                    _save(call, response)
                else:
                    response.read()
            finally:
                response.close()
        except httpx2.TransportError as error:
            return _lost(error, request)
        return _answer(call, response)


class AsyncExecutor:
    """Carries out calls without blocking the event loop."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.http = http
        self._policy = policy
        self._sleep = sleep

    async def call(self, call: Call[T]) -> T:
        """Carry out one call."""
        attempts = exchange(call, self._policy)
        met: Answer | Lost | None = None
        while True:
            try:
                step = attempts.send(met)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                await self._sleep(step.seconds)
                met = None
            else:
                met = await self._send(step)

    async def run(self, steps: Steps[T]) -> T:
        """Carry out steps to their end and return their result."""
        resume: Resume = Went(None)
        while True:
            try:
                step = resume.into(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            resume = await self._step(step)

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out steps as far as the reader asks for items."""
        resume: Resume = Went(None)
        while True:
            try:
                step = resume.into(stream)
            except StopIteration:
                return
            if isinstance(step, Item):
                yield step.value
                resume = Went(None)
            else:
                resume = await self._step(step)

    async def _step(self, step: Call[Any] | Pause) -> Resume:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return Went(None)
        try:
            return Went(await self.call(step))
        except GalerneError as error:
            return Broke(error)

    async def _send(self, outgoing: Outgoing) -> Answer | Lost:
        call = outgoing.call
        content = _pieces_async(call.upload, call.on_bytes) if call.upload else None
        request = _request(self.http, outgoing, content)
        try:
            response = await self.http.send(request, stream=True)
            try:
                if call.download and response.is_success:
                    await _save_async(call, response)
                else:
                    await response.aread()
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            return _lost(error, request)
        return _answer(call, response)


def _request(
    http: httpx2.Client | httpx2.AsyncClient,
    outgoing: Outgoing,
    content: Iterator[bytes] | AsyncIterator[bytes] | None,
) -> httpx2.Request:
    call = outgoing.call
    headers = dict(outgoing.headers)
    if call.upload:
        headers["content-length"] = str(call.upload.stat().st_size)
        headers["content-type"] = "application/octet-stream"
    timeout = http.timeout
    if call.wait_seconds:
        patience = (timeout.read or 0) + call.wait_seconds
        timeout = httpx2.Timeout(
            connect=timeout.connect, read=patience, write=timeout.write, pool=timeout.pool
        )
    return http.build_request(
        call.method,
        API_ROOT + call.path,
        params=_query(call.query),
        json=call.json,
        content=content,
        headers=headers,
        timeout=timeout,
    )


def _query(query: Mapping[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in query.items() if value is not None} or None


def _answer(call: Call[Any], response: httpx2.Response) -> Answer:
    content = b"" if call.download and response.is_success else response.content
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, content)


def _lost(error: httpx2.TransportError, request: httpx2.Request) -> Lost:
    return Lost(_named(error, request), was_sent=not isinstance(error, httpx2.ConnectError))


def _named(error: httpx2.TransportError, request: httpx2.Request) -> GalerneError:
    where = f"{request.url.scheme}://{request.url.netloc.decode()}"
    match error:
        case httpx2.TimeoutException():
            return NoAnswerInTimeError(
                f"{where} did not answer in time", hint="try again, or raise the time-out"
            )
        case httpx2.ConnectError():
            return ConnectionFailedError(
                f"cannot reach {where}: {error}",
                hint="check the address with `galerne config`, and that the platform is up",
            )
        case _:
            return ConnectionFailedError(f"the connection to {where} broke: {error}")


def _pieces(path: Path, on_bytes: Callable[[int], None] | None) -> Iterator[bytes]:
    with _opened(path) as file:
        while piece := os.read(file.fileno(), PIECE_BYTES):
            yield piece
            if on_bytes:
                on_bytes(len(piece))


async def _pieces_async(path: Path, on_bytes: Callable[[int], None] | None) -> AsyncIterator[bytes]:
    with _opened(path) as file:
        while piece := await asyncio.to_thread(os.read, file.fileno(), PIECE_BYTES):
            yield piece
            if on_bytes:
                on_bytes(len(piece))


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}", code="file_unreadable") from error


def _save(call: Call[Any], response: httpx2.Response) -> None:
    """Write the body beside its destination, and move it there when it is whole."""
    assert call.download is not None
    part = _part(call.download)
    with part.open("wb") as file:
        for piece in response.iter_bytes():
            file.write(piece)
            if call.on_bytes:
                call.on_bytes(len(piece))
    part.replace(call.download)


async def _save_async(call: Call[Any], response: httpx2.Response) -> None:
    assert call.download is not None
    part = _part(call.download)
    with part.open("wb") as file:
        async for piece in response.aiter_bytes():
            await asyncio.to_thread(file.write, piece)
            if call.on_bytes:
                call.on_bytes(len(piece))
    part.replace(call.download)


def _part(destination: Path) -> Path:
    destination.parent.mkdir(parents=True, exist_ok=True)
    return destination.with_name(destination.name + ".part")
