"""One bounded HTTP GET to a serving program of ours, for readiness and counters.

It speaks plain HTTP/1.1 to a known program and no more; requests of customers go through the gateway.
"""

import asyncio
import re
from urllib.parse import urlsplit

PROBE_SECONDS_MAX = 2.0
PROBE_BYTES_MAX = 1 << 20
_SAMPLE = re.compile(rb"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


async def get(base_url: str, path: str) -> tuple[int, bytes] | None:
    """Return status and body, or None where the program cannot be reached or does not speak HTTP."""
    parts = urlsplit(base_url)
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            return await _exchange(parts.hostname or "", parts.port or 80, path)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
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
        answer = bytearray()
        while chunk := await reader.read(65536):
            answer += chunk
            if len(answer) > PROBE_BYTES_MAX:
                raise ValueError("the answer to a probe is too long")
    finally:
        writer.close()
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    status = head.split(b" ", 2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/1."):
        raise ValueError("the answer to a probe is not HTTP")
    return int(status[1]), body
