"""One inference request: read and checked once, then spelled for the replica that will answer it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galerne.gateway.dialects.fields import NEUTRAL, EndpointFields
from galerne.gateway.errors import ApiError, invalid_value
from galerne.gateway.scan import JsonError, Member, render, scan_object
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
    members: dict[str, Member]
    model: str
    stream: bool
    usage_asked: bool
    changes: dict[str, str | None]  # As `scan.render` takes them.
    extra: str
    ignored: list[str]

    @property
    def prompt_tokens_estimate(self) -> int:
        """Guess the prompt's tokens from its length, for a request whose engine never said."""
        member = self.members[self.fields.required]
        return -(-(member.end - member.start) // _BYTES_PER_TOKEN)

    @property
    def max_tokens(self) -> int | None:
        for name in ("max_completion_tokens", "max_tokens"):
            if name in self.members and self.members[name].value is not None:
                return int(self.members[name].value)
        return None

    def for_replica(self, model_name: str) -> bytes:
        """Spell the body for a replica: the customer's own bytes wherever nothing must change."""
        changes = self.changes
        if model_name != self.model:
            changes = {**changes, "model": f'"model":{json.dumps(model_name)}'}
        if not changes and not self.extra:
            return self.raw
        return render(self.text, self.members, changes, self.extra).encode()

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
        member = self.members.get(name)
        if member is None or member.value is None:
            return
        value = "required" if (name, member.value) == ("tool_choice", "any") else member.value
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
    text, members = _parse(body)
    known, changes, ignored = fields.known, dict[str, str | None](), list[str]()
    for name, member in members.items():
        field = known.get(name)
        if field is None:
            changes[name] = None
            ignored.append(name)
            continue
        expected = None if member.value is None else field.check(member.value)
        if expected is not None:
            raise invalid_value(name, expected)
        if member.value is None or not field.forwarded:
            changes[name] = None
        elif field.renamed is not None:
            changes[name] = _renamed(members, name, field.renamed)
    _required(members, ("model", fields.required))
    stream, usage_asked, extra = _streaming(members, changes)
    if "tool_choice" in members and members["tool_choice"].value == "any":
        changes["tool_choice"] = '"tool_choice":"required"'
    return InferenceRequest(
        fields=fields,
        raw=body,
        text=text,
        members=members,
        model=members["model"].value,
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


def _parse(body: bytes) -> tuple[str, dict[str, Member]]:
    try:
        text = body.decode()
        return text, scan_object(text)
    except UnicodeDecodeError as error:
        reason, position = "not UTF-8", error.start
    except JsonError as error:
        reason, position = error.reason, error.position
    raise ApiError(
        400,
        "invalid_json",
        f"The body is not valid JSON: {reason} at position {position}. Send one JSON object in UTF-8.",
    )


def _required(members: Mapping[str, Member], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in members or members[name].value is None:
            raise ApiError(400, "missing_field", f"'{name}' is required.", param=name)


def _renamed(members: Mapping[str, Member], name: str, renamed: str) -> str | None:
    """Spell a member under the other dialect's name; both may be given if they agree."""
    member, other = members[name], members.get(renamed)
    if other is None or other.value is None:
        return f'"{renamed}":{json.dumps(member.value)}'
    if other.value != member.value:
        raise invalid_value(name, f"equal to '{renamed}', or one of the two left out")
    return None


def _streaming(
    members: Mapping[str, Member], changes: dict[str, str | None]
) -> tuple[bool, bool, str]:
    """Read the streaming options, and make the engine report usage at the end of every stream."""
    stream = "stream" in members and bool(members["stream"].value)
    options: Any = members["stream_options"].value if "stream_options" in members else None
    asked = stream and options is not None and options.get("include_usage") is True
    if "stream_options" not in members:
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
