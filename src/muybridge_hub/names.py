"""Checks the names of repositories, revisions and files."""

import re
from typing import Literal, NamedTuple, cast

from muybridge_hub.errors import BadRequest

Kind = Literal["model", "dataset", "space"]
KINDS: tuple[Kind, ...] = ("model", "dataset", "space")

# How the URLs of the pages and files of each kind begin.
URL_PREFIXES: dict[Kind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}

MAX_PATH_LENGTH, MAX_DEPTH = 1000, 50
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,249}")
OID = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")

# These cannot be namespaces, because other URLs of the site begin with them.
RESERVED_NAMESPACES = frozenset(
    {"api", "datasets", "models", "spaces", "static", "lfs", "login", "logout", "new", "settings", "kernels", "health"}
)


class RepoName(NamedTuple):
    """The full name of a repository: its kind, its namespace and its name."""

    kind: Kind
    namespace: str
    name: str

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def url_path(self) -> str:
        """The path of its page on this site, without the first slash."""
        return URL_PREFIXES[self.kind] + self.id

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def parse_kind(text: object) -> Kind:
    if text is None:
        return "model"
    if text not in KINDS:
        raise BadRequest(f"the type of repository is {text!r}; it must be one of {', '.join(KINDS)}")
    return cast(Kind, text)


def parse_repo_name(kind: Kind, text: str) -> RepoName:
    namespace, slash, name = text.partition("/")
    if not slash:
        raise BadRequest(f"the repository is {text!r}; its name must be NAMESPACE/NAME")
    return RepoName(kind, check_namespace(namespace), check_name(name))


def check_namespace(text: str) -> str:
    if text.lower() in RESERVED_NAMESPACES:
        raise BadRequest(f"the namespace is {text!r}; that name is reserved for other pages of the site")
    return check_name(text)


def check_name(text: str) -> str:
    is_plain = NAME.fullmatch(text) and "--" not in text and ".." not in text and text[-1] not in ".-"
    if not is_plain or text.endswith(".git"):
        raise BadRequest(
            f"the name is {text[:100]!r}; names are up to 96 letters, digits, '-', '_' and '.', neither begin nor end "
            f"with '-' or '.', have neither '--' nor '..' in them, and do not end with .git"
        )
    return text


def check_revision_name(text: str) -> str:
    """The name of a branch or a tag."""
    is_plain = (
        REVISION.fullmatch(text) and ".." not in text and "//" not in text and not text.endswith(("/", ".", ".lock"))
    )
    if not is_plain:
        raise BadRequest(
            f"the name of the branch or tag is {text[:100]!r}; such names are up to 250 letters, digits and '._/+@#-'"
        )
    return text


def check_path(text: str) -> str:
    """The path of a file in a repository: relative, without special names, and valid on every machine."""
    parts = text.split("/")
    has_bad_part = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    has_bad_character = any(ord(letter) < 32 or letter in "\\\x7f" or 0xD800 <= ord(letter) < 0xE000 for letter in text)
    if has_bad_part or has_bad_character or len(text) > MAX_PATH_LENGTH or len(parts) > MAX_DEPTH:
        raise BadRequest(
            f"the path is {text[:100]!r}; paths are relative, up to {MAX_PATH_LENGTH} characters long and "
            f"{MAX_DEPTH} folders deep, without '.', '..', '.git', backslashes and control characters"
        )
    return text


def check_sha256(text: object) -> str:
    if not isinstance(text, str) or not SHA256.fullmatch(text):
        raise BadRequest(f"the oid is {str(text)[:80]!r}; it must be a sha256, 64 digits of 0-9a-f")
    return text
