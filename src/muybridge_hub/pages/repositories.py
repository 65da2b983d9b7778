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
from muybridge_hub.listing import select_repositories
from muybridge_hub.names import RepoName
from muybridge_hub.pages.cards import render_card
from muybridge_hub.pages.results import as_mapping, read_results
from muybridge_hub.pages.site import make_page_url, render
from muybridge_hub.pages.usage import write_setup, write_snippets
from muybridge_hub.repositories import MAIN_BRANCH, Commit, Repository
from muybridge_hub.trees import EMPTY_FOLDER, Entry, TreeReader

MAX_CARD_SIZE = 1_000_000
MAX_TEXT_SIZE = 500_000  # larger text files are not shown
MAX_CHANGES = 1000  # shown of one commit
FILES_PER_PAGE = 500
COMMITS_PER_PAGE = 50
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
VIDEOS = (".mp4", ".webm")
CARD = "README.md"


class Change(NamedTuple):
    """The change of a file by a commit. `before` is None for an added file, `after` for a deleted one."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def kind(self) -> str:
        return "added" if not self.before else "changed" if self.after else "deleted"


@dataclass(frozen=True)
class RepositoryView:
    """A repository that the visitor may see, for the pages that show it."""

    call: Call
    connection: Connection
    repository: Repository
    row: Any

    @property
    def name(self) -> RepoName:
        return self.repository.name

    @property
    def trees(self) -> TreeReader:
        return self.call.hub.repositories.trees

    @property
    def revision(self) -> str:
        return self.call.get_path_parameter("revision", MAIN_BRANCH)

    def find_commit(self) -> Commit:
        return self.call.hub.repositories.resolve(self.connection, self.repository, self.revision)

    def render(self, template: str, **values: Any) -> Response:
        shared = {"name": self.name, "row": self.row, "revision": self.revision, "base_url": self.call.base_url}
        return render(self.call, template, **shared, **values)


def open_view(call: Call, connection: Connection) -> RepositoryView:
    """Finds the repository that the URL names. If the name is not even valid, the page is missing (404) too."""
    try:
        name = call.repo_name
    except BadRequest as error:
        raise NotFound(f"there is no page {call.request.url.path[:200]!r}") from error
    repository = call.hub.repositories.find(connection, call.session_viewer, name)
    row = connection.execute(select_repositories().where(repositories.c.id == repository.id)).one()
    return RepositoryView(call, connection, repository, row)


def show_card(call: Call) -> Response:
    with call.hub.database.read() as connection:
        view = open_view(call, connection)
        commit = view.find_commit()
        files = list(view.trees.list_files(connection, commit.tree))
    card = next((file.entry for file in files if file.path == CARD), None)
    row, settings = view.row, call.hub.settings
    can_try = bool(settings.inference) and row.kind == "model" and row.pipeline_tag == "video-classification"
    datasets = [tag.removeprefix("dataset:") for tag in row.facts.get("tags", []) if tag.startswith("dataset:")]
    return view.render(
        "card.html",
        card=read_card(view, card) if card else None,
        results=read_results(row.facts),
        datasets=datasets[:20],
        num_parameters=as_mapping(row.facts.get("safetensors")).get("total"),
        num_files=len(files),
        size_in_bytes=sum(file.entry.size or 0 for file in files),
        commit=commit,
        setup=write_setup(call.base_url, needs_token=row.private),
        snippets=write_snippets(view.name, library=row.library, task=row.pipeline_tag),
        can_try=can_try,
        max_clip_size=settings.max_clip_size,
    )


def read_card(view: RepositoryView, entry: Entry) -> str:
    data = view.call.hub.repositories.read_file(entry, 0, min(entry.size or 0, MAX_CARD_SIZE))
    return render_card(parse_card(data.decode("utf-8", "replace"))[1], view.name, view.revision)


def show_folder(call: Call) -> Response:
    page = call.get_number("p", 0)
    with call.hub.database.read() as connection:
        view = open_view(call, connection)
        commit = view.find_commit()
        folder = view.trees.find_entry(connection, commit.tree, call.path)
        if not folder.is_folder:
            return RedirectResponse(make_page_url(view.name, "blob", view.revision, call.path))
        entries = list(view.trees.list_entries(connection, folder.key, call.path, recursive=False))
        refs = call.hub.repositories.list_refs(connection, view.repository)
    entries.sort(key=lambda file: not file.entry.is_folder)
    shown = entries[page * FILES_PER_PAGE : (page + 1) * FILES_PER_PAGE]
    next_page = page + 1 if len(entries) > (page + 1) * FILES_PER_PAGE else None
    return view.render(
        "folder.html", path=call.path, files=shown, commit=commit, refs=refs, page=page, next_page=next_page
    )


def show_file(call: Call) -> Response:
    with call.hub.database.read() as connection:
        view = open_view(call, connection)
        commit = view.find_commit()
        entry = view.trees.find_entry(connection, commit.tree, call.path)
    if entry.is_folder:
        return RedirectResponse(make_page_url(view.name, "tree", view.revision, call.path))
    is_picture = PurePosixPath(call.path).suffix.lower() in PICTURES
    is_video = PurePosixPath(call.path).suffix.lower() in VIDEOS
    text = None if is_picture or is_video else read_text(view, entry)
    shown = {"text": text, "is_picture": is_picture, "is_video": is_video}
    return view.render("file.html", path=call.path, entry=entry, commit=commit, **shown)


def read_text(view: RepositoryView, entry: Entry) -> str | None:
    """Reads a text file; None if it is too large or not text."""
    if (entry.size or 0) > MAX_TEXT_SIZE:
        return None
    try:
        text = view.call.hub.repositories.read_file(entry, 0, entry.size or 0).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def show_history(call: Call) -> Response:
    page = call.get_number("p", 0)
    with call.hub.database.read() as connection:
        view = open_view(call, connection)
        oid = call.hub.repositories.resolve(connection, view.repository, view.revision).oid
        history = call.hub.repositories.walk_history(connection, view.repository, oid)
        commits = list(islice(history, page * COMMITS_PER_PAGE, (page + 1) * COMMITS_PER_PAGE + 1))
    if page and not commits:
        raise EntryNotFound(f"the history of {view.name} has no page {page}")
    next_page = page + 1 if len(commits) > COMMITS_PER_PAGE else None
    return view.render("history.html", commits=commits[:COMMITS_PER_PAGE], page=page, next_page=next_page)


def show_commit(call: Call) -> Response:
    with call.hub.database.read() as connection:
        view = open_view(call, connection)
        commit = view.find_commit()
        before = EMPTY_FOLDER.key
        if commit.parent:
            before = call.hub.repositories.resolve(connection, view.repository, commit.parent).tree
        changes = list(islice(compare_folders(view, before, commit.tree), MAX_CHANGES + 1))
    is_cut = len(changes) > MAX_CHANGES
    return view.render("commit.html", commit=commit, changes=changes[:MAX_CHANGES], is_cut=is_cut)


def compare_folders(view: RepositoryView, before: str, after: str, prefix: str = "") -> Iterator[Change]:
    """Yields the files in which two folders differ. Subfolders that are the same in both are not read."""
    old_entries, new_entries = (view.trees.load_entries(view.connection, key) for key in (before, after))
    for name in sorted(old_entries.keys() | new_entries.keys()):
        old, new, path = old_entries.get(name), new_entries.get(name), prefix + name
        if old == new:
            continue
        if (old and old.is_folder) or (new and new.is_folder):
            yield from compare_folders(view, get_folder_key(old), get_folder_key(new), path + "/")
        old, new = drop_folder(old), drop_folder(new)
        if old or new:
            yield Change(path, old, new)


def get_folder_key(entry: Entry | None) -> str:
    """The key of a folder; that of the empty folder for a file or None."""
    return entry.key if entry and entry.is_folder else EMPTY_FOLDER.key


def drop_folder(entry: Entry | None) -> Entry | None:
    """The entry if it is a file; None for a folder."""
    return entry if entry and not entry.is_folder else None
