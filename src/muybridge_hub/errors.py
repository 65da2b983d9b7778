"""What a request can do wrong: each error has the status and the code by which clients know it."""


class HubError(Exception):
    """An answer other than the one wished for; the message is what the client shows."""

    status = 400
    code: str | None = None

    def __init__(self, message: str, *, status: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or self.status
        self.headers = headers or {}


class BadRequest(HubError):
    status = 400


class NotSignedIn(HubError):
    status = 401


class Forbidden(HubError):
    status = 403


class NotFound(HubError):
    status = 404


class RepositoryNotFound(NotFound):
    """There is none of this name, or the one who asks may not know of it."""

    code = "RepoNotFound"


class RevisionNotFound(NotFound):
    code = "RevisionNotFound"


class EntryNotFound(NotFound):
    code = "EntryNotFound"


class Conflict(HubError):
    status = 409


class ParentChanged(HubError):
    """A commit was made onto a parent that is not the newest any more."""

    status = 412


class TooLarge(HubError):
    status = 413


class NotOffered(HubError):
    """A part of the Hub that this server leaves out."""

    status = 501


class Damaged(Exception):
    """Something stored is not what it was: for `check`, and for a 500 that names it in the log."""
