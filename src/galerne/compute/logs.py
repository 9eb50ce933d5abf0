"""A workload's log as an HTTP answer: bytes from an offset, and where to ask next.

The client follows by asking again from `galerne-log-next-offset`; with `wait_seconds` the answer is held
until there is something, so that following costs one request a pause and not one a poll.
"""

from typing import Annotated

from fastapi import Query, Response

from galerne.drivers.base import Driver, LogChunk
from galerne.kit.clock import Clock

LOG_BYTES_MAX = 1_000_000
WAIT_SECONDS_MAX = 25
POLL_SECONDS = 0.2

LogOffset = Annotated[int, Query(ge=0, description="First byte wanted, counted from the start.")]
LogWait = Annotated[
    float, Query(ge=0, le=WAIT_SECONDS_MAX, description="Wait so long for something new.")
]


async def read_log(
    driver: Driver, handle: str, *, offset: int, wait_seconds: float, clock: Clock
) -> LogChunk:
    """Read what is there, waiting at most `wait_seconds` for the first byte."""
    deadline = clock.monotonic() + wait_seconds
    while True:
        chunk = await driver.read_log(handle, offset=offset, bytes_max=LOG_BYTES_MAX)
        if chunk.data or chunk.complete or clock.monotonic() >= deadline:
            return chunk
        await clock.sleep(POLL_SECONDS)


def log_response(chunk: LogChunk) -> Response:
    return Response(
        content=chunk.data,
        media_type="text/plain; charset=utf-8",
        headers={
            "galerne-log-next-offset": str(chunk.next_offset),
            "galerne-log-dropped-bytes": str(chunk.dropped_bytes),
            "galerne-log-complete": "true" if chunk.complete else "false",
        },
    )
