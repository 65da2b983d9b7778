"""A hub of one's own: downloads and small files beside nginx, uploads beside what the disk allows, starting, lists.

Server and clients share the processors. nginx sends the very file that the hub keeps, from the same folder, and looks
nothing up: the hub finds out at every request who asks, whether they may know of the repository, and which contents the
revision has at that path. So of small files nginx answers many times more; of large ones the kernel does the work.
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
from benchmarks.web_clients import HOST, OwnProcess, commit, download, upload
from benchmarks.web_servers import Server, seconds_to_answer, serve_files, serve_hub
from tqdm import tqdm

from hub_client import Client
from hub_filling import fill
from muybridge_hub.hub import Hub
from muybridge_hub.settings import Settings

MB = 10**6
NUM_REPOSITORIES, FILES_EACH = 10_000, 10
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
REAL_CLIENT = """
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
        clients = OwnProcess()
        with serve_files(folder / "hub" / "storage", folder) as beside, serve_hub(folder / "hub") as hub:
            memory = {"after the start": resident_mb(hub)}
            lists = {name: measure_list(clients, hub, path) for name, path in LISTS.items()}
            with on_separate_cores((hub, beside), clients):
                large = compare_large(clients, hub, beside, places)
                memory["after downloads by 200 clients"] = resident_mb(hub)
                small = compare_small(clients, hub, beside, places)
            uploads = measure_uploads(clients, hub, token, folder / "written")
            memory["after uploads by 200 clients"] = resident_mb(hub)
            commits = measure_commits(clients, hub, token)
        clients.close()
    return {
        "what": f"a hub of {NUM_REPOSITORIES} models with {NUM_REPOSITORIES * FILES_EACH} files, in a folder; "
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
    """A hub of many models, and one more with a large file and a small one: a token for it, where its files lie."""
    hub, small = Hub(Settings(root)), os.urandom(SMALL // 2).hex().encode()
    fill(hub, NUM_REPOSITORIES, FILES_EACH)
    token = hub.tokens.create("lab")
    hub.close()
    with serve_hub(root) as server:
        client, large = Client(f"http://{HOST}:{server.port}", token), os.urandom(LARGE)
        client.create(REPOSITORY)
        client.commit(REPOSITORY, {"README.md": small}, {"weights.bin": client.upload(REPOSITORY, large)})
    hub = Hub(Settings(root))
    hashes = {"weights.bin": hashlib.sha256(large).hexdigest(), "README.md": hashlib.sha256(small).hexdigest()}
    blobs = {path: hub.contents.find(sha256) for path, sha256 in hashes.items()}
    hub.close()
    return token, {path: blob.place for path, blob in blobs.items() if blob}


def measure_starts(folder: Path) -> dict[str, float]:
    """Of the command, by a look at its own health and by a list of models."""
    seconds = median_in_turn(
        {
            "an empty hub": lambda: seconds_to_answer(folder / "empty", "/health"),
            f"{NUM_REPOSITORIES} models": lambda: seconds_to_answer(folder / "hub", "/api/models?limit=1"),
        },
        rounds=7,
    )
    return {name: round(value, 2) for name, value in seconds.items()}


def measure_list(clients: OwnProcess, hub: Server, path: str) -> dict[str, float]:
    times = [1000 * clients(download, hub.port, path, 1, 1) for _ in range(21)]
    return {"median": round(statistics.median(times), 1), "worst": round(max(times), 1)}


@contextmanager
def on_separate_cores(servers: Iterable[Server], clients: OwnProcess) -> Iterator[None]:
    """Servers on one core, clients on another: a download is several times slower while both happen to share one."""
    cores = sorted(os.sched_getaffinity(0))
    set_cores(servers, cores[:1])
    clients(os.sched_setaffinity, 0, cores[-1:])
    yield
    set_cores(servers, cores)
    clients(os.sched_setaffinity, 0, cores)


def set_cores(servers: Iterable[Server], cores: list[int]) -> None:
    """Of all threads of the servers and of the processes that they started."""
    for server in servers:
        first = psutil.Process(server.process)
        for process in (first, *first.children(recursive=True)):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


def compare_large(
    clients: OwnProcess, hub: Server, beside: Server, places: Mapping[str, str]
) -> dict[int, dict[str, float]]:
    """Megabytes a second. Single downloads differ by a factor of four, whoever sends: so there are many."""
    paths = {hub: f"/{REPOSITORY}/resolve/main/weights.bin", beside: f"/{places['weights.bin']}"}
    rounds = {1: 101, 10: 9, 200: 3}
    return {count: compare(clients, paths, count, 1, LARGE / MB, rounds=rounds[count]) for count in rounds}


def compare_small(
    clients: OwnProcess, hub: Server, beside: Server, places: Mapping[str, str]
) -> dict[int, dict[str, float]]:
    """Requests a second."""
    paths = {hub: f"/{REPOSITORY}/resolve/main/README.md", beside: f"/{places['README.md']}"}
    return {count: compare(clients, paths, count, NUM_REQUESTS // count, 1, rounds=5) for count in (1, 10, 200)}


def compare(
    clients: OwnProcess,
    paths: Mapping[Server, str],
    num_clients: int,
    requests_each: int,
    amount: float,
    *,
    rounds: int,
) -> dict[str, float]:
    """The amount that comes in a second from each server, the hub being the first."""
    functions = {
        server.name: partial(clients, download, server.port, path, num_clients, requests_each)
        for server, path in paths.items()
    }
    seconds = median_in_turn(functions, rounds=rounds)
    ours, theirs = seconds.values()
    speeds = {name: round(amount * num_clients * requests_each / value) for name, value in seconds.items()}
    return {**speeds, "times_slower": round(ours / theirs, 2)}


def measure_uploads(clients: OwnProcess, hub: Server, token: str, scratch: Path) -> dict[str, dict[str, int]]:
    """No server can keep a file before it has its hash and the disk has its bytes; both at once would be the limit."""
    sizes = {"1 client": (1, LARGE), "10 clients, 20 MB each": (10, 20 * MB), "200 clients, 1 MB each": (200, MB)}
    limits: dict[str, Callable[[], float]] = {
        "sha256": lambda: hash_data(os.urandom(LARGE)),
        "write and fsync": lambda: write_file(scratch, os.urandom(LARGE)),
        "one after the other": lambda: hash_and_write(scratch, os.urandom(LARGE)),
    }
    ours: dict[str, Callable[[], float]] = {
        **{name: partial(clients, upload, hub.port, token, REPOSITORY, *each) for name, each in sizes.items()},
        "huggingface_hub without Xet": lambda: upload_really(hub, token, scratch, disable_xet=True),
        "huggingface_hub with Xet": lambda: upload_really(hub, token, scratch, disable_xet=False),
    }
    seconds = median_in_turn({**limits, **ours}, rounds=5)
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


def upload_really(hub: Server, token: str, scratch: Path, *, disable_xet: bool) -> float:
    """By the real client, in a process of its own that knows nothing of earlier ones; importing it is not counted."""
    scratch.write_bytes(os.urandom(LARGE))
    with tempfile.TemporaryDirectory() as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": f"http://{HOST}:{hub.port}", "HF_TOKEN": token, "HF_HOME": home}
        environment |= {"HF_HUB_DISABLE_XET": str(int(disable_xet))}
        program = [sys.executable, "-c", REAL_CLIENT, str(scratch), REPOSITORY]
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    scratch.unlink()
    return float(done.stdout)


def measure_commits(clients: OwnProcess, hub: Server, token: str) -> dict[int, float]:
    functions = {
        str(count): partial(clients, commit, hub.port, token, REPOSITORY, count, NUM_COMMITS // count)
        for count in (1, 10, 50)
    }
    seconds = median_in_turn(functions, rounds=5)
    return {int(count): round(NUM_COMMITS / value, 1) for count, value in seconds.items()}


def median_in_turn(functions: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, float]:
    """The median of the seconds that each function gives, all of them called in turn in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in tqdm(range(rounds), desc=", ".join(functions), leave=False):
        for name, function in functions.items():
            seconds[name].append(function())
    return {name: statistics.median(values) for name, values in seconds.items()}


def resident_mb(server: Server) -> int:
    return round(psutil.Process(server.process).memory_info().rss / MB)
