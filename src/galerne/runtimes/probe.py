"""One bounded HTTP GET to a serving program of ours, for readiness and counters.

It speaks plain HTTP/1.1 to a known program and no more; requests of customers go through the gateway.
"""

import asyncio
import contextlib
import re
from urllib.parse import urlsplit

PROBE_SECONDS_MAX = 2.0
PROBE_BYTES_MAX = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r\n", re.IGNORECASE)
_SAMPLE = re.compile(rb"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


async def get(base_url: str, path: str) -> tuple[int, bytes] | None:
    """Return status and body, or None where the program cannot be reached or does not speak HTTP."""
    parts = urlsplit(base_url)
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            return await _exchange(parts.hostname or "", parts.port or 80, path)
    except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError):
        return None


def samples(exposition: bytes) -> dict[str, float]:
    """Read the samples of a Prometheus text page, summed over their labels."""
    totals: dict[str, float] = {}
    for name, value in _SAMPLE.findall(exposition):
        key = name.decode()
        totals[key] = totals.get(key, 0.0) + float(value)
    return totals


async def _exchange(host: str, port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        request = f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or int(length[1]) > PROBE_BYTES_MAX:
            raise ValueError("the answer to a probe states no length, or too much")
        body = await reader.readexactly(int(length[1]))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    status = head.split(b" ", 2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/1."):
        raise ValueError("the answer to a probe is not HTTP")
    return int(status[1]), body
