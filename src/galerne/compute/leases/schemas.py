"""Shapes of leases."""

from dataclasses import dataclass

from galerne.sovereignty.labels import Label


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """Capacity that somebody wants: all of it at once, on distinct nodes of one site, or none."""

    cpu_millis: int  # Per node, as the next four.
    memory_bytes: int
    disk_bytes: int
    label: Label  # Where it may be.
    accelerators: int = 0
    accelerator_type: str | None = None  # None: any type will do.
    nodes: int = 1
    site: str | None = None  # Name of the only site wanted.
    priority: int = 50  # Higher goes first.
