"""What the installation remembers of itself.

The secret is drawn once, when it is first asked for.  Clients' machine ids are derived from it, so it must
never change: it lives in the database, moves with it, and is in its backup.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from netboot.store.database import reading, writing
from netboot.store.schema import settings

_SECRET = "secret"  # noqa: S105 - the row's name
SECRET_BYTES = 32


def installation_secret(engine: Engine) -> bytes:
    """32 random bytes, the same ever after."""
    if (known := _read(engine)) is not None:
        return known
    try:
        with writing(engine) as connection:
            fresh = secrets.token_bytes(SECRET_BYTES)
            connection.execute(insert(settings).values(name=_SECRET, value=fresh))
        return fresh
    except IntegrityError:
        # Another program drew it between our question and our write; its draw counts.
        return installation_secret(engine)


def _read(engine: Engine) -> bytes | None:
    with reading(engine) as connection:
        return connection.execute(select(settings.c.value).where(settings.c.name == _SECRET)).scalar_one_or_none()
