"""Tokens, and what the owner of each token may read and write."""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, insert, or_, select, true, update

from muybridge_hub.database import Database, now, repositories, tokens
from muybridge_hub.errors import Forbidden, NotSignedIn
from muybridge_hub.names import check_namespace

ALL_NAMESPACES = "*"


class Viewer(NamedTuple):
    """Who makes a request, and what they may do. Without a name, they are anonymous and read public repositories."""

    name: str | None = None
    namespaces: frozenset[str] = frozenset()
    can_write: bool = False
    token_id: int | None = None

    def can_see(self, namespace: str) -> bool:
        """Whether the viewer may see private repositories of this namespace."""
        return ALL_NAMESPACES in self.namespaces or namespace in self.namespaces

    def check_can_write(self, namespace: str) -> None:
        """Raises NotSignedIn or Forbidden where the viewer may not write to this namespace."""
        if self.name is None:
            raise NotSignedIn("this needs a token: set HF_TOKEN, or `hf auth login`")
        if not self.can_write:
            raise Forbidden(
                "this token is read-only; `muybridge-hub token create` without --read-only makes one that can write"
            )
        if not self.can_see(namespace):
            allowed = ", ".join(sorted(self.namespaces))
            raise Forbidden(
                f"this token can write to {allowed}, not to {namespace}; "
                f"`muybridge-hub token create` with `--namespace {namespace}` makes one that can"
            )


ANONYMOUS = Viewer()

# For what the server does on its own behalf: it may read and write everything.
SYSTEM = Viewer("muybridge-hub", frozenset({ALL_NAMESPACES}), can_write=True)


class Token(NamedTuple):
    """What the database stores about a token. The token itself is not stored."""

    id: int
    user: str
    can_write: bool
    namespaces: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def build_read_filter(viewer: Viewer) -> ColumnElement[bool]:
    """An SQL condition: the viewer may read the repository."""
    if ALL_NAMESPACES in viewer.namespaces:
        return true()
    return or_(repositories.c.private.is_(False), repositories.c.namespace.in_(sorted(viewer.namespaces)))


class TokenStore:
    """Creates, lists and revokes tokens, finds out who a token belongs to, and signs values with the hub's secret."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.secret = bytes.fromhex(database.get_property("secret", secrets.token_hex(32)))
        # Processes that this server starts use it to read from the server. It is valid in this server process only.
        self.server_token = make_token()

    def create(self, user: str, *, can_write: bool = True, namespaces: tuple[str, ...] = ()) -> str:
        """Makes a new token and returns it. It cannot be shown again: only its hash is stored."""
        check_namespace(user)
        for namespace in namespaces:
            if namespace != ALL_NAMESPACES:
                check_namespace(namespace)
        token = make_token()
        row = {"digest": hash_token(token), "user": user, "can_write": can_write, "namespaces": list(namespaces)}
        with self.database.write() as connection:
            connection.execute(insert(tokens).values(**row, created_at=now()))
        return token

    def list(self) -> list[Token]:
        columns = (tokens.c.id, tokens.c.user, tokens.c.can_write, tokens.c.namespaces)
        query = select(*columns, tokens.c.created_at, tokens.c.revoked_at).order_by(tokens.c.id)
        with self.database.read() as connection:
            return [Token(*row[:3], tuple(row[3]), *row[4:]) for row in connection.execute(query)]

    def revoke(self, token_id: int) -> bool:
        """Revokes a token. Returns False if there was no valid token with this id."""
        is_valid = (tokens.c.id == token_id) & tokens.c.revoked_at.is_(None)
        with self.database.write() as connection:
            return bool(connection.execute(update(tokens).where(is_valid).values(revoked_at=now())).rowcount)

    def identify(self, token: str | None) -> Viewer:
        """Returns the viewer that a token belongs to, or the anonymous viewer without a token.

        Raises NotSignedIn if the token is unknown or revoked.
        """
        if token and hmac.compare_digest(token.encode(), self.server_token.encode()):
            return SYSTEM._replace(can_write=False)
        return self._find_viewer(tokens.c.digest == hash_token(token)) if token else ANONYMOUS

    def identify_by_id(self, token_id: int) -> Viewer:
        return self._find_viewer(tokens.c.id == token_id)

    def _find_viewer(self, condition: ColumnElement[bool]) -> Viewer:
        with self.database.read() as connection:
            row = connection.execute(select(tokens).where(condition & tokens.c.revoked_at.is_(None))).one_or_none()
        if row is None:
            raise NotSignedIn("Invalid credentials in Authorization header")  # clients look for exactly these words
        return Viewer(row.user, frozenset({row.user, *row.namespaces}), row.can_write, row.id)

    def sign(self, *values: object) -> str:
        """Computes a signature that proves later that this hub issued these values."""
        return hmac.new(self.secret, "\0".join(map(str, values)).encode(), hashlib.sha256).hexdigest()

    def is_signed(self, signature: str, *values: object) -> bool:
        return hmac.compare_digest(signature.encode(), self.sign(*values).encode())


def make_token() -> str:
    return "hf_" + secrets.token_urlsafe(32).replace("-", "a").replace("_", "b")


def hash_token(token: str) -> str:
    # A token is 190 random bits: a plain hash of it cannot be reversed, and a slow hash would add no protection.
    return hashlib.sha256(token.encode()).hexdigest()
