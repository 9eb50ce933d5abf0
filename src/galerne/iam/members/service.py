"""Verbs of a member: add, find, change the role, remove."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.types import JsonObject
from galerne.events.emit import emit
from galerne.iam.members.errors import (
    LastOwner,
    MemberEmailTaken,
    MemberNotFound,
    RoleBeyondCaller,
)
from galerne.iam.members.models import Member
from galerne.iam.members.repository import MemberRepository
from galerne.iam.members.schemas import MemberChange, MemberCreate, PersonIn
from galerne.iam.roles import Role, role_scopes
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.rest.subject import Subject


class MemberService:
    """Business rules of members. What is logged names roles and ids, never the person."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._members = MemberRepository(session)

    async def create(self, subject: Subject, body: MemberCreate) -> Member:
        _check_reach(subject, body.role)
        return await self.add(
            body, role=body.role, organization_id=subject.organization_id, actor=subject.actor
        )

    async def add(
        self, person: PersonIn, *, role: Role, organization_id: str, actor: str
    ) -> Member:
        """Add a member on nobody's rights: for the first owner of a new organization."""
        member = Member(
            id=new_id(Member.id_prefix),
            created_at=self._clock.now(),
            organization_id=organization_id,
            email=person.email,
            name=person.name,
            role=role,
        )
        if not await self._members.insert(member):
            raise MemberEmailTaken(
                "the organization already has a member with this address",
                hint="change that member's role instead",
            )
        self._log(actor, member, "created", {"role": role.value})
        return member

    async def page(self, *, limit: int, before: str | None) -> Sequence[Member]:
        return await self._members.page(limit=limit, before=before)

    async def get(self, member_id: str) -> Member:
        return _found(await self._members.get(member_id))

    async def change(self, subject: Subject, member_id: str, body: MemberChange) -> Member:
        owners = await self._members.locked_owners()
        member = _found(await self._members.get_locked(member_id))
        if body.role is not None and body.role is not member.role:
            self._check_leaves_owner(owners, member)
            _check_reach(subject, member.role, body.role)
            change = {"from": member.role.value, "to": body.role.value}
            member.role = body.role
            self._log(subject.actor, member, "role_changed", change)
        if body.name is not None and body.name != member.name:
            _check_reach(subject, member.role)
            member.name = body.name
            self._log(subject.actor, member, "renamed", {})
        return member

    async def remove(self, subject: Subject, member_id: str) -> None:
        """Delete a member with all keys; what they did stays in the log under their keys' ids."""
        owners = await self._members.locked_owners()
        member = _found(await self._members.get_locked(member_id))
        self._check_leaves_owner(owners, member)
        _check_reach(subject, member.role)
        self._log(subject.actor, member, "removed", {"role": member.role.value})
        await self._members.delete(member)

    @staticmethod
    def _check_leaves_owner(owners: Sequence[Member], member: Member) -> None:
        if [owner.id for owner in owners] == [member.id]:
            raise LastOwner(
                "this is the last owner of the organization",
                hint="make another member an owner first",
            )

    def _log(self, actor: str, member: Member, verb: str, data: JsonObject) -> None:
        emit(
            self._session,
            f"member.{verb}",
            subject_id=member.id,
            organization_id=member.organization_id,
            project_id=None,
            actor=actor,
            data=data,
            at=self._clock.now(),
        )


def _found(member: Member | None) -> Member:
    if member is None:
        raise MemberNotFound("there is no such member", hint="list the members")
    return member


def _check_reach(subject: Subject, *roles: Role) -> None:
    for role in roles:
        if not role_scopes(role, is_operator=subject.is_operator) <= subject.scopes:
            raise RoleBeyondCaller(
                f"the role {role.value} holds more than this key does",
                hint="use a key of an owner that has all scopes",
            )
