"""Shapes of a fleet file and of what importing it did.

A file states sites; a site states racks as templates with counts. Sizes and powers are written as
people write them (`960GB`, `40MW`). An unknown key is refused, with the nearest known one.
"""

import re
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from galerne.compute.spec import Name, SizeBytes

SITES_MAX = 50
RACK_TEMPLATES_MAX = 50
NODES_MAX = 100_000  # In one file.
_POWER = re.compile(r"^(\d+(?:\.\d{1,6})?)\s*(W|kW|MW)$")
_POWER_SCALE = {"W": 1, "kW": 1_000, "MW": 1_000_000}
_ACCELERATORS = r"^[A-Za-z][A-Za-z0-9 -]{0,48}:[1-9]\d{0,2}$"


def _watts(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _POWER.match(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a power; write it as 7300W, 132kW or 40MW")
    return int(Decimal(match[1]) * _POWER_SCALE[match[2]])


Watts = Annotated[
    int,
    BeforeValidator(_watts, json_schema_input_type=str | int),
    Field(gt=0, le=10_000_000_000, examples=["132kW", "40MW"]),
]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=50)]], Field(max_length=30)]


class Stated(BaseModel):
    """Base of everything in a fleet file: an unknown key is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    near = get_close_matches(str(key), cls.model_fields, n=1)
                    known = f"did you mean {near[0]!r}?" if near else f"known are {_keys(cls)}"
                    raise ValueError(f"unknown key {str(key)[:60]!r}; {known}")
        return value


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)


class NodeStated(Stated):
    """One node of a rack."""

    cpu: Annotated[Decimal, Field(gt=0, le=4096, description="Cores.")]
    memory: SizeBytes
    disk: SizeBytes
    accelerators: Annotated[str | None, Field(pattern=_ACCELERATORS, examples=["GB200:4"])] = None
    architecture: Annotated[str, Field(max_length=20)] = "x86_64"
    cpu_model: Annotated[str, Field(max_length=200)] = ""


class RacksStated(Stated):
    """`count` racks that are alike."""

    count: Annotated[int, Field(ge=1, le=10_000)]
    nodes: Annotated[int, Field(ge=1, le=1_000, description="Nodes in each rack.")]
    node: NodeStated
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")] = "r"
    nvlink_domain: Annotated[bool, Field(description="Each rack is one NVLink domain.")] = False
    power: Annotated[
        Watts | None, Field(description="Of one rack at full load, switches and fans included.")
    ] = None
    idle_power: Annotated[Watts | None, Field(description="Of one rack with nothing placed.")] = (
        None
    )


class SiteStated(Stated):
    """One site."""

    name: Name
    country: Country
    operator: Annotated[str, Field(min_length=1, max_length=200)]
    operator_subject_to: Annotated[list[Country], Field(max_length=50)]
    jurisdictions: Words = []
    certifications: Words = []
    grid_zone: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="As FRA or DEU.")]
    pue: Annotated[Decimal, Field(ge=1, le=3)] = Decimal(1)
    power_cap: Watts | None = None
    racks: Annotated[list[RacksStated], Field(min_length=1, max_length=RACK_TEMPLATES_MAX)]

    @property
    def pue_milli(self) -> int:
        return round(self.pue * 1000)


class FleetFile(Stated):
    """A simulated fleet."""

    driver: Annotated[Literal["fake"], Field(description="Only simulated fleets are imported.")]
    sites: Annotated[list[SiteStated], Field(min_length=1, max_length=SITES_MAX)]


class NodeCounts(BaseModel):
    """What happened to the nodes of a site."""

    created: int
    changed: int
    unchanged: int
    drained: int  # No longer in the file: what runs there may end, nothing new starts.


class SiteImport(BaseModel):
    """What importing did to one site."""

    id: str
    name: str
    change: Literal["created", "changed", "unchanged"]
    racks: int
    nodes: NodeCounts
    accelerators: dict[str, int]
    power_idle_watts: int  # At the meter, PUE included, as the next.
    power_full_watts: int
    power_cap_watts: int | None


class FleetImport(BaseModel):
    """What importing a fleet file did."""

    sites: list[SiteImport]
    warnings: list[str]
