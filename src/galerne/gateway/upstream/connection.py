"""One keep-alive connection to a replica: one request at a time, bounded buffer, back-pressure."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import httptools

from galerne.gateway.upstream.errors import UpstreamClosedError, UpstreamError, UpstreamGarbageError


class UpstreamConnection(asyncio.Protocol):
    """Speaks HTTP/1.1 as a client. Whoever holds it calls `start`, then `collect` or `read`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        buffer_bytes_max: int,
        on_lost: Callable[["UpstreamConnection"], None],
    ) -> None:
        self.status = 0
        self.used = False  # It has carried a request before.
        self.idle_since = 0.0
        self._loop = loop
        self._buffer_bytes_max = buffer_bytes_max
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._buffered_bytes = 0
        self._bytes_max = 0  # Bound of the answer being collected whole; 0 while it is streamed.
        self._busy = False
        self._complete = False
        self._keep_alive = False
        self._paused = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._then: Callable[[], None] | None = None  # Set while the rest of an answer is dropped.

    @property
    def reusable(self) -> bool:
        """Say whether the next request may use this connection."""
        return (
            self._complete
            and not self._chunks
            and self._error is None
            and self._transport is not None
            and not self._transport.is_closing()
            and self._keep_alive
        )

    @property
    def unfinished(self) -> bool:
        """Say whether an answer is still coming on a sound connection."""
        return self._busy and not self._complete and self._error is None and not self.closed

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def start(self, request: bytes) -> None:
        """Send a request; the answer is then collected or read."""
        assert self._transport is not None
        self.status = 0
        self._busy = True
        self._complete = False
        self._chunks = []
        self._buffered_bytes = 0
        self._bytes_max = 0
        self._transport.write(request)

    async def collect(self, bytes_max: int) -> bytes:
        """Return the whole body. Raises UpstreamError."""
        self._bytes_max = bytes_max
        self._resume()
        while not self._complete:
            self._raise_error()
            await self._wait()
        self._busy = False
        return self._take()

    async def read(self) -> bytes:
        """Return what has come of the body, at least one byte; b"" at its end. Raises UpstreamError."""
        while not self._chunks:
            if self._complete:
                self._busy = False
                return b""
            self._raise_error()
            await self._wait()
        return self._take()

    async def head(self) -> int:
        """Wait for the status. Raises UpstreamError."""
        while not self.status:
            self._raise_error()
            await self._wait()
        return self.status

    def finish_unread(self, then: Callable[[], None]) -> None:
        """Drop what is left of an answer of which all that matters was read, and call `then` at its end."""
        self._then = then
        self._resume()

    def fail(self, error: UpstreamError) -> None:
        """End the request from our side: whoever waits gets `error`, and the connection closes."""
        if self._error is None:
            self._error = error
        self._wake()
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._buffered_bytes = 0
        self._resume()
        return data

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        connected = transport.get_extra_info("socket")
        if connected is not None and connected.family in {socket.AF_INET, socket.AF_INET6}:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            self.close()  # Nobody asked: the connection cannot be trusted any more.
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(UpstreamGarbageError(f"it did not answer in HTTP ({error})"))
            return
        if self._then is not None:
            self._dropped()
            return
        if self._bytes_max:
            if self._buffered_bytes > self._bytes_max:
                self.fail(UpstreamGarbageError("its answer is too long"))
            elif self._complete:
                self._wake()
            return
        if self._buffered_bytes > self._buffer_bytes_max and not self._paused:
            self._paused = True
            assert self._transport is not None
            self._transport.pause_reading()
        self._wake()

    def _dropped(self) -> None:
        self._take()
        if self._complete and self._then is not None:
            self._busy = False
            then, self._then = self._then, None
            then()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._error is None and not self._complete:
            detail = f"it closed the connection ({exc or 'end of data'})"
            self._error = UpstreamClosedError(detail, before_answer=self.status == 0)
        self._on_lost(self)
        self._wake()

    # What the parser calls.

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.status:
            self._complete = True
            self._keep_alive = bool(self._parser.should_keep_alive())
