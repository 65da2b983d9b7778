"""The pages of a repository: its card, its files, its history."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from muybridge_hub.calls import Call
from muybridge_hub.database import repositories
from muybridge_hub.errors import BadRequest, EntryNotFound, NotFound
from muybridge_hub.facts import parse_card
from muybridge_hub.listing import with_head
from muybridge_hub.names import RepoName
from muybridge_hub.pages.cards import render_card
from muybridge_hub.pages.numbers import as_mapping, read_numbers
from muybridge_hub.pages.site import place, render
from muybridge_hub.pages.usage import write_setup, write_snippets
from muybridge_hub.repositories import MAIN, Commit, Repository
from muybridge_hub.trees import EMPTY, Entry, Trees

MAX_CARD = 1_000_000
MAX_TEXT = 500_000
MAX_CHANGES = 1000
FILES_PAGE = 500
COMMITS_PAGE = 50
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
VIDEOS = (".mp4", ".webm")
CARD = "README.md"


class Change(NamedTuple):
    """What a commit did to a file. Before, or after, there may be none."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def kind(self) -> str:
        return "added" if not self.before else "changed" if self.after else "deleted"


@dataclass(frozen=True)
class Sight:
    """A repository that is looked at: it is there, and the visitor may see it."""

    call: Call
    connection: Connection
    repository: Repository
    row: Any

    @property
    def name(self) -> RepoName:
        return self.repository.name

    @property
    def trees(self) -> Trees:
        return self.call.hub.repositories.trees

    @property
    def revision(self) -> str:
        return self.call.text("revision", MAIN)

    def commit(self) -> Commit:
        return self.call.hub.repositories.resolve(self.connection, self.repository, self.revision)

    def render(self, template: str, **values: Any) -> Response:
        shared = {"name": self.name, "row": self.row, "revision": self.revision, "base_url": self.call.base_url}
        return render(self.call, template, **shared, **values)


def look(call: Call, connection: Connection) -> Sight:
    """Finds the repository of the address. A name that none can have is none that is there."""
    try:
        name = call.name
    except BadRequest as error:
        raise NotFound(f"there is no page {call.request.url.path[:200]!r}") from error
    repository = call.hub.repositories.find(connection, call.visitor, name)
    row = connection.execute(with_head().where(repositories.c.id == repository.id)).one()
    return Sight(call, connection, repository, row)


def show_card(call: Call) -> Response:
    with call.hub.database.read() as connection:
        sight = look(call, connection)
        commit = sight.commit()
        files = list(sight.trees.files(connection, commit.tree))
    card = next((file.entry for file in files if file.path == CARD), None)
    row, settings = sight.row, call.hub.settings
    can_try = bool(settings.inference) and row.kind == "model" and row.pipeline_tag == "video-classification"
    datasets = [tag.removeprefix("dataset:") for tag in row.facts.get("tags", []) if tag.startswith("dataset:")]
    return sight.render(
        "card.html",
        card=read_card(sight, card) if card else None,
        numbers=read_numbers(row.facts),
        datasets=datasets[:20],
        num_parameters=as_mapping(row.facts.get("safetensors")).get("total"),
        num_files=len(files),
        size_in_bytes=sum(file.entry.size or 0 for file in files),
        commit=commit,
        setup=write_setup(call.base_url, needs_token=row.private),
        snippets=write_snippets(sight.name, library=row.library, task=row.pipeline_tag),
        can_try=can_try,
        max_clip_size=settings.max_clip_size,
    )


def read_card(sight: Sight, entry: Entry) -> str:
    data = sight.call.hub.repositories.read(entry, 0, min(entry.size or 0, MAX_CARD))
    return render_card(parse_card(data.decode("utf-8", "replace"))[1], sight.name, sight.revision)


def show_folder(call: Call) -> Response:
    page = call.number("p", 0)
    with call.hub.database.read() as connection:
        sight = look(call, connection)
        commit = sight.commit()
        folder = sight.trees.find(connection, commit.tree, call.path)
        if not folder.is_folder:
            return RedirectResponse(place(sight.name, "blob", sight.revision, call.path))
        entries = list(sight.trees.list(connection, folder.key, call.path, recursive=False))
        refs = call.hub.repositories.list_refs(connection, sight.repository)
    entries.sort(key=lambda file: not file.entry.is_folder)
    shown = entries[page * FILES_PAGE : (page + 1) * FILES_PAGE]
    following = page + 1 if len(entries) > (page + 1) * FILES_PAGE else None
    return sight.render(
        "folder.html", path=call.path, files=shown, commit=commit, refs=refs, page=page, following=following
    )


def show_file(call: Call) -> Response:
    with call.hub.database.read() as connection:
        sight = look(call, connection)
        commit = sight.commit()
        entry = sight.trees.find(connection, commit.tree, call.path)
    if entry.is_folder:
        return RedirectResponse(place(sight.name, "tree", sight.revision, call.path))
    is_picture = PurePosixPath(call.path).suffix.lower() in PICTURES
    is_video = PurePosixPath(call.path).suffix.lower() in VIDEOS
    text = None if is_picture or is_video else read_text(sight, entry)
    shown = {"text": text, "is_picture": is_picture, "is_video": is_video}
    return sight.render("file.html", path=call.path, entry=entry, commit=commit, **shown)


def read_text(sight: Sight, entry: Entry) -> str | None:
    """What is in a file; None where that is too much, or no text."""
    if (entry.size or 0) > MAX_TEXT:
        return None
    try:
        text = sight.call.hub.repositories.read(entry, 0, entry.size or 0).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def show_history(call: Call) -> Response:
    page = call.number("p", 0)
    with call.hub.database.read() as connection:
        sight = look(call, connection)
        oid = call.hub.repositories.resolve(connection, sight.repository, sight.revision).oid
        history = call.hub.repositories.history(connection, sight.repository, oid)
        commits = list(islice(history, page * COMMITS_PAGE, (page + 1) * COMMITS_PAGE + 1))
    if page and not commits:
        raise EntryNotFound(f"the history of {sight.name} has no page {page}")
    following = page + 1 if len(commits) > COMMITS_PAGE else None
    return sight.render("history.html", commits=commits[:COMMITS_PAGE], page=page, following=following)


def show_commit(call: Call) -> Response:
    with call.hub.database.read() as connection:
        sight = look(call, connection)
        commit = sight.commit()
        before = EMPTY.key
        if commit.parent:
            before = call.hub.repositories.resolve(connection, sight.repository, commit.parent).tree
        changes = list(islice(compare(sight, before, commit.tree), MAX_CHANGES + 1))
    is_cut = len(changes) > MAX_CHANGES
    return sight.render("commit.html", commit=commit, changes=changes[:MAX_CHANGES], is_cut=is_cut)


def compare(sight: Sight, before: str, after: str, prefix: str = "") -> Iterator[Change]:
    """The files in which two folders differ. What is the same in both is not read."""
    old, new = (sight.trees.load(sight.connection, key) for key in (before, after))
    for name in sorted(old.keys() | new.keys()):
        one, other, path = old.get(name), new.get(name), prefix + name
        if one == other:
            continue
        if (one and one.is_folder) or (other and other.is_folder):
            yield from compare(sight, folder_key(one), folder_key(other), path + "/")
        one, other = as_file(one), as_file(other)
        if one or other:
            yield Change(path, one, other)


def folder_key(entry: Entry | None) -> str:
    return entry.key if entry and entry.is_folder else EMPTY.key


def as_file(entry: Entry | None) -> Entry | None:
    return entry if entry and not entry.is_folder else None
