"""A summary of use and cost."""

from datetime import datetime

from pydantic import BaseModel

from galerne.billing.costs.lines import GroupBy
from galerne.rest.money import Money


class UsageTotals(BaseModel):
    """Sums over some usage records. Integers in the meters' own units."""

    records: int
    requests: int
    tokens_input: int
    tokens_cached: int
    tokens_output: int
    cpu_milliseconds: int
    memory_mebibyte_seconds: int
    accelerator_milliseconds: int
    storage_mebibyte_seconds: int
    energy_microwatt_hours: int
    energy_methods: list[str]
    carbon_micrograms: int
    carbon_sources: list[str]
    cost: Money
    unpriced_records: int


class UsageGroup(UsageTotals):
    """The sums of one workload, model, meter, project or day."""

    key: str | None


class UsageSummary(BaseModel):
    """The dearest groups, the sum of the `others`, and the totals of all."""

    as_of: datetime
    group_by: GroupBy
    project_id: str | None
    since: datetime | None
    until: datetime | None
    groups: list[UsageGroup]
    others_count: int
    others: UsageTotals
    totals: UsageTotals
