"""The hub: downloads compared with nginx, uploads compared with the disk, start-up time, lists, memory.

Servers and clients share the processors. nginx sends the same stored file from the same folder, and looks nothing up.
The hub finds out for every request who makes it, whether they may see the repository, and which blob the revision has
at that path. So nginx answers many more requests for small files; large files are sent by the kernel in both.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from benchmarks.web_clients import HOST, ClientProcess, commit, download, upload
from benchmarks.web_servers import Server, measure_start, serve_files, serve_hub
from tqdm import tqdm

from hub_client import Client
from hub_filling import fill_hub
from muybridge_hub.hub import Hub
from muybridge_hub.settings import Settings

MB = 10**6
NUM_REPOSITORIES, NUM_FILES_EACH = 10_000, 10
LARGE, SMALL = 100 * MB, 2000
NUM_REQUESTS, NUM_COMMITS = 4000, 100
REPOSITORY = "lab/model"
LISTS = {
    "API, first page": "/api/models",
    "API, search": "/api/models?search=slowfast-99",
    "API, search that finds nothing": "/api/models?search=nothing",
    "API, filter by tag": "/api/models?filter=dataset:kinetics-400",
    "page of all models": "/models",
    "page of a search": "/models?search=slowfast",
    "page of a model": f"/{REPOSITORY}",
}
REAL_CLIENT_CODE = """
import sys, time
from huggingface_hub import HfApi
start = time.perf_counter()
HfApi().upload_file(path_or_fileobj=sys.argv[1], path_in_repo="uploaded.bin", repo_id=sys.argv[2])
print(time.perf_counter() - start)
"""


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token, places = make_hub(folder / "hub")
        starts = measure_starts(folder)
        clients = ClientProcess()
        with serve_files(folder / "hub" / "storage", folder) as beside, serve_hub(folder / "hub") as hub:
            memory = {"after the start": measure_memory_mb(hub)}
            lists = {name: measure_list(clients, hub, path) for name, path in LISTS.items()}
            with on_separate_cores((hub, beside), clients):
                large = compare_large(clients, hub, beside, places)
                memory["after downloads by 200 clients"] = measure_memory_mb(hub)
                small = compare_small(clients, hub, beside, places)
            uploads = measure_uploads(clients, hub, token, folder / "written")
            memory["after uploads by 200 clients"] = measure_memory_mb(hub)
            commits = measure_commits(clients, hub, token)
        clients.close()
    return {
        "what": f"a hub of {NUM_REPOSITORIES} models with {NUM_REPOSITORIES * NUM_FILES_EACH} files, in a folder; "
        "its requests are not logged; servers and clients share the cores",
        "beside": beside.name,
        "download_mb_per_second": large,
        "requests_per_second": small,
        "upload_mb_per_second": uploads,
        "commits_per_second": commits,
        "seconds_to_answer": starts,
        "list_ms": lists,
        "resident_mb": memory,
    }


def make_hub(root: Path) -> tuple[str, dict[str, str]]:
    """Makes a hub with many models, and one with a large and a small file. Returns a token and the places of both."""
    hub, small = Hub(Settings(root)), os.urandom(SMALL // 2).hex().encode()
    fill_hub(hub, NUM_REPOSITORIES, NUM_FILES_EACH)
    token = hub.tokens.create("lab")
    hub.close()
    with serve_hub(root) as server:
        client, large = Client(f"http://{HOST}:{server.port}", token), os.urandom(LARGE)
        client.create(REPOSITORY)
        client.commit(REPOSITORY, {"README.md": small}, {"weights.bin": client.upload(REPOSITORY, large)})
    hub = Hub(Settings(root))
    hashes = {"weights.bin": hashlib.sha256(large).hexdigest(), "README.md": hashlib.sha256(small).hexdigest()}
    blobs = {path: hub.blob_store.find(sha256) for path, sha256 in hashes.items()}
    hub.close()
    return token, {path: blob.place for path, blob in blobs.items() if blob}


def measure_starts(folder: Path) -> dict[str, float]:
    """Measures the time from the command to the first answer: of an empty hub, and of one with many models."""
    seconds = measure_medians(
        {
            "an empty hub": lambda: measure_start(folder / "empty", "/health"),
            f"{NUM_REPOSITORIES} models": lambda: measure_start(folder / "hub", "/api/models?limit=1"),
        },
        rounds=7,
    )
    return {name: round(value, 2) for name, value in seconds.items()}


def measure_list(clients: ClientProcess, hub: Server, path: str) -> dict[str, float]:
    times = [1000 * clients(download, hub.port, path, 1, 1) for _ in range(21)]
    return {"median": round(statistics.median(times), 1), "worst": round(max(times), 1)}


@contextmanager
def on_separate_cores(servers: Iterable[Server], clients: ClientProcess) -> Iterator[None]:
    """Runs servers on one core and clients on another: while both share a core, downloads are several times slower."""
    cores = sorted(os.sched_getaffinity(0))
    set_cores(servers, cores[:1])
    clients(os.sched_setaffinity, 0, cores[-1:])
    yield
    set_cores(servers, cores)
    clients(os.sched_setaffinity, 0, cores)


def set_cores(servers: Iterable[Server], cores: list[int]) -> None:
    """Sets the cores of all threads of the servers and of the processes that they started."""
    for server in servers:
        first = psutil.Process(server.process)
        for process in (first, *first.children(recursive=True)):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


def compare_large(
    clients: ClientProcess, hub: Server, beside: Server, places: Mapping[str, str]
) -> dict[int, dict[str, float]]:
    """Megabytes a second. Single downloads vary by a factor of four, with any server, so there are many of them."""
    paths = {hub: f"/{REPOSITORY}/resolve/main/weights.bin", beside: f"/{places['weights.bin']}"}
    rounds = {1: 101, 10: 9, 200: 3}
    return {count: compare(clients, paths, count, 1, LARGE / MB, rounds=rounds[count]) for count in rounds}


def compare_small(
    clients: ClientProcess, hub: Server, beside: Server, places: Mapping[str, str]
) -> dict[int, dict[str, float]]:
    """Requests a second."""
    paths = {hub: f"/{REPOSITORY}/resolve/main/README.md", beside: f"/{places['README.md']}"}
    return {count: compare(clients, paths, count, NUM_REQUESTS // count, 1, rounds=5) for count in (1, 10, 200)}


def compare(
    clients: ClientProcess,
    paths: Mapping[Server, str],
    num_clients: int,
    num_requests_each: int,
    amount: float,
    *,
    rounds: int,
) -> dict[str, float]:
    """The amount that each server sends in a second. The first server is the hub."""
    functions = {
        server.name: partial(clients, download, server.port, path, num_clients, num_requests_each)
        for server, path in paths.items()
    }
    seconds = measure_medians(functions, rounds=rounds)
    ours, theirs = seconds.values()
    speeds = {name: round(amount * num_clients * num_requests_each / value) for name, value in seconds.items()}
    return {**speeds, "times_slower": round(ours / theirs, 2)}


def measure_uploads(clients: ClientProcess, hub: Server, token: str, scratch: Path) -> dict[str, dict[str, int]]:
    """Megabytes a second, with the limits: a server must hash a file and write it to disk, at best both at once."""
    sizes = {"1 client": (1, LARGE), "10 clients, 20 MB each": (10, 20 * MB), "200 clients, 1 MB each": (200, MB)}
    limits: dict[str, Callable[[], float]] = {
        "sha256": lambda: hash_data(os.urandom(LARGE)),
        "write and fsync": lambda: write_file(scratch, os.urandom(LARGE)),
        "one after the other": lambda: hash_and_write(scratch, os.urandom(LARGE)),
    }
    ours: dict[str, Callable[[], float]] = {
        **{name: partial(clients, upload, hub.port, token, REPOSITORY, *size) for name, size in sizes.items()},
        "huggingface_hub without Xet": lambda: upload_with_real_client(hub, token, scratch, disable_xet=True),
        "huggingface_hub with Xet": lambda: upload_with_real_client(hub, token, scratch, disable_xet=False),
    }
    seconds = measure_medians({**limits, **ours}, rounds=5)
    amounts = {name: count * size for name, (count, size) in sizes.items()}
    speeds = {name: round(amounts.get(name, LARGE) / MB / value) for name, value in seconds.items()}
    return {"limits": {name: speeds[name] for name in limits}, "hub": {name: speeds[name] for name in ours}}


def hash_data(data: bytes) -> float:
    start = time.perf_counter()
    hashlib.sha256(data).digest()
    return time.perf_counter() - start


def write_file(path: Path, data: bytes) -> float:
    start = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    elapsed = time.perf_counter() - start
    path.unlink()
    return elapsed


def hash_and_write(path: Path, data: bytes) -> float:
    return hash_data(data) + write_file(path, data)


def upload_with_real_client(hub: Server, token: str, scratch: Path, *, disable_xet: bool) -> float:
    """Uploads with the real client, in a new process without caches. The time to import it is not counted."""
    scratch.write_bytes(os.urandom(LARGE))
    with tempfile.TemporaryDirectory() as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": f"http://{HOST}:{hub.port}", "HF_TOKEN": token, "HF_HOME": home}
        environment |= {"HF_HUB_DISABLE_XET": str(int(disable_xet))}
        program = [sys.executable, "-c", REAL_CLIENT_CODE, str(scratch), REPOSITORY]
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    scratch.unlink()
    return float(done.stdout)


def measure_commits(clients: ClientProcess, hub: Server, token: str) -> dict[int, float]:
    functions = {
        str(count): partial(clients, commit, hub.port, token, REPOSITORY, count, NUM_COMMITS // count)
        for count in (1, 10, 50)
    }
    seconds = measure_medians(functions, rounds=5)
    return {int(count): round(NUM_COMMITS / value, 1) for count, value in seconds.items()}


def measure_medians(functions: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, float]:
    """The median of the seconds that each function returns. In every round, all functions are called in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in tqdm(range(rounds), desc=", ".join(functions), leave=False):
        for name, function in functions.items():
            seconds[name].append(function())
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure_memory_mb(server: Server) -> int:
    return round(psutil.Process(server.process).memory_info().rss / MB)
