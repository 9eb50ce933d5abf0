"""Which platform and key: `login`, `whoami`, `config`, `version`."""

import sys
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from galerne_client import __version__
from galerne_client.cli.exit_codes import CommandError, ExitCode
from galerne_client.cli.options import PLATFORM, Json, Platform
from galerne_client.cli.terminal import Terminal, fact_table, new_table, plain
from galerne_client.cli.units import label
from galerne_client.client import Galerne
from galerne_client.contexts import (
    OPERATOR_CONTEXT,
    Configuration,
    Context,
    config_path,
    load,
    operator_context,
    save,
)

KEY_CHARACTERS_MAX = 1_000
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def login(
    url: Annotated[str, Parameter(help="The platform's address, as https://cloud.example.eu.")],
    /,
    *,
    context: Annotated[str, Parameter(help="Name to store it under.")] = "default",
    project: Annotated[
        str | None, Parameter(name=["--project", "-p"], help="Project meant when none is named.")
    ] = None,
    gateway_url: Annotated[
        str | None, Parameter(help="Address of the LLM API, where it is another.")
    ] = None,
) -> int:
    """Store a platform's address and a key for it, and use them from now on.

    The key is asked for, or read from standard input; it is checked before it is stored.
    """
    terminal = Terminal()
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        terminal.note("[yellow]warning[/]: over http the key travels unencrypted; use https")
    stored = Context(context, url.rstrip("/"), _read_key(terminal), project, gateway_url)
    with Galerne(context=stored) as galerne:
        who = galerne.whoami()
    path = config_path()
    save(load(path).with_context(stored), path)
    organization = plain(who.organization.legal_name)
    terminal.note(f"{plain(who.member.email)} of {organization}; stored as {plain(context)}")
    return ExitCode.OK


def _read_key(terminal: Terminal) -> str:
    if terminal.is_interactive:
        secret = terminal.err.input("API key: ", password=True)
    else:
        secret = sys.stdin.readline(KEY_CHARACTERS_MAX)
    if not secret.strip():
        raise CommandError(
            "no key was given",
            exit_code=ExitCode.USAGE,
            code="key_missing",
            hint="write it to standard input: galerne login URL < key.txt",
        )
    return secret.strip()


def whoami(*, json: Json = False, target: Platform = PLATFORM) -> int:
    """Show whose key is in use and what it may do."""
    terminal = Terminal()
    with target.connect() as galerne:
        who, context = galerne.whoami(), galerne.context
    if json:
        terminal.json({"context": context.name, "url": context.url, **who.model_dump(mode="json")})
        return ExitCode.OK
    facts = fact_table()
    facts.add_row("platform", f"{plain(context.url)} ({plain(context.name)})")
    operator = " (operator)" if who.organization.is_operator else ""
    facts.add_row("organization", plain(who.organization.legal_name) + operator)
    facts.add_row("member", f"{plain(who.member.email)} ({who.member.role})")
    facts.add_row("key", f"{plain(who.api_key.name)} ({plain(who.api_key.prefix)}…)")
    if who.project:
        where = plain(label(who.project.label))
        facts.add_row("project", f"{plain(who.project.name)} ({where})")
    facts.add_row("scopes", plain(" ".join(sorted(who.scopes))))
    terminal.table(facts)
    return ExitCode.OK


def show(*, json: Json = False) -> int:
    """List stored contexts and say which is in use. Keys are not shown."""
    terminal = Terminal()
    configuration = load(config_path())
    contexts = list(configuration.contexts.values())
    operator = operator_context()
    current = configuration.current or (OPERATOR_CONTEXT if operator else None)
    if operator:
        contexts.append(operator)
    if json:
        terminal.json([_as_json(context, current) for context in contexts])
        return ExitCode.OK
    table = new_table("context", "url", "key", "project", "in use")
    for context in contexts:
        table.add_row(
            plain(context.name),
            plain(context.url),
            f"{plain(context.api_key[:8])}…" if context.api_key else "-",
            plain(context.project or "-"),
            "yes" if context.name == current else "",
        )
    terminal.table(table)
    terminal.note(f"stored in {plain(str(config_path()))}")
    return ExitCode.OK


def _as_json(context: Context, current: str | None) -> dict[str, object]:
    return {
        "name": context.name,
        "url": context.url,
        "project": context.project,
        "has_key": context.api_key is not None,
        "is_current": context.name == current,
    }


def use(name: Annotated[str, Parameter(help="A stored context.")], /) -> int:
    """Use another stored context from now on."""
    path = config_path()
    configuration = _known(name)
    save(Configuration(configuration.contexts, name), path)
    Terminal().note(f"{plain(name)} is in use")
    return ExitCode.OK


def remove(name: Annotated[str, Parameter(help="A stored context.")], /) -> int:
    """Forget a stored context and its key. The key itself stays valid until it is revoked."""
    save(_known(name).without(name), config_path())
    Terminal().note(f"{plain(name)} is forgotten")
    return ExitCode.OK


def _known(name: str) -> Configuration:
    configuration = load(config_path())
    if name not in configuration.contexts:
        raise CommandError(
            f"there is no stored context {name!r}",
            exit_code=ExitCode.NOT_FOUND,
            code="context_unknown",
            hint="`galerne config show` lists them",
        )
    return configuration


def version(*, json: Json = False) -> int:
    """Show the version of this client."""
    terminal = Terminal()
    if json:
        terminal.json({"version": __version__})
    else:
        terminal.line(__version__)
    return ExitCode.OK
