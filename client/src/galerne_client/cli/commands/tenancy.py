"""Organizations, projects, members and keys."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from galerne_client.cli.exit_codes import CommandError, ExitCode
from galerne_client.cli.options import HERE, PLATFORM, Json, Platform, Quiet, Target
from galerne_client.cli.terminal import Terminal, new_table, plain
from galerne_client.cli.units import age, label, present
from galerne_client.client import Galerne
from galerne_client.contexts import config_path, load, save
from galerne_client.models import ApiKey, Member, Organization, Project

Residency = Annotated[
    list[str],
    Parameter(
        name=["--label", "-l"],
        help="Where data may be: countries or zones (FR, EU, EEA), or anywhere. May be repeated.",
    ),
]


def create_organization(
    legal_name: Annotated[str, Parameter(help="The legal name.")],
    /,
    *,
    country: Annotated[str, Parameter(help="Country of registration, as FR.")],
    owner_email: Annotated[str, Parameter(help="The first owner's address.")],
    owner_name: Annotated[str, Parameter(help="The first owner's name.")],
    vat_id: Annotated[str | None, Parameter(name="--vat-id", help="VAT id.")] = None,
    store_context: Annotated[
        str | None,
        Parameter(name="--store-context", help="Store the owner's key as this context and use it."),
    ] = None,
    json: Json = False,
    target: Platform = PLATFORM,
) -> int:
    """Create an organization with its owner. Needs the operator's key.

    The owner's first key is shown once, unless it is stored as a context.
    """
    terminal = Terminal()
    with target.connect() as galerne:
        created = galerne.organizations.create(
            legal_name=legal_name,
            country=country,
            owner_email=owner_email,
            owner_name=owner_name,
            vat_id=vat_id,
        )
        if store_context:
            _store(galerne, store_context, _shown(created.secret))
    if json:
        hidden = {"secret"} if store_context else None
        terminal.json(created.model_dump(mode="json", exclude=hidden))
        return ExitCode.OK
    terminal.line(f"{plain(created.legal_name)} ({created.country}) {created.id}")
    terminal.note(f"owner {plain(created.owner.email)}")
    if store_context:
        terminal.note(f"its key is stored as the context {plain(store_context)}, now in use")
    else:
        _show_secret(_shown(created.secret), terminal)
    return ExitCode.OK


def _store(galerne: Galerne, name: str, secret: str) -> None:
    path = config_path()
    context = replace(galerne.context, name=name, api_key=secret, project=None)
    save(load(path).with_context(context), path)


def _shown(secret: str | None) -> str:
    """Return the secret, which an answer that had to be repeated no longer has."""
    if secret is None:
        raise CommandError(
            "it was created, but the answer with the secret was lost on the way",
            exit_code=ExitCode.FAILED,
            code="secret_lost",
            hint="revoke the key and create another (`galerne keys list`)",
        )
    return secret


def _show_secret(secret: str, terminal: Terminal) -> None:
    terminal.line(secret)
    terminal.note("the key is shown this once: store it now, as with `galerne login`")


def list_organizations(
    *, json: Json = False, quiet: Quiet = False, target: Platform = PLATFORM
) -> int:
    """List organizations: your own, or with the operator's key all."""
    with target.connect() as galerne:
        rows = list(galerne.organizations.list())
    return _list(rows, _organization_table, json=json, quiet=quiet)


def _organization_table(rows: list[Organization]) -> Any:
    table = new_table("organization", "country", "VAT id", "id", "age", right=("age",))
    for row in rows:
        operator = " (operator)" if row.is_operator else ""
        table.add_row(
            plain(row.legal_name) + operator,
            plain(row.country),
            plain(row.vat_id or "-"),
            row.id,
            age(row.created_at),
        )
    return table


def create_project(
    name: Annotated[str, Parameter(help="Lower case, digits and hyphens.")],
    /,
    *,
    residency: Residency,
    not_subject_to: Annotated[
        list[str], Parameter(help="Countries whose law must not reach the operator.")
    ] = [],  # noqa: B006 - read, never changed
    certification: Annotated[
        list[str], Parameter(help="Certifications that the site must hold, as HDS.")
    ] = [],  # noqa: B006 - read, never changed
    json: Json = False,
    target: Platform = PLATFORM,
) -> int:
    """Create a project. Its label says where all that is in it may be."""
    terminal = Terminal()
    wanted = {
        "residency": split_words(residency),
        "operator_not_subject_to": split_words(not_subject_to),
        "certifications": split_words(certification),
    }
    with target.connect() as galerne:
        project = galerne.projects.create(name, label=wanted)
    if json:
        terminal.json(project.model_dump(mode="json"))
    else:
        terminal.line(f"{plain(project.name)} ({plain(label(project.label))}) {project.id}")
    return ExitCode.OK


def split_words(words: list[str]) -> list[str]:
    """Accept `--label FR,DE` as well as `--label FR --label DE`."""
    return [part for word in words for part in word.split(",") if part]


def list_projects(*, json: Json = False, quiet: Quiet = False, target: Platform = PLATFORM) -> int:
    """List projects and their labels."""
    with target.connect() as galerne:
        rows = list(galerne.projects.list())
    return _list(rows, _project_table, json=json, quiet=quiet)


def _project_table(rows: list[Project]) -> Any:
    table = new_table("project", "label", "id", "age", right=("age",))
    for row in rows:
        table.add_row(plain(row.name), plain(label(row.label)), row.id, age(row.created_at))
    return table


def add_member(
    email: Annotated[str, Parameter(help="The member's address.")],
    /,
    *,
    name: Annotated[str, Parameter(help="The member's name.")],
    role: Annotated[str, Parameter(help="owner, admin, developer, billing or viewer.")],
    json: Json = False,
    target: Platform = PLATFORM,
) -> int:
    """Add a member with a role."""
    with target.connect() as galerne:
        member = galerne.members.create(email=email, name=name, role=role)
    return _show_member(member, json=json)


def set_role(
    member_id: Annotated[str, Parameter(help="As `galerne members list` shows it.")],
    role: Annotated[str, Parameter(help="owner, admin, developer, billing or viewer.")],
    /,
    *,
    json: Json = False,
    target: Platform = PLATFORM,
) -> int:
    """Change a member's role. Their keys follow at once."""
    with target.connect() as galerne:
        member = galerne.members.update(member_id, role=role)
    return _show_member(member, json=json)


def _show_member(member: Member, *, json: bool) -> int:
    terminal = Terminal()
    if json:
        terminal.json(member.model_dump(mode="json"))
    else:
        terminal.line(f"{plain(member.email)} ({member.role}) {member.id}")
    return ExitCode.OK


def list_members(*, json: Json = False, quiet: Quiet = False, target: Platform = PLATFORM) -> int:
    """List the organization's members."""
    with target.connect() as galerne:
        rows = list(galerne.members.list())
    return _list(rows, _member_table, json=json, quiet=quiet)


def _member_table(rows: list[Member]) -> Any:
    table = new_table("member", "name", "role", "id", "age", right=("age",))
    for row in rows:
        table.add_row(plain(row.email), plain(row.name), row.role, row.id, age(row.created_at))
    return table


def remove_member(
    member_id: Annotated[str, Parameter(help="As `galerne members list` shows it.")],
    /,
    *,
    target: Platform = PLATFORM,
) -> int:
    """Remove a member; their keys stop working."""
    with target.connect() as galerne:
        galerne.members.remove(member_id)
    Terminal().note(f"{plain(member_id)} removed")
    return ExitCode.OK


def create_key(
    name: Annotated[str, Parameter(help="What the key is for.")],
    /,
    *,
    member: Annotated[str | None, Parameter(help="Whose key, by id; else your own.")] = None,
    scope: Annotated[
        list[str], Parameter(help="What it may do, as jobs:write. May be repeated.")
    ] = [],  # noqa: B006 - read, never changed
    model: Annotated[
        list[str], Parameter(help="The only models it may use. May be repeated.")
    ] = [],  # noqa: B006 - read, never changed
    expires_days: Annotated[
        PositiveInt | None, Parameter(help="Stop working after so many days.")
    ] = None,
    json: Json = False,
    target: Target = HERE,
) -> int:
    """Create a key; its secret is shown once. With --project it works for that project only."""
    terminal = Terminal()
    with target.connect() as galerne:
        created = galerne.api_keys.create(
            name,
            member_id=member,
            project=target.project,
            scopes=split_words(scope) or None,
            models=split_words(model) or None,
            expires_at=present() + timedelta(days=expires_days) if expires_days else None,
        )
    if json:
        terminal.json(created.model_dump(mode="json"))
        return ExitCode.OK
    terminal.note(f"{plain(created.name)} {created.id}")
    _show_secret(_shown(created.secret), terminal)
    return ExitCode.OK


def list_keys(*, json: Json = False, quiet: Quiet = False, target: Platform = PLATFORM) -> int:
    """List keys. Secrets are never shown again."""
    with target.connect() as galerne:
        rows = list(galerne.api_keys.list())
    return _list(rows, _key_table, json=json, quiet=quiet)


def _key_table(rows: list[ApiKey]) -> Any:
    table = new_table("key", "begins", "state", "models", "scopes", "id")
    for row in rows:
        table.add_row(
            plain(row.name),
            plain(row.prefix),
            _key_state(row),
            plain("all" if row.models is None else ", ".join(row.models) or "none"),
            str(len(row.scopes)),
            row.id,
        )
    return table


def _key_state(key: ApiKey) -> str:
    if key.revoked_at:
        return "[red]revoked[/]"
    if key.expires_at and key.expires_at <= present():
        return "[red]expired[/]"
    return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "[green]valid[/]"


def revoke_key(
    key_id: Annotated[str, Parameter(help="As `galerne keys list` shows it.")],
    /,
    *,
    target: Platform = PLATFORM,
) -> int:
    """Revoke a key at once. It cannot be undone."""
    with target.connect() as galerne:
        galerne.api_keys.revoke(key_id)
    Terminal().note(f"{plain(key_id)} revoked")
    return ExitCode.OK


def _list(rows: list[Any], table: Any, *, json: bool, quiet: bool) -> int:
    terminal = Terminal()
    if json:
        terminal.json([row.model_dump(mode="json") for row in rows])
    elif quiet:
        for row in rows:
            terminal.line(row.id)
    else:
        terminal.table(table(rows))
    return ExitCode.OK
