"""Errors that a caller sees. Each has a stable `code`, a status and a hint that says what would help.

GalerneError
├── BadRequest        400   the request cannot be understood
├── Unauthenticated   401   no key, or not a valid one
├── Forbidden         403   a valid key that may not do this
├── NotFound          404   no such object for this caller; another tenant's looks the same
├── Conflict          409   the object's state, or an earlier request, stands against it
├── TooLarge          413   beyond a stated limit
├── Unprocessable     422   well formed, and still not possible
├── TooMany           429   a quota or rate is used up
└── Unavailable       503   try again; nothing was changed

A noun's `errors.py` subclasses one of these and fixes the `code`. Rendered as RFC 9457 problem details
on the control plane (`rest.problems`). Knows nothing of HTTP but the number.
"""

from typing import Any, ClassVar


class GalerneError(Exception):
    """Root of every error that a caller may see."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Internal error"
    # A refusal that is on record keeps the transaction that recorded it; other errors undo theirs.
    commits: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details or {}
        if code is not None:
            self.code = code


class BadRequest(GalerneError):  # noqa: N818 - the HTTP condition's own name, as below
    """The request cannot be understood."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class Unauthenticated(GalerneError):  # noqa: N818
    """No key, or not a valid one. Never says which part was wrong."""

    status = 401
    code = "unauthenticated"
    title = "Not authenticated"


class Forbidden(GalerneError):  # noqa: N818
    """A valid key that may not do this."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFound(GalerneError):  # noqa: N818
    """No such object for this caller. Another tenant's object looks exactly the same."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(GalerneError):  # noqa: N818
    """The object's state, or an earlier request, stands against it."""

    status = 409
    code = "conflict"
    title = "Conflict"


class TooLarge(GalerneError):  # noqa: N818
    """Beyond a stated limit of size."""

    status = 413
    code = "too_large"
    title = "Too large"


class Unprocessable(GalerneError):  # noqa: N818
    """Well formed, and still not possible."""

    status = 422
    code = "unprocessable"
    title = "Cannot be done"


class TooMany(GalerneError):  # noqa: N818
    """A quota or rate is used up."""

    status = 429
    code = "too_many"
    title = "Too many"


class Unavailable(GalerneError):  # noqa: N818
    """Something we need does not answer. Nothing was changed; the same request may be sent again."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"
