"""The fleet: `nodes`, `sites`, `fleet import`, `fleet show`."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.options import PLATFORM, Json, Platform, Quiet, Yes
from galerne_client.cli.spec_file import read_yaml
from galerne_client.cli.terminal import Terminal, new_table, plain, state_text
from galerne_client.cli.units import cores, count, power, size
from galerne_client.models import FleetImport, Node, Site

ROWS = 50
NODES_EXPLAINED_MAX = 3


def nodes(
    *,
    site: Annotated[str | None, Parameter(name=["--site", "-s"], help="Only this site's.")] = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="Rows at most.")] = ROWS,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], help="Every node.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    target: Platform = PLATFORM,
) -> int:
    """List machines: capacity, what is free, isolation and energy meters."""
    terminal = Terminal()
    with target.connect() as galerne:
        found = galerne.nodes.list(site=site, rows_max=None if all_ else limit)
        rows = list(found if all_ else islice(found, limit))
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    elif quiet:
        for row in rows:
            terminal.line(plain(row.name))
    else:
        terminal.table(_node_table(rows))
        if len(rows) <= NODES_EXPLAINED_MAX:
            _show_isolation(rows, terminal)
        if not all_ and len(rows) == limit:
            terminal.note(
                f"the first {limit}; --all lists every node, `galerne fleet show` sums up"
            )
    return ExitCode.OK


def _node_table(rows: list[Node]) -> Table:
    table = new_table(
        "node", "site", "state", "cores", "memory", "accelerators", "isolation", "energy",
        right=("cores", "memory"),
    )  # fmt: skip
    for node in rows:
        free, has = node.free, node.capacity
        table.add_row(
            plain(node.name),
            plain(f"{node.site} ({node.country})") + (" simulated" if node.is_simulated else ""),
            state_text(node.state),
            f"{cores(free.cpu_millis)}/{cores(has.cpu_millis)}" if free else cores(has.cpu_millis),
            size(has.memory_bytes),
            _accelerators(node),
            plain(_isolation(node)),
            plain(", ".join(node.energy_meters) or "estimated"),
        )
    return table


def _isolation(node: Node) -> str:
    """Name the means; what each does is listed below the table."""
    means = [text.partition(":")[0] for text in node.isolation if ":" in text]
    return ", ".join(name for name in means if name != "network") or "none"


def _show_isolation(rows: list[Node], terminal: Terminal) -> None:
    for node in rows:
        for text in node.isolation:
            terminal.note(f"{plain(node.name)}: {plain(text)}")


def _accelerators(node: Node) -> str:
    if not node.capacity.accelerators:
        return "-"
    total = f"{node.capacity.accelerators} x {plain(node.accelerator_type or 'unknown')}"
    return f"{node.free.accelerators} of {total}" if node.free else total


def sites(*, json: Json = False, quiet: Quiet = False, target: Platform = PLATFORM) -> int:
    """List sites: where they are, who operates them, the law they are under, their grid."""
    terminal = Terminal()
    with target.connect() as galerne:
        rows = list(galerne.sites.list())
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    elif quiet:
        for row in rows:
            terminal.line(plain(row.name))
    else:
        terminal.table(_site_table(rows))
    return ExitCode.OK


def _site_table(rows: list[Site]) -> Table:
    table = new_table(
        "site", "country", "operator", "subject to", "certified", "grid", "PUE", "power cap",
        right=("PUE", "power cap"),
    )  # fmt: skip
    for site in rows:
        table.add_row(
            plain(site.name) + (" (simulated)" if site.is_simulated else ""),
            plain(site.country),
            plain(site.operator),
            plain(", ".join(site.operator_subject_to) or "-"),
            plain(", ".join(site.certifications) or "-"),
            _grid(site),
            f"{site.pue_milli / 1000:.2f}",
            power(site.power_cap_watts) if site.power_cap_watts else "-",
        )
    return table


def _grid(site: Site) -> str:
    if site.carbon_milligrams_per_kwh is None:
        return plain(site.grid_zone or "-")
    return f"{plain(site.grid_zone)} {site.carbon_milligrams_per_kwh / 1000:.1f} g/kWh"


def import_(
    file: Annotated[Path, Parameter(help="The fleet's YAML file.")],
    /,
    *,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    target: Platform = PLATFORM,
) -> int:
    """Load sites, racks and nodes from a fleet file. Needs the operator's key.

    What is already known under the same name is updated.
    """
    terminal = Terminal()
    fleet = read_yaml(file)
    with target.connect() as galerne:
        question = f"Import {file} into {galerne.context.url}?"
        if not terminal.confirm(question, assume_yes=yes or not terminal.is_interactive):
            return ExitCode.OK
        imported = galerne.fleets.import_(fleet)
    if json:
        terminal.json(imported.model_dump(mode="json"))
        return ExitCode.OK
    if quiet:
        for site in imported.sites:
            terminal.line(plain(site.name))
    else:
        terminal.table(_import_table(imported))
    for warning in imported.warnings:
        terminal.note(f"[yellow]warning[/]: {plain(warning)}")
    return ExitCode.OK


def _import_table(imported: FleetImport) -> Table:
    table = new_table(
        "site", "change", "racks", "nodes", "accelerators", "at full load", "power cap",
        right=("racks", "nodes", "at full load", "power cap"),
    )  # fmt: skip
    for site in imported.sites:
        nodes = site.nodes.created + site.nodes.changed + site.nodes.unchanged
        kinds = [f"{count(number)} {name}" for name, number in site.accelerators.items()]
        table.add_row(
            plain(site.name),
            site.change,
            count(site.racks),
            count(nodes),
            plain(", ".join(kinds) or "-"),
            power(site.power_full_watts),
            power(site.power_cap_watts) if site.power_cap_watts else "-",
        )
    return table


@dataclass
class _SiteSum:
    nodes: int = 0
    ready: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    accelerators: Counter[str] = field(default_factory=Counter)

    def add(self, node: Node) -> None:
        self.nodes += 1
        self.ready += node.state == "ready"
        self.cpu_millis += node.capacity.cpu_millis
        self.memory_bytes += node.capacity.memory_bytes
        if node.accelerator_type and node.capacity.accelerators:
            self.accelerators[node.accelerator_type] += node.capacity.accelerators


def show(*, json: Json = False, target: Platform = PLATFORM) -> int:
    """Show the fleet by site: nodes, cores, memory and accelerators."""
    terminal = Terminal()
    sums: dict[str, _SiteSum] = {}
    with target.connect() as galerne:
        for node in galerne.nodes.list():
            sums.setdefault(node.site, _SiteSum()).add(node)
    if json:
        terminal.json([{"site": site, **asdict(sums[site])} for site in sorted(sums)])
    else:
        terminal.table(_sum_table(sums))
    return ExitCode.OK


def _sum_table(sums: dict[str, _SiteSum]) -> Table:
    table = new_table(
        "site", "nodes", "ready", "cores", "memory", "accelerators",
        right=("nodes", "ready", "cores", "memory"),
    )  # fmt: skip
    for site in sorted(sums):
        values = sums[site]
        kinds = [f"{count(number)} {name}" for name, number in sorted(values.accelerators.items())]
        table.add_row(
            plain(site),
            count(values.nodes),
            count(values.ready),
            count(values.cpu_millis // 1000),
            size(values.memory_bytes),
            plain(", ".join(kinds) or "-"),
        )
    return table
