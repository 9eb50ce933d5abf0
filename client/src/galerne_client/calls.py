"""A call of the API as data, and the steps of work that takes several calls.

Nothing in here sends anything. A resource describes each call once; the executors carry it out, one
blocking, one asynchronous, so the two clients cannot drift apart. Work of several calls (pages, a
followed log, an upload) is a generator that yields steps and is given their results.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
QueryValue = str | int | bool | None | Sequence[str]
PAGE_ROWS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: Mapping[str, str]  # Names in lower case.
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request and how to read its answer. Every POST carries an idempotency key, made when sent."""

    method: str
    path: str  # Below the API's root.
    parse: Callable[[Answer], T]
    query: Mapping[str, QueryValue] = field(default_factory=dict)
    json: Any = None
    upload: Path | None = None  # The body is this file, streamed.
    download: Path | None = None  # The answer's body becomes this file.
    on_bytes: Callable[[int], None] | None = None  # Told of each piece up or down.
    idempotency_key: str | None = None
    wait_seconds: float = 0  # How long the server may hold the answer back, beyond the time-out.

    @property
    def is_repeatable(self) -> bool:
        """Say whether sending it twice does no more than sending it once."""
        return self.method in {"GET", "HEAD", "PUT", "DELETE", "POST"}


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[T_co]):
    """One element of what a stream gives to its reader."""

    value: T_co


Steps = Generator[Call[Any] | Pause, Any, T]
Stream = Generator[Call[Any] | Pause | Item[T], Any, None]


def ask(call: Call[T]) -> Generator[Call[T], Any, T]:
    """Have `call` carried out by whoever runs the steps, and return its result."""
    result: T = yield call
    return result
