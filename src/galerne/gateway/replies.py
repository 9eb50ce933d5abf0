"""Answers that come in one piece: read, checked, shown under the public model name."""

import json
from typing import NamedTuple

from galerne.gateway.errors import ApiError, upstream_failed
from galerne.gateway.scan import JsonError, read_object, render, scan_object
from galerne.gateway.sse import Usage, usage_of
from galerne.gateway.upstream.errors import UpstreamGarbageError

_BYTES_PER_TOKEN = 4
_MESSAGE_CHARACTERS_MAX = 500


class WholeReply(NamedTuple):
    """A replica's answer, ready for the client."""

    body: bytes
    usage: Usage | None
    completion_tokens_estimate: int  # From its length, for an engine that did not count.


def read_whole(body: bytes, public_model: str) -> WholeReply:
    """Read a 200. The bytes stay as they are but for the model's name. Raises UpstreamGarbageError."""
    try:
        text = body.decode()
        values = read_object(text)
    except (UnicodeDecodeError, JsonError) as error:
        raise UpstreamGarbageError("its answer is not JSON") from error
    if "choices" not in values:
        raise UpstreamGarbageError("its answer has no choices")
    if values.get("model", public_model) != public_model:
        changed = f'"model":{json.dumps(public_model, ensure_ascii=False)}'
        body = render(text, scan_object(text), {"model": changed}).encode()
    return WholeReply(
        body=body,
        usage=usage_of(values.get("usage")),
        completion_tokens_estimate=-(-len(body) // _BYTES_PER_TOKEN),
    )


def upstream_refusal(status: int, body: bytes) -> ApiError:
    """Turn a replica's own refusal into ours. Its 401, 403, 404 and 5xx are our fault, not the client's."""
    message, kind = _error_of(body)
    if "context" in kind or "context length" in message.lower():
        return ApiError(
            400, "context_length_exceeded", f"{message} Shorten the prompt.", param="messages"
        )
    if status in {400, 413, 422}:
        return ApiError(400, "upstream_rejected", f"{message} Correct the request.")
    if status == 429:
        return ApiError(
            503, "overloaded", "The replica is full. Try again shortly.", retry_after_seconds=1
        )
    return upstream_failed(f"it answered {status}")


def _error_of(body: bytes) -> tuple[str, str]:
    """Return message and type of an error object, as far as it is one."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return "The serving program refused the request.", ""
    message = str(error.get("message") or "The serving program refused the request.")
    return message[:_MESSAGE_CHARACTERS_MAX].rstrip(". ") + ".", str(error.get("type") or "")
