"""The errors of requests, each with the HTTP status and the error code that clients expect."""


class HubError(Exception):
    """A request that fails. Clients show the message to their users."""

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
    """No repository has this name, or the viewer may not know that one has."""

    code = "RepoNotFound"


class RevisionNotFound(NotFound):
    code = "RevisionNotFound"


class EntryNotFound(NotFound):
    code = "EntryNotFound"


class Conflict(HubError):
    status = 409


class ParentChanged(HubError):
    """A commit named a parent that is no longer the newest commit of the branch."""

    status = 412


class TooLarge(HubError):
    status = 413


class NotOffered(HubError):
    """The request is for a feature of the Hugging Face Hub that this server does not have."""

    status = 501


class Damaged(Exception):
    """Something in the storage or the database is damaged or lost. `check` lists it; a request answers 500."""
