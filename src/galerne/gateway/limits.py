"""Bounds on what the gateway holds at once: requests, bytes of bodies; and the reading of one body."""

from galerne.gateway.asgi import Receive
from galerne.gateway.errors import ApiError
from galerne.gateway.upstream.errors import ClientGoneError

DISCARDED_BYTES_MAX = (
    64 << 20
)  # Of a body that is too long, read so that the client sees the answer.


class Limits:
    """What is in flight, and whether more may come."""

    def __init__(
        self, *, requests_max: int, body_bytes_max: int, inflight_body_bytes_max: int
    ) -> None:
        self.requests = 0
        self.body_bytes = 0
        self.body_bytes_max = body_bytes_max
        self._requests_max = requests_max
        self._inflight_body_bytes_max = inflight_body_bytes_max

    def enter(self) -> "HeldBody":
        """Count a request in; whoever calls also calls `HeldBody.leave`. Raises ApiError 503 at the bound."""
        if self.requests >= self._requests_max:
            raise _overloaded("requests")
        self.requests += 1
        return HeldBody(self)

    def hold(self, size_bytes: int) -> None:
        if self.body_bytes + size_bytes > self._inflight_body_bytes_max:
            raise _overloaded("bytes of requests")
        self.body_bytes += size_bytes


class HeldBody:
    """One request's share of what the gateway holds."""

    __slots__ = ("limits", "size_bytes")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.size_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count bytes of its body in. Raises ApiError 503 at the bound."""
        self.limits.hold(size_bytes)
        self.size_bytes += size_bytes

    def leave(self) -> None:
        self.limits.requests -= 1
        self.limits.body_bytes -= self.size_bytes
        self.size_bytes = 0


async def read_body(receive: Receive, declared: int | None, held: "HeldBody") -> bytes:
    """Read a body within bounds. Raises ApiError 413 or 503, or ClientGoneError."""
    bytes_max = held.limits.body_bytes_max
    if declared is not None and declared > bytes_max:
        await _discard(receive)
        raise _too_large(bytes_max)
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client left while it sent its request")
        part, more = message.get("body", b""), message.get("more_body", False)
        parts.append(part)
        held.add(len(part))
        if held.size_bytes > bytes_max:
            if more:
                await _discard(receive)
            raise _too_large(bytes_max)
        if not more:
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _discard(receive: Receive) -> None:
    discarded = 0
    while discarded < DISCARDED_BYTES_MAX:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        discarded += len(message.get("body", b""))


def _too_large(body_bytes_max: int) -> ApiError:
    return ApiError(
        413,
        "body_too_large",
        f"The body is longer than {body_bytes_max} bytes. Send a shorter prompt.",
    )


def _overloaded(what: str) -> ApiError:
    return ApiError(
        503,
        "overloaded",
        f"The gateway holds as many {what} as it may. Try again shortly.",
        retry_after_seconds=1,
    )
