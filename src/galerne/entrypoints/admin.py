"""Operator commands that are not processes: bring the database up to date, and say what is wrong."""

import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import text

from galerne.billing.prices.service import PriceService
from galerne.db.migrate import check
from galerne.db.session import Scope
from galerne.entrypoints.arguments import parser_of, read_settings, settings_from
from galerne.entrypoints.preparation import prepare
from galerne.entrypoints.serving import run
from galerne.entrypoints.wiring import LOCAL, Platform, open_platform
from galerne.runtimes import embedded
from galerne.telemetry import configure_logging
from galerne_client.contexts import write_operator_context

DISK_FREE_BYTES_MIN = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    message: str
    hint: str = ""


def migrate(argv: Sequence[str]) -> int:
    """Run `galerne migrate`: bring the database and the first records up to this version."""
    settings = settings_from("galerne migrate", migrate.__doc__ or "", argv)
    configure_logging(level=settings.log.level, as_json=settings.log.format == "json")

    async def process() -> None:
        async with open_platform(settings) as platform:
            secret = await prepare(platform)
            if secret is not None:
                path = write_operator_context(
                    settings.data_dir,
                    url=settings.api.url,
                    api_key=secret,
                    gateway_url=settings.gateway.url,
                )
                sys.stdout.write(f"the operator's first key is in {path}\n")

    run(process())
    sys.stdout.write("the database is up to date\n")
    return 0


def doctor(argv: Sequence[str]) -> int:
    """Run `galerne doctor`: look at everything this installation stands on, and say what to mend."""
    parser = parser_of("galerne doctor", doctor.__doc__ or "")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    arguments = parser.parse_args(list(argv))
    settings = read_settings(arguments)
    configure_logging(level="error", as_json=True)
    findings: list[Finding] = []

    async def process() -> None:
        async with open_platform(settings) as platform:
            findings.extend([await look(platform) for look in LOOKS])

    run(process())
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        sys.stdout.write("".join(_line(finding) for finding in findings))
    return 0 if all(finding.ok for finding in findings) else 1


def _line(finding: Finding) -> str:
    mark = "ok  " if finding.ok else "FAIL"
    hint = f"\n      hint: {finding.hint}" if finding.hint and not finding.ok else ""
    return f"{mark}  {finding.name}: {finding.message}{hint}\n"


async def _database(platform: Platform) -> Finding:
    try:
        await platform.database.ping()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we were asked for
        return Finding(
            "database", ok=False, message=str(error)[:300], hint="is it running, is the URL right?"
        )
    return Finding("database", ok=True, message=platform.database.engine.url.render_as_string())


async def _tenancy(platform: Platform) -> Finding:
    """Look whether PostgreSQL would check tenancy: it does not for superusers."""
    if platform.database.is_sqlite:
        return Finding("tenancy", ok=True, message="checked by every session; SQLite has no roles")
    try:
        async with platform.database.engine.connect() as connection:
            bypasses = await connection.scalar(
                text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
    except Exception as error:  # noqa: BLE001 - as above
        return Finding("tenancy", ok=False, message=str(error)[:300], hint="is the database up?")
    return Finding(
        "tenancy",
        ok=not bypasses,
        message="the database's role goes round row-level security"
        if bypasses
        else "row-level security holds for the database's role",
        hint="connect as a role that is no superuser and has no BYPASSRLS: deploy/postgresql.sql",
    )


async def _schema(platform: Platform) -> Finding:
    try:
        await asyncio.to_thread(check, platform.settings.database)
    except Exception as error:  # noqa: BLE001 - as above
        return Finding("schema", ok=False, message=str(error)[:300], hint="run `galerne migrate`")
    return Finding("schema", ok=True, message="up to date")


async def _prices(platform: Platform) -> Finding:
    try:
        async with platform.database.read(Scope.system()) as session:
            problems = await PriceService(session, platform.clock).check()
    except Exception as error:  # noqa: BLE001 - as above
        return Finding("prices", ok=False, message=str(error)[:300], hint="run `galerne migrate`")
    return Finding(
        "prices",
        ok=not problems,
        message="; ".join(problems) or "one list is in force, without a gap",
        hint="publish a price list for the gap",
    )


async def _engine(platform: Platform) -> Finding:
    reports = await platform.drivers[LOCAL].nodes()
    holds = "; ".join(reports[0].isolation) if reports else "no node"
    sandboxed = any(line.startswith("bubblewrap") for line in reports[0].isolation)
    return Finding(
        "isolation", ok=sandboxed, message=holds, hint="install bubblewrap to sandbox workloads"
    )


async def _model(platform: Platform) -> Finding:
    del platform
    try:
        found = embedded.locate()
        await asyncio.to_thread(found.verify)
    except embedded.EmbeddedModelMissingError as error:
        return Finding(
            "embedded model", ok=False, message=str(error), hint=embedded.INSTALL_COMMAND
        )
    return Finding("embedded model", ok=True, message=f"{found.name} ({found.license})")


async def _disk(platform: Platform) -> Finding:
    free = shutil.disk_usage(platform.settings.data_dir).free
    return Finding(
        "disk",
        ok=free >= DISK_FREE_BYTES_MIN,
        message=f"{free / 1e9:.1f} GB free in {platform.settings.data_dir}",
        hint="free some space: a full disk stops jobs and usage records",
    )


LOOKS: Sequence[Callable[[Platform], Awaitable[Finding]]] = (
    _database,
    _schema,
    _tenancy,
    _prices,
    _engine,
    _model,
    _disk,
)
