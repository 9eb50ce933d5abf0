"""What a summary asks for, and the lines that the database answers with."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GroupBy(StrEnum):
    """By what a summary is parted."""

    WORKLOAD = "workload"
    MODEL = "model"
    METER = "meter"
    PROJECT = "project"
    DAY = "day"  # In UTC, by the end of each record.


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFilter:
    """Which records to sum; times are those at which they ended, `until` not included."""

    project_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CostLine:
    """The records of one group that share a meter, a price, and how their energy came about."""

    key: str | None
    meter: str
    price_nano: int | None  # None: no list was in force when they ended.
    per: int
    energy_method: str | None
    carbon_source: str | None
    records: int
    wholes: int  # Sum over records of quantity // per.
    rests: int  # Sum over records of quantity % per.
    rounded_rests_nano: int
    energy_microwatt_hours: int
    carbon_micrograms: int

    @property
    def quantity(self) -> int:
        return self.wholes * self.per + self.rests
