"""Who may read usage."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

UsageRead = Annotated[Subject, Depends(requires("usage:read"))]
