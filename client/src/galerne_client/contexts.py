"""Which platform, with which key: contexts in a file of the user's, overridden by the environment.

Order: arguments, then GALERNE_URL, GALERNE_API_KEY, GALERNE_PROJECT and GALERNE_GATEWAY_URL, then the
chosen context of `~/.config/galerne/config.toml`, then what `galerne up` left in its data directory.
A key is only ever sent to the address it was stored with: another address needs another key.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galerne_client.errors import ConfigurationError

CONFIG_BYTES_MAX = 1_000_000
OPERATOR_CONTEXT_FILE = "operator.toml"
OPERATOR_CONTEXT = "operator"
DATA_DIRECTORY = ".galerne"


@dataclass(frozen=True, slots=True)
class Context:
    """A platform, a key for it, and the project that is meant when none is named."""

    name: str
    url: str
    api_key: str | None
    project: str | None = None
    gateway_url: str | None = None  # Of the LLM API, where that is another address.


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every stored context, and the one in use."""

    contexts: Mapping[str, Context]
    current: str | None

    def with_context(self, context: Context) -> "Configuration":
        """Store `context` and use it from now on."""
        return Configuration({**self.contexts, context.name: context}, context.name)

    def without(self, name: str) -> "Configuration":
        left = {key: value for key, value in self.contexts.items() if key != name}
        return Configuration(left, self.current if self.current in left else None)


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Say where the contexts are stored."""
    if named := environ.get("GALERNE_CONFIG"):
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config"
    return Path(base) / "galerne" / "config.toml"


def load(path: Path) -> Configuration:
    """Read the stored contexts; none where there is no file."""
    data = _read_toml(path)
    contexts = data.get("contexts", {})
    if not isinstance(contexts, dict):
        raise ConfigurationError(f"{path}: contexts is not a table", hint="run `galerne login`")
    return Configuration(
        {name: _context(name, fields, path) for name, fields in contexts.items()},
        data.get("current"),
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > CONFIG_BYTES_MAX:
            raise ConfigurationError(f"{path} is too large to be a configuration")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"cannot read {path}: {error}", hint="repair it, or delete it and run `galerne login`"
        ) from error


def _context(name: str, fields: Any, path: Path) -> Context:
    if not isinstance(fields, dict) or not isinstance(fields.get("url"), str):
        raise ConfigurationError(
            f"{path}: the context {name!r} has no url",
            code="context_invalid",
            hint=f"run `galerne login --context {name}`",
        )
    return Context(
        name,
        fields["url"],
        fields.get("api_key"),
        fields.get("project"),
        fields.get("gateway_url"),
    )


def save(configuration: Configuration, path: Path) -> None:
    """Write the contexts so that only the user can read them; whole or not at all."""
    lines = []
    if configuration.current:
        lines += [f"current = {json.dumps(configuration.current)}", ""]
    for context in configuration.contexts.values():
        lines += [f"[contexts.{json.dumps(context.name)}]", *_lines(context), ""]
    _write_private(path, "\n".join(lines))


def write_operator_context(
    data_directory: Path, *, url: str, api_key: str, gateway_url: str | None = None
) -> Path:
    """Leave the operator's context where the `galerne` command finds it; for `galerne up`."""
    path = data_directory / OPERATOR_CONTEXT_FILE
    context = Context(OPERATOR_CONTEXT, url, api_key, gateway_url=gateway_url)
    _write_private(path, "\n".join([*_lines(context), ""]))
    return path


def _lines(context: Context) -> list[str]:
    fields = {
        "url": context.url,
        "gateway_url": context.gateway_url,
        "api_key": context.api_key,
        "project": context.project,
    }
    # A TOML basic string is written as a JSON string is.
    return [f"{name} = {json.dumps(value)}" for name, value in fields.items() if value is not None]


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def operator_context(environ: Mapping[str, str] = os.environ) -> Context | None:
    """Find the context that `galerne up` left: in GALERNE_DATA_DIR, else in ./.galerne."""
    directory = Path(environ.get("GALERNE_DATA_DIR") or DATA_DIRECTORY)
    path = directory / OPERATOR_CONTEXT_FILE
    fields = _read_toml(path)
    return _context(OPERATOR_CONTEXT, fields, path) if fields else None


def resolve(
    *,
    url: str | None = None,
    api_key: str | None = None,
    project: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Context:
    """Say which platform is meant, with which key. Raises ConfigurationError."""
    url = url or environ.get("GALERNE_URL")
    api_key = api_key or environ.get("GALERNE_API_KEY")
    project = project or environ.get("GALERNE_PROJECT")
    stored = _stored(context or environ.get("GALERNE_CONTEXT"), environ)
    if url and (stored is None or _same(url) != _same(stored.url)):
        stored = Context("environment", url, None)
    if stored is None:
        raise ConfigurationError(
            "no platform is configured",
            code="not_configured",
            hint="run `galerne login URL`, set GALERNE_URL and GALERNE_API_KEY, or start one with"
            " `galerne up`",
        )
    return replace(
        stored,
        api_key=api_key or stored.api_key,
        project=project or stored.project,
        gateway_url=environ.get("GALERNE_GATEWAY_URL") or stored.gateway_url,
    )


def _stored(name: str | None, environ: Mapping[str, str]) -> Context | None:
    if name == OPERATOR_CONTEXT:
        return operator_context(environ)
    configuration = load(config_path(environ))
    wanted = name or configuration.current
    if wanted is None:
        return operator_context(environ)
    if wanted not in configuration.contexts:
        known = ", ".join(sorted(configuration.contexts)) or "none"
        raise ConfigurationError(
            f"there is no context {wanted!r}; known: {known}",
            code="context_unknown",
            hint="`galerne config` lists them, `galerne login` adds one",
        )
    return configuration.contexts[wanted]


def _same(url: str) -> str:
    return url.rstrip("/")
