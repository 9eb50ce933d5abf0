"""Who may fetch proofs: whoever may read the events that they are made of."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

ProofsRead = Annotated[Subject, Depends(requires("events:read"))]
