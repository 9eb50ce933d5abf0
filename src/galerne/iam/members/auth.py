"""Who may call the endpoints of members."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

MembersRead = Annotated[Subject, Depends(requires("members:read"))]
MembersWrite = Annotated[Subject, Depends(requires("members:write"))]
