"""Who may read the log."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

EventsRead = Annotated[Subject, Depends(requires("events:read"))]
