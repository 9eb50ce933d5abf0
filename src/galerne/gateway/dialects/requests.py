"""One inference request: read and checked once, then spelled for the replica that will answer it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galerne.gateway.dialects.fields import NEUTRAL, EndpointFields
from galerne.gateway.errors import ApiError, invalid_value
from galerne.gateway.scan import JsonError, read_object, render, scan_object
from galerne.gateway.snapshot import ServedModel

WARNED_FIELDS_MAX = 10
_BYTES_PER_TOKEN = 4  # Of a prompt that no engine counted; about right for European text.
_USAGE_WANTED = '"stream_options":{"include_usage":true}'


@dataclass(slots=True)
class InferenceRequest:
    """What a customer asked, with the text that it was asked in."""

    fields: EndpointFields
    raw: bytes
    text: str
    values: dict[str, Any]
    model: str
    stream: bool
    usage_asked: bool
    changes: dict[str, str | None]  # As `scan.render` takes them.
    extra: str
    ignored: list[str]

    @property
    def prompt_tokens_estimate(self) -> int:
        """Guess the prompt's tokens from its length, for a request whose engine never said."""
        return -(-len(json.dumps(self.values[self.fields.required])) // _BYTES_PER_TOKEN)

    @property
    def max_tokens(self) -> int | None:
        for name in ("max_completion_tokens", "max_tokens"):
            if self.values.get(name) is not None:
                return int(self.values[name])
        return None

    def for_replica(self, model_name: str) -> bytes:
        """Spell the body for a replica: the customer's own bytes wherever nothing must change."""
        changes = self.changes
        if model_name != self.model:
            changes = {**changes, "model": f'"model":{json.dumps(model_name)}'}
        if changes:
            return render(self.text, scan_object(self.text), changes, self.extra).encode()
        if self.extra:
            # The object has members, so that one more can follow them.
            return b"%b,%b}" % (self.raw[: self.raw.rindex(b"}")], self.extra.encode())
        return self.raw

    def check_against(self, served: ServedModel) -> None:
        """Refuse what the model's serving program would not honour. Raises ApiError."""
        for entry in served.refused_fields:
            self._check_refused(entry)
        asked = self.max_tokens
        if (
            asked is not None
            and served.context_tokens is not None
            and asked > served.context_tokens
        ):
            raise ApiError(
                400,
                "context_length_exceeded",
                f"{asked} tokens were asked, and '{served.name}' holds {served.context_tokens} "
                "for prompt and answer together. Ask for fewer.",
                param="max_tokens",
            )

    def _check_refused(self, entry: str) -> None:
        """Raise if `entry` (see `runtimes.base.Runtime.refused_fields`) forbids what was sent."""
        endpoint, _, field = entry.rpartition(":")
        if endpoint and endpoint != self.fields.endpoint:
            return
        name, _, wanted = field.partition("=")
        value = self.values.get(name)
        if value is None:
            return
        if (name, value) == ("tool_choice", "any"):
            value = "required"
        if wanted:
            if wanted not in {value if isinstance(value, str) else "", _kind(value)}:
                return
        elif value in NEUTRAL.get(name, ()):
            return
        raise ApiError(
            400,
            "refused_field",
            f"'{name}' with this value is not supported by this model's serving program, and ignoring "
            "it would change the answer. Leave it out or choose another model.",
            param=name,
        )


def read_request(fields: EndpointFields, body: bytes) -> InferenceRequest:
    """Read and check a body. Raises ApiError that names the field or the position."""
    text, values = _parse(body)
    known, changes, ignored = fields.known, dict[str, str | None](), list[str]()
    for name, value in values.items():
        field = known.get(name)
        if field is None:
            changes[name] = None
            ignored.append(name)
            continue
        expected = None if value is None else field.check(value)
        if expected is not None:
            raise invalid_value(name, expected)
        if value is None or not field.forwarded:
            changes[name] = None
        elif field.renamed is not None:
            changes[name] = _renamed(values, name, field.renamed)
    _required(values, ("model", fields.required))
    stream, usage_asked, extra = _streaming(values, changes)
    if values.get("tool_choice") == "any":
        changes["tool_choice"] = '"tool_choice":"required"'
    return InferenceRequest(
        fields=fields,
        raw=body,
        text=text,
        values=values,
        model=values["model"],
        stream=stream,
        usage_asked=usage_asked,
        changes=changes,
        extra=extra,
        ignored=ignored,
    )


def warning(ignored: list[str]) -> bytes:
    """Spell the header that names ignored fields, with nothing in it that a header may not hold."""
    names = [
        "".join(c if c.isascii() and c.isprintable() and c != '"' else "?" for c in name[:40])
        for name in ignored[:WARNED_FIELDS_MAX]
    ]
    return f"ignored fields: {', '.join(names)}".encode()


def _parse(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = body.decode()
        return text, read_object(text)
    except UnicodeDecodeError as error:
        reason, position = "not UTF-8", error.start
    except JsonError as error:
        reason, position = error.reason, error.position
    raise ApiError(
        400,
        "invalid_json",
        f"The body is not valid JSON: {reason} at position {position}. Send one JSON object in UTF-8.",
    )


def _required(values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if values.get(name) is None:
            raise ApiError(400, "missing_field", f"'{name}' is required.", param=name)


def _renamed(values: Mapping[str, Any], name: str, renamed: str) -> str | None:
    """Spell a member under the other dialect's name; both may be given if they agree."""
    value, other = values[name], values.get(renamed)
    if other is None:
        return f'"{renamed}":{json.dumps(value)}'
    if other != value:
        raise invalid_value(name, f"equal to '{renamed}', or one of the two left out")
    return None


def _streaming(values: Mapping[str, Any], changes: dict[str, str | None]) -> tuple[bool, bool, str]:
    """Read the streaming options, and make the engine report usage at the end of every stream."""
    stream = bool(values.get("stream"))
    options: Any = values.get("stream_options")
    asked = stream and options is not None and options.get("include_usage") is True
    if "stream_options" not in values:
        return stream, False, _USAGE_WANTED if stream else ""
    if not asked or len(options) > 1:
        # Anything else in it would be a private switch of the serving program.
        changes["stream_options"] = _USAGE_WANTED if stream else None
    return stream, asked, ""


def _kind(value: Any) -> str:
    match value:
        case dict():
            return "object"
        case list():
            return "array"
        case bool():
            return str(value).lower()
        case _:
            return type(value).__name__
