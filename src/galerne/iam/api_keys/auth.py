"""Who may call the endpoints of API keys."""

from typing import Annotated

from fastapi import Depends

from galerne.rest.provide import requires
from galerne.rest.subject import Subject

KeysRead = Annotated[Subject, Depends(requires("keys:read"))]
KeysWrite = Annotated[Subject, Depends(requires("keys:write"))]
