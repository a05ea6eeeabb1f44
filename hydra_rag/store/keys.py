"""API keys. The secret is shown once; the store keeps its SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlalchemy import select

from hydra_rag.errors import NotFoundError
from hydra_rag.store.base import now
from hydra_rag.store.chat_models import ApiKeyRow
from hydra_rag.store.ids import new_id
from hydra_rag.store.records import ApiKey
from hydra_rag.store.store import Store

__all__ = ["any_keys", "create_key", "list_keys", "revoke_key", "tenant_of_key"]

_PREFIX = "hyd"


def create_key(store: Store, tenant: str, name: str = "") -> ApiKey:
    """A new key ``hyd_<id>_<secret>``; the whole of it is in ``.secret`` of the result, this once."""
    key_id = new_id()
    token = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(id=key_id, tenant=tenant, name=name, sha256=_digest(token))
    with store.write() as db:
        db.add(row)
        db.flush()
        return _key(row, token)


def list_keys(store: Store, tenant: str) -> list[ApiKey]:
    with store.session() as db:
        rows = db.scalars(select(ApiKeyRow).where(ApiKeyRow.tenant == tenant).order_by(ApiKeyRow.id))
        return [_key(row) for row in rows]


def revoke_key(store: Store, tenant: str, key_id: str) -> None:
    with store.write() as db:
        row = db.scalar(select(ApiKeyRow).where(ApiKeyRow.tenant == tenant, ApiKeyRow.id == key_id))
        if row is None:
            raise NotFoundError(f"There is no key {key_id}: `hydra-rag keys list` shows them.")
        row.revoked = row.revoked or now()


def tenant_of_key(store: Store, token: str) -> str | None:
    """The tenant a key opens; ``None`` for unknown, malformed and revoked keys alike."""
    parts = token.split("_", 2)
    if len(parts) != 3 or parts[0] != _PREFIX or not token.isascii():
        return None
    with store.session() as db:
        row = db.scalar(select(ApiKeyRow).where(ApiKeyRow.id == parts[1]))
    # The comparison runs for unknown ids too, so that time tells nothing.
    same = hmac.compare_digest(row.sha256 if row else "0" * 64, _digest(token))
    if row is None or not same or row.revoked is not None:
        return None
    moment = now()
    if row.last_used is None or moment - row.last_used > timedelta(minutes=1):
        with store.write() as db:
            stored = db.get(ApiKeyRow, row.id)
            if stored is not None:
                stored.last_used = moment
    return row.tenant


def any_keys(store: Store) -> bool:
    """Whether at least one key works (a server that others can reach must have one)."""
    with store.session() as db:
        return db.scalar(select(ApiKeyRow.id).where(ApiKeyRow.revoked.is_(None)).limit(1)) is not None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _key(row: ApiKeyRow, secret: str | None = None) -> ApiKey:
    return ApiKey(row.id, row.tenant, row.name, row.created, row.last_used, row.revoked, secret)
