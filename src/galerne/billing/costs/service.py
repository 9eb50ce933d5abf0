"""Summaries: from the database's lines to groups and totals. Adds integers, and rounds nothing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.billing.costs.lines import CostFilter, CostLine, GroupBy
from galerne.billing.costs.repository import CostRepository
from galerne.billing.rating import UnitPrice
from galerne.kit.clock import Clock


@dataclass(slots=True)
class Sums:
    """Sums over some usage records."""

    records: int = 0
    unpriced_records: int = 0
    cost_nano: int = 0
    quantities: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    energy_microwatt_hours: int = 0
    energy_methods: set[str] = field(default_factory=set)
    carbon_micrograms: int = 0
    carbon_sources: set[str] = field(default_factory=set)

    def add_line(self, line: CostLine) -> None:
        self.records += line.records
        if line.price_nano is None:
            self.unpriced_records += line.records
        else:
            price = UnitPrice(line.price_nano, line.per)
            self.cost_nano += price.rate_parts(
                wholes=line.wholes, rounded_rests=line.rounded_rests_nano
            )
        self.quantities[line.meter] += line.quantity
        self.energy_microwatt_hours += line.energy_microwatt_hours
        self.carbon_micrograms += line.carbon_micrograms
        if line.energy_method is not None:
            self.energy_methods.add(line.energy_method)
        if line.carbon_source is not None:
            self.carbon_sources.add(line.carbon_source)

    def add(self, other: "Sums") -> None:
        self.records += other.records
        self.unpriced_records += other.unpriced_records
        self.cost_nano += other.cost_nano
        for meter, quantity in other.quantities.items():
            self.quantities[meter] += quantity
        self.energy_microwatt_hours += other.energy_microwatt_hours
        self.carbon_micrograms += other.carbon_micrograms
        self.energy_methods |= other.energy_methods
        self.carbon_sources |= other.carbon_sources


@dataclass(frozen=True, slots=True)
class CostSummary:
    """Groups, the dearest first, and their totals."""

    as_of: datetime  # Use that arrives later is not in it.
    groups: tuple[tuple[str | None, Sums], ...]
    totals: Sums

    def others(self, shown: int) -> Sums:
        """Sum the groups after the first `shown`."""
        return _sum(sums for _, sums in self.groups[shown:])


class CostService:
    """What use cost."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._clock = clock
        self._costs = CostRepository(session)

    async def summary(self, group_by: GroupBy, wanted: CostFilter) -> CostSummary:
        """Sum rated usage by group. The totals are the same however it is grouped."""
        groups: defaultdict[str | None, Sums] = defaultdict(Sums)
        for line in await self._costs.lines(group_by, wanted):
            groups[line.key].add_line(line)
        dearest = sorted(groups.items(), key=lambda item: (-item[1].cost_nano, item[0] or ""))
        return CostSummary(self._clock.now(), tuple(dearest), _sum(groups.values()))


def _sum(parts: Iterable[Sums]) -> Sums:
    total = Sums()
    for part in parts:
        total.add(part)
    return total
