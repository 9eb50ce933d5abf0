"""Who may call the endpoints of organizations. Creating one takes the operator, as the service checks."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

OrganizationsRead = Annotated[Subject, Depends(requires("organizations:read"))]
OrganizationsWrite = Annotated[Subject, Depends(requires("organizations:write"))]
