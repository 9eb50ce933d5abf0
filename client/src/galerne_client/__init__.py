"""SDK of the Galerne sovereign AI cloud: `Galerne`, its asynchronous twin `AsyncGalerne`, and errors.

    from galerne_client import Galerne

    with Galerne() as galerne:
        for job in galerne.jobs.list():
            print(job.name, job.state)

Names are loaded when first used, so that the `galerne` command starts without loading the whole SDK.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galerne_client.client import AsyncGalerne, Galerne
    from galerne_client.errors import ApiError, GalerneError
    from galerne_client.exchange import NO_RETRY, RetryPolicy

_HOMES = {
    "ApiError": "errors",
    "AsyncGalerne": "client",
    "Galerne": "client",
    "GalerneError": "errors",
    "NO_RETRY": "exchange",
    "RetryPolicy": "exchange",
}

__version__ = "0.1.0"
__all__ = ["NO_RETRY", "ApiError", "AsyncGalerne", "Galerne", "GalerneError", "RetryPolicy"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
