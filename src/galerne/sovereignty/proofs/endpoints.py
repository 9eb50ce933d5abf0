"""Route of proofs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute
from galerne.sovereignty.proofs.auth import ProofsRead
from galerne.sovereignty.proofs.schemas import ProofOut
from galerne.sovereignty.proofs.service import ProofService

ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"

router = APIRouter(prefix="/proofs", tags=["proofs"], route_class=TransactionalRoute)

Proofs = Annotated[ProofService, Depends(provided(ProofService))]


@router.get("/{subject_id}")
async def get_proof(
    subject_id: Annotated[str, Path(pattern=ID_PATTERN)], subject: ProofsRead, proofs: Proofs
) -> ProofOut:
    """Prove what the log says of a workload, to whoever verifies it offline.

    Answers 409 `proof_pending` while its newest entries wait to be signed: ask again in a moment.
    """
    return await proofs.prove(subject, subject_id)
