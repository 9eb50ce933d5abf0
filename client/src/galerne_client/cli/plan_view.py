"""A plan as a table: where and why, the label at each site, price, energy, carbon, warnings."""

from rich.table import Table

from galerne_client.cli.terminal import Terminal, fact_table, new_table, plain
from galerne_client.cli.units import carbon, duration, energy, euro, label
from galerne_client.models import Plan

SITES_SHOWN_MAX = 12
NODES_SHOWN_MAX = 4
_VERDICTS = {
    "placed": "[green]runs now[/]",
    "waiting": "[yellow]waits[/]",
    "refused": "[red]refused[/]",
}


def show_plan(plan: Plan, terminal: Terminal) -> None:
    """Write the plan to standard error: it is there to be read before an answer."""
    terminal.err.print(_facts(plan))
    if plan.placement.sites:
        terminal.err.print()
        terminal.err.print(_sites(plan))
    for warning in plan.warnings:
        terminal.note(f"[yellow]warning[/]: {plain(warning)}")
    terminal.err.print()


def _facts(plan: Plan) -> Table:
    table = fact_table()
    table.add_row("plan", f"{plain(plan.kind)} {plain(plan.name)} in project {plain(plan.project)}")
    table.add_row("label", plain(label(plan.label)))
    table.add_row("placement", _placement(plan))
    if plan.network != "none":
        table.add_row("network", plain(plan.network))
    table.add_row("price", _price(plan))
    table.add_row("energy", _energy(plan))
    if plan.carbon_milligrams_per_hour is not None:
        source = f" ({plain(plan.carbon_source)})" if plan.carbon_source else ""
        grams = plan.carbon_milligrams_per_hour / 1000
        table.add_row("carbon", f"{carbon(grams)} per hour{source}")
    return table


def _placement(plan: Plan) -> str:
    placement = plan.placement
    text = _VERDICTS[placement.verdict]
    if placement.site:
        nodes = ", ".join(placement.nodes[:NODES_SHOWN_MAX])
        more = len(placement.nodes) - NODES_SHOWN_MAX
        text += f" at {plain(placement.site)} on {plain(nodes)}"
        text += f" and {more} more" if more > 0 else ""
    return f"{text}: {plain(placement.reason)}"


def _price(plan: Plan) -> str:
    text = f"{euro(plan.price_per_hour.amount_nano)} per hour"
    if plan.price_total is not None and plan.duration_seconds is not None:
        total = euro(plan.price_total.amount_nano)
        text += f", at most {total} for {duration(plan.duration_seconds)}"
    return text


def _energy(plan: Plan) -> str:
    per_hour = plan.energy_watt_hours_per_hour
    text = f"{energy(per_hour)} per hour"
    if plan.duration_seconds is not None:
        text += f", {energy(per_hour * plan.duration_seconds / 3600)} in all"
    return f"{text} ({plain(plan.energy_method)})"


def _sites(plan: Plan) -> Table:
    table = new_table("site", "country", "verdict", "why")
    for verdict in plan.placement.sites[:SITES_SHOWN_MAX]:
        table.add_row(
            plain(verdict.site),
            plain(verdict.country or "unknown"),
            "[green]allows[/]" if verdict.allowed else "[red]refuses[/]",
            plain(verdict.reason),
        )
    more = len(plan.placement.sites) - SITES_SHOWN_MAX
    if more > 0:
        table.add_row(f"… {more} more", "", "", "")
    return table
