"""Who asks: tokens, and what each may read and write."""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, insert, or_, select, true, update

from muybridge_hub.database import Database, now, repositories, tokens
from muybridge_hub.errors import Forbidden, NotSignedIn
from muybridge_hub.names import check_namespace

EVERYWHERE = "*"


class Viewer(NamedTuple):
    """Whoever asks. Without a name it is anybody, who reads what is public."""

    name: str | None = None
    namespaces: frozenset[str] = frozenset()
    can_write: bool = False
    token_id: int | None = None

    def can_see(self, namespace: str) -> bool:
        """Whether private repositories of this namespace are theirs to see."""
        return EVERYWHERE in self.namespaces or namespace in self.namespaces

    def check_writing(self, namespace: str) -> None:
        if self.name is None:
            raise NotSignedIn("this needs a token: set HF_TOKEN, or `hf auth login`")
        if not self.can_write:
            raise Forbidden(
                "this token only reads; `muybridge-hub token create` without --read-only makes one that writes"
            )
        if not self.can_see(namespace):
            theirs = ", ".join(sorted(self.namespaces))
            raise Forbidden(
                f"this token writes to {theirs}, not to {namespace}; `--namespace {namespace}` would add it"
            )


ANYBODY = Viewer()

# The server's own, for what it does of itself: it sees everything.
KEEPER = Viewer("muybridge-hub", frozenset({EVERYWHERE}), can_write=True)


class Token(NamedTuple):
    """What is known of a token: all but the token."""

    id: int
    user: str
    can_write: bool
    namespaces: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def is_readable(viewer: Viewer) -> ColumnElement[bool]:
    """Of the repositories, those that the viewer may know of."""
    if EVERYWHERE in viewer.namespaces:
        return true()
    return or_(repositories.c.private.is_(False), repositories.c.namespace.in_(sorted(viewer.namespaces)))


class Tokens:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.secret = bytes.fromhex(database.get_property("secret", secrets.token_hex(32)))
        # With which what this server starts reads from it. No other server knows it, and it ends with this one.
        self.own = make_token()

    def create(self, user: str, *, can_write: bool = True, namespaces: tuple[str, ...] = ()) -> str:
        """A new token, which is shown this once."""
        check_namespace(user)
        for namespace in namespaces:
            if namespace != EVERYWHERE:
                check_namespace(namespace)
        token = make_token()
        row = {"digest": digest(token), "user": user, "can_write": can_write, "namespaces": list(namespaces)}
        with self.database.write() as connection:
            connection.execute(insert(tokens).values(**row, created_at=now()))
        return token

    def list(self) -> list[Token]:
        columns = (tokens.c.id, tokens.c.user, tokens.c.can_write, tokens.c.namespaces)
        query = select(*columns, tokens.c.created_at, tokens.c.revoked_at).order_by(tokens.c.id)
        with self.database.read() as connection:
            return [Token(*row[:3], tuple(row[3]), *row[4:]) for row in connection.execute(query)]

    def revoke(self, token_id: int) -> bool:
        """Whether there was one to revoke."""
        is_there = (tokens.c.id == token_id) & tokens.c.revoked_at.is_(None)
        with self.database.write() as connection:
            return bool(connection.execute(update(tokens).where(is_there).values(revoked_at=now())).rowcount)

    def identify(self, token: str | None) -> Viewer:
        """Who has this token; NotSignedIn where it is of no one."""
        if token and hmac.compare_digest(token.encode(), self.own.encode()):
            return KEEPER._replace(can_write=False)
        return self._find(tokens.c.digest == digest(token)) if token else ANYBODY

    def identify_id(self, token_id: int) -> Viewer:
        return self._find(tokens.c.id == token_id)

    def _find(self, condition: ColumnElement[bool]) -> Viewer:
        with self.database.read() as connection:
            row = connection.execute(select(tokens).where(condition & tokens.c.revoked_at.is_(None))).one_or_none()
        if row is None:
            raise NotSignedIn("Invalid credentials in Authorization header")  # the words that clients look for
        return Viewer(row.user, frozenset({row.user, *row.namespaces}), row.can_write, row.id)

    def sign(self, *words: object) -> str:
        """Proof that this hub gave out these words."""
        return hmac.new(self.secret, "\0".join(map(str, words)).encode(), hashlib.sha256).hexdigest()

    def is_signed(self, signature: str, *words: object) -> bool:
        return hmac.compare_digest(signature.encode(), self.sign(*words).encode())


def make_token() -> str:
    return "hf_" + secrets.token_urlsafe(32).replace("-", "a").replace("_", "b")


def digest(token: str) -> str:
    # Tokens are 190 random bits: a plain hash cannot be turned back, and a slow one would protect nothing more.
    return hashlib.sha256(token.encode()).hexdigest()
