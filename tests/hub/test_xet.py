"""Uploads over Xet, by the unmodified client with its default settings."""

import array
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import lz4.frame
import pytest
import uvicorn
from sqlalchemy import func, select

from muybridge_hub.app import create_app
from muybridge_hub.blob_store import hash_bytes
from muybridge_hub.database import blobs
from muybridge_hub.errors import BadRequest, HubError, TooLarge
from muybridge_hub.hub import Hub
from muybridge_hub.names import RepoName
from muybridge_hub.serving import make_config
from muybridge_hub.settings import Settings
from muybridge_hub.storage import open_storage
from muybridge_hub.xet import (
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    ChunkTable,
    MissingXorb,
    XorbFolders,
    decompress_chunks,
    join_groups,
    parse_shard,
)

WAIT_SECONDS = 30
HASH = "ab" * 32


@dataclass
class RecordedHub:
    """The real server, in a thread of the test, which records the bodies of uploads."""

    hub: Hub
    url: str
    cache: Path
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    def run_client(self, code: str, *arguments: object, user: str = "lab") -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": self.url, "HF_HOME": str(self.cache), "HF_TOKEN": self.hub.tokens.create(user)}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)

    def upload(self, repository: str, data: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
        (folder / "file.bin").write_bytes(data)
        return self.run_client(UPLOAD, repository, folder / "file.bin")

    def list_sent(self, kind: str) -> list[bytes]:
        """The bodies of uploaded "xorbs" or "shards"."""
        return [body for path, body in self.posts if f"/v1/{kind}" in path]

    def get_write_token(self, repository: str, user: str = "lab") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.hub.tokens.create(user)}"}
        answer = httpx2.get(f"{self.url}/api/models/{repository}/xet-write-token/main", headers=headers)
        answer.raise_for_status()
        return dict(answer.json())

    def make_repository(self, name: str, user: str) -> dict[str, Any]:
        """Creates a repository if it does not exist. Returns a token for uploads to it."""
        headers = {"Authorization": f"Bearer {self.hub.tokens.create(user)}"}
        body = {"organization": user, "name": name.partition("/")[2]}
        assert httpx2.post(f"{self.url}/api/repos/create", json=body, headers=headers).status_code in (200, 409)
        return self.get_write_token(name, user)

    def post(self, token: dict[str, Any], path: str, body: bytes) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token['accessToken']}"}
        return httpx2.post(f"{token['casUrl']}/v1/{path}", content=body, headers=headers, timeout=WAIT_SECONDS)

    def count_blobs(self) -> int:
        with self.hub.database.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(blobs)) or 0)

    def list_unfinished(self) -> list[Path]:
        return list((self.hub.settings.root / "storage" / "unfinished").iterdir())


UPLOAD = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo(sys.argv[1], exist_ok=True)
api.upload_file(path_or_fileobj=sys.argv[2], path_in_repo="file.bin", repo_id=sys.argv[1])
"""


@contextmanager
def serve_recorded(folder: Path, cache: Path, port: int = 0) -> Iterator[RecordedHub]:
    settings = Settings(root=folder)
    hub = Hub(settings)
    app, posts = create_app(hub), []

    async def record(scope: Any, receive: Any, send: Any) -> None:
        body = bytearray()

        async def receive_and_keep() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        await app(scope, receive_and_keep, send)
        if scope.get("method") in ("POST", "PUT"):
            posts.append((scope["path"], bytes(body)))

    listener = socket.create_server(("127.0.0.1", port), backlog=100)
    server = uvicorn.Server(make_config(record, settings, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield RecordedHub(hub, f"http://127.0.0.1:{listener.getsockname()[1]}", cache, posts)
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        listener.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedHub]:
    folder = tmp_path_factory.mktemp("xet")
    with serve_recorded(folder / "hub", folder / "client") as served:
        yield served


def make_floats(count: int) -> bytes:
    """Numbers with similar first bytes: clients upload these with byte grouping."""
    generator = random.Random(count)
    return array.array("f", [1 + generator.random() for _ in range(count)]).tobytes()


Sent = tuple[str, bytes, bytes, bytes]


@pytest.fixture(scope="module")
def sent(served: RecordedHub, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """What the real client uploads for a file: the name of the xorb, the xorb and the shard; and the file itself."""
    data = make_floats(100_000) + random.Random(5).randbytes(200_000) + b"spam" * 100_000
    before = len(served.posts)
    assert served.upload("lab/sent", data, tmp_path_factory.mktemp("sent")).returncode == 0
    ((name, xorb),) = [(path.rpartition("/")[2], body) for path, body in served.posts[before:] if "/v1/xorbs/" in path]
    ((_, shard),) = [post for post in served.posts[before:] if post[0].endswith("/v1/shards")]
    return name, xorb, shard, data


SESSION = """
import json, sys
from pathlib import Path
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download

folder, api = Path(sys.argv[1]), HfApi()
api.create_repo("lab/a")
api.upload_folder(repo_id="lab/a", folder_path=folder)
api.upload_file(repo_id="lab/a", path_or_fileobj=b"\\0" + bytes(range(256)) * 1000, path_in_repo="bytes.bin")
additions = [CommitOperationAdd(f"{number}.npy", bytes([number]) * 300_000) for number in range(3)]
api.create_commit("lab/a", additions, commit_message="Three at once")
api.create_repo("lab/large", repo_type="dataset")
api.upload_folder(repo_id="lab/large", repo_type="dataset", folder_path=folder, path_in_repo=".")

def read(snapshot):
    return {path.name: path.read_bytes() for path in Path(snapshot).iterdir() if path.is_file()}

wanted = read(folder)
assert read(snapshot_download("lab/large", repo_type="dataset", ignore_patterns=".git*")) == wanted
wanted["bytes.bin"] = b"\\0" + bytes(range(256)) * 1000
wanted |= {addition.path_in_repo: addition.path_or_fileobj for addition in additions}
assert read(snapshot_download("lab/a", ignore_patterns=".git*")) == wanted
print(json.dumps(sorted(wanted)))
"""


def test_all_uploads_of_the_client_are_downloaded_unchanged(served: RecordedHub, tmp_path: Path) -> None:
    (tmp_path / "random.bin").write_bytes(random.Random(1).randbytes(3_000_000))
    (tmp_path / "repetitive.bin").write_bytes(random.Random(2).randbytes(100_000) * 300)
    (tmp_path / "weights.safetensors").write_bytes(make_floats(500_000))
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("small")
    before = len(served.posts)
    done = served.run_client(SESSION, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout.splitlines()[-1])) == 9
    paths = [path for path, _ in served.posts[before:]]
    assert any("/v1/xorbs/" in path for path in paths)
    assert not any("/lfs/whole" in path or "/info/lfs" in path for path in paths)
    assert served.list_unfinished() == []


def test_only_the_changed_part_of_a_file_is_uploaded(served: RecordedHub, tmp_path: Path) -> None:
    data = random.Random(3).randbytes(6_000_000)
    assert served.upload("lab/changing", data, tmp_path).returncode == 0
    before = len(served.list_sent("xorbs"))
    changed = data[:3_000_000] + b"changed" + data[3_000_000:]
    assert served.upload("lab/changing", changed, tmp_path).returncode == 0
    assert sum(map(len, served.list_sent("xorbs")[before:])) < 1_000_000
    assert is_stored(served.hub, changed)


def test_another_repository_works_without_chunks_of_the_first(served: RecordedHub, tmp_path: Path) -> None:
    data = random.Random(4).randbytes(2_000_000)
    assert served.upload("lab/first", data, tmp_path).returncode == 0
    assert served.upload("lab/second", data + b"more", tmp_path).returncode == 0
    assert is_stored(served.hub, data + b"more")


@pytest.mark.parametrize("lost", ["the whole folder", "only the xorbs"])
def test_the_client_uploads_lost_xorbs_again(served: RecordedHub, tmp_path: Path, lost: str) -> None:
    repository, data = f"lab/lost-{len(lost)}", random.Random(lost).randbytes(2_000_000)
    assert served.upload(repository, data, tmp_path).returncode == 0
    repository_id, name = Path(served.get_write_token(repository)["casUrl"]).parts[-2:]
    folder = served.hub.settings.root / "storage" / "parts" / "xet" / repository_id
    shutil.rmtree(folder if lost == "the whole folder" else folder / name)
    changed = data + b"more"
    if lost == "only the xorbs":
        refused = served.upload(repository, changed, tmp_path)
        assert refused.returncode != 0
        assert "400" in refused.stderr
        assert not is_stored(served.hub, changed)
    done = served.upload(repository, changed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert is_stored(served.hub, changed)


def test_the_client_uploads_everything_again_after_the_hub_was_wiped(tmp_path: Path) -> None:
    data = random.Random(6).randbytes(2_000_000)
    with serve_recorded(tmp_path / "hub", tmp_path / "client") as served:
        assert served.upload("lab/a", data, tmp_path).returncode == 0
        port = int(served.url.rpartition(":")[2])
    shutil.rmtree(tmp_path / "hub")
    with serve_recorded(tmp_path / "hub", tmp_path / "client", port) as served:
        assert served.upload("lab/a", data + b"more", tmp_path).returncode == 0
        assert is_stored(served.hub, data + b"more")


def is_stored(hub: Hub, data: bytes) -> bool:
    blob = hub.blob_store.find(hash_bytes(data))
    return blob is not None and hub.blob_store.read_bytes(blob) == data


# Uploads built by the test, from the specification


def pack_chunk(data: bytes, scheme: int = 0, size: int | None = None) -> bytes:
    packed = lz4.frame.compress(data) if scheme else data
    size = len(data) if size is None else size
    return bytes([0]) + len(packed).to_bytes(3, "little") + bytes([scheme]) + size.to_bytes(3, "little") + packed


def write_hash(text: str) -> bytes:
    return b"".join(bytes.fromhex(text[start : start + 16])[::-1] for start in range(0, 64, 16))


def make_shard(files: dict[str, list[tuple[str, int, int, int]]]) -> bytes:
    """Makes a shard of files. Each sha256 has a list of terms: xorb, size, first chunk, end."""
    tag = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
    shard, last = tag + struct.pack("<QQ", 2, 0), b"\xff" * 32 + bytes(16)
    for sha256, terms in files.items():
        shard += bytes(32) + struct.pack("<4I", 1 << 30, len(terms), 0, 0)
        for xorb, *numbers in terms:
            shard += write_hash(xorb) + struct.pack("<4I", 0, *numbers)
        shard += write_hash(sha256) + bytes(16)
    return shard + last + last


@pytest.fixture
def token(served: RecordedHub) -> dict[str, Any]:
    """An upload token for a repository of a user who cannot see the lab's private repositories."""
    return served.make_repository("eve/hers", "eve")


def test_files_are_built_from_chunks_in_any_order(served: RecordedHub, token: dict[str, Any]) -> None:
    chunks = [b"first", random.Random(7).randbytes(1000), b"x" * 1001]
    xorb = b"".join(pack_chunk(chunk, scheme) for chunk, scheme in zip(chunks, (0, 1, 1), strict=True))
    assert served.post(token, f"xorbs/default/{HASH}", xorb).json() == {"was_inserted": True}
    files = [chunks[1] + chunks[2] + chunks[0], chunks[2]]
    terms = [[(HASH, 2001, 1, 3), (HASH, 5, 0, 1)], [(HASH, 1001, 2, 3)]]
    shard = make_shard({hash_bytes(data): file_terms for data, file_terms in zip(files, terms, strict=True)})
    assert served.post(token, "shards", shard).json() == {"result": 1}
    assert all(is_stored(served.hub, data) for data in files)


def test_a_shard_with_the_hash_of_a_private_file_gives_no_access_to_it(
    served: RecordedHub, token: dict[str, Any]
) -> None:
    secret = b"only for the lab"
    lab, repository = served.hub.tokens.identify(served.hub.tokens.create("lab")), RepoName("model", "lab", "private")
    served.hub.repositories.create(lab, repository, private=True)
    with served.hub.database.read() as connection:
        repository_id = served.hub.repositories.find(connection, lab, repository).id
    served.hub.blob_store.add(repository_id, [secret], hash_bytes(secret), len(secret))
    shard = make_shard({hash_bytes(secret): [("cd" * 32, len(secret), 0, 1)]})
    answer = served.post(token, "shards", shard)
    assert answer.status_code == 400
    assert "is not here" in answer.json()["error"]
    eve = served.hub.tokens.identify(served.hub.tokens.create("eve"))
    with served.hub.database.write() as connection:
        hers = served.hub.repositories.find(connection, eve, RepoName("model", "eve", "hers")).id
        assert served.hub.blob_store.claim(connection, eve, hers, [hash_bytes(secret)]) == {}
    own = served.get_write_token("lab/private")
    assert served.post(own, "shards", shard).json() == {"result": 1}  # the lab owns the file and need not upload it


@pytest.mark.parametrize("where", ["folder", "memory://xet"])
def test_xorbs_are_kept_in_any_storage_until_the_folder_is_retired(tmp_path: Path, where: str) -> None:
    storage = open_storage(where if "://" in where else str(tmp_path / where))
    folders = XorbFolders(storage, 1, hours=1)
    name = folders.choose()
    assert folders.choose() == name
    receiver = folders.open_xorbs(name).receive(HASH)
    receiver.write(pack_chunk(b"first") + pack_chunk(b"other"))
    receiver.keep()
    other_server = XorbFolders(open_storage(where), 1, hours=1) if "://" in where else folders
    (file,) = parse_shard(make_shard({"11" * 32: [(HASH, 5, 1, 2), (HASH, 10, 0, 2)]}))
    assert b"".join(other_server.open_xorbs(name).read(file)) == b"otherfirstother"
    other_server.retire_all()
    again = folders.choose()
    assert again != name
    with pytest.raises(MissingXorb, match="begin the upload again"):
        list(folders.open_xorbs(again).read(file))
    assert XorbFolders(storage, 1, hours=0).choose() != again


WRONG_SHARDS = {
    "other contents": ({"11" * 32: [(HASH, 10, 0, 2)]}, "has the sha256"),
    "chunks that are not there": ({"22" * 32: [(HASH, 10, 0, 3)]}, "there are no chunks"),
    "no chunks": ({"33" * 32: [(HASH, 0, 1, 1)]}, "there are no chunks"),
    "another size": ({"44" * 32: [(HASH, 9, 0, 2)]}, "with 9 bytes, but more arrived|not the 9"),
    "a xorb that is not there": ({"55" * 32: [("66" * 32, 10, 0, 2)]}, "is not here"),
    "far too much": ({"77" * 32: [(HASH, (1 << 32) - 1, 0, 2)] * 200}, "takes up to"),
}


@pytest.mark.parametrize("name", WRONG_SHARDS)
def test_a_wrong_shard_stores_nothing(served: RecordedHub, token: dict[str, Any], name: str) -> None:
    files, message = WRONG_SHARDS[name]
    assert served.post(token, f"xorbs/default/{HASH}", pack_chunk(b"first") + pack_chunk(b"other")).status_code == 200
    before = served.count_blobs()
    answer = served.post(token, "shards", make_shard(files))
    assert 400 <= answer.status_code < 500
    assert re.search(message, answer.json()["error"])
    assert served.count_blobs() == before
    assert served.list_unfinished() == []


@pytest.mark.parametrize("keep", [0, 40, 100, -1])
def test_a_truncated_shard_is_refused(served: RecordedHub, token: dict[str, Any], sent: Sent, keep: int) -> None:
    answer = served.post(token, "shards", sent[2][:keep])
    assert answer.status_code == 400
    assert "short" in answer.json()["error"] or "ends before" in answer.json()["error"]


def test_a_damaged_xorb_stores_no_file(served: RecordedHub, token: dict[str, Any], sent: Sent) -> None:
    name, xorb, _, _ = sent
    for wrong in (b"", xorb[:-1], b"\1" + xorb[1:], xorb + b"more"):
        assert served.post(token, f"xorbs/default/{name}", wrong).status_code == 400
    sha256, before = hash_bytes(b"no other has this"), served.count_blobs()
    changed = bytearray(xorb)
    changed[1000] ^= 1
    assert served.post(token, f"xorbs/default/{name}", bytes(changed)).status_code == 200
    shard = make_shard({sha256: [(term.xorb, *term[1:]) for term in parse_shard(sent[2])[0].read_terms()]})
    assert served.post(token, "shards", shard).status_code == 400
    assert served.count_blobs() == before
    assert served.list_unfinished() == []


def test_an_upload_token_is_valid_for_one_repository_and_a_limited_time(
    served: RecordedHub, token: dict[str, Any]
) -> None:
    number, repository, _, signature = token["accessToken"].split(".")
    served.make_repository("lab/theirs", "lab")
    other = served.get_write_token("lab/theirs")
    old = f"{number}.{repository}.1.{served.hub.tokens.sign('xet', int(number), int(repository), 1)}"
    forged = f"{number}.{repository}.9999999999.{signature}"
    xorb = pack_chunk(b"first")
    for access, status in ((old, 401), (forged, 401), ("x.y", 401), (other["accessToken"], 403)):
        for path, body in ((f"xorbs/default/{HASH}", xorb), ("shards", make_shard({}))):
            assert served.post(token | {"accessToken": access}, path, body).status_code == status
    assert served.post(token, "xorbs/default/..", xorb).status_code in (400, 404)
    elsewhere = token | {"casUrl": token["casUrl"].rpartition("/")[0] + "/begun"}
    assert served.post(elsewhere, f"xorbs/default/{HASH}", xorb).status_code == 404


def test_revoking_a_token_ends_its_uploads(served: RecordedHub) -> None:
    token = served.make_repository("eve/revoked", "eve")
    assert served.hub.tokens.revoke(int(token["accessToken"].partition(".")[0]))
    assert served.post(token, "shards", make_shard({})).status_code == 401


def test_only_writers_get_an_upload_token(served: RecordedHub) -> None:
    served.make_repository("lab/public", "lab")
    for user, can_write, status in (("eve", True, 403), ("lab", False, 403), (None, False, 401)):
        headers = {"Authorization": f"Bearer {served.hub.tokens.create(user, can_write=can_write)}"} if user else {}
        url = f"{served.url}/api/models/lab/public/xet-write-token/main"
        assert httpx2.get(url, headers=headers).status_code == status
    answer = httpx2.get(f"{served.url}/api/models/lab/public/xet-read-token/main")
    assert answer.status_code == 404
    assert "over HTTP" in answer.json()["error"]


# Formats


def test_xorbs_and_shards_of_the_real_client_are_read(sent: Sent) -> None:
    name, xorb, shard, data = sent
    (file,) = parse_shard(shard)
    assert (file.sha256, file.size) == (hash_bytes(data), len(data))
    assert {term.xorb for term in file.read_terms()} == {name}
    chunks = list(decompress_chunks([xorb]))
    assert b"".join(chunk for term in file.read_terms() for chunk in chunks[term.start : term.end]) == data
    schemes = {xorb[offset + 4] for offset in read_table([xorb])[:-1]}
    assert schemes == {0, 2}  # uncompressed and grouped chunks: the client chooses one way for neighbouring chunks


def read_table(pieces: list[bytes]) -> list[int]:
    table = ChunkTable()
    for piece in pieces:
        table.add(piece)
    table.finish()
    return list(table.offsets)


def test_chunks_are_found_however_the_bytes_are_split(sent: Sent) -> None:
    xorb = sent[1]
    whole = read_table([xorb])
    assert whole[-1] == len(xorb)
    for size in (1, 7, 8, 1000):
        assert read_table([xorb[start : start + size] for start in range(0, len(xorb), size)]) == whole
    pieces = [xorb[start : start + 1000] for start in range(0, len(xorb), 1000)]
    assert list(decompress_chunks(pieces)) == list(decompress_chunks([xorb]))


def test_a_footer_after_the_chunks_is_ignored() -> None:
    assert read_table([pack_chunk(b"first"), b"XETB", b"LOB\1", bytes(100)]) == [0, 13]


@pytest.mark.parametrize("size", [*range(9), 1001, 1002, 1003])
def test_byte_grouping_is_undone(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert join_groups(data[0::4] + data[1::4] + data[2::4] + data[3::4]) == data


def test_a_chunk_is_never_decompressed_beyond_its_announced_size() -> None:
    bomb = lz4.frame.compress(bytes(100 << 20), block_size=lz4.frame.BLOCKSIZE_MAX4MB)[: 2 * MAX_CHUNK_SIZE]
    for size in (10, MAX_CHUNK_SIZE):
        chunk = bytes([0]) + len(bomb).to_bytes(3, "little") + bytes([1]) + size.to_bytes(3, "little") + bomb
        with pytest.raises(BadRequest, match="does not have"):
            list(decompress_chunks([chunk]))
    with pytest.raises(BadRequest, match="up to 131072"):
        list(decompress_chunks([pack_chunk(b"x", 0, MAX_CHUNK_SIZE + 1)]))
    with pytest.raises(TooLarge, match="chunks"):
        read_table([pack_chunk(b"x") * (MAX_CHUNKS + 1)])


def test_parsers_survive_corrupted_bytes(sent: Sent) -> None:
    _, xorb, shard, _ = sent
    generator = random.Random(8)
    for _ in range(300):
        for data, read in ((shard, read_shard), (xorb, read_xorb)):
            changed = bytearray(data)
            for _ in range(generator.randrange(1, 5)):
                changed[generator.randrange(len(changed) if generator.random() < 0.5 else 200)] = generator.randrange(
                    256
                )
            end = generator.randrange(len(changed)) if generator.random() < 0.3 else len(changed)
            with suppress(HubError):
                read(bytes(changed[:end]))


def read_shard(data: bytes) -> None:
    for file in parse_shard(data):
        list(file.read_terms())


def read_xorb(data: bytes) -> None:
    read_table([data])
    list(decompress_chunks([data]))


def test_the_server_answers_corrupted_uploads_without_a_server_error(
    served: RecordedHub, token: dict[str, Any], sent: Sent
) -> None:
    name, xorb, shard, _ = sent
    generator = random.Random(9)
    for _ in range(40):
        changed_xorb, changed_shard = bytearray(xorb), bytearray(shard)
        changed_xorb[generator.randrange(len(xorb))] = generator.randrange(256)
        changed_shard[generator.randrange(48, len(shard))] = generator.randrange(256)
        assert served.post(token, f"xorbs/default/{name}", bytes(changed_xorb)).status_code < 500
        assert served.post(token, "shards", bytes(changed_shard)).status_code < 500
    assert served.list_unfinished() == []
