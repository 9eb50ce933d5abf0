"""`galerne usage` and `galerne prices`: what was used, what energy it took, what it costs."""

from collections.abc import Callable
from typing import Annotated, get_args

from cyclopts import Parameter
from rich.table import Table

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.options import HERE, PLATFORM, Json, Platform, Target
from galerne_client.cli.terminal import Terminal, new_table, plain
from galerne_client.cli.units import carbon, count, duration, energy, euro
from galerne_client.client import Galerne
from galerne_client.models import GroupBy, UsageGroup, UsageSummary, UsageTotals

NAMES_MAX = 500
MICRO = 1_000_000
NAME_WIDTH_MIN = 12
METERS = {
    "cpu_milliseconds": "CPU",
    "memory_mebibyte_seconds": "memory",
    "storage_mebibyte_seconds": "storage",
    "accelerator_milliseconds": "accelerator",
    "tokens_input": "tokens in",
    "tokens_cached": "tokens in, cached",
    "tokens_output": "tokens out",
}
Cell = Callable[[UsageTotals | UsageGroup], str]
GROUPS = ", ".join(get_args(GroupBy))


def usage(
    *,
    by: Annotated[GroupBy, Parameter(help=f"One of {GROUPS}.")] = "workload",
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Show what was used: tokens, CPU time, energy with its method, carbon and euro."""
    terminal = Terminal()
    with target.connect() as galerne:
        summary = galerne.usage.summary(group_by=by, project=target.project)
        names = _names(galerne, summary) if by == "workload" and not json else {}
    if json:
        terminal.json(summary.model_dump(mode="json"))
        return ExitCode.OK
    terminal.table(_table(summary, names))
    for source in summary.totals.carbon_sources:
        terminal.note(f"carbon: {plain(source)}")
    if summary.totals.unpriced_records:
        number = count(summary.totals.unpriced_records)
        terminal.note(f"[yellow]warning[/]: {number} records have no price and are not in the sum")
    return ExitCode.OK


def _names(galerne: Galerne, summary: UsageSummary) -> dict[str, str]:
    """Name the workloads of the summary as people did."""
    wanted = {group.key for group in summary.groups}
    jobs = galerne.jobs.list(rows_max=NAMES_MAX)
    deployments = galerne.deployments.list(rows_max=NAMES_MAX)
    return {row.id: row.name for rows in (jobs, deployments) for row in rows if row.id in wanted}


def _table(summary: UsageSummary, names: dict[str, str]) -> Table:
    columns = _columns(summary.totals)
    figures = [title for title, _ in columns]
    table = new_table(summary.group_by, *figures, right=tuple(figures))
    table.columns[0].min_width = NAME_WIDTH_MIN
    table.columns[figures.index("energy") + 1].no_wrap = False
    for group in summary.groups:
        cells = [cell(group) for _, cell in columns]
        table.add_row(plain(names.get(group.key or "", group.key or "-")), *cells)
    if summary.others_count:
        title = f"{count(summary.others_count)} others"
        table.add_row(title, *[cell(summary.others) for _, cell in columns])
    table.add_section()
    table.add_row("total", *[cell(summary.totals) for _, cell in columns], style="bold")
    return table


def _columns(totals: UsageTotals) -> list[tuple[str, Cell]]:
    """Choose the columns; accelerators have one where any was used."""
    columns: list[tuple[str, Cell]] = [
        ("tokens in", lambda sums: _or_dash(sums.tokens_input, count)),
        ("tokens out", lambda sums: _or_dash(sums.tokens_output, count)),
        ("CPU", lambda sums: _or_dash(sums.cpu_milliseconds, _milliseconds)),
        ("GPU", lambda sums: _or_dash(sums.accelerator_milliseconds, _milliseconds)),
        ("energy", _energy),
        ("carbon", lambda sums: _or_dash(sums.carbon_micrograms, lambda n: carbon(n / MICRO))),
        ("cost", lambda sums: euro(sums.cost.amount_nano)),
    ]
    return columns if totals.accelerator_milliseconds else [c for c in columns if c[0] != "GPU"]


def _or_dash(value: int, spelled: Callable[[int], str]) -> str:
    return spelled(value) if value else "-"


def _milliseconds(value: int) -> str:
    return duration(value / 1000)


def _energy(sums: UsageTotals | UsageGroup) -> str:
    methods = "+".join(sums.energy_methods) or None
    return _or_dash(sums.energy_microwatt_hours, lambda n: energy(n / MICRO, methods))


def prices(*, json: Json = False, target: Platform = PLATFORM) -> int:
    """Show the price list in force."""
    terminal = Terminal()
    with target.connect() as galerne:
        current = galerne.prices.current()
    if json:
        terminal.json(current.model_dump(mode="json"))
        return ExitCode.OK
    table = new_table("for", "of", "price", "per", right=("price",))
    for price in current.prices:
        table.add_row(
            plain(METERS.get(price.meter, price.meter.replace("_", " "))),
            plain(price.accelerator_type or price.model or "all"),
            euro(price.price.amount_nano),
            plain(price.per_text),
        )
    terminal.table(table)
    until = f" until {current.effective_to:%Y-%m-%d}" if current.effective_to else ""
    terminal.note(
        f"{plain(current.name)}, from {current.effective_from:%Y-%m-%d}{until}, without tax"
    )
    return ExitCode.OK
