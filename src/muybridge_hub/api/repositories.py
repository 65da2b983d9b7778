"""Creates, moves, deletes, lists and describes repositories, with their branches, tags, folders and history."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.calls import Call, make_endpoint, parse_int_or_zero
from muybridge_hub.database import repositories
from muybridge_hub.errors import BadRequest, Conflict, EntryNotFound
from muybridge_hub.facts import MAX_WEIGHT_FILES, make_storable, read_weight_header
from muybridge_hub.git import make_lfs_pointer
from muybridge_hub.listing import Query, list_repositories, select_repositories
from muybridge_hub.names import RepoName, check_name, check_namespace, check_path, parse_kind, parse_repo_name
from muybridge_hub.repositories import MAIN_BRANCH, Commit, Repository
from muybridge_hub.trees import Entry, File

MAX_PATHS = 1000
MAX_FOLDER_PAGE_SIZE = 1000  # entries of a folder in one response
REPOSITORY_PATH = "/api/{kinds}/{namespace}/{name}"

# Query parameters of the Hugging Face Hub that filter by a tag here.
TAG_FILTERS = ("filter", "tags", "language", "task_categories", "dataset", "library")


def format_time(moment: datetime) -> str:
    """Formats a time in the only form that clients can parse."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# Create, move, delete


def create_repository(call: Call) -> Response:
    name = read_name(call)
    answer = {"url": f"{call.base_url}/{name.url_path}", "id": name.id, "name": name.id, "type": name.kind}
    try:
        call.hub.repositories.create(call.viewer, name, private=read_private(call) or False)
    except Conflict as error:
        # The answer names the existing repository, which clients use if they were called with exist_ok.
        return JSONResponse({"error": error.message, **answer}, error.status)
    return JSONResponse(answer)


def delete_repository(call: Call) -> dict[str, Any]:
    call.hub.repositories.delete(call.viewer, read_name(call))
    return {}


def move_repository(call: Call) -> dict[str, Any]:
    kind = parse_kind(call.json.get("type"))
    old, new = (parse_repo_name(kind, call.get_field(field, str, "")) for field in ("fromRepo", "toRepo"))
    call.hub.repositories.move(call.viewer, old, new)
    return {"url": f"{call.base_url}/{new.url_path}"}


def change_settings(call: Call) -> dict[str, Any]:
    if call.json.get("gated"):
        raise BadRequest("gated repositories are not offered by this hub; make it private instead")
    private = read_private(call)
    if private is None:
        raise BadRequest("the request changes no setting; this hub has the settings `private` and `visibility`")
    call.hub.repositories.set_private(call.viewer, call.repo_name, private)
    return {"private": private}


def read_name(call: Call) -> RepoName:
    """Reads the repository's name from the body.

    Clients send name and namespace as two fields, or no namespace, which means that of the user.
    """
    kind, name = parse_kind(call.json.get("type")), call.get_field("name", str, "")
    if "/" in name:
        return parse_repo_name(kind, name)
    namespace = call.get_field("organization", str) or call.viewer.name
    if namespace is None:
        call.viewer.check_can_write("")
    return RepoName(kind, check_namespace(namespace or ""), check_name(name))


def read_private(call: Call) -> bool | None:
    """Whether the body asks for a private repository; None if it does not say."""
    visibility = call.get_field("visibility", str)
    if visibility not in (None, "public", "private"):
        raise BadRequest(f"visibility is {visibility!r}; it must be public or private")
    private: bool | None = call.get_field("private", bool)
    return visibility == "private" if visibility else private


# List and describe


def get_list(call: Call) -> Response:
    """One page of a list of repositories. The Link header leads to the next page."""
    tags = [value for name in TAG_FILTERS for value in call.query.getlist(name)]
    query = Query(
        kind=call.kind,
        search=call.query.get("search"),
        author=call.query.get("author"),
        tags=tuple(tag for value in tags for tag in value.split(",") if tag),
        pipeline_tag=call.query.get("pipeline_tag"),
        sort=call.query.get("sort") or "trendingScore",
        limit=call.get_number("limit", 100),
        cursor=call.query.get("cursor"),
    )
    with call.hub.database.read() as connection:
        rows, cursor = list_repositories(connection, call.viewer, query)
    requested = {*call.query.keys(), *call.query.getlist("expand")}
    omitted = [] if "full" in requested else [name for name in ("cardData", "config") if name not in requested]
    described = [describe_repository(row) for row in rows]
    answer = JSONResponse([{key: item[key] for key in item if key not in omitted} for item in described])
    if cursor:
        answer.headers["Link"] = make_next_link(call, cursor)
    return answer


def make_next_link(call: Call, cursor: str) -> str:
    pairs = [(name, value) for name, value in call.query.multi_items() if name != "cursor"]
    query = urlencode([*pairs, ("cursor", cursor)])
    return f'<{call.base_url}{call.request.url.path}?{query}>; rel="next"'


def describe_repository(row: Any) -> dict[str, Any]:
    """The fields of a repository that lists show."""
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


def get_info(call: Call) -> dict[str, Any]:
    """All fields of a repository at a revision, with its files as `siblings`."""
    revision = call.get_path_parameter("revision", MAIN_BRANCH)
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.repo_name)
        commit = call.hub.repositories.resolve(connection, repository, revision)
        row = connection.execute(select_repositories().where(repositories.c.id == repository.id)).one()
        files = list(call.hub.repositories.trees.list_files(connection, commit.tree))
    facts = row.facts or {}
    return describe_repository(row) | {
        "sha": commit.oid,
        "lastModified": format_time(commit.created_at),
        "siblings": [describe_sibling(file, in_full=call.get_flag("blobs")) for file in files],
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
    """The LFS fields of a large file. `name` is the field for its sha256, which differs between endpoints."""
    size = entry.size or 0
    return {name: entry.key, "size": size, "pointerSize": len(make_lfs_pointer(entry.key, size))}


def get_weight_headers(call: Call) -> dict[str, Any]:
    """Reads the headers of a model's safetensors files. The path names the index file that lists them."""
    trees = call.hub.repositories.trees
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.repo_name)
        commit = call.hub.repositories.resolve(connection, repository, MAIN_BRANCH)
        index = trees.find_entry(connection, commit.tree, call.path)
        files = {file.path: file.entry for file in trees.list_files(connection, commit.tree)}
    if index.is_folder or (index.size or 0) > call.hub.settings.max_json_size:
        raise BadRequest(f"{call.path} is not an index of safetensors files")
    shards = read_weight_index(call.hub.repositories.read_file(index, 0, index.size or 0))
    headers = {
        shard: read_weight_header(
            shard, files[shard].size or 0, lambda name, *part: call.hub.repositories.read_file(files[name], *part)
        )
        for shard in sorted(set(shards["weight_map"].values()) & files.keys())[:MAX_WEIGHT_FILES]
    }
    return make_storable({"index": {"metadata": shards.get("metadata")}, "headers": headers})


def read_weight_index(data: bytes) -> dict[str, Any]:
    try:
        index = json.loads(data)
        if all(isinstance(shard, str) for shard in index["weight_map"].values()):
            return dict(index)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadRequest(f"the file is not an index of safetensors files: {error}") from error
    raise BadRequest("the file is not an index of safetensors files: its weight_map does not name files")


# Branches, tags, history


def get_refs(call: Call) -> dict[str, Any]:
    """The branches and tags of a repository, each with its commit."""
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.repo_name)
        refs = call.hub.repositories.list_refs(connection, repository)

    def describe_refs(kind: str, folder: str) -> list[dict[str, str]]:
        return [
            {"name": ref.name, "ref": f"refs/{folder}/{ref.name}", "targetCommit": ref.commit}
            for ref in refs
            if ref.kind == kind
        ]

    branches, tags = describe_refs("branch", "heads"), describe_refs("tag", "tags")
    return {"branches": branches, "tags": tags, "converts": [], "pullRequests": []}


def create_branch(call: Call) -> dict[str, Any]:
    start = call.get_field("startingPoint", str, MAIN_BRANCH)
    call.hub.repositories.create_ref(call.viewer, call.repo_name, "branch", call.get_path_parameter("revision"), start)
    return {}


def create_tag(call: Call) -> dict[str, Any]:
    call.hub.repositories.create_ref(
        call.viewer, call.repo_name, "tag", call.get_field("tag", str, ""), call.get_path_parameter("revision")
    )
    return {}


def delete_branch(call: Call) -> dict[str, Any]:
    call.hub.repositories.delete_ref(call.viewer, call.repo_name, "branch", call.get_path_parameter("revision"))
    return {}


def delete_tag(call: Call) -> dict[str, Any]:
    call.hub.repositories.delete_ref(call.viewer, call.repo_name, "tag", call.get_path_parameter("revision"))
    return {}


def squash_branch(call: Call) -> dict[str, Any]:
    branch, title = (
        call.get_path_parameter("revision"),
        call.get_field("message", str, "") or "Super-squash branch using the API",
    )
    commit = call.hub.repositories.squash(call.viewer, call.repo_name, branch, title)
    return {"commitOid": commit.oid}


def get_history(call: Call) -> Response:
    """One page of the commits of a revision, the newest first."""
    limit, page = max(1, min(call.get_number("limit", 50), MAX_PATHS)), call.get_number("p", 0)
    with call.hub.database.read() as connection:
        repository, commit = find_commit(call, connection)
        commits = list(call.hub.repositories.walk_history(connection, repository, commit.oid))
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


def get_folder(call: Call) -> Response:
    """One page of the files and folders in a folder."""
    # The cursor names the commit: all pages are from the same commit, even if the branch moves.
    oid, _, position = call.query.get("cursor", "").partition(":")
    start, limit = (
        parse_int_or_zero(position),
        max(1, min(call.get_number("limit", MAX_FOLDER_PAGE_SIZE), MAX_FOLDER_PAGE_SIZE)),
    )
    with call.hub.database.read() as connection:
        repository, commit = find_commit(call, connection, oid)
        entry = call.hub.repositories.trees.find_entry(connection, commit.tree, call.path)
        if not entry.is_folder:
            raise EntryNotFound(f"{call.path!r} is a file, not a folder")
        trees = call.hub.repositories.trees
        files = list(trees.list_entries(connection, entry.key, call.path, recursive=call.get_flag("recursive")))
        page = files[start : start + limit]
        changes = find_last_commits(call, connection, repository, commit, page) if call.get_flag("expand") else {}
    answer = JSONResponse([describe_file(file, changes) for file in page])
    answer.headers["X-Repo-Commit"] = commit.oid
    if len(files) > start + limit:
        answer.headers["Link"] = make_next_link(call, f"{commit.oid}:{start + limit}")
    return answer


def get_paths(call: Call) -> Response:
    """Describes the files and folders at the paths in the body. Paths where nothing is are left out."""
    paths, expand = read_paths(call)
    with call.hub.database.read() as connection:
        repository, commit = find_commit(call, connection)
        entries = {path: call.hub.repositories.find_entry_or_none(connection, commit.tree, path) for path in paths}
        files = [File(path, entry) for path, entry in entries.items() if entry and path]
        changes = find_last_commits(call, connection, repository, commit, files) if expand else {}
    return JSONResponse([describe_file(file, changes) for file in files])


def read_paths(call: Call) -> tuple[list[str], bool]:
    """Reads the paths of the body, and whether to expand them. Clients send a form; old ones send JSON."""
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
    """Finds the repository of the path, and its commit `oid` or else that of the revision in the path."""
    repository = call.hub.repositories.find(connection, call.viewer, call.repo_name)
    return repository, call.hub.repositories.resolve(connection, repository, oid or call.get_path_parameter("revision"))


def find_last_commits(
    call: Call, connection: Any, repository: Repository, commit: Commit, files: list[File]
) -> dict[str, Commit]:
    return call.hub.repositories.find_last_commits(connection, repository, commit.oid, [file.path for file in files])


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


def get_tags_by_type(call: Call) -> dict[str, Any]:  # noqa: ARG001
    """The predefined tags of the Hugging Face Hub. This hub has none."""
    return {}


def check_access(call: Call) -> dict[str, Any]:
    """Answers 200 if the viewer may read the repository."""
    with call.hub.database.read() as connection:
        call.hub.repositories.find(connection, call.viewer, call.repo_name)
    return {}


ROUTES = [
    Route("/api/repos/create", make_endpoint(create_repository), methods=["POST"]),
    Route("/api/repos/delete", make_endpoint(delete_repository), methods=["DELETE"]),
    Route("/api/repos/move", make_endpoint(move_repository), methods=["POST"]),
    Route("/api/{kinds}-tags-by-type", make_endpoint(get_tags_by_type)),
    Route("/api/{kinds}", make_endpoint(get_list)),
    Route(REPOSITORY_PATH, make_endpoint(get_info)),
    Route(REPOSITORY_PATH + "/revision/{revision}", make_endpoint(get_info)),
    Route(REPOSITORY_PATH + "/settings", make_endpoint(change_settings), methods=["PUT"]),
    Route(REPOSITORY_PATH + "/safetensors-metadata/{path:path}", make_endpoint(get_weight_headers)),
    Route(REPOSITORY_PATH + "/auth-check", make_endpoint(check_access)),
    Route(REPOSITORY_PATH + "/refs", make_endpoint(get_refs)),
    Route(REPOSITORY_PATH + "/branch/{revision}", make_endpoint(create_branch), methods=["POST"]),
    Route(REPOSITORY_PATH + "/branch/{revision}", make_endpoint(delete_branch), methods=["DELETE"]),
    Route(REPOSITORY_PATH + "/tag/{revision}", make_endpoint(create_tag), methods=["POST"]),
    Route(REPOSITORY_PATH + "/tag/{revision}", make_endpoint(delete_tag), methods=["DELETE"]),
    Route(REPOSITORY_PATH + "/super-squash/{revision}", make_endpoint(squash_branch), methods=["POST"]),
    Route(REPOSITORY_PATH + "/commits/{revision}", make_endpoint(get_history)),
    Route(REPOSITORY_PATH + "/tree/{revision}", make_endpoint(get_folder)),
    Route(REPOSITORY_PATH + "/tree/{revision}/{path:path}", make_endpoint(get_folder)),
    Route(REPOSITORY_PATH + "/paths-info/{revision}", make_endpoint(get_paths), methods=["POST"]),
]
