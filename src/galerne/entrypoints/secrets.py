"""Secrets that an installation makes once and keeps in its data directory, readable by its user only."""

import os
import secrets
from pathlib import Path

PEPPER_BYTES = 32


def ensure_pepper(path: Path) -> bytes:
    """Return the secret under which API keys are digested; made on first use, never printed.

    Whoever loses it loses every API key: it belongs into the operator's backup.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Not by the pid, which is the same after every start of a container.
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    if not path.exists():
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(PEPPER_BYTES))
            file.flush()
            os.fsync(descriptor)
        try:
            # Not a rename: of two processes that start at once, the first one's secret stands.
            os.link(part, path)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_bytes()
