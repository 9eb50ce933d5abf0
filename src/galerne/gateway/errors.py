"""Everything the data plane refuses, in the shape that the OpenAI SDKs read.

    ApiError
    ├── 400  invalid_json · invalid_value · missing_field · refused_field · context_length_exceeded
    │        upstream_rejected
    ├── 401  invalid_api_key
    ├── 403  missing_scope · residency_not_allowed
    ├── 404  model_not_found · not_found
    ├── 405  method_not_allowed
    ├── 408  request_timeout
    ├── 413  body_too_large
    ├── 502  upstream_failed
    ├── 503  no_replica_ready · overloaded · starting · journal_unavailable
    └── 504  upstream_timeout

`code` is stable. The message ends with what would change the answer.
"""

import json

from galerne.gateway.asgi import Headers

_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"}


class ApiError(Exception):
    """A refusal with its HTTP status and stable code."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds

    def body(self) -> bytes:
        """Spell the OpenAI error object."""
        error = {
            "message": self.message,
            "type": "server_error" if self.status >= 500 else _TYPES.get(self.status, _TYPES[400]),
            "param": self.param,
            "code": self.code,
        }
        return json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "replace")

    def headers(self) -> Headers:
        headers = [(b"content-type", b"application/json")]
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after_seconds))
        return headers

    def event(self) -> bytes:
        """Spell the error as a server-sent event, for a stream that has begun."""
        return b"data: " + self.body() + b"\n\n"


def invalid_value(param: str, expected: str) -> ApiError:
    return ApiError(400, "invalid_value", f"'{param}' must be {expected}.", param=param)


def model_not_found(name: str) -> ApiError:
    """One answer for a model that does not exist and for one that this key may not see."""
    return ApiError(
        404,
        "model_not_found",
        f"The model '{name[:200]}' does not exist or this key has no access to it. "
        "GET /v1/models lists the models this key may use.",
        param="model",
    )


def no_replica_ready(name: str) -> ApiError:
    return ApiError(
        503,
        "no_replica_ready",
        f"No replica of '{name}' is ready. Try again shortly, or start one.",
        retry_after_seconds=2,
    )


def upstream_failed(detail: str) -> ApiError:
    return ApiError(
        502, "upstream_failed", f"The replica failed: {detail}. Sending the request again may help."
    )


def upstream_timeout() -> ApiError:
    return ApiError(
        504,
        "upstream_timeout",
        "The replica did not answer in time. Ask for fewer tokens or retry.",
    )
