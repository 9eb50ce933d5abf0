"""How an upstream may fail, told apart because the answers differ.

UpstreamError
├── UpstreamUnreachableError   no connection: try another replica
├── UpstreamClosedError        the connection ended before the answer did
├── UpstreamGarbageError       what came is not HTTP, not JSON, or too long
├── UpstreamTimeoutError       nothing came in time
└── ClientGoneError            not its fault: the client left, so the request is withdrawn
"""


class UpstreamError(Exception):
    """A request to a replica did not end as it should."""

    timed_out = False


class UpstreamUnreachableError(UpstreamError):
    """No connection could be made."""


class UpstreamClosedError(UpstreamError):
    """The connection ended early. `before_answer` says whether nothing of the answer had come."""

    def __init__(self, message: str, *, before_answer: bool) -> None:
        super().__init__(message)
        self.before_answer = before_answer


class UpstreamGarbageError(UpstreamError):
    """The bytes are not an answer."""


class UpstreamTimeoutError(UpstreamError):
    """Nothing came for too long."""

    timed_out = True


class ClientGoneError(UpstreamError):
    """The client hung up; the upstream is closed so that it stops generating."""
