"""Verbs of an organization: create it with its first owner and key, and find it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Scope, acting_as, scope_of
from galerne.events.emit import emit
from galerne.iam.api_keys.models import ApiKey
from galerne.iam.api_keys.service import ApiKeyService, KeyTerms
from galerne.iam.countries import COUNTRIES
from galerne.iam.members.models import Member
from galerne.iam.members.service import MemberService
from galerne.iam.organizations.errors import (
    CountryUnknown,
    OperatorRequired,
    OrganizationNotFound,
    VatIdInvalid,
)
from galerne.iam.organizations.models import Organization
from galerne.iam.organizations.repository import OrganizationRepository
from galerne.iam.organizations.schemas import OrganizationCreate
from galerne.iam.roles import Role, role_scopes
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.rest.subject import Subject

FIRST_KEY_NAME = "first key"
# A country's letters and its number; which digits are right is for the tax office's service to say.
_VAT_ID = re.compile(r"[A-Z]{2}(?=.*[0-9])[0-9A-Z+*]{2,13}")
_VAT_ID_FILLING = re.compile(r"[\s.\-]")


@dataclass(frozen=True, slots=True)
class Founded:
    """A new organization and what it begins with."""

    organization: Organization
    owner: Member
    key: ApiKey
    secret: str


class OrganizationService:
    """Business rules of organizations."""

    def __init__(
        self,
        session: AsyncSession,
        clock: Clock,
        *,
        members: MemberService,
        keys: ApiKeyService,
    ) -> None:
        self._session = session
        self._clock = clock
        self._members = members
        self._keys = keys
        self._organizations = OrganizationRepository(session)

    async def create(self, subject: Subject, body: OrganizationCreate) -> Founded:
        """Create a customer, for the operator. The rows are the customer's, so the session acts as it."""
        if not subject.is_operator:
            raise OperatorRequired(
                "only the operator of the platform creates organizations",
                hint="ask the operator for one",
            )
        return await self.found(body, actor=subject.actor, is_operator=False)

    async def found(self, body: OrganizationCreate, *, actor: str, is_operator: bool) -> Founded:
        """Create an organization on nobody's rights: for the operator's own."""
        organization_id = new_id(Organization.id_prefix)
        organization = Organization(
            id=organization_id,
            created_at=self._clock.now(),
            organization_id=organization_id,
            legal_name=body.legal_name,
            country=_country(body.country),
            vat_id=_vat_id(body.vat_id),
            is_operator=is_operator,
        )
        async with acting_as(self._session, Scope(organization_id)):
            self._organizations.add(organization)
            await self._session.flush()
            owner, key, secret = await self._furnish(organization, body, actor=actor)
        return Founded(organization, owner, key, secret)

    async def page(
        self, subject: Subject, *, limit: int, before: str | None
    ) -> Sequence[Organization]:
        """List the caller's own organization; the operator's owners and admins see every one."""
        async with acting_as(self._session, self._sight(subject)):
            return await self._organizations.page(limit=limit, before=before)

    async def get(self, subject: Subject, organization_id: str) -> Organization:
        async with acting_as(self._session, self._sight(subject)):
            found = await self._organizations.get(organization_id)
        if found is None:
            raise OrganizationNotFound(
                "there is no such organization", hint="a key sees its own organization only"
            )
        return found

    async def operator(self) -> Organization | None:
        """Return the operator's organization where it exists yet. For a system session."""
        return await self._organizations.operator()

    async def _furnish(
        self, organization: Organization, body: OrganizationCreate, *, actor: str
    ) -> tuple[Member, ApiKey, str]:
        emit(
            self._session,
            "organization.created",
            subject_id=organization.id,
            organization_id=organization.id,
            project_id=None,
            actor=actor,
            data={"country": organization.country, "is_operator": organization.is_operator},
            at=self._clock.now(),
        )
        owner = await self._members.add(
            body.owner, role=Role.OWNER, organization_id=organization.id, actor=actor
        )
        scopes = role_scopes(Role.OWNER, is_operator=organization.is_operator)
        key, secret = await self._keys.add(
            FIRST_KEY_NAME,
            KeyTerms(member_id=owner.id, project_id=None, scopes=scopes),
            organization_id=organization.id,
            actor=actor,
        )
        return owner, key, secret

    def _sight(self, subject: Subject) -> Scope:
        return Scope.system() if subject.is_operator else scope_of(self._session)


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise CountryUnknown(
            f"no country has the code {code}", hint="use ISO 3166-1 alpha-2, such as FR"
        )
    return code


def _vat_id(text: str | None) -> str | None:
    if text is None:
        return None
    compact = _VAT_ID_FILLING.sub("", text).upper()
    if _VAT_ID.fullmatch(compact) is None:
        raise VatIdInvalid(
            f"{text!r} is not a VAT identification number",
            hint="write the country's letters and the number, such as FR40303265045",
        )
    return compact
