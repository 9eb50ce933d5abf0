"""Who may change the fleet: the operator of the platform, with a key that has the scope."""

from typing import Annotated

from fastapi import Depends

from galerne.compute.nodes.fleets.errors import OperatorOnly
from galerne.rest.provide import requires
from galerne.rest.subject import Subject


def _operator(subject: Annotated[Subject, Depends(requires("fleet:write"))]) -> Subject:
    if not subject.is_operator:
        raise OperatorOnly(
            "only the operator of the platform changes the fleet",
            hint="use a key of the operator's organization",
        )
    return subject


_operator.required_scope = "fleet:write"  # type: ignore[attr-defined]  # read by the API reference
FleetWrite = Annotated[Subject, Depends(_operator)]
