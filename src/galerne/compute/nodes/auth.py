"""Who may see nodes."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

NodesRead = Annotated[Subject, Depends(requires("fleet:read"))]
