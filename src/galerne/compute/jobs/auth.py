"""Who may call the jobs API."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

JobsRead = Annotated[Subject, Depends(requires("jobs:read"))]
JobsWrite = Annotated[Subject, Depends(requires("jobs:write"))]
