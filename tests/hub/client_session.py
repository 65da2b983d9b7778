"""What a client does in a day, for any version of huggingface_hub: each step prints a line of JSON with what it saw."""

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


def tell(**facts: object) -> None:
    print(json.dumps(facts, default=str), flush=True)


def failure(function, *arguments, **named) -> dict[str, object]:
    try:
        function(*arguments, **named)
    except HfHubHTTPError as error:
        return {"error": type(error).__name__, "status": error.response.status_code, "message": str(error)}
    return {"error": None}


tell(version=huggingface_hub.__version__, user=api.whoami()["name"])

address = api.create_repo(repository)
tell(step="create", again=api.create_repo(repository, exist_ok=True) == address, **failure(api.create_repo, repository))

first = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="All of it")
tell(step="upload_folder", oid=getattr(first, "oid", None), address=str(first))

snapshot = Path(snapshot_download(repository, max_workers=2))
same = all((snapshot / path.relative_to(folder)).read_bytes() == path.read_bytes() for path in folder.rglob("*.*"))
tell(step="snapshot", same=same, commit=snapshot.name)

info = api.model_info(repository, files_metadata=True)
siblings = {file.rfilename: [file.size, file.blob_id, file.lfs and file.lfs["sha256"]] for file in info.siblings}
tell(step="info", sha=info.sha, tags=sorted(info.tags), private=info.private, siblings=siblings)

tree = list(api.list_repo_tree(repository, recursive=True, expand=True))
tell(step="tree", paths=sorted(entry.path for entry in tree), titles=sorted({e.last_commit["title"] for e in tree}))

operations = [
    CommitOperationAdd("notes/new.txt", b"new"),
    CommitOperationDelete("README.md"),
    CommitOperationDelete("nested/", is_folder=True),
    CommitOperationCopy(src_path_in_repo="weights.bin", path_in_repo="copies/weights.bin"),
]
second = api.create_commit(repository, operations, commit_message="Changes", commit_description="of all kinds")
tell(step="commit", oid=second.oid, files=sorted(api.list_repo_files(repository)))

tell(step="old revision", text=Path(hf_hub_download(repository, "README.md", revision=first.oid)).read_text())
tell(
    step="conflict",
    **failure(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=repository, parent_commit=first.oid),
)

api.create_branch(repository, branch="feature/x")
api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repository, revision="feature/x")
api.create_tag(repository, tag="v1", revision=first.oid)
refs = api.list_repo_refs(repository)
tell(
    step="refs",
    branches=sorted(ref.name for ref in refs.branches),
    tags={ref.name: ref.target_commit for ref in refs.tags},
)
tell(step="branch", text=Path(hf_hub_download(repository, "x.txt", revision="feature/x")).read_text())
tell(step="branch again", **failure(api.create_branch, repository, branch="feature/x"))
api.delete_branch(repository, branch="feature/x")
api.delete_tag(repository, tag="v1")
refs = api.list_repo_refs(repository)
tell(step="refs deleted", names=[ref.name for ref in [*refs.branches, *refs.tags]])

commits = api.list_repo_commits(repository)
tell(step="history", titles=[commit.title for commit in commits], authors=commits[0].authors)
paths = api.get_paths_info(repository, ["weights.bin", "copies", "nowhere"], expand=True)
tell(step="paths", paths=[path.path for path in paths])

files = HfFileSystem()
with files.open(f"{repository}/weights.bin", "rb", block_size=1000) as file:
    file.seek(100_000)
    piece = file.read(20)
tell(
    step="filesystem",
    piece=piece.hex(),
    names=sorted(files.ls(repository, detail=False)),
    glob=files.glob(f"{repository}/**/*.bin"),
)
with files.open(f"{repository}/written.txt", "w") as file:
    file.write("through the file system")
tell(step="written", text=files.cat(f"{repository}/written.txt").decode())

tell(step="no file", **failure(hf_hub_download, repository, "nothing.txt"))
tell(step="no revision", **failure(hf_hub_download, repository, "weights.bin", revision="nothing"))
tell(step="no repository", **failure(api.model_info, repository + "-nothing"))
tell(step="not mine", **failure(api.create_repo, "others/" + repository.split("/")[1]))
tell(
    step="pull request",
    **failure(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=repository, create_pr=True),
)
tell(step="exists", here=api.file_exists(repository, "weights.bin"), there=api.file_exists(repository, "nothing"))

found = [model.id for model in api.list_models(author=repository.split("/")[0], search=repository.split("/")[1])]
tagged = [model.id for model in api.list_models(filter="a-tag", sort="downloads", limit=5)]
tell(step="list", found=found, tagged=tagged)

squashed = api.super_squash_history(repository)
tell(step="squash", titles=[commit.title for commit in api.list_repo_commits(repository)])

api.create_repo(repository, repo_type="dataset", private=True)
api.upload_file(path_or_fileobj=b"a,b\n1,2\n", path_in_repo="data.csv", repo_id=repository, repo_type="dataset")
tell(
    step="data set",
    private=api.dataset_info(repository).private,
    hidden=failure(HfApi(token=False).dataset_info, repository),
)
api.create_repo(repository, repo_type="space", space_sdk="static")
tell(step="space", id=api.space_info(repository).id)

if hasattr(api, "upload_large_folder"):
    api.upload_large_folder(repo_id=f"{repository}-large", repo_type="model", folder_path=folder, print_report=False)
    tell(step="large folder", files=sorted(api.list_repo_files(f"{repository}-large")))
    api.delete_repo(f"{repository}-large")

api.move_repo(from_id=repository, to_id=repository + "-moved")
tell(step="move", files=len(api.list_repo_files(repository + "-moved")), **failure(api.model_info, repository))
for kind in ("dataset", "space"):
    api.delete_repo(repository, repo_type=kind)
api.delete_repo(repository + "-moved")
tell(step="delete", **failure(api.model_info, repository + "-moved"))
tell(step="delete again", **failure(api.delete_repo, repository + "-moved"))
api.delete_repo(repository + "-moved", missing_ok=True)
tell(step="end")
