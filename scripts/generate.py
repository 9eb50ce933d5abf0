# ruff: noqa: INP001 - a script is run, not imported
"""Write all that is generated: openapi.json, the client's models, and the reference in `docs/`.

python scripts/generate.py [--check]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import (  # noqa: E402 - the scripts beside this one, wherever it was started
    generate_cli_reference,
    generate_client_models,
    generate_reference,
)

from galerne.db.session import Database  # noqa: E402
from galerne.entrypoints.api import build_app  # noqa: E402
from galerne.kit.clock import SystemClock  # noqa: E402
from galerne.rest.provide import ApiContext  # noqa: E402
from galerne.rest.subject import Subject  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"


class Nobody:
    """Lets nobody in: the application is built to be described, not to be asked."""

    async def authenticate(self, secret: str) -> Subject:
        raise NotImplementedError(secret)


def document() -> dict[str, Any]:
    """Return the application's own description. No database is opened."""
    context = ApiContext(
        database=Database("sqlite+aiosqlite:///never-opened.db"),
        authenticator=Nobody(),
        clock=SystemClock(),
        providers={},
        shared={},
    )
    return build_app(context).openapi()


def outputs() -> dict[Path, str]:
    """Return the content of every generated file."""
    described = document()
    text = json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    written: dict[str, Any] = json.loads(text)
    pages = generate_reference.generate(written)
    return {
        ROOT / "openapi.json": text,
        generate_client_models.OUTPUT: generate_client_models.generate(written),
        generate_cli_reference.OUTPUT: generate_cli_reference.generate(),
        **{REFERENCE / name: page for name, page in pages.items()},
    }


def main() -> int:
    """Write what differs; with `--check` only name it."""
    parser = argparse.ArgumentParser(description="Write all that is generated.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if anything would"
    )
    only_check = parser.parse_args().check
    stale = [
        (path, text)
        for path, text in outputs().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        name = path.relative_to(ROOT)
        if only_check:
            sys.stdout.write(f"{name} is not current: run `make docs`\n")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")
    return 1 if only_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
