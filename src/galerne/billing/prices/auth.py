"""Who may read prices."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

PricesRead = Annotated[Subject, Depends(requires("prices:read"))]
