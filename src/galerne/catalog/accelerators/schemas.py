"""Shapes of accelerator types."""

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class AcceleratorType:
    """What is known of one type. Figures are for one accelerator."""

    name: str
    vendor: str
    memory_bytes: int
    tdp_watts: int | None  # None: the vendor has published none.
    interconnect: str
    source: str
    aliases: tuple[str, ...]


class AcceleratorOut(BaseModel):
    """An accelerator type as the API shows it."""

    name: str
    vendor: str
    memory_bytes: int
    tdp_watts: int | None
    interconnect: str
    source: str
    aliases: list[str]


class AcceleratorsOut(BaseModel):
    """The whole list; it is short and is not paged."""

    items: list[AcceleratorOut]
    as_of: str


def accelerator_out(accelerator: AcceleratorType) -> AcceleratorOut:
    return AcceleratorOut(
        name=accelerator.name,
        vendor=accelerator.vendor,
        memory_bytes=accelerator.memory_bytes,
        tdp_watts=accelerator.tdp_watts,
        interconnect=accelerator.interconnect,
        source=accelerator.source,
        aliases=list(accelerator.aliases),
    )
