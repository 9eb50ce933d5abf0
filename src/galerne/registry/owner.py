"""Whose a registered thing is, and the label that everything of its project carries at least."""

from dataclasses import dataclass

from galerne.iam.projects.models import Project
from galerne.sovereignty.labels import Label


@dataclass(frozen=True, slots=True)
class Owner:
    """A project as the registry needs it: from a request's project, or from a workload's own row."""

    organization_id: str
    project_id: str
    label: Label  # What is registered here carries the intersection with this.


def owner_of(project: Project) -> Owner:
    return Owner(project.organization_id, project.id, project.label_value())
