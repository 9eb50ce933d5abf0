"""The plan of a workload before it runs: where and why, what it would cost, what it would draw."""

from typing import Any, Literal

from pydantic import BaseModel

from galerne.compute.admission import Quote
from galerne.rest.money import Money, money


class SiteVerdict(BaseModel):
    """One site against the label."""

    site: str
    country: str | None
    allowed: bool
    reason: str


class PlacementPlan(BaseModel):
    """Where it would run now, or what stands against it."""

    verdict: Literal["placed", "waiting", "refused"]
    site: str | None
    driver: str | None
    nodes: list[str]
    code: str
    reason: str
    hint: str
    sites: list[SiteVerdict]


class Plan(BaseModel):
    """What `apply` shows before it asks."""

    name: str
    kind: Literal["job", "deployment"]
    project: str
    label: dict[str, Any]
    placement: PlacementPlan
    network: str
    price_per_hour: Money
    price_total: Money | None
    duration_seconds: int | None
    energy_watt_hours_per_hour: int
    energy_method: str
    energy_note: str
    carbon_milligrams_per_hour: int | None
    carbon_source: str | None
    warnings: list[str]


def plan(
    *,
    name: str,
    kind: Literal["job", "deployment"],
    project: str,
    label: dict[str, Any],
    placement: PlacementPlan,
    network: str,
    quote: Quote,
    duration_seconds: int | None,
    warnings: list[str],
) -> Plan:
    """Join what was decided and what it would cost."""
    return Plan(
        name=name,
        kind=kind,
        project=project,
        label=label,
        placement=placement,
        network=network,
        price_per_hour=money(quote.price_per_hour),
        price_total=money(quote.total) if quote.total is not None else None,
        duration_seconds=duration_seconds,
        energy_watt_hours_per_hour=quote.energy_watt_hours_per_hour,
        energy_method=quote.energy_method.value,
        energy_note=quote.energy_note,
        carbon_milligrams_per_hour=quote.carbon_milligrams_per_hour,
        carbon_source=quote.carbon_source,
        warnings=warnings,
    )
