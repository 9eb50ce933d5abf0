# ruff: noqa: INP001 - a script is run, not imported
"""Write all of `docs/reference/` but the CLI, from the code. The same code gives the same bytes.

`scripts/generate.py` calls it. What people read is taken from where it is kept true: fields' descriptions,
docstrings, the comments beside states, the text of an error where it is raised.
"""

import ast
import importlib
import inspect
import io
import pkgutil
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import galerne
from galerne.config import ENV_NESTING, ENV_PREFIX, Settings
from galerne.drivers.base import ExitCause
from galerne.entrypoints.failures import StartError
from galerne.events.kinds import KINDS
from galerne.rest.errors import GalerneError
from galerne.sovereignty.keys import SigningKeyUnusableError

PACKAGE = Path(galerne.__file__).parent
NOT_IMPORTED = "galerne.db.migrations"  # Runs when it is imported: Alembic's own.
START_CODES = {each.code: inspect.getdoc(each) or "" for each in StartError.__subclasses__()}
GENERATED = "Generated from the code by `make docs`; do not edit.\n"
SETTINGS_PROSE = """\
A process reads a TOML file (`--config`, or `GALERNE_SERVER_CONFIG`), then environment variables, which win,
then its arguments, which win over both. A key with a dot is in a table of the file: `site.country` is
`country` under `[site]`. In the environment, lists are JSON. An unknown or ill-typed key stops the process
and is named.
"""
VARIABLES_PROSE = """\
## Variables that are not settings

The client reads `GALERNE_URL`, `GALERNE_API_KEY` and others: see [the command](cli.md). Workloads find
`GALERNE_INPUT_<NAME>`, `GALERNE_OUTPUTS` and others in theirs: see [Workloads](../concepts/workloads.md).
"""
ERRORS_PROSE = """\
`code` is stable; `title` names its kind; `detail` and `hint` are for people and may change. The control
plane answers with `application/problem+json` (RFC 9457), the gateway with OpenAI's error object. The exit
codes of the client stand with [the command](cli.md).
"""
STATES_PROSE = """\
Each table is the specification of a life: a verb that it does not name is impossible, and every step is an
entry of [the log](events.md), `<noun>.<state>`, in the same transaction.
"""
EVENTS_PROSE = """\
Every entry of the append-only log has an `id`, a time, the organization and project, a `subject_id` (what it
is about), a `kind`, an `actor` (an API key's id, or the part of the platform that acted by itself) and
`data`. It is never changed. A kind that ends in `.*` stands for all of its noun that have no line of their
own. [The record](../concepts/record.md) says how entries become proofs.
"""
API_PROSE = """\
[openapi.json](../../openapi.json) is the whole description; a running platform serves it at
`/api/v1/openapi.json`. A call needs `Authorization: Bearer <key>`, and the key needs the scope that stands
beside it. Lists come newest first, `limit` at a time, with `next_cursor` until there is no more. A POST
with an `Idempotency-Key` may be sent again: it answers what it answered, and does nothing again. Errors are
[problems](errors.md) with a stable `code`.
"""
LLM_PROSE = """\
## The LLM API

The gateway listens on a port of its own and takes the same keys, with the scope `inference`. It speaks
OpenAI's API: what it does not support it refuses by name, and never ignores.
"""
# Made by the framework's own refusals.
FRAMEWORK_CODES = (
    ("no_such_route", 404, "The API has nothing at this path."),
    ("method_not_allowed", 405, "The path is right and takes other methods."),
    ("http_error", None, "Another refusal of the HTTP server."),
)

# Where what is said depends on the case, or says less than a reader needs.
MEANINGS = {
    "backing_off": "The last pass over it failed, as the message says; it is tried again by itself.",
    "context_length_exceeded": "Prompt and answer are longer than the deployment's context.",
    "finishing": "It ended well; its outputs are being stored.",
    "impossible_resources": "No allowed site could ever give what is asked; the message says which part.",
    "interrupted": "The engine lost it: its node failed, or was restarted.",
    "invalid_api_key": "No key, or none that is valid now.",
    "label_allows_no_site": "The label refuses every site that could be meant; each with its reason.",
    "label_refuses_network": "The label does not contain the open network, which is in no known country.",
    "out_of_memory": "The kernel killed it at its memory limit.",
    "placed": "Of a plan: it would start now, on the nodes that are named.",
    "restarts_exhausted": "Replicas failed too often without one that was ever ready.",
    "running": "It runs, or serves.",
    "settings_invalid": "A setting is unknown or wrong; the message names it.",
    "starting": "The engine is starting it; or, of the gateway, it has not loaded its policy yet.",
    "stopped": "Its owner stopped it, or the platform did on its owner's behalf.",
    "time_limit": "It ran for its `max_duration`.",
    "workspace_spoiled": "Its files cannot be laid out: two need one place, or a command moved them.",
    "waiting_for_older": "Nodes are free and kept for requests that have waited longer.",
}


def generate(document: Mapping[str, Any]) -> dict[str, str]:
    """Return every generated page by its file's name."""
    return {
        "settings.md": _page(_settings()),
        "errors.md": _page(_errors()),
        "states.md": _page(_states()),
        "events.md": _page(_events()),
        "api.md": _page(_api(document)),
    }


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- Settings --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return ENV_PREFIX + ENV_NESTING.join(self.path).upper()


def settings(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield every setting, in the order of the models."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, (*path, name))
        else:
            yield Setting((*path, name), _with_default(model, path, name, field))


def _with_default(
    model: type[BaseModel], path: tuple[str, ...], name: str, field: FieldInfo
) -> FieldInfo:
    """Give a field the default that the whole has for it: of a table's field, the table's own."""
    value: Any = Settings.model_construct()
    for part in path:
        value = getattr(value, part)
    merged = field._copy() if hasattr(field, "_copy") else field  # noqa: SLF001 - pydantic's own copy
    merged.default = getattr(value, name, model.model_fields[name].default)
    return merged


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield GENERATED
    yield SETTINGS_PROSE
    sections: dict[str, list[Setting]] = {}
    for setting in settings():
        sections.setdefault(setting.path[0] if len(setting.path) > 1 else "", []).append(setting)
    for section, found in sections.items():
        yield f"## `[{section}]`\n" if section else "## At the top of the file\n"
        if section:
            yield f"{inspect.getdoc(Settings.model_fields[section].annotation)}\n"
        yield from _table(
            ("setting", "variable", "type", "default", "meaning"),
            (
                (
                    f"`{each.key}`",
                    f"`{each.variable}`",
                    _type_text(each.field),
                    _default_text(each.field.default),
                    each.field.description or "",
                )
                for each in found
            ),
        )
    yield VARIABLES_PROSE


def _type_text(field: FieldInfo) -> str:
    annotation = field.annotation
    values = getattr(annotation, "__args__", ())
    if "Literal" in str(annotation):
        return ", ".join(f"`{value}`" for value in values)
    names = [getattr(each, "__name__", str(each)) for each in values if each is not type(None)]
    origin = getattr(getattr(annotation, "__origin__", None), "__name__", None)
    name = f"list of {names[0]}" if origin == "list" else (names or [annotation.__name__])[0]  # type: ignore[union-attr]
    return " ".join([name.replace("str", "text"), *_bounds(field)])


def _bounds(field: FieldInfo) -> Iterator[str]:
    for item in field.metadata:
        match item:
            case Ge(ge=low):
                yield f"≥ {low}"
            case Gt(gt=low):
                yield f"> {low}"
            case Le(le=high):
                yield f"≤ {high}"
            case Lt(lt=high):
                yield f"< {high}"


def _default_text(default: Any) -> str:
    if default is None:
        return "none"
    return f"`{default}`" if default != [] else "empty"


# --- Errors and reasons ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spoken:
    """A code that is given where the error or reason is made, with what is said there."""

    code: str
    status: int | None
    message: str


def modules() -> list[ModuleType]:
    """Import the whole server."""
    names = [each.name for each in pkgutil.walk_packages(galerne.__path__, "galerne.")]
    return [importlib.import_module(name) for name in names if not name.startswith(NOT_IMPORTED)]


def error_classes() -> list[type[GalerneError]]:
    """Return every error of the control plane, once for each code, by status and code."""
    modules()
    found: dict[tuple[int, str], type[GalerneError]] = {}
    waiting: list[type[GalerneError]] = [GalerneError]
    while waiting:
        each = waiting.pop()
        found[each.status, each.code] = each
        waiting += each.__subclasses__()
    return [found[key] for key in sorted(found)]


def _errors() -> Iterator[str]:
    classes = error_classes()
    yield "# Errors\n"
    yield GENERATED
    yield ERRORS_PROSE
    yield "## The control plane\n"
    yield from _table(
        ("code", "status", "title", "meaning"),
        ((f"`{e.code}`", str(e.status), e.title, inspect.getdoc(e) or "") for e in classes),
    )
    yield "Given for one cause of the above:\n"
    statuses = {each.__name__: each.status for each in classes}
    given = [*_spoken(_instance_code(statuses)), *(Spoken(*each) for each in FRAMEWORK_CODES)]
    known = {each.code for each in classes}
    yield from _spoken_table(one for one in given if one.code not in known)
    yield "## The gateway\n"
    yield from _spoken_table(_spoken(_gateway_code))
    yield "## Why a workload waits or ended\n"
    yield "In `reason.code` of a job, deployment or replica, in a plan, and from `galerne why`.\n"
    reasons = {each.code: each for each in (*_causes(), *_spoken(_reason_code))}
    yield from _table(
        ("code", "said"),
        ((f"`{code}`", _meaning(each)) for code, each in sorted(reasons.items())),
    )
    yield "## Processes that do not start\n"
    ends = {each.code: _meaning(each) for each in _spoken(_end_code)}
    ends |= START_CODES | {
        SigningKeyUnusableError.code: inspect.getdoc(SigningKeyUnusableError) or ""
    }
    yield from _table(("code", "said"), ((f"`{code}`", ends[code]) for code in sorted(ends)))


def _spoken_table(spoken: Iterable[Spoken]) -> Iterator[str]:
    unique = {(each.status or 0, each.code): each for each in spoken}
    yield from _table(
        ("code", "status", "said"),
        (
            (f"`{each.code}`", str(each.status or ""), _meaning(each))
            for _, each in sorted(unique.items())
        ),
    )


def _meaning(spoken: Spoken) -> str:
    return MEANINGS.get(spoken.code, spoken.message)


def _causes() -> Iterator[Spoken]:
    for name, meaning in _members(ExitCause).items():
        yield Spoken(name, None, meaning)


def _spoken(read: Callable[[ast.AST], Spoken | None]) -> Iterator[Spoken]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = read(node)
            if found is not None:
                yield found


def _instance_code(statuses: Mapping[str, int]) -> Callable[[ast.AST], Spoken | None]:
    def read(node: ast.AST) -> Spoken | None:
        match node:
            case ast.Call(func=ast.Name(id=name), args=[message, *_], keywords=keywords):
                code = _constant(keywords, "code")
                if name in statuses and code is not None:
                    return Spoken(code, statuses[name], _text(message))
            case ast.Call(func=ast.Name(id="Problem"), keywords=keywords):
                code, status = _constant(keywords, "code"), _constant(keywords, "status")
                title = _constant(keywords, "title")
                if code is not None and status is not None:
                    return Spoken(code, int(status), f"{title}: `errors` names each field.")
        return None

    return read


def _gateway_code(node: ast.AST) -> Spoken | None:
    match node:
        case ast.Call(
            func=ast.Name(id="ApiError"),
            args=[ast.Constant(value=int(status)), ast.Constant(value=str(code)), message, *_],
        ):
            return Spoken(code, status, _text(message))
    return None


def _reason_code(node: ast.AST) -> Spoken | None:
    match node:
        case ast.Call(
            func=ast.Name(id="Why" | "_reason"),
            args=[code_node, message, *_],
        ):
            code = _code_text(code_node)
            return Spoken(code, None, _text(message)) if code else None
        case ast.Call(func=ast.Name(id="LaunchRefused"), args=[message, *_], keywords=keywords):
            code_given = _constant(keywords, "code")
            return Spoken(code_given, None, _text(message)) if code_given else None
        case ast.Dict(
            keys=[ast.Constant(value="code"), ast.Constant(value="message"), *_],
            values=[ast.Constant(value=str(code)), message, *_],
        ):
            return Spoken(code, None, _text(message))
        case ast.Call(func=ast.Name(id="PlacementPlan" | "Preview"), keywords=keywords):
            code_given = _constant(keywords, "code")
            return Spoken(code_given, None, "in a plan") if code_given else None
    return None


def _code_text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(code)):
            return code
        case ast.Name(id=name) if name.isupper():  # A constant, named as its value is.
            return name.lower()
    return None


def _end_code(node: ast.AST) -> Spoken | None:
    match node:
        case ast.Call(func=ast.Name(id="end"), args=[message, *_], keywords=keywords):
            code = _constant(keywords, "code")
            return Spoken(code, None, _text(message)) if code else None
    return None


def _constant(keywords: list[ast.keyword], name: str) -> str | None:
    for keyword in keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _text(node: ast.expr) -> str:
    """Spell a message with `…` where it names something."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.BoolOp(values=[*_, last]):
            return _text(last)
        case _:
            return "…"


# --- States ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """One state table."""

    states: type[StrEnum]
    transitions: Mapping[tuple[Any, str], Any]

    @property
    def noun(self) -> str:
        return self.states.__name__.removesuffix("State").lower()


def lifecycles() -> list[Lifecycle]:
    """Return every state table of the server, by noun."""
    found = []
    for module in modules():
        if module.__name__.endswith(".states"):
            for name, table in vars(module).items():
                if name.endswith("TRANSITIONS"):
                    state, _ = next(iter(table))
                    found.append(Lifecycle(type(state), table))
    return sorted(found, key=lambda each: each.noun)


def _states() -> Iterator[str]:
    yield "# States\n"
    yield GENERATED
    yield STATES_PROSE
    for lifecycle in lifecycles():
        yield from _lifecycle(lifecycle)


def _lifecycle(lifecycle: Lifecycle) -> Iterator[str]:
    moves = lifecycle.transitions
    left = {state for state, _ in moves}
    yield f"## {lifecycle.noun.capitalize()}\n"
    yield f"{inspect.getdoc(lifecycle.states)}\n"
    yield "```mermaid\nstateDiagram-v2"
    yield f"    [*] --> {next(iter(lifecycle.states)).value}"
    yield from (f"    {a.value} --> {b.value}: {verb}" for (a, verb), b in moves.items())
    yield from (f"    {state.value} --> [*]" for state in lifecycle.states if state not in left)
    yield "```\n"
    meanings = _members(lifecycle.states)
    yield from _table(
        ("state", "meaning", "verbs"),
        (
            (
                f"`{state.value}`",
                meanings[state.value] or ("It has ended." if state not in left else ""),
                ", ".join(
                    f"{verb} → `{after.value}`"
                    for (before, verb), after in moves.items()
                    if before is state
                )
                or "none: the end",
            )
            for state in lifecycle.states
        ),
    )


def _members(enum: type[StrEnum]) -> dict[str, str]:
    """Return the comment beside each member of an enum, by its value."""
    source = inspect.getsource(enum)
    comments: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.string.removeprefix("#").strip()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], lineno=first, end_lineno=last):
                lines = range(first, (last or first) + 1)
                found[enum[name].value] = " ".join(comments[n] for n in lines if n in comments)
    return found


# --- Events ----------------------------------------------------------------------------------------


def _events() -> Iterator[str]:
    yield "# Events\n"
    yield GENERATED
    yield EVENTS_PROSE
    yield from _table(
        ("kind", "meaning and data"), ((f"`{kind}`", text) for kind, text in KINDS.items())
    )
    yield "## Changes of state\n"
    yield from _table(
        ("noun", "kinds"),
        (
            (each.noun, ", ".join(f"`{each.noun}.{state.value}`" for state in each.states))
            for each in lifecycles()
        ),
    )


# --- The API ---------------------------------------------------------------------------------------

GATEWAY = (
    ("GET", "/v1/models", "Models that the key may use."),
    ("POST", "/v1/chat/completions", "A chat, streamed or whole."),
    ("POST", "/v1/completions", "A completion, streamed or whole."),
    ("GET", "/healthz", "The process is alive. Needs no key."),
    ("GET", "/readyz", "Requests can be answered. Needs no key."),
    ("GET", "/metrics", "Prometheus. Needs no key."),
)


def _api(document: Mapping[str, Any]) -> Iterator[str]:
    yield "# The API\n"
    yield GENERATED
    yield API_PROSE
    by_tag: dict[str, list[tuple[str, ...]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(
                (
                    f"`{method.upper()} {path}`",
                    _scope_text(operation["security"]),
                    operation["description"].partition("\n\n")[0],
                )
            )
    for tag, rows in sorted(by_tag.items()):
        yield f"## {tag.replace('-', ' ').capitalize()}\n"
        yield from _table(("call", "scope", "what it does"), rows)
    yield LLM_PROSE
    yield from _table(("call", "what it does"), ((f"`{m} {p}`", text) for m, p, text in GATEWAY))


def _scope_text(security: list[dict[str, list[str]]]) -> str:
    if not security:
        return "no key"
    scopes = [scope for each in security for names in each.values() for scope in names]
    return ", ".join(f"`{scope}`" for scope in scopes) or "any key"
