"""`galerne usage` and `galerne prices`: what was used, what energy it took, what it costs."""

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
    figures = ("tokens in", "tokens out", "CPU", "GPU", "energy", "carbon", "cost")
    table = new_table(summary.group_by, *figures, right=figures)
    for group in summary.groups:
        table.add_row(plain(_title(group, names)), *_figures(group))
    if summary.others_count:
        table.add_row(f"{count(summary.others_count)} others", *_figures(summary.others))
    table.add_section()
    table.add_row("total", *_figures(summary.totals), style="bold")
    return table


def _title(group: UsageGroup, names: dict[str, str]) -> str:
    return names.get(group.key or "", group.key or "-")


def _figures(sums: UsageTotals | UsageGroup) -> list[str]:
    methods = "+".join(sums.energy_methods) or None
    watt_hours = sums.energy_microwatt_hours / MICRO
    return [
        count(sums.tokens_input) if sums.tokens_input else "-",
        count(sums.tokens_output) if sums.tokens_output else "-",
        duration(sums.cpu_milliseconds / 1000) if sums.cpu_milliseconds else "-",
        duration(sums.accelerator_milliseconds / 1000) if sums.accelerator_milliseconds else "-",
        energy(watt_hours, methods) if watt_hours else "-",
        carbon(sums.carbon_micrograms / MICRO) if sums.carbon_micrograms else "-",
        euro(sums.cost.amount_nano),
    ]


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
            plain(price.meter.replace("_", " ")),
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
