"""Repositories: made, moved, deleted, listed and described; their branches, tags, folders and history."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.calls import Call, endpoint, int_or_zero
from muybridge_hub.database import repositories
from muybridge_hub.errors import BadRequest, Conflict, EntryNotFound
from muybridge_hub.facts import MAX_WEIGHT_FILES, clean, read_header
from muybridge_hub.git import lfs_pointer
from muybridge_hub.listing import Query, list_repositories, with_head
from muybridge_hub.names import RepoName, check_name, check_namespace, check_path, parse_kind, parse_repo_name
from muybridge_hub.repositories import MAIN, Commit, Repository
from muybridge_hub.trees import Entry, File

MAX_PATHS = 1000
PAGE = 1000  # of a folder
REPOSITORY = "/api/{kinds}/{namespace}/{name}"

# Parts of the Hub's filters that are tags to us.
TAG_FILTERS = ("filter", "tags", "language", "task_categories", "dataset", "library")


def format_time(moment: datetime) -> str:
    """The one form in which clients read times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# Made, moved, deleted


def create(call: Call) -> Response:
    name = name_in_body(call)
    answer = {"url": f"{call.base_url}/{name.address}", "id": name.id, "name": name.id, "type": name.kind}
    try:
        call.hub.repositories.create(call.viewer, name, private=is_private(call) or False)
    except Conflict as error:
        return JSONResponse({"error": error.message, **answer}, error.status)  # clients go on with what is there
    return JSONResponse(answer)


def remove(call: Call) -> dict[str, Any]:
    call.hub.repositories.delete(call.viewer, name_in_body(call))
    return {}


def move(call: Call) -> dict[str, Any]:
    kind = parse_kind(call.json.get("type"))
    old, new = (parse_repo_name(kind, call.field(field, str, "")) for field in ("fromRepo", "toRepo"))
    call.hub.repositories.move(call.viewer, old, new)
    return {"url": f"{call.base_url}/{new.address}"}


def change_settings(call: Call) -> dict[str, Any]:
    if call.json.get("gated"):
        raise BadRequest("gated repositories are not offered by this hub; make it private instead")
    private = is_private(call)
    if private is None:
        raise BadRequest("nothing to change was named; this hub knows `private` and `visibility`")
    call.hub.repositories.set_private(call.viewer, call.name, private)
    return {"private": private}


def name_in_body(call: Call) -> RepoName:
    """The Hub's clients send the name and its namespace apart, or none, which means the user's own."""
    kind, name = parse_kind(call.json.get("type")), call.field("name", str, "")
    if "/" in name:
        return parse_repo_name(kind, name)
    namespace = call.field("organization", str) or call.viewer.name
    if namespace is None:
        call.viewer.check_writing("")
    return RepoName(kind, check_namespace(namespace or ""), check_name(name))


def is_private(call: Call) -> bool | None:
    visibility = call.field("visibility", str)
    if visibility not in (None, "public", "private"):
        raise BadRequest(f"visibility is {visibility!r}; it must be public or private")
    private: bool | None = call.field("private", bool)
    return visibility == "private" if visibility else private


# Listed and described


def list_kind(call: Call) -> Response:
    tags = [value for name in TAG_FILTERS for value in call.query.getlist(name)]
    query = Query(
        kind=call.kind,
        search=call.query.get("search"),
        author=call.query.get("author"),
        tags=tuple(tag for value in tags for tag in value.split(",") if tag),
        pipeline_tag=call.query.get("pipeline_tag"),
        sort=call.query.get("sort") or "trendingScore",
        limit=call.number("limit", 100),
        cursor=call.query.get("cursor"),
    )
    with call.hub.database.read() as connection:
        rows, cursor = list_repositories(connection, call.viewer, query)
    asked = {*call.query.keys(), *call.query.getlist("expand")}
    left_out = [] if "full" in asked else [name for name in ("cardData", "config") if name not in asked]
    described = [describe_row(row) for row in rows]
    answer = JSONResponse([{key: item[key] for key in item if key not in left_out} for item in described])
    if cursor:
        answer.headers["Link"] = next_page(call, cursor)
    return answer


def next_page(call: Call, cursor: str) -> str:
    pairs = [(name, value) for name, value in call.query.multi_items() if name != "cursor"]
    query = urlencode([*pairs, ("cursor", cursor)])
    return f'<{call.base_url}{call.request.url.path}?{query}>; rel="next"'


def describe_row(row: Any) -> dict[str, Any]:
    """A repository as lists show it."""
    facts = row.facts or {}
    identity = f"{row.namespace}/{row.name}"
    return {
        "_id": f"{row.id:024x}",
        "id": identity,
        "modelId": identity,
        "author": row.namespace,
        "sha": row.head,
        "private": row.private,
        "gated": False,
        "disabled": False,
        "downloads": row.downloads,
        "likes": 0,
        "tags": facts.get("tags", []),
        "pipeline_tag": row.pipeline_tag,
        "library_name": row.library,
        "createdAt": format_time(row.created_at),
        "lastModified": format_time(row.updated_at),
        "cardData": facts.get("card") or None,
        "config": facts.get("config") or None,
    }


def info(call: Call) -> dict[str, Any]:
    revision = call.text("revision", MAIN)
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.name)
        commit = call.hub.repositories.resolve(connection, repository, revision)
        row = connection.execute(with_head().where(repositories.c.id == repository.id)).one()
        files = list(call.hub.repositories.trees.files(connection, commit.tree))
    facts = row.facts or {}
    return describe_row(row) | {
        "sha": commit.oid,
        "lastModified": format_time(commit.created_at),
        "siblings": [describe_sibling(file, in_full=call.flag("blobs")) for file in files],
        "safetensors": facts.get("safetensors"),
        "usedStorage": facts.get("used_storage", 0),
        "spaces": [],
        "model-index": (facts.get("card") or {}).get("model-index"),
        "transformersInfo": {"auto_model": "AutoModel"} if call.kind == "model" and facts.get("config") else None,
    }


def describe_sibling(file: File, *, in_full: bool) -> dict[str, Any]:
    if not in_full:
        return {"rfilename": file.path}
    sibling = {"rfilename": file.path, "size": file.entry.size, "blobId": file.entry.oid}
    return sibling | ({"lfs": describe_large(file.entry, "sha256")} if file.entry.is_large else {})


def describe_large(entry: Entry, name: str) -> dict[str, Any]:
    size = entry.size or 0
    return {name: entry.key, "size": size, "pointerSize": len(lfs_pointer(entry.key, size))}


def describe_weights(call: Call) -> dict[str, Any]:
    """The headers of a model's shards, by the index that lists them."""
    trees = call.hub.repositories.trees
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.name)
        commit = call.hub.repositories.resolve(connection, repository, MAIN)
        index = trees.find(connection, commit.tree, call.path)
        files = {file.path: file.entry for file in trees.files(connection, commit.tree)}
    if index.is_folder or (index.size or 0) > call.hub.settings.max_json_size:
        raise BadRequest(f"{call.path} is no index of safetensors")
    shards = read_shards(call.hub.repositories.read(index, 0, index.size or 0))
    headers = {
        shard: read_header(
            shard, files[shard].size or 0, lambda name, *part: call.hub.repositories.read(files[name], *part)
        )
        for shard in sorted(set(shards["weight_map"].values()) & files.keys())[:MAX_WEIGHT_FILES]
    }
    return clean({"index": {"metadata": shards.get("metadata")}, "headers": headers})


def read_shards(data: bytes) -> dict[str, Any]:
    try:
        index = json.loads(data)
        if all(isinstance(shard, str) for shard in index["weight_map"].values()):
            return dict(index)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadRequest(f"the file is no index of safetensors: {error}") from error
    raise BadRequest("the file is no index of safetensors: its weight_map does not name files")


# Branches, tags, history


def list_refs(call: Call) -> dict[str, Any]:
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.name)
        found = call.hub.repositories.list_refs(connection, repository)

    def named(kind: str, place: str) -> list[dict[str, str]]:
        refs = [row for row in found if row.kind == kind]
        return [{"name": row.name, "ref": f"refs/{place}/{row.name}", "targetCommit": row.commit} for row in refs]

    return {"branches": named("branch", "heads"), "tags": named("tag", "tags"), "converts": [], "pullRequests": []}


def create_branch(call: Call) -> dict[str, Any]:
    start = call.field("startingPoint", str, MAIN)
    call.hub.repositories.create_ref(call.viewer, call.name, "branch", call.text("revision"), start)
    return {}


def create_tag(call: Call) -> dict[str, Any]:
    call.hub.repositories.create_ref(call.viewer, call.name, "tag", call.field("tag", str, ""), call.text("revision"))
    return {}


def delete_branch(call: Call) -> dict[str, Any]:
    call.hub.repositories.delete_ref(call.viewer, call.name, "branch", call.text("revision"))
    return {}


def delete_tag(call: Call) -> dict[str, Any]:
    call.hub.repositories.delete_ref(call.viewer, call.name, "tag", call.text("revision"))
    return {}


def squash(call: Call) -> dict[str, Any]:
    branch, title = call.text("revision"), call.field("message", str, "") or "Super-squash branch using the API"
    commit = call.hub.repositories.squash(call.viewer, call.name, branch, title)
    return {"commitOid": commit.oid}


def history(call: Call) -> Response:
    limit, page = max(1, min(call.number("limit", 50), MAX_PATHS)), call.number("p", 0)
    with call.hub.database.read() as connection:
        repository, commit = find_commit(call, connection)
        commits = list(call.hub.repositories.history(connection, repository, commit.oid))
    answer = JSONResponse([describe_commit(commit) for commit in commits[page * limit : (page + 1) * limit]])
    answer.headers["X-Total-Count"] = str(len(commits))
    if len(commits) > (page + 1) * limit:
        answer.headers["Link"] = f'<{call.base_url}{call.request.url.path}?limit={limit}&p={page + 1}>; rel="next"'
    return answer


def describe_commit(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.oid,
        "title": commit.title,
        "message": commit.message,
        "authors": [{"user": commit.author}],
        "date": format_time(commit.created_at),
        "parents": [commit.parent] if commit.parent else [],
    }


# Folders


def list_folder(call: Call) -> Response:
    # The cursor names the commit, so that all pages are of one however the branch moves on.
    oid, _, position = call.query.get("cursor", "").partition(":")
    start, limit = int_or_zero(position), max(1, min(call.number("limit", PAGE), PAGE))
    with call.hub.database.read() as connection:
        repository, commit = find_commit(call, connection, oid)
        entry = call.hub.repositories.trees.find(connection, commit.tree, call.path)
        if not entry.is_folder:
            raise EntryNotFound(f"{call.path!r} is a file, not a folder")
        trees = call.hub.repositories.trees
        files = list(trees.list(connection, entry.key, call.path, recursive=call.flag("recursive")))
        page = files[start : start + limit]
        changes = last_changes(call, connection, repository, commit, page) if call.flag("expand") else {}
    answer = JSONResponse([describe_file(file, changes) for file in page])
    answer.headers["X-Repo-Commit"] = commit.oid
    if len(files) > start + limit:
        answer.headers["Link"] = next_page(call, f"{commit.oid}:{start + limit}")
    return answer


def find_paths(call: Call) -> Response:
    paths, expand = read_paths(call)
    with call.hub.database.read() as connection:
        repository, commit = find_commit(call, connection)
        entries = {path: call.hub.repositories.find_or_none(connection, commit.tree, path) for path in paths}
        files = [File(path, entry) for path, entry in entries.items() if entry and path]
        changes = last_changes(call, connection, repository, commit, files) if expand else {}
    return JSONResponse([describe_file(file, changes) for file in files])


def read_paths(call: Call) -> tuple[list[str], bool]:
    """The client sends a form, older ones and other programs JSON."""
    if "json" in call.request.headers.get("content-type", ""):
        paths, expand = call.json.get("paths"), bool(call.json.get("expand"))
        paths = [paths] if isinstance(paths, str) else paths
    else:
        try:
            form = parse_qs(call.body.decode("utf-8", "replace"), max_num_fields=MAX_PATHS + 10)
        except ValueError as error:
            raise BadRequest(f"paths must be a list of up to {MAX_PATHS} paths") from error
        paths, expand = form.get("paths", []), form.get("expand", [""])[-1].lower() in ("true", "1")
    if not isinstance(paths, list) or len(paths) > MAX_PATHS or not all(isinstance(path, str) for path in paths):
        raise BadRequest(f"paths must be a list of up to {MAX_PATHS} paths")
    return [check_path(path.strip("/")) for path in paths if path.strip("/")], expand


def find_commit(call: Call, connection: Any, oid: str = "") -> tuple[Repository, Commit]:
    repository = call.hub.repositories.find(connection, call.viewer, call.name)
    return repository, call.hub.repositories.resolve(connection, repository, oid or call.text("revision"))


def last_changes(
    call: Call, connection: Any, repository: Repository, commit: Commit, files: list[File]
) -> dict[str, Commit]:
    return call.hub.repositories.last_changes(connection, repository, commit.oid, [file.path for file in files])


def describe_file(file: File, changes: dict[str, Commit]) -> dict[str, Any]:
    entry = file.entry
    kind = "directory" if entry.is_folder else "file"
    described: dict[str, Any] = {"type": kind, "oid": entry.oid, "size": entry.size or 0, "path": file.path}
    if entry.is_large:
        described["lfs"] = describe_large(entry, "oid")
    if change := changes.get(file.path):
        date = format_time(change.created_at)
        described["lastCommit"] = {"id": change.oid, "title": change.title, "date": date}
    return described


def tags_by_type(call: Call) -> dict[str, Any]:  # noqa: ARG001
    return {}


def check_access(call: Call) -> dict[str, Any]:
    with call.hub.database.read() as connection:
        call.hub.repositories.find(connection, call.viewer, call.name)
    return {}


ROUTES = [
    Route("/api/repos/create", endpoint(create), methods=["POST"]),
    Route("/api/repos/delete", endpoint(remove), methods=["DELETE"]),
    Route("/api/repos/move", endpoint(move), methods=["POST"]),
    Route("/api/{kinds}-tags-by-type", endpoint(tags_by_type)),
    Route("/api/{kinds}", endpoint(list_kind)),
    Route(REPOSITORY, endpoint(info)),
    Route(REPOSITORY + "/revision/{revision}", endpoint(info)),
    Route(REPOSITORY + "/settings", endpoint(change_settings), methods=["PUT"]),
    Route(REPOSITORY + "/safetensors-metadata/{path:path}", endpoint(describe_weights)),
    Route(REPOSITORY + "/auth-check", endpoint(check_access)),
    Route(REPOSITORY + "/refs", endpoint(list_refs)),
    Route(REPOSITORY + "/branch/{revision}", endpoint(create_branch), methods=["POST"]),
    Route(REPOSITORY + "/branch/{revision}", endpoint(delete_branch), methods=["DELETE"]),
    Route(REPOSITORY + "/tag/{revision}", endpoint(create_tag), methods=["POST"]),
    Route(REPOSITORY + "/tag/{revision}", endpoint(delete_tag), methods=["DELETE"]),
    Route(REPOSITORY + "/super-squash/{revision}", endpoint(squash), methods=["POST"]),
    Route(REPOSITORY + "/commits/{revision}", endpoint(history)),
    Route(REPOSITORY + "/tree/{revision}", endpoint(list_folder)),
    Route(REPOSITORY + "/tree/{revision}/{path:path}", endpoint(list_folder)),
    Route(REPOSITORY + "/paths-info/{revision}", endpoint(find_paths), methods=["POST"]),
]
