"""Settings of the server's processes: a TOML file, then environment variables, each key checked by name.

Read by the entry points only and passed down as arguments. An unknown or ill-typed key stops the
process with its name, where it stands, and the nearest known one.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from galerne.kit.units import parse_size_bytes

ENV_PREFIX = "GALERNE_"
ENV_NESTING = "__"
# Variables of the same prefix that are not settings: the client's, and those that workloads see.
ENV_OTHERS = frozenset(
    {"URL", "API_KEY", "PROJECT", "CONFIG", "SERVER_CONFIG", "GATEWAY_URL", "CONTEXT"}
)
ENV_OTHER_PREFIXES = ("FAKE_", "INPUT_", "BENCH_", "REQUIRE_", "TEST_")


DATABASE_SCHEMES = ("sqlite+aiosqlite:///", "postgresql+asyncpg://")


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what was expected."""


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSettings(Section):
    """The site that this machine is. Without a country no label that names places allows it."""

    name: str = Field(
        "local",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="What `regions` and `galerne sites` call it.",
    )
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")
    operator: str = Field("self", description="Who runs it, as proofs name them.")
    operator_subject_to: list[str] = Field(
        [], description="Countries whose law reaches the operator."
    )
    certifications: list[str] = Field([], description="As SecNumCloud, HDS; labels ask for them.")
    grid_zone: str | None = Field(None, description="As FRA; gives the carbon of a kilowatt-hour.")
    pue: float = Field(
        1.0, ge=1.0, le=5.0, description="Energy at the site's meter for each unit at the node."
    )
    power_cap_watts: int | None = Field(
        None, gt=0, description="What is placed here never draws more, by the power model."
    )


class ListenSettings(Section):
    """Where a process listens."""

    host: str = Field("127.0.0.1", description="Address to listen on; TLS is a proxy's business.")
    port: int = Field(ge=1, le=65_535, description="Port to listen on.")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


class WorkerSettings(Section):
    """How the worker looks after things."""

    idle_seconds: float = Field(0.25, gt=0, le=60, description="Pause between passes without work.")
    host: str = Field("127.0.0.1", description="Address for health and metrics.")
    port: int | None = Field(
        None, ge=1, le=65_535, description="Port for health and metrics; none is opened without."
    )


class LogSettings(Section):
    """What the processes say of themselves."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is said."
    )
    format: Literal["json", "text"] = Field(
        "json", description="`text` is for people at a terminal."
    )


class RegistrySettings(Section):
    """Bounds of what is uploaded."""

    blob_bytes_max: Annotated[
        int,
        BeforeValidator(lambda v: parse_size_bytes(v) if isinstance(v, str) else v),
        Field(description="Largest single upload, also written as `64GiB`."),
    ] = 2**36


class Settings(BaseSettings):
    """All settings, with their defaults."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_NESTING, extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        Path(".galerne"), description="Where keys, objects, logs and the embedded database are."
    )
    database_url: str | None = Field(
        default=None, description="SQLite in the data directory if left out."
    )
    site: SiteSettings = SiteSettings()
    api: ListenSettings = ListenSettings(port=8700)
    gateway: ListenSettings = ListenSettings(port=8701)
    worker: WorkerSettings = WorkerSettings()
    log: LogSettings = LogSettings()
    registry: RegistrySettings = RegistrySettings()

    @field_validator("database_url")
    @classmethod
    def _database_is_one_we_know(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(DATABASE_SCHEMES):
            # The value may hold a password: the error does not repeat it.
            raise ValueError(f"must begin with {' or '.join(DATABASE_SCHEMES)}")
        return value

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'galerne.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _file.get())


# Which file the settings that are being read come from: the library asks the class, not the call.
_file: ContextVar[Path | None] = ContextVar("file", default=None)


def load_settings(
    config: Path | None = None, *, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read the file (`config`, or GALERNE_SERVER_CONFIG), the environment, then `overrides`.

    Raises `SettingsError`.
    """
    named = os.environ.get(f"{ENV_PREFIX}SERVER_CONFIG")
    path = config or (Path(named) if named else None)
    if path is not None and not path.is_file():
        raise SettingsError(f"{path}: there is no such file")
    unknown = list(_unknown_variables(os.environ))
    if unknown:
        raise SettingsError("; ".join(unknown))
    token = _file.set(path)
    try:
        settings = Settings(**dict(overrides or {}))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except SourceError as error:
        raise SettingsError(f"{error}; write lists as JSON") from None
    finally:
        _file.reset(token)
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Name the variables of our prefix that mean nothing: the library would pass over them."""
    for name in environment:
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or rest in ENV_OTHERS or rest.startswith(ENV_OTHER_PREFIXES):
            continue
        path = rest.lower().split(ENV_NESTING)
        if not _is_known(path):
            yield f"unknown variable {name}{_nearest(path)}"


def _is_known(path: list[str]) -> bool:
    model: Any = Settings
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return False
        model = field.annotation
    return True


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        where = ".".join(path)
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown setting {where}{_nearest(path)}")
        else:
            got = "" if where == "database_url" else f", got {item['input']!r}"
            lines.append(f"setting {where}: {item['msg']}{got}")
    return "; ".join(lines)


def _nearest(path: list[str]) -> str:
    model: Any = Settings
    known: list[str] = []
    for section in path[:-1]:
        field = getattr(model, "model_fields", {}).get(section)
        if field is None:
            break
        known.append(section)
        model = field.annotation
    fields = getattr(model, "model_fields", {})
    close = difflib.get_close_matches(path[len(known)], fields, n=1)
    return f"; did you mean {'.'.join([*known, close[0]])}?" if close else ""
