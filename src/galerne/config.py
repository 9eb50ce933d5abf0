"""Settings of the server's processes: a TOML file, then environment variables, each key checked by name.

Read by the entry points only and passed down as arguments. An unknown or ill-typed key stops the
process with its name, where it stands, and the nearest known one.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from galerne.kit.units import parse_size_bytes

ENV_PREFIX = "GALERNE_"
ENV_NESTING = "__"
# Variables of the same prefix that are not settings: the client's, and those that workloads see.
ENV_OTHERS = frozenset(
    {"URL", "API_KEY", "PROJECT", "CONFIG", "SERVER_CONFIG", "GATEWAY_URL", "CONTEXT"}
)
ENV_OTHER_PREFIXES = ("FAKE_", "INPUT_", "BENCH_", "REQUIRE_", "TEST_")


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what was expected."""


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSettings(Section):
    """The site that this machine is. Without a country no label that names places allows it."""

    name: str = Field("local", pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")
    operator: str = "self"
    operator_subject_to: list[str] = Field(
        [], description="Countries whose law reaches the operator."
    )
    certifications: list[str] = []
    grid_zone: str | None = Field(None, description="As FRA; gives the carbon of a kilowatt-hour.")
    pue: float = Field(1.0, ge=1.0, le=5.0)
    power_cap_watts: int | None = Field(None, gt=0)


class ListenSettings(Section):
    """Where a process listens."""

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65_535)


class WorkerSettings(Section):
    """How the worker looks after things."""

    idle_seconds: float = Field(0.25, gt=0, le=60, description="Pause between passes without work.")


class LogSettings(Section):
    """What the processes say of themselves."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class RegistrySettings(Section):
    """Bounds of what is uploaded."""

    blob_bytes_max: Annotated[
        int, BeforeValidator(lambda v: parse_size_bytes(v) if isinstance(v, str) else v)
    ] = 2**36


class Settings(Section):
    """All settings, with their defaults."""

    data_dir: Path = Path(".galerne")
    database_url: str | None = Field(None, description="SQLite in the data directory if left out.")
    site: SiteSettings = SiteSettings()
    api: ListenSettings = ListenSettings(port=8700)
    gateway: ListenSettings = ListenSettings(port=8701)
    worker: WorkerSettings = WorkerSettings()
    log: LogSettings = LogSettings()
    registry: RegistrySettings = RegistrySettings()

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'galerne.db'}"


def load_settings(
    config: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the file (`config`, or GALERNE_SERVER_CONFIG), then the environment, then `overrides`.

    Raises `SettingsError`.
    """
    path = config or (
        Path(environment["GALERNE_SERVER_CONFIG"])
        if "GALERNE_SERVER_CONFIG" in environment
        else None
    )
    values: dict[str, Any] = _read_file(path) if path is not None else {}
    _merge(values, _read_environment(environment))
    _merge(values, dict(overrides or {}))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in environment.items():
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or rest in ENV_OTHERS or rest.startswith(ENV_OTHER_PREFIXES):
            continue
        *sections, key = rest.lower().split(ENV_NESTING)
        target = found
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = text.split(",") if _is_list(sections, key) else text
    return found


def _is_list(sections: list[str], key: str) -> bool:
    model: Any = Settings
    for section in sections:
        field = model.model_fields.get(section)
        if field is None:
            return False
        model = field.annotation
    field = model.model_fields.get(key)
    return field is not None and field.annotation == list[str]


def _merge(values: dict[str, Any], others: dict[str, Any]) -> None:
    for key, value in others.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        where = ".".join(path)
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown setting {where}{_nearest(path)}")
        else:
            lines.append(f"setting {where}: {item['msg']}, got {item['input']!r}")
    return "; ".join(lines)


def _nearest(path: list[str]) -> str:
    model: Any = Settings
    for section in path[:-1]:
        model = model.model_fields[section].annotation
    close = difflib.get_close_matches(path[-1], model.model_fields, n=1)
    return f"; did you mean {'.'.join([*path[:-1], close[0]])}?" if close else ""
