"""Starting our own detached helpers: a shim, or the builder of an image.

A helper is this interpreter in isolated mode without site packages, which starts in a third of the time, in
a session of its own, so that nothing that ends its starter reaches it. Shims import this module: keep it
small.
"""

import os
import sys
from collections.abc import Mapping, Sequence

_BOOTSTRAP = (
    "import sys; sys.path.extend({path!r}); "
    "from galerne.drivers.local.{module} import main; main({arguments!r})"
)


def spawn_helper(
    module: str,
    arguments: Sequence[str | int],
    *,
    python_path: Sequence[str],
    env: Mapping[str, str],
    errors: str,
) -> int:
    """Start `main` of a module of this folder; return its pid. What it prints goes to the file `errors`."""
    code = _BOOTSTRAP.format(path=list(python_path), module=module, arguments=list(arguments))
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", "-c", code],
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, errors, append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
