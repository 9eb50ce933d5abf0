"""Routes of members."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.iam.members.auth import MembersRead, MembersWrite
from galerne.iam.members.models import Member
from galerne.iam.members.schemas import MemberChange, MemberCreate, MemberOut
from galerne.iam.members.service import MemberService
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/members", tags=["members"], route_class=TransactionalRoute)

Members = Annotated[MemberService, Depends(provided(MemberService))]


@router.post("", status_code=201)
async def create_member(body: MemberCreate, subject: MembersWrite, members: Members) -> MemberOut:
    """Add a member. Nobody gives a role that holds more than their own key."""
    return member_out(await members.create(subject, body))


@router.get("")
async def list_members(
    subject: MembersRead, members: Members, limit: Limit = 100, cursor: Cursor = None
) -> Page[MemberOut]:
    """List the members, newest first."""
    del subject
    rows = await members.page(limit=limit, before=cursor)
    return page([member_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{member_id}")
async def get_member(member_id: str, subject: MembersRead, members: Members) -> MemberOut:
    """Show a member."""
    del subject
    return member_out(await members.get(member_id))


@router.patch("/{member_id}")
async def change_member(
    member_id: str, body: MemberChange, subject: MembersWrite, members: Members
) -> MemberOut:
    """Change a member's name or role. The last owner stays one."""
    return member_out(await members.change(subject, member_id, body))


@router.delete("/{member_id}", status_code=204)
async def remove_member(member_id: str, subject: MembersWrite, members: Members) -> None:
    """Remove a member with all their keys. The last owner stays."""
    await members.remove(subject, member_id)


def member_out(member: Member) -> MemberOut:
    return MemberOut(
        id=member.id,
        organization_id=member.organization_id,
        email=member.email,
        name=member.name,
        role=member.role,
        created_at=member.created_at,
    )
