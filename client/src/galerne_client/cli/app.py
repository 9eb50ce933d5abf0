"""The tree of commands. Each is named here with its help and imported only when it is called."""

from cyclopts import App, Group, Parameter

from galerne_client import __version__
from galerne_client.cli import exit_codes
from galerne_client.cli.server_commands import SERVER_COMMANDS

_COMMANDS = "galerne_client.cli.commands."
WORK = Group("Workloads", sort_key=1)
REGISTRY = Group("Registry", sort_key=2)
ACCOUNT = Group("Usage and proof", sort_key=3)
TENANCY = Group("Tenancy", sort_key=4)
FLEET = Group("Fleet", sort_key=5)
CLIENT = Group("This client", sort_key=6)
SERVER = Group("Server (package galerne)", sort_key=7)

Entry = tuple[str, str, str]  # Name, where it is, what it does.
TOP: dict[Group, list[Entry]] = {
    WORK: [
        ("apply", "apply:apply", "Plan a workload file, ask, submit it and follow it."),
        ("ps", "workloads:ps", "List jobs and deployments."),
        ("describe", "workloads:describe", "Show a job or a deployment in full."),
        ("logs", "logs:logs", "Read or follow the output of a workload."),
        ("events", "workloads:events", "List what happened, from the append-only log."),
        ("why", "workloads:why", "Say what a workload waits for or why it ended."),
        ("wait", "workloads:wait", "Wait until a job has ended or a deployment serves."),
        ("stop", "workloads:stop", "Stop workloads gracefully."),
        ("chat", "chat:chat", "Ask a served model, and stream its answer."),
    ],
    ACCOUNT: [
        ("usage", "usage:usage", "Show what was used: euro, energy and carbon by workload."),
        ("prices", "usage:prices", "Show the price list in force."),
    ],
    FLEET: [
        ("nodes", "fleet:nodes", "List machines, their capacity and isolation."),
        ("sites", "fleet:sites", "List sites and the law they are under."),
    ],
    CLIENT: [
        ("login", "configure:login", "Store a platform's address and a key for it."),
        ("whoami", "configure:whoami", "Show whose key is in use and what it may do."),
        ("version", "configure:version", "Show the version of this client."),
    ],
}
NESTED: list[tuple[Group, str, str, list[Entry]]] = [
    (
        ACCOUNT,
        "proof",
        "Show and verify residency proofs.",
        [
            ("show", "proof:show", "Fetch the proof of where a workload ran."),
            ("verify", "proof:verify", "Verify a proof without asking the platform."),
        ],
    ),
    (
        REGISTRY,
        "datasets",
        "Push and list datasets.",
        [
            ("push", "datasets:push", "Upload a directory as the next version of a dataset."),
            ("list", "datasets:list_", "List datasets."),
        ],
    ),
    (
        REGISTRY,
        "models",
        "List, show and pull models.",
        [
            ("list", "models:list_", "List models: your own and the operator's."),
            ("show", "models:show", "Show a model with its lineage."),
            ("pull", "models:pull", "Fetch a model's files."),
        ],
    ),
    (
        TENANCY,
        "orgs",
        "Create and list organizations.",
        [
            ("create", "tenancy:create_organization", "Create an organization with its owner."),
            ("list", "tenancy:list_organizations", "List organizations."),
        ],
    ),
    (
        TENANCY,
        "projects",
        "Create and list projects.",
        [
            ("create", "tenancy:create_project", "Create a project with a residency label."),
            ("list", "tenancy:list_projects", "List projects and their labels."),
        ],
    ),
    (
        TENANCY,
        "members",
        "Manage the organization's members.",
        [
            ("add", "tenancy:add_member", "Add a member with a role."),
            ("list", "tenancy:list_members", "List members."),
            ("set-role", "tenancy:set_role", "Change a member's role."),
            ("remove", "tenancy:remove_member", "Remove a member; their keys stop working."),
        ],
    ),
    (
        TENANCY,
        "keys",
        "Manage API keys.",
        [
            ("create", "tenancy:create_key", "Create a key; its secret is shown once."),
            ("list", "tenancy:list_keys", "List keys; secrets are never shown again."),
            ("revoke", "tenancy:revoke_key", "Revoke a key at once."),
        ],
    ),
    (
        FLEET,
        "fleet",
        "Import and show the fleet.",
        [
            ("import", "fleet:import_", "Load sites, racks and nodes from a fleet file."),
            ("show", "fleet:show", "Show the fleet by site, with its accelerators."),
        ],
    ),
    (
        CLIENT,
        "config",
        "Show and choose stored contexts.",
        [
            ("show", "configure:show", "List stored contexts and say which is in use."),
            ("use", "configure:use", "Use another stored context from now on."),
            ("remove", "configure:remove", "Forget a stored context and its key."),
        ],
    ),
    (
        CLIENT,
        "completion",
        "Complete commands in your shell.",
        [
            ("install", "completion:install", "Install completion for your shell."),
            ("show", "completion:show", "Write the completion script to standard output."),
        ],
    ),
]


def build_app() -> App:
    """Put the tree together. Cheap: no command's module is imported."""
    app = App(
        name="galerne",
        help="Rent, run, serve, account and prove on a sovereign AI cloud.",
        help_epilogue=exit_codes.help_text(),
        version=__version__,
        default_parameter=Parameter(negative=(), show_default=False),
        group_commands=CLIENT,
    )
    for group, entries in TOP.items():
        for name, home, text in entries:
            app.command(_COMMANDS + home, name=name, help=text, group=group)
    for group, name, text, entries in NESTED:
        app.command(_nested(name, text, entries, group=group))
    for name, text in SERVER_COMMANDS.items():
        home = "galerne_client.cli.server_commands:stand_in"
        app.command(home, name=name, help=text, group=SERVER)
    return app


def _nested(name: str, text: str, entries: list[Entry], *, group: Group) -> App:
    nested = App(name=name, help=text, group=group, group_commands=Group("Commands"))
    for each, home, help_ in entries:
        nested.command(_COMMANDS + home, name=each, help=help_)
    return nested
