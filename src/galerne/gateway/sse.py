"""Read a stream of server-sent events as it passes: count tokens, find usage, show the public model name.

Whole events pass as bytes, many at a time; only the first event and those that end a stream are parsed.
The result does not depend on how the bytes were cut into pieces on the way.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from galerne.gateway.scan import JsonError, Member, render, scan_object

_DONE = b"data: [DONE]\n\n"
_WHOLE = b"}\n\n"  # How an event ends that is not cut short; anything else is parsed to be sure.
_EMPTY_EVENTS = re.compile(rb"\n{3,}")
# Inside a JSON string these quotes would be escaped, so text of a model cannot look like a marker.
_MARKERS = (b'"usage"', b'"finish_reason":"', b'"finish_reason": "', b"[DONE]", b'"error"')


class StreamError(Exception):
    """The upstream's bytes are not a stream of events that we can read."""


class Usage(NamedTuple):
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


def usage_of(value: object) -> Usage | None:
    """Read a `usage` object; None if it is not one."""
    if not isinstance(value, dict):
        return None
    details = value.get("prompt_tokens_details")
    cached = (details.get("cached_tokens") or 0) if isinstance(details, dict) else 0
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens", 0)
    if not (isinstance(prompt, int) and isinstance(completion, int) and isinstance(cached, int)):
        return None
    return Usage(prompt, completion, cached) if min(prompt, completion, cached) >= 0 else None


class StreamRewriter:
    """One pass over one stream. Feed it pieces; it returns what the client gets."""

    def __init__(
        self,
        public_model: str,
        *,
        usage_asked: bool,
        event_bytes_max: int,
        extension: Callable[[Usage], str | None] = lambda _: None,
    ) -> None:
        self.usage: Usage | None = None
        self.text_events = 0  # About one token each; the count when the engine's never comes.
        self.done = False
        self.failed = False  # The engine said `error` inside the stream.
        self._model = json.dumps(public_model, ensure_ascii=False)
        self._usage_asked = usage_asked
        self._event_bytes_max = event_bytes_max
        self._extension = extension
        self._tail = b""
        self._after_cr = False  # The last byte was a CR; an LF right after it is part of it.
        self._first = True
        self._needle = b""
        self._replacement = b""

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return the whole events it completes, rewritten. Raises StreamError."""
        if self._after_cr or b"\r" in data:
            data = self._plain_newlines(data)
        if self._tail:
            data = self._tail + data
        if data.startswith(b"\n") or b"\n\n\n" in data:
            data = _EMPTY_EVENTS.sub(b"\n\n", data).lstrip(b"\n")
        end = data.rfind(b"\n\n")
        if end < 0:
            self._hold(data)
            return b""
        end += 2
        self._hold(data[end:])
        return self._events(data[:end])

    def _plain_newlines(self, data: bytes) -> bytes:
        """Turn CR and CRLF into LF, also when cut between the two. JSON holds neither raw."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        self._after_cr = self._after_cr or data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, tail: bytes) -> None:
        if len(tail) > self._event_bytes_max:
            raise StreamError("an event is too long")
        self._tail = tail

    def _events(self, block: bytes) -> bytes:
        if self.done:
            return b""
        events = block.count(b"\n\ndata:") + block.startswith(b"data:")
        if self._first or _marked(block) or block.count(_WHOLE) < events:
            return b"".join([self._event(event + b"\n\n") for event in block.split(b"\n\n")[:-1]])
        self.text_events += events
        return block.replace(self._needle, self._replacement) if self._needle else block

    def _event(self, event: bytes) -> bytes:
        if self.done:
            return b""
        if not event.startswith(b"data:"):
            if self._first and not event.startswith((b":", b"event:", b"id:", b"retry:")):
                raise StreamError("the answer is not a stream of events")
            return event.replace(self._needle, self._replacement) if self._needle else event
        if not self._first and not _marked(event) and event.endswith(_WHOLE):
            self.text_events += 1
            return event.replace(self._needle, self._replacement) if self._needle else event
        data = event[5:].strip()
        if data == b"[DONE]":
            self.done = True
            return _DONE
        return self._parsed(event, data)

    def _parsed(self, event: bytes, data: bytes) -> bytes:
        try:
            text = data.decode()
            members = scan_object(text)
        except (JsonError, UnicodeDecodeError) as error:
            raise StreamError(f"an event is not JSON: {error}") from None
        if "error" in members and members["error"].value is not None:
            self.failed = self.done = True
            return b""
        if self._first:
            self._first = False
            self._learn(text, members.get("model"))
        choices = members["choices"].value if "choices" in members else []
        self.text_events += any(_has_text(choice) for choice in choices)
        changes = self._usage(text, members)
        if changes is None:
            return b""
        if changes:
            event = b"data: " + render(text, members, changes).encode() + b"\n\n"
        return event.replace(self._needle, self._replacement) if self._needle else event

    def _learn(self, text: str, model: Member | None) -> None:
        """Remember how this engine spells its model, to replace it in the events that follow."""
        if model is None:
            return
        spelled = text[model.start : model.end]
        wanted = f'"model":{self._model}'
        if model.value != json.loads(self._model):
            self._needle, self._replacement = spelled.encode(), wanted.encode()

    def _usage(self, text: str, members: dict[str, Member]) -> dict[str, str | None] | None:
        """Note the usage, and say what becomes of it: {} as it is, None drops the event."""
        usage = usage_of(members["usage"].value) if "usage" in members else None
        if usage is None:
            return {}
        self.usage = usage
        if self._usage_asked:
            extension = self._extension(usage)
            if extension is None:
                return {}
            member = members["usage"]
            return {"usage": f'{text[member.start : member.end - 1]},"galerne":{extension}}}'}
        if not members["choices"].value if "choices" in members else True:
            return None
        return {"usage": None}


def _marked(block: bytes) -> bool:
    return any(marker in block for marker in _MARKERS)


def _has_text(choice: Any) -> bool:
    """Say whether a choice of a chunk carries text or a part of a tool call."""
    if not isinstance(choice, dict):
        return False
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return False
    return any(value for key, value in delta.items() if key != "role")
