"""Calls everything that a client offers, for any version of huggingface_hub. Each step prints a line of JSON."""

import json
import sys
from pathlib import Path

import huggingface_hub
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.utils import (
    HfHubHTTPError,
)

folder, repository = Path(sys.argv[1]), sys.argv[2]
api = HfApi()


def report(**facts: object) -> None:
    print(json.dumps(facts, default=str), flush=True)


def catch_error(function, *arguments, **named) -> dict[str, object]:
    try:
        function(*arguments, **named)
    except HfHubHTTPError as error:
        return {"error": type(error).__name__, "status": error.response.status_code, "message": str(error)}
    return {"error": None}


report(version=huggingface_hub.__version__, user=api.whoami()["name"])

url = api.create_repo(repository)
report(
    step="create", again=api.create_repo(repository, exist_ok=True) == url, **catch_error(api.create_repo, repository)
)

first = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="All of it")
report(step="upload_folder", oid=getattr(first, "oid", None), url=str(first))

snapshot = Path(snapshot_download(repository, max_workers=2))
same = all((snapshot / path.relative_to(folder)).read_bytes() == path.read_bytes() for path in folder.rglob("*.*"))
report(step="snapshot", same=same, commit=snapshot.name)

info = api.model_info(repository, files_metadata=True)
siblings = {file.rfilename: [file.size, file.blob_id, file.lfs and file.lfs["sha256"]] for file in info.siblings}
report(step="info", sha=info.sha, tags=sorted(info.tags), private=info.private, siblings=siblings)

tree = list(api.list_repo_tree(repository, recursive=True, expand=True))
report(step="tree", paths=sorted(entry.path for entry in tree), titles=sorted({e.last_commit["title"] for e in tree}))

operations = [
    CommitOperationAdd("notes/new.txt", b"new"),
    CommitOperationDelete("README.md"),
    CommitOperationDelete("nested/", is_folder=True),
    CommitOperationCopy(src_path_in_repo="weights.bin", path_in_repo="copies/weights.bin"),
]
second = api.create_commit(repository, operations, commit_message="Changes", commit_description="of all kinds")
report(step="commit", oid=second.oid, files=sorted(api.list_repo_files(repository)))

report(step="old revision", text=Path(hf_hub_download(repository, "README.md", revision=first.oid)).read_text())
report(
    step="conflict",
    **catch_error(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=repository, parent_commit=first.oid),
)

api.create_branch(repository, branch="feature/x")
api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repository, revision="feature/x")
api.create_tag(repository, tag="v1", revision=first.oid)
refs = api.list_repo_refs(repository)
report(
    step="refs",
    branches=sorted(ref.name for ref in refs.branches),
    tags={ref.name: ref.target_commit for ref in refs.tags},
)
report(step="branch", text=Path(hf_hub_download(repository, "x.txt", revision="feature/x")).read_text())
report(step="branch again", **catch_error(api.create_branch, repository, branch="feature/x"))
api.delete_branch(repository, branch="feature/x")
api.delete_tag(repository, tag="v1")
refs = api.list_repo_refs(repository)
report(step="refs deleted", names=[ref.name for ref in [*refs.branches, *refs.tags]])

commits = api.list_repo_commits(repository)
report(step="history", titles=[commit.title for commit in commits], authors=commits[0].authors)
paths = api.get_paths_info(repository, ["weights.bin", "copies", "nowhere"], expand=True)
report(step="paths", paths=[path.path for path in paths])

files = HfFileSystem()
with files.open(f"{repository}/weights.bin", "rb", block_size=1000) as file:
    file.seek(100_000)
    piece = file.read(20)
report(
    step="filesystem",
    piece=piece.hex(),
    names=sorted(files.ls(repository, detail=False)),
    glob=files.glob(f"{repository}/**/*.bin"),
)
with files.open(f"{repository}/written.txt", "w") as file:
    file.write("through the file system")
report(step="written", text=files.cat(f"{repository}/written.txt").decode())

report(step="no file", **catch_error(hf_hub_download, repository, "nothing.txt"))
report(step="no revision", **catch_error(hf_hub_download, repository, "weights.bin", revision="nothing"))
report(step="no repository", **catch_error(api.model_info, repository + "-nothing"))
report(step="not mine", **catch_error(api.create_repo, "others/" + repository.split("/")[1]))
report(
    step="pull request",
    **catch_error(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=repository, create_pr=True),
)
report(step="exists", here=api.file_exists(repository, "weights.bin"), there=api.file_exists(repository, "nothing"))

found = [model.id for model in api.list_models(author=repository.split("/")[0], search=repository.split("/")[1])]
tagged = [model.id for model in api.list_models(filter="a-tag", sort="downloads", limit=5)]
report(step="list", found=found, tagged=tagged)

squashed = api.super_squash_history(repository)
report(step="squash", titles=[commit.title for commit in api.list_repo_commits(repository)])

api.create_repo(repository, repo_type="dataset", private=True)
api.upload_file(path_or_fileobj=b"a,b\n1,2\n", path_in_repo="data.csv", repo_id=repository, repo_type="dataset")
report(
    step="data set",
    private=api.dataset_info(repository).private,
    hidden=catch_error(HfApi(token=False).dataset_info, repository),
)
api.create_repo(repository, repo_type="space", space_sdk="static")
report(step="space", id=api.space_info(repository).id)

if hasattr(api, "upload_large_folder"):
    api.upload_large_folder(repo_id=f"{repository}-large", repo_type="model", folder_path=folder, print_report=False)
    report(step="large folder", files=sorted(api.list_repo_files(f"{repository}-large")))
    api.delete_repo(f"{repository}-large")

api.move_repo(from_id=repository, to_id=repository + "-moved")
report(step="move", files=len(api.list_repo_files(repository + "-moved")), **catch_error(api.model_info, repository))
for kind in ("dataset", "space"):
    api.delete_repo(repository, repo_type=kind)
api.delete_repo(repository + "-moved")
report(step="delete", **catch_error(api.model_info, repository + "-moved"))
report(step="delete again", **catch_error(api.delete_repo, repository + "-moved"))
api.delete_repo(repository + "-moved", missing_ok=True)
report(step="end")
