"""Who may see sites."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

SitesRead = Annotated[Subject, Depends(requires("fleet:read"))]
