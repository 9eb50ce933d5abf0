"""Options that many commands share, and the connection that they lead to."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from galerne_client.client import Galerne
from galerne_client.contexts import resolve


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Target:
    """Which platform and project a command is about."""

    project: Annotated[
        str | None, Parameter(name=["--project", "-p"], help="Project, by name or id.")
    ] = None
    context: Annotated[str | None, Parameter(help="Stored context to use.")] = None

    def connect(self) -> Galerne:
        """Return a client for what these options and the configuration say."""
        return Galerne(context=resolve(project=self.project, context=self.context))


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Platform:
    """Which platform a command is about, where no project matters."""

    context: Annotated[str | None, Parameter(help="Stored context to use.")] = None

    def connect(self) -> Galerne:
        """Return a client for what these options and the configuration say."""
        return Galerne(context=resolve(context=self.context))


HERE = Target()
PLATFORM = Platform()
Json = Annotated[bool, Parameter(name="--json", help="Write JSON to standard output.")]
Quiet = Annotated[
    bool, Parameter(name=["--quiet", "-q"], help="Write only ids or names, one on a line.")
]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Go ahead without being asked.")]
