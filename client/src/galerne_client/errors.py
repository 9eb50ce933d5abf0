"""Errors of the SDK. Each has a stable `code`, a message, and where possible a hint on what would help.

GalerneError
├── ConfigurationError        no address or key is known, or the configuration cannot be read
├── FileError                 a local file cannot be used as it is
├── ConnectionFailedError     the platform cannot be reached
│   └── NoAnswerInTimeError   it did not answer within the time-out
├── UnexpectedAnswerError     an answer that is none of the API's
└── ApiError                  the platform refused; from its RFC 9457 problem details
    ├── BadRequestError       400
    ├── AuthenticationError   401
    ├── PermissionDeniedError 403
    ├── NotFoundError         404
    ├── ConflictError         409
    ├── TooLargeError         413
    ├── UnprocessableError    422
    ├── TooManyError          429
    └── UnavailableError      502, 503, 504

Imports nothing heavy: the command line reads this module before it knows what it will do.
"""

from typing import Any


class GalerneError(Exception):
    """Root of every error that the SDK raises."""

    code: str = "client_error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class ConfigurationError(GalerneError):
    """No address or key is known, or the configuration cannot be read."""

    code = "configuration"


class FileError(GalerneError):
    """A local file cannot be used as it is."""

    code = "file_unusable"


class ConnectionFailedError(GalerneError):
    """The platform cannot be reached."""

    code = "connection_failed"


class NoAnswerInTimeError(ConnectionFailedError):
    """The platform did not answer within the time-out."""

    code = "timed_out"


class UnexpectedAnswerError(GalerneError):
    """An answer that is none of the API's: a proxy's page, or another version's shape."""

    code = "unexpected_answer"


class ApiError(GalerneError):
    """The platform refused. `errors` names each wrong field, `details` what the code documents."""

    status: int = 500

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        hint: str | None = None,
        errors: list[dict[str, Any]] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status
        self.errors = errors or []
        self.details = details or {}

    @classmethod
    def of_status(cls, status: int) -> type["ApiError"]:
        """Return the class that stands for an HTTP status."""
        return _BY_STATUS.get(status, cls)


class BadRequestError(ApiError):
    """400: the request cannot be understood."""


class AuthenticationError(ApiError):
    """401: no key, or not a valid one."""


class PermissionDeniedError(ApiError):
    """403: a valid key that may not do this, or a flow that the label does not contain."""


class NotFoundError(ApiError):
    """404: no such object for this key."""


class ConflictError(ApiError):
    """409: the object's state, or an earlier request, stands against it."""


class TooLargeError(ApiError):
    """413: beyond a stated limit of size."""


class UnprocessableError(ApiError):
    """422: well formed, and still not possible."""


class TooManyError(ApiError):
    """429: a quota or rate is used up."""


class UnavailableError(ApiError):
    """502, 503, 504: try again; nothing was changed."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: UnprocessableError,
    429: TooManyError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
