"""`GET /usage/summary`: use, energy, carbon and cost, by group."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from galerne.billing.costs.auth import CostsRead
from galerne.billing.costs.lines import CostFilter, GroupBy
from galerne.billing.costs.schemas import UsageGroup, UsageSummary, UsageTotals
from galerne.billing.costs.service import CostService, Sums
from galerne.iam.projects.service import ProjectService
from galerne.metering.meters import ENERGY, METERS
from galerne.rest.money import Money
from galerne.rest.pagination import Limit
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute
from galerne.rest.times import UtcTime

router = APIRouter(prefix="/usage", tags=["usage"], route_class=TransactionalRoute)

Time = Annotated[UtcTime | None, Query(description="RFC 3339, by the end of the window.")]


@router.get("/summary")
async def summarize_usage(
    *,
    subject: CostsRead,
    costs: Annotated[CostService, Depends(provided(CostService))],
    projects: Annotated[ProjectService, Depends(provided(ProjectService))],
    project: Annotated[str | None, Query(max_length=200)] = None,
    group_by: GroupBy = GroupBy.WORKLOAD,
    since: Time = None,
    until: Time = None,
    limit: Limit = 100,
) -> UsageSummary:
    """Sum usage by group, the dearest first; groups beyond `limit` are summed in `others`."""
    chosen = await projects.resolve(subject, project) if project is not None else None
    wanted = CostFilter(project_id=chosen.id if chosen else None, since=since, until=until)
    summary = await costs.summary(group_by, wanted)
    return UsageSummary(
        as_of=summary.as_of,
        group_by=group_by,
        project_id=wanted.project_id,
        since=since,
        until=until,
        groups=[UsageGroup(key=key, **_shown(sums)) for key, sums in summary.groups[:limit]],
        others_count=max(0, len(summary.groups) - limit),
        others=UsageTotals(**_shown(summary.others(limit))),
        totals=UsageTotals(**_shown(summary.totals)),
    )


def _shown(sums: Sums) -> dict[str, Any]:
    quantities = {name: sums.quantities.get(name, 0) for name in METERS if name != ENERGY.name}
    return quantities | {
        "records": sums.records,
        "unpriced_records": sums.unpriced_records,
        "energy_microwatt_hours": sums.energy_microwatt_hours,
        "energy_methods": sorted(sums.energy_methods),
        "carbon_micrograms": sums.carbon_micrograms,
        "carbon_sources": sorted(sums.carbon_sources),
        # A plain integer: a sum has no bound, as one rated amount has.
        "cost": Money(amount_nano=sums.cost_nano, currency="EUR"),
    }
