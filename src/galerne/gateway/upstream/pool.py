"""Idle connections by replica, newest first; opens what is missing, closes what is stale."""

import asyncio
import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

from galerne.gateway.upstream.connection import UpstreamConnection
from galerne.gateway.upstream.errors import UpstreamUnreachableError

FINISH_SECONDS_MAX = 1.0


class _Origin:
    """One base URL: where to connect, what to say, which connections rest."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UpstreamUnreachableError(f"'{base_url}' is not an address of a replica")
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        self.prefix = parts.path.rstrip("/")
        self.authority = parts.netloc.rpartition("@")[2]
        self.idle: list[UpstreamConnection] = []
        self.heads: dict[str, bytes] = {}

    def head(self, path: str) -> bytes:
        """Spell the request's head up to the value of content-length."""
        head = self.heads.get(path)
        if head is None:
            head = self.heads[path] = (
                f"POST {self.prefix}{path} HTTP/1.1\r\nhost: {self.authority}\r\n"
                "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
                "content-length: "
            ).encode()
        return head


class UpstreamPool:
    """Connections to all replicas. Whoever acquires one releases it exactly once."""

    def __init__(
        self,
        *,
        connect_seconds_max: float,
        buffer_bytes_max: int,
        idle_connections_max: int,
        idle_seconds_max: float,
    ) -> None:
        self._connect_seconds_max = connect_seconds_max
        self._buffer_bytes_max = buffer_bytes_max
        self._idle_connections_max = idle_connections_max
        self._idle_seconds_max = idle_seconds_max
        self._origins: dict[str, _Origin] = {}
        self._open: set[UpstreamConnection] = set()
        self._tls: ssl.SSLContext | None = None

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def spell(self, base_url: str, path: str, body: bytes, request_id: bytes) -> bytes:
        """Spell a POST of `body`."""
        head = self._origin(base_url).head(path)
        return b"%b%d\r\nx-request-id: %b\r\n\r\n%b" % (head, len(body), request_id, body)

    async def acquire(self, base_url: str, *, fresh: bool) -> UpstreamConnection:
        """Return a connection, a new one if `fresh`. Raises UpstreamUnreachableError."""
        origin = self._origin(base_url)
        while origin.idle and not fresh:
            connection = origin.idle.pop()
            if not connection.closed:
                return connection
        return await self._connect(origin)

    def release(
        self, base_url: str, connection: UpstreamConnection, *, nearly_done: bool = False
    ) -> None:
        """Give a connection back; it closes unless its answer was read to the end.

        `nearly_done` grants it a moment for the end that follows the last event of a stream.
        """
        if nearly_done and connection.unfinished:
            timer = asyncio.get_running_loop().call_later(FINISH_SECONDS_MAX, connection.close)

            def rest() -> None:
                timer.cancel()
                self.release(base_url, connection)

            connection.finish_unread(rest)
            return
        origin = self._origins.get(base_url)
        if (
            origin is None
            or not connection.reusable
            or len(origin.idle) >= self._idle_connections_max
        ):
            connection.close()
            return
        connection.used = True
        connection.idle_since = asyncio.get_running_loop().time()
        origin.idle.append(connection)

    def sweep(self) -> None:
        """Close connections that have rested too long; the oldest stand first."""
        horizon = asyncio.get_running_loop().time() - self._idle_seconds_max
        for origin in self._origins.values():
            while origin.idle and origin.idle[0].idle_since < horizon:
                origin.idle.pop(0).close()

    def keep_only(self, base_urls: Iterable[str]) -> None:
        """Forget replicas that are gone from the snapshot; requests in flight end undisturbed."""
        for base_url in self._origins.keys() - set(base_urls):
            for connection in self._origins.pop(base_url).idle:
                connection.close()

    def close(self) -> None:
        for connection in tuple(self._open):
            connection.close()
        self._origins.clear()

    def _origin(self, base_url: str) -> _Origin:
        origin = self._origins.get(base_url)
        if origin is None:
            origin = self._origins[base_url] = _Origin(base_url)
        return origin

    async def _connect(self, origin: _Origin) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds_max):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(
                        loop, buffer_bytes_max=self._buffer_bytes_max, on_lost=self._open.discard
                    ),
                    origin.host,
                    origin.port,
                    ssl=self._tls_context() if origin.secure else None,
                )
        except (OSError, TimeoutError) as error:
            raise UpstreamUnreachableError(f"no connection ({error!r})") from error
        self._open.add(connection)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
