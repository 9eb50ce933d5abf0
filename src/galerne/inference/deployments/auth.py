"""Who may call the deployments API."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

DeploymentsRead = Annotated[Subject, Depends(requires("deployments:read"))]
DeploymentsWrite = Annotated[Subject, Depends(requires("deployments:write"))]
