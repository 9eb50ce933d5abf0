"""Routes of API keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from galerne.iam.api_keys.auth import KeysRead, KeysWrite
from galerne.iam.api_keys.models import ApiKey
from galerne.iam.api_keys.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyOut
from galerne.iam.api_keys.service import ApiKeyService
from galerne.iam.shown_once import ShownOnceRoute, show_once
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided

router = APIRouter(prefix="/api-keys", tags=["api-keys"], route_class=ShownOnceRoute)

Keys = Annotated[ApiKeyService, Depends(provided(ApiKeyService))]


@router.post("", status_code=201)
async def create_api_key(
    body: ApiKeyCreate, subject: KeysWrite, keys: Keys, request: Request
) -> ApiKeyCreated:
    """Make a key, never stronger than the caller's. Its secret is shown in this answer only."""
    key, secret = await keys.create(subject, body)
    show_once(request, secret)
    return ApiKeyCreated(**api_key_out(key).model_dump(), secret=None)


@router.get("")
async def list_api_keys(
    subject: KeysRead, keys: Keys, limit: Limit = 100, cursor: Cursor = None
) -> Page[ApiKeyOut]:
    """List the keys, newest first, also those that are revoked."""
    rows = await keys.page(subject, limit=limit, before=cursor)
    return page([api_key_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{key_id}")
async def get_api_key(key_id: str, subject: KeysRead, keys: Keys) -> ApiKeyOut:
    """Show a key, without its secret."""
    return api_key_out(await keys.get(subject, key_id))


@router.delete("/{key_id}", status_code=204)
async def revoke_api_key(key_id: str, subject: KeysWrite, keys: Keys) -> None:
    """Revoke a key: from now on it opens nothing. Doing it again changes nothing."""
    await keys.revoke(subject, key_id)


def api_key_out(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=key.id,
        organization_id=key.organization_id,
        member_id=key.member_id,
        project_id=key.project_id,
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
        models=key.models,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
