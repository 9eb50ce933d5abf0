"""Verbs of a project: create, find, rename, and change where its data may be."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.types import JsonObject
from galerne.events.emit import emit
from galerne.iam.countries import COUNTRIES
from galerne.iam.projects.errors import (
    LabelInvalid,
    LabelWideningForbidden,
    ProjectNameTaken,
    ProjectNotFound,
    ProjectRequired,
)
from galerne.iam.projects.models import Project
from galerne.iam.projects.repository import ProjectRepository
from galerne.iam.projects.schemas import LabelIn, ProjectChange, ProjectCreate
from galerne.iam.roles import OWNER_SCOPE
from galerne.kit.clock import Clock
from galerne.kit.ids import is_id, new_id
from galerne.rest.subject import Subject
from galerne.sovereignty.labels import Label, parse_label


class ProjectService:
    """Business rules of projects. A key that is bound to one project sees only that one."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._projects = ProjectRepository(session)

    async def create(self, subject: Subject, body: ProjectCreate) -> Project:
        project = Project(
            id=new_id(Project.id_prefix),
            created_at=self._clock.now(),
            organization_id=subject.organization_id,
            name=body.name,
            label=read_label(body.label).as_json(),
        )
        if not await self._projects.insert(project):
            raise _name_taken(body.name)
        self._log(subject, project, "created", {"name": project.name, "label": project.label})
        return project

    async def page(self, subject: Subject, *, limit: int, before: str | None) -> Sequence[Project]:
        conditions = [Project.id == subject.project_id] if subject.project_id else []
        return await self._projects.page(*conditions, limit=limit, before=before)

    async def get(self, subject: Subject, project_id: str) -> Project:
        found = await self._projects.get(project_id)
        return _visible(subject, found)

    async def all_projects(self) -> Sequence[Project]:
        """Return every project that the session sees; for the gateway's snapshot, of all tenants."""
        return await self._projects.all()

    async def resolve(self, subject: Subject, reference: str | None) -> Project:
        """Find a project by id or name; without a reference the key's own, or the only one there is."""
        if reference is None:
            return await self._implied(subject)
        if is_id(reference, Project.id_prefix):
            return await self.get(subject, reference)
        return _visible(subject, await self._projects.by_name(reference))

    async def change(self, subject: Subject, project_id: str, body: ProjectChange) -> Project:
        # Locked: what is no widening of the label read here must be none of the label replaced.
        project = _visible(subject, await self._projects.get_locked(project_id))
        if body.label is not None:
            self._relabel(subject, project, read_label(body.label))
        if body.name is not None and body.name != project.name:
            await self._rename(subject, project, body.name)
        return project

    async def _implied(self, subject: Subject) -> Project:
        if subject.project_id is not None:
            return await self.get(subject, subject.project_id)
        some = await self._projects.first(2)
        if len(some) == 1:
            return some[0]
        if some:
            raise ProjectRequired(
                "the organization has several projects; say which one is meant",
                hint=f"name a project, such as {some[0].name}, or use a key bound to one",
            )
        raise ProjectRequired(
            "the organization has no project yet",
            hint="create one first, with the residency label that its data needs",
        )

    def _relabel(self, subject: Subject, project: Project, label: Label) -> None:
        before = project.label_value()
        if label == before:
            return
        widens = not label.within(before)
        if widens and OWNER_SCOPE not in subject.scopes:
            raise LabelWideningForbidden(
                "the new label allows places or operators that the project's label does not",
                hint="only an owner may widen a label; a narrower one is open to you",
            )
        project.label = label.as_json()
        change = {"from": before.as_json(), "to": project.label, "widens": widens}
        self._log(subject, project, "label_changed", change)

    async def _rename(self, subject: Subject, project: Project, name: str) -> None:
        before = project.name
        try:
            async with self._session.begin_nested():
                project.name = name
        except IntegrityError:
            raise _name_taken(name) from None
        self._log(subject, project, "renamed", {"from": before, "to": name})

    def _log(self, subject: Subject, project: Project, verb: str, data: JsonObject) -> None:
        emit(
            self._session,
            f"project.{verb}",
            subject_id=project.id,
            organization_id=project.organization_id,
            project_id=project.id,
            actor=subject.actor,
            data=data,
            at=self._clock.now(),
        )


def read_label(body: LabelIn) -> Label:
    """Read a label as it came in. Raises `LabelInvalid`."""
    try:
        label = parse_label(
            body.residency,
            operator_not_subject_to=[word.upper() for word in body.operator_not_subject_to],
            certifications=body.certifications,
        )
    except ValueError as error:
        raise _label_invalid(str(error)) from None
    if label.countries is not None and not label.countries:
        raise _label_invalid("a label without any place allows nothing")
    unknown = sorted(((label.countries or set()) | label.operator_not_subject_to) - COUNTRIES)
    if unknown:
        raise _label_invalid(f"no country has the code {', '.join(unknown)}")
    return label


def _label_invalid(message: str) -> LabelInvalid:
    return LabelInvalid(
        message,
        hint='write countries as ISO 3166-1 alpha-2 codes or zones: ["FR"], ["EU"], ["anywhere"]',
    )


def _visible(subject: Subject, project: Project | None) -> Project:
    if project is None or subject.project_id not in {None, project.id}:
        raise ProjectNotFound(
            "there is no such project", hint="list the projects that this key sees"
        )
    return project


def _name_taken(name: str) -> ProjectNameTaken:
    return ProjectNameTaken(
        f"the organization already has a project named {name}", hint="choose another name"
    )
