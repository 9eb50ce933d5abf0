"""One call from first attempt to result: which failures are tried again, when, and what they become.

Sans-IO: a generator that yields what to send and how long to pause. It decides; executors do.
Only what is safe to repeat is repeated: reads, writes that say the whole outcome (PUT, DELETE), and
POSTs, whose idempotency key stays the same over all attempts.
"""

import json
import random
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from galerne_client.calls import Answer, Call, Pause
from galerne_client.errors import ApiError, GalerneError, UnexpectedAnswerError

T = TypeVar("T")
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
RETRIED_CODES = frozenset({"idempotency_key_in_use"})
_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently. Delays double, with jitter so that clients do not march in step."""

    attempts_max: int = 5
    delay_seconds: float = 0.25  # Before the second attempt; doubles from there.
    delay_seconds_max: float = 8.0

    def pause(self, attempt: int, retry_after: str | None) -> Pause:
        """Say how long to wait after `attempt` attempts."""
        longest = min(self.delay_seconds * 2 ** (attempt - 1), self.delay_seconds_max)
        asked = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
        return Pause(max(_chance.uniform(longest / 2, longest), min(asked, self.delay_seconds_max)))


NO_RETRY = RetryPolicy(attempts_max=1)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call to send, with the headers that all of its attempts share."""

    call: Call[Any]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came. `was_sent` is false only where the server surely saw nothing."""

    error: GalerneError
    was_sent: bool


def exchange(
    call: Call[T], policy: RetryPolicy
) -> Generator[Outgoing | Pause, Answer | Lost | None, T]:
    """Carry out `call`; the runner sends back what each `Outgoing` met."""
    outgoing = Outgoing(call, _headers(call))
    for attempt in range(1, policy.attempts_max + 1):
        met = yield outgoing
        assert met is not None, "an outgoing call meets an answer or is lost"
        if isinstance(met, Answer) and met.status < 400:
            return call.parse(met)
        error = met.error if isinstance(met, Lost) else error_of(met)
        if attempt == policy.attempts_max or not _may_repeat(call, met, error):
            raise error
        retry_after = met.headers.get("retry-after") if isinstance(met, Answer) else None
        yield policy.pause(attempt, retry_after)
    raise AssertionError("the last attempt returns or raises")


def _headers(call: Call[Any]) -> dict[str, str]:
    if call.method != "POST":
        return {}
    return {"idempotency-key": call.idempotency_key or str(uuid.uuid4())}


def _may_repeat(call: Call[Any], met: Answer | Lost, error: GalerneError) -> bool:
    if isinstance(met, Lost):
        return call.is_repeatable or not met.was_sent
    return met.status in RETRIED_STATUSES or error.code in RETRIED_CODES


def error_of(answer: Answer) -> GalerneError:
    """Read problem details, or the LLM API's error object, as a typed error."""
    try:
        problem = json.loads(answer.content)
    except ValueError:
        problem = None
    if isinstance(problem, dict) and isinstance(problem.get("error"), dict):
        inner = problem["error"]
        problem = {**inner, "detail": inner.get("message")}
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        return _foreign(answer)
    return ApiError.of_status(answer.status)(
        str(problem.get("detail") or problem.get("title") or problem["code"]),
        status=answer.status,
        code=problem["code"],
        hint=problem.get("hint"),
        errors=problem.get("errors"),
        details=problem.get("details"),
    )


def _foreign(answer: Answer) -> GalerneError:
    """Name an error that was not written by the platform: a proxy in between, or another server."""
    if answer.status in RETRIED_STATUSES:
        return ApiError.of_status(answer.status)(
            f"the server answered {answer.status}", status=answer.status, code="unavailable"
        )
    return UnexpectedAnswerError(
        f"the server answered {answer.status} without saying why",
        hint="check that the address is a Galerne platform's",
    )
