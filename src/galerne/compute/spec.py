"""The words that every workload's YAML shares: resources, environment, files, inputs, label-bound network.

The words are dstack's where it has them (`resources`, `max_duration`, `stop_duration`, `retry`,
`regions`), so that a file written for it reads the same here. Unknown keys are refused by name.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from galerne.drivers.base import Network, Resources
from galerne.kit.units import parse_duration_seconds, parse_size_bytes

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
FILES_MAX = 1_000
COMMANDS_MAX = 1_000
ENVIRONMENT_MAX = 1_000
_GPU = re.compile(
    r"^(?:(?P<type>[A-Za-z][A-Za-z0-9-]*):)?(?P<count>\d{1,4})$|^(?P<one>[A-Za-z][A-Za-z0-9-]*)$"
)


def _size(value: object) -> object:
    return parse_size_bytes(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration_seconds(value) if isinstance(value, str) else value


def relative_path(value: str) -> str:
    """Accept a path that stays below where it starts."""
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts or "\0" in value:
        raise ValueError(f"{value!r} must be a relative path without '..'")
    return str(path)


SizeBytes = Annotated[
    int,
    BeforeValidator(_size, json_schema_input_type=str | int),
    Field(gt=0, le=2**50, examples=["4GB", "512MiB"]),
]
DurationSeconds = Annotated[
    int,
    BeforeValidator(_duration, json_schema_input_type=str | int),
    Field(gt=0, le=366 * 24 * 3600, examples=["90s", "10m", "1h30m"]),
]
RelativePath = Annotated[str, Field(max_length=1_000), AfterValidator(relative_path)]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]


class Spec(BaseModel):
    """Base of everything in a workload file: an unknown key is an error, not a wish unheard."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResourcesSpec(Spec):
    """What each node gives. `cpu` in cores, `gpu` as `B200:4`, `B200` or a bare count."""

    cpu: Annotated[float, Field(gt=0, le=4096)] = 1
    memory: SizeBytes = 1_000_000_000
    disk: SizeBytes = 1_000_000_000
    gpu: Annotated[str | int | None, Field(examples=["B200:4", "H100", 1])] = None

    @field_validator("gpu")
    @classmethod
    def _gpu_is_understood(cls, value: str | int | None) -> str | int | None:
        if value is not None and value not in ("none", 0) and not _GPU.match(str(value)):
            raise ValueError(f"{value!r} is not a GPU request; write it as B200:4, B200 or 4")
        return value

    def accelerators(self) -> tuple[str | None, int]:
        """Return the type, or None for any, and the count."""
        if self.gpu in (None, "none", 0):
            return None, 0
        match = _GPU.match(str(self.gpu))
        assert match is not None
        if match["one"]:
            return match["one"], 1
        return match["type"], int(match["count"])

    def per_node(self) -> Resources:
        """Return the request as drivers and placement count it."""
        accelerator_type, accelerators = self.accelerators()
        return Resources(
            cpu_millis=round(self.cpu * 1000),
            memory_bytes=self.memory,
            disk_bytes=self.disk,
            accelerators=accelerators,
            accelerator_type=accelerator_type,
        )


class InputSpec(Spec):
    """Something from the registry, mounted read-only; its path is in GALERNE_INPUT_<NAME>."""

    name: Name
    dataset: str | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _names_one_thing(self) -> "InputSpec":
        if (self.dataset is None) == (self.model is None):
            raise ValueError("an input names either a dataset or a model")
        return self


class UploadedFile(Spec):
    """A file of the workload, sent as a blob before."""

    path: RelativePath
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]
    executable: bool = False


class WorkloadSpec(Spec):
    """Keys that jobs and deployments share."""

    name: Name
    env: Annotated[dict[str, str], Field(max_length=ENVIRONMENT_MAX)] = {}
    resources: ResourcesSpec = ResourcesSpec()
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    regions: Annotated[
        list[str], Field(max_length=1, description="The site to run at; any in the label if empty.")
    ] = []
    stop_duration: DurationSeconds = 10
    tags: Annotated[dict[str, str], Field(max_length=50)] = {}

    @field_validator("env", mode="before")
    @classmethod
    def _env_may_be_a_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            pairs = [str(item).partition("=") for item in value]
            if any(not separator for _, separator, _ in pairs):
                raise ValueError("a list of variables holds NAME=value items")
            value = {name: text for name, _, text in pairs}
        if isinstance(value, dict):
            return {str(name): _scalar(text) for name, text in value.items()}
        return value

    @field_validator("env")
    @classmethod
    def _env_names_are_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"{name!r} is not a variable name")
            if "\0" in text:
                raise ValueError(f"the value of {name} holds a zero byte")
        return value


def _scalar(value: Any) -> Any:
    # YAML reads `DEBUG: 1` as a number; a variable is text all the same.
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


NetworkWord = Literal[Network.NONE, Network.OPEN]
