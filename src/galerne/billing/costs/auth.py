"""Who may read costs: whoever may read the usage that they are made of."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

CostsRead = Annotated[Subject, Depends(requires("usage:read"))]
