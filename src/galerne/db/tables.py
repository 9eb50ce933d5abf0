"""Finds every table of the package, so that metadata is whole before it is compared or created.

Tables are declared in modules called `models`, and in the few modules named below. They are found by
file name and imported by name: this tier knows no noun.
"""

from importlib import import_module
from pathlib import Path

from sqlalchemy import MetaData

import galerne
from galerne.db.base import Base

_ROOT = Path(galerne.__file__).parent
_ELSEWHERE = ("galerne.rest.idempotency", "galerne.worker.outbox")


def load_tables() -> MetaData:
    """Import every module that declares tables, and return the metadata that they filled."""
    for path in sorted(_ROOT.rglob("models.py")):
        import_module(".".join(("galerne", *path.relative_to(_ROOT).with_suffix("").parts)))
    for name in _ELSEWHERE:
        import_module(name)
    return Base.metadata
