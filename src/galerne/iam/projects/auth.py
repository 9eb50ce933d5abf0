"""Who may call the endpoints of projects."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

ProjectsRead = Annotated[Subject, Depends(requires("projects:read"))]
ProjectsWrite = Annotated[Subject, Depends(requires("projects:write"))]
