"""From a workload's wishes to a plan: label, network, placement and price, in that order.

Jobs and deployments ask the same questions, so they ask them here. A refusal that the label causes is
written into the log before it is raised: the refusal is a decision, and decisions are on record.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.admission import Quote, Quoter, QuoteRequest
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.plan import PlacementPlan, Plan, SiteVerdict, plan
from galerne.compute.scheduling.errors import ImpossibleResources
from galerne.compute.scheduling.schemas import Preview
from galerne.compute.scheduling.service import SchedulingService
from galerne.drivers.base import Network
from galerne.events.emit import emit
from galerne.iam.projects.models import Project
from galerne.kit.clock import Clock
from galerne.rest.errors import Forbidden
from galerne.rest.subject import Subject


class FlowRefused(Forbidden):
    """The label does not contain where this would go. The refusal itself is on record."""

    code = "label_refused"
    commits = True


@dataclass(frozen=True, slots=True)
class Wish:
    """What a workload asks for, as far as placing and pricing it goes."""

    kind: Literal["job", "deployment"]
    name: str
    request: LeaseRequest  # Its label is the workload's own: project ∩ inputs.
    copies: int  # Leases of this shape: replicas of a deployment, 1 for a job.
    network: Network
    duration_seconds: int | None


class Placing:
    """Answers for one request what would happen to a wish."""

    def __init__(
        self,
        session: AsyncSession,
        clock: Clock,
        *,
        scheduling: SchedulingService,
        quoter: Quoter,
    ) -> None:
        self._session = session
        self._clock = clock
        self._scheduling = scheduling
        self._quoter = quoter

    async def plan(self, project: Project, wish: Wish) -> Plan:
        """Say where it would run and why, and what it would cost and draw. Changes nothing."""
        preview = await self._scheduling.preview(wish.request)
        quote = await self._quote(project, wish, preview)
        return plan(
            name=wish.name,
            kind=wish.kind,
            project=project.name,
            label=wish.request.label.as_json(),
            placement=_refused_network(wish) or _placement(preview),
            network=wish.network.value,
            quote=quote,
            duration_seconds=wish.duration_seconds,
            warnings=_warnings(wish),
        )

    async def admit(
        self, subject: Subject, project: Project, wish: Wish, *, workload_id: str
    ) -> None:
        """Raise `FlowRefused` or `ImpossibleResources` where it could never run as asked.

        That the open network was granted is a decision about `workload_id`, and on record as one.
        """
        refusal = _refused_network(wish)
        if refusal is None:
            preview = await self._scheduling.refusal(wish.request)
            refusal = _placement(preview) if preview is not None else None
        if refusal is None:
            if wish.network is Network.OPEN:
                self._record_open_network(subject, project, wish, workload_id)
            return
        if refusal.code == ImpossibleResources.code:
            raise ImpossibleResources(refusal.reason, hint=refusal.hint)
        self._record_refusal(subject, project, wish, refusal)
        raise FlowRefused(
            refusal.reason,
            code=refusal.code,
            hint=refusal.hint,
            details={"sites": [verdict.model_dump() for verdict in refusal.sites]},
        )

    async def _quote(self, project: Project, wish: Wish, preview: Preview) -> Quote:
        request = wish.request
        return await self._quoter.quote(
            self._session,
            QuoteRequest(
                organization_id=project.organization_id,
                site_id=preview.site_id,
                nodes=request.nodes * wish.copies,
                cpu_millis=request.cpu_millis,
                memory_bytes=request.memory_bytes,
                accelerators=request.accelerators,
                accelerator_type=request.accelerator_type,
                duration_seconds=wish.duration_seconds,
                at=self._clock.now(),
            ),
        )

    def _record_open_network(
        self, subject: Subject, project: Project, wish: Wish, workload_id: str
    ) -> None:
        label = wish.request.label
        emit(
            self._session,
            "decision.network",
            subject_id=workload_id,
            organization_id=project.organization_id,
            project_id=project.id,
            actor=subject.actor,
            data={"label": label.as_json(), "reason": label.check_open_network().reason},
            at=self._clock.now(),
        )

    def _record_refusal(
        self, subject: Subject, project: Project, wish: Wish, placement: PlacementPlan
    ) -> None:
        data: dict[str, Any] = {
            "flow": wish.kind,
            "name": wish.name,
            "code": placement.code,
            "reason": placement.reason,
            "label": wish.request.label.as_json(),
            "site_wanted": wish.request.site,
            "network": wish.network.value,
            "sites": [verdict.model_dump() for verdict in placement.sites[:64]],
        }
        emit(
            self._session,
            "decision.refused",
            subject_id=project.id,
            organization_id=project.organization_id,
            project_id=project.id,
            actor=subject.actor,
            data=data,
            at=self._clock.now(),
        )


def _placement(preview: Preview) -> PlacementPlan:
    sites = [
        SiteVerdict(
            site=verdict.site,
            country=verdict.country,
            allowed=verdict.allowed,
            reason=verdict.reason,
        )
        for verdict in preview.sites
    ]
    return PlacementPlan(
        verdict=preview.verdict,
        site=preview.site,
        driver=preview.driver,
        nodes=list(preview.nodes),
        code=preview.code,
        reason=preview.reason,
        hint=preview.hint,
        sites=sites,
    )


def _refused_network(wish: Wish) -> PlacementPlan | None:
    if wish.network is not Network.OPEN:
        return None
    verdict = wish.request.label.check_open_network()
    if verdict.allowed:
        return None
    return PlacementPlan(
        verdict="refused",
        site=None,
        driver=None,
        nodes=[],
        code="label_refuses_network",
        reason=verdict.reason,
        hint=verdict.hint,
        sites=[],
    )


def _warnings(wish: Wish) -> list[str]:
    warnings = []
    if wish.duration_seconds is None and wish.kind == "job":
        warnings.append("no max_duration: the total price is open, and nothing ends it but itself")
    return warnings
