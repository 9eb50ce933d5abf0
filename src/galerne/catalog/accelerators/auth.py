"""Who may read accelerator types."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

AcceleratorsRead = Annotated[Subject, Depends(requires("fleet:read"))]
