"""Look-ups of accelerator types. Pure: the data ships with the package (`accelerators.yaml`)."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from galerne.catalog.accelerators.errors import UnknownAccelerator
from galerne.catalog.accelerators.schemas import AcceleratorType
from galerne.kit.units import parse_size_bytes


@cache
def _data() -> dict[str, Any]:
    text = files("galerne.catalog.accelerators").joinpath("accelerators.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    assert isinstance(data, dict)
    return data


def as_of() -> str:
    """Return the date on which the data was last checked."""
    return str(_data()["as_of"])


@cache
def accelerator_types() -> Mapping[str, AcceleratorType]:
    """Return all known types by name."""
    found = {}
    for entry in _data()["accelerators"]:
        name = entry["name"]
        found[name] = AcceleratorType(
            name=name,
            vendor=entry["vendor"],
            memory_bytes=parse_size_bytes(entry["memory"]),
            tdp_watts=entry["tdp_watts"],
            interconnect=entry["interconnect"],
            source=entry["source"],
            aliases=tuple(entry["aliases"]),
        )
    return found


@cache
def _names() -> Mapping[str, str]:
    """Every spelling, in lower case, to the type's name."""
    return {
        spelling.lower(): accelerator.name
        for accelerator in accelerator_types().values()
        for spelling in (accelerator.name, *accelerator.aliases)
    }


def canonical_name(spelling: str) -> str:
    """Return the type's own name for any known spelling; an unknown one as it is.

    Hardware that the data does not know yet can still be reported, asked for and placed.
    """
    return _names().get(spelling.strip().lower(), spelling.strip())


def accelerator_type(spelling: str) -> AcceleratorType:
    """Return the type. Raises `UnknownAccelerator`, naming the nearest and all that are known."""
    found = accelerator_types().get(canonical_name(spelling))
    if found is not None:
        return found
    known = sorted(accelerator_types())
    near = get_close_matches(spelling.lower(), list(_names()), n=1)
    guess = f"did you mean {_names()[near[0]]}? " if near else ""
    raise UnknownAccelerator(
        f"{spelling!r} is not a known accelerator type",
        hint=f"{guess}known are: {', '.join(known)}",
    )
