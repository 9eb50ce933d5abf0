"""What jobs and deployments share: bodies, logs by offset, and waiting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from galerne_client.calls import Answer, Call, Item, Pause, QueryValue, Steps, Stream, ask
from galerne_client.errors import NoAnswerInTimeError, UnexpectedAnswerError
from galerne_client.models import UploadedFile

LOG_WAIT_SECONDS = 10
POLL_SECONDS = 0.5
POLL_SECONDS_MAX = 5.0


class Stated(Protocol):
    """Something with a lifecycle."""

    @property
    def state(self) -> str: ...


StatedT = TypeVar("StatedT", bound=Stated)


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of output. Ask again from `next_offset`; `is_complete` says that no more will come."""

    data: bytes
    next_offset: int
    is_complete: bool
    dropped_bytes: int = 0


def request_body(
    spec: Mapping[str, Any], files: Sequence[UploadedFile], project: str | None
) -> dict[str, Any]:
    return {
        "project": project,
        "spec": dict(spec),
        "files": [file.model_dump(mode="json") for file in files],
    }


def parse_log(answer: Answer) -> LogChunk:
    headers = answer.headers
    try:
        return LogChunk(
            data=answer.content,
            next_offset=int(headers["galerne-log-next-offset"]),
            is_complete=headers.get("galerne-log-complete") == "true",
            dropped_bytes=int(headers.get("galerne-log-dropped-bytes") or 0),
        )
    except (KeyError, ValueError) as error:
        raise UnexpectedAnswerError("the log came without its offsets") from error


def log_call(path: str, *, offset: int, wait_seconds: int, **which: QueryValue) -> Call[LogChunk]:
    return Call(
        method="GET",
        path=path,
        query={"offset": offset, "wait_seconds": wait_seconds or None, **which},
        parse=parse_log,
        wait_seconds=wait_seconds,
    )


def followed_log(path: str, *, offset: int, **which: QueryValue) -> Stream[LogChunk]:
    """Give the log from `offset` on as it grows, until it is complete."""
    while True:
        call = log_call(path, offset=offset, wait_seconds=LOG_WAIT_SECONDS, **which)
        chunk = yield from ask(call)
        if chunk.data or chunk.dropped_bytes or chunk.is_complete:
            yield Item(chunk)
        if chunk.is_complete:
            return
        if chunk.next_offset == offset:
            yield Pause(POLL_SECONDS)  # The server held the answer back for less than we allowed.
        offset = chunk.next_offset


def waited(
    call: Call[StatedT], is_enough: Callable[[StatedT], bool], *, timeout_seconds: float | None
) -> Steps[StatedT]:
    """Ask until `is_enough`, less and less often. Raises NoAnswerInTimeError."""
    waited_seconds, pause_seconds = 0.0, POLL_SECONDS
    while True:
        current = yield from ask(call)
        if is_enough(current):
            return current
        if timeout_seconds is not None and waited_seconds >= timeout_seconds:
            raise NoAnswerInTimeError(
                f"still {current.state} after {timeout_seconds:g} seconds",
                hint="wait longer, or ask `galerne why` what it waits for",
            )
        yield Pause(pause_seconds)
        waited_seconds += pause_seconds
        pause_seconds = min(pause_seconds * 1.5, POLL_SECONDS_MAX)
