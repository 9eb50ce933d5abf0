"""Verbs of an API key: make, find, revoke; and the list that the gateway keeps in memory.

A key never makes a stronger one: scopes, models and expiry of the new key lie within the maker's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.types import JsonObject
from galerne.events.emit import emit
from galerne.iam.api_keys.errors import (
    ExpiryInvalid,
    KeyNotFound,
    ModelsExceeded,
    ScopesExceeded,
    ScopeUnknown,
)
from galerne.iam.api_keys.models import ApiKey
from galerne.iam.api_keys.repository import ApiKeyRepository
from galerne.iam.api_keys.schemas import ApiKeyCreate
from galerne.iam.key_secrets import PEPPER_BYTES_MIN, PREFIX_LENGTH, digest_of, new_secret
from galerne.iam.members.service import MemberService
from galerne.iam.projects.service import ProjectService
from galerne.iam.roles import ALL_SCOPES, PROJECT_KEY_SCOPES, role_scopes
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.rest.subject import Subject


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A usable key, as the gateway's snapshot wants it."""

    key_id: str
    digest: bytes
    organization_id: str
    project_id: str | None
    scopes: frozenset[str]
    models: frozenset[str] | None  # None: every model.
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a key is to be allowed, once checked."""

    member_id: str
    project_id: str | None
    scopes: frozenset[str]
    models: frozenset[str] | None = None
    expires_at: datetime | None = None


class ApiKeyService:
    """Business rules of API keys."""

    def __init__(
        self,
        session: AsyncSession,
        clock: Clock,
        *,
        pepper: bytes,
        members: MemberService,
        projects: ProjectService,
    ) -> None:
        assert len(pepper) >= PEPPER_BYTES_MIN, "a short pepper can be searched for"
        self._session = session
        self._clock = clock
        self._pepper = pepper
        self._members = members
        self._projects = projects
        self._keys = ApiKeyRepository(session)

    async def create(self, subject: Subject, body: ApiKeyCreate) -> tuple[ApiKey, str]:
        """Make a key; return it with its secret, which cannot be had again."""
        maker = await self.get(subject, subject.actor)
        terms = await self._terms(subject, maker, body)
        return await self.add(
            body.name, terms, organization_id=subject.organization_id, actor=subject.actor
        )

    async def add(
        self, name: str, terms: KeyTerms, *, organization_id: str, actor: str
    ) -> tuple[ApiKey, str]:
        """Make a key on nobody's rights: for the first owner of a new organization."""
        secret = new_secret()
        key = ApiKey(
            id=new_id(ApiKey.id_prefix),
            created_at=self._clock.now(),
            organization_id=organization_id,
            member_id=terms.member_id,
            project_id=terms.project_id,
            name=name,
            digest=digest_of(self._pepper, secret),
            prefix=secret[:PREFIX_LENGTH],
            scopes=sorted(terms.scopes),
            models=None if terms.models is None else sorted(terms.models),
            expires_at=terms.expires_at,
            revoked_at=None,
        )
        self._keys.add(key)
        await self._session.flush()
        self._log(actor, key, "created", {"member_id": key.member_id, "scopes": key.scopes})
        return key, secret

    async def page(self, subject: Subject, *, limit: int, before: str | None) -> Sequence[ApiKey]:
        conditions = [ApiKey.project_id == subject.project_id] if subject.project_id else []
        return await self._keys.page(*conditions, limit=limit, before=before)

    async def get(self, subject: Subject, key_id: str) -> ApiKey:
        key = await self._keys.get(key_id)
        if key is None or subject.project_id not in {None, key.project_id}:
            raise KeyNotFound("there is no such API key", hint="list the keys of the organization")
        return key

    async def revoke(self, subject: Subject, key_id: str) -> None:
        """Revoke a key, for good and at once. Doing it again changes nothing."""
        key = await self.get(subject, key_id)
        if key.revoked_at is None:
            key.revoked_at = self._clock.now()
            self._log(subject.actor, key, "revoked", {})

    async def gateway_keys(self) -> Sequence[GatewayKey]:
        """Return every organization's usable keys, with the scopes that their members still hold."""
        return [
            GatewayKey(
                key_id=key.id,
                digest=key.digest,
                organization_id=key.organization_id,
                project_id=key.project_id,
                scopes=frozenset(key.scopes) & role_scopes(role, is_operator=False),
                models=None if key.models is None else frozenset(key.models),
                expires_at=key.expires_at,
            )
            for key, role in await self._keys.usable(self._clock.now())
        ]

    async def _terms(self, subject: Subject, maker: ApiKey, body: ApiKeyCreate) -> KeyTerms:
        member = await self._members.get(body.member_id or maker.member_id)
        project_id = maker.project_id
        if body.project is not None:
            project_id = (await self._projects.resolve(subject, body.project)).id
        allowed = subject.scopes & role_scopes(member.role, is_operator=subject.is_operator)
        if project_id is not None:
            allowed &= PROJECT_KEY_SCOPES
        return KeyTerms(
            member_id=member.id,
            project_id=project_id,
            scopes=_scopes(body, allowed),
            models=_models(body, maker),
            expires_at=_expiry(body, maker, now=self._clock.now()),
        )

    def _log(self, actor: str, key: ApiKey, verb: str, data: JsonObject) -> None:
        emit(
            self._session,
            f"api_key.{verb}",
            subject_id=key.id,
            organization_id=key.organization_id,
            project_id=key.project_id,
            actor=actor,
            data=data,
            at=self._clock.now(),
        )


def _scopes(body: ApiKeyCreate, allowed: frozenset[str]) -> frozenset[str]:
    if body.scopes is None:
        return allowed
    wanted = frozenset(body.scopes)
    if unknown := sorted(wanted - ALL_SCOPES):
        raise ScopeUnknown(
            f"there is no scope {', '.join(unknown)}",
            hint=f"the scopes are {', '.join(sorted(ALL_SCOPES))}",
        )
    if beyond := sorted(wanted - allowed):
        raise ScopesExceeded(
            f"this key cannot have {', '.join(beyond)}",
            hint="a key holds what its member's role, its project binding and the key that makes it"
            " all allow; leave scopes out to get just that",
        )
    return wanted


def _models(body: ApiKeyCreate, maker: ApiKey) -> frozenset[str] | None:
    if body.models is None:
        return None if maker.models is None else frozenset(maker.models)
    wanted = frozenset(body.models)
    if maker.models is not None and not wanted <= frozenset(maker.models):
        raise ModelsExceeded(
            "the key that makes this one may not use all of these models",
            hint=f"it may use {', '.join(sorted(maker.models)) or 'none'}",
        )
    return wanted


def _expiry(body: ApiKeyCreate, maker: ApiKey, *, now: datetime) -> datetime | None:
    if body.expires_at is None:
        return maker.expires_at
    if body.expires_at <= now:
        raise ExpiryInvalid("the expiry has passed already", hint="give a time to come")
    if maker.expires_at is not None and body.expires_at > maker.expires_at:
        raise ExpiryInvalid(
            "the key that makes this one expires before it",
            hint=f"give a time up to {maker.expires_at.isoformat()}",
        )
    return body.expires_at
