"""Who may call the registry's API."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

RegistryRead = Annotated[Subject, Depends(requires("registry:read"))]
RegistryWrite = Annotated[Subject, Depends(requires("registry:write"))]
