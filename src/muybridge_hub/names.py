"""Which names are taken: of repositories, of revisions, of the files in them."""

import re
from typing import Literal, NamedTuple, cast

from muybridge_hub.errors import BadRequest

Kind = Literal["model", "dataset", "space"]
KINDS: tuple[Kind, ...] = ("model", "dataset", "space")

# Where the pages and the files of a kind lie: models at the top.
PREFIXES: dict[Kind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}

MAX_PATH_LENGTH, MAX_DEPTH = 1000, 50
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,249}")
COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")

# First segments of addresses that mean something else.
RESERVED = frozenset(
    {"api", "datasets", "models", "spaces", "static", "lfs", "login", "logout", "new", "settings", "kernels", "health"}
)


class RepoName(NamedTuple):
    """The name of a repository: what kind it is, whose, and what it is called."""

    kind: Kind
    namespace: str
    name: str

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def address(self) -> str:
        """Its page, from the top of the site, without the first slash."""
        return PREFIXES[self.kind] + self.id

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
    if text.lower() in RESERVED:
        raise BadRequest(f"the namespace is {text!r}; that is the beginning of other addresses of the site")
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
    """The path of a file in a repository: relative, plain, and the same on every machine."""
    parts = text.split("/")
    has_bad_part = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    has_bad_character = any(ord(letter) < 32 or letter in "\\\x7f" or 0xD800 <= ord(letter) < 0xE000 for letter in text)
    if has_bad_part or has_bad_character or len(text) > MAX_PATH_LENGTH or len(parts) > MAX_DEPTH:
        raise BadRequest(
            f"the path is {text[:100]!r}; paths are relative, up to {MAX_PATH_LENGTH} letters and {MAX_DEPTH} folders "
            f"deep, without '.', '..', '.git', backslashes and control characters"
        )
    return text


def check_sha256(text: object) -> str:
    if not isinstance(text, str) or not SHA256.fullmatch(text):
        raise BadRequest(f"the oid is {str(text)[:80]!r}; it must be a sha256, 64 digits of 0-9a-f")
    return text
