"""Fills a hub with many repositories, directly in its database, for tests and benchmarks of lists."""

import hashlib
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from muybridge_hub import git
from muybridge_hub.blob_store import Blob
from muybridge_hub.database import blobs, commits, now, refs, repositories, repository_blobs, repository_tags, trees
from muybridge_hub.hub import Hub
from muybridge_hub.trees import Entry

BATCH = 1000
ARCHITECTURES = ("video_resnet", "slowfast", "x3d", "timesformer", "vivit", "videomae", "i3d", "tsm")
LICENCES = ("apache-2.0", "mit", "cc-by-nc-4.0", "bsd-3-clause")
DATASETS = ("kinetics-400", "ssv2", "ucf101", "hmdb51", "clips")

CARD = """---
library_name: muybridge
license: apache-2.0
pipeline_tag: video-classification
---

# A network

Classifies videos.
"""


def fill_hub(hub: Hub, num_repositories: int, num_files_each: int) -> None:
    """Adds public models of `lab-0` to `lab-99`. Each has a real card; its other files are listed but not stored."""
    card = store_blob(hub, CARD.encode())
    generator = random.Random(0)
    for start in range(0, num_repositories, BATCH):
        numbers = range(start, min(start + BATCH, num_repositories))
        fill_batch(hub, [make_model(number, num_files_each, card, generator) for number in numbers])


def store_blob(hub: Hub, data: bytes) -> Blob:
    blob = hub.blob_store.store([data], hashlib.sha256(data).hexdigest(), len(data))
    with hub.database.write() as connection:
        connection.execute(insert(blobs).values(**blob._asdict(), touched_at=now()))
    return blob


def make_model(number: int, num_files_each: int, card: Blob, generator: random.Random) -> dict[str, Any]:
    """The database columns of a model, its folder and its commit."""
    architecture, licence = generator.choice(ARCHITECTURES), generator.choice(LICENCES)
    dataset, accuracy = generator.choice(DATASETS), round(generator.random(), 4)
    tags = ["muybridge", "video-classification", architecture, f"dataset:{dataset}", f"license:{licence}"]
    name, namespace = f"{architecture}-{number}", f"lab-{number % 100}"
    changed = now() - timedelta(minutes=number)
    columns = {
        "kind": "model",
        "namespace": namespace,
        "name": name,
        "search_text": f"{namespace}/{name}",
        "private": False,
        "created_at": changed,
        "updated_at": changed,
        "downloads": generator.randrange(10_000),
        "pipeline_tag": "video-classification",
        "library": "muybridge",
        "architecture": architecture,
        "licence": licence,
        "facts": {"card": make_card(dataset, accuracy), "tags": tags, "config": {"model_type": architecture}},
    }
    folder = make_folder(number, num_files_each, card)
    commit = make_commit(folder, changed, f"Publish {name}")
    return {"columns": {**columns, "described": commit["oid"]}, "folder": folder, "commit": commit}


def make_card(dataset: str, accuracy: float) -> dict[str, Any]:
    arguments = {"protocol": "10 clips × 3 crops, mean of softmax; 19877 videos"}
    metrics = [
        {"type": "accuracy", "name": f"video Hit@{rank}", "value": accuracy, "args": arguments}
        for rank in (1, 2, 3, 4, 5)
    ]
    data = {"name": dataset, "type": dataset, "split": "test"}
    results = [{"task": {"type": "video-classification"}, "dataset": data, "metrics": metrics}]
    return {"model-index": [{"name": "A network", "results": results}]}


def make_folder(number: int, num_files_each: int, card: Blob) -> dict[str, Entry]:
    entries = {"README.md": Entry(git.hash_file(CARD.encode()), card.sha256, card.size)}
    for part in range(1, num_files_each):
        sha256 = hashlib.sha256(f"{number}/{part}".encode()).hexdigest()
        pointer = git.make_lfs_pointer(sha256, 10**8)
        entries[f"model-{part:05d}.safetensors"] = Entry(git.hash_file(pointer), sha256, 10**8, is_large=True)
    return entries


def make_commit(folder: dict[str, Entry], created_at: datetime, title: str) -> dict[str, Any]:
    root = git.hash_tree((name, False, entry.oid) for name, entry in folder.items())
    key = hashlib.sha256(to_json(folder).encode()).hexdigest()
    columns = {"parent": None, "tree": key, "title": title, "message": "", "author": "lab", "created_at": created_at}
    return {"oid": git.hash_commit(root, [], "lab", created_at, title), **columns}


def to_json(folder: dict[str, Entry]) -> str:
    return json.dumps(folder, separators=(",", ":"))


def fill_batch(hub: Hub, models: list[dict[str, Any]]) -> None:
    with hub.database.write() as connection:
        adding = insert(repositories).returning(repositories.c.id, sort_by_parameter_order=True)
        ids = connection.scalars(adding, [model["columns"] for model in models]).all()
        rows: dict[Any, list[dict[str, Any]]] = {}
        for repository_id, model in zip(ids, models, strict=True):
            for table, row in make_rows(repository_id, model):
                rows.setdefault(table, []).append(row)
        for table, added in rows.items():
            connection.execute(insert(table), added)


def make_rows(repository_id: int, model: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    folder, commit, created_at = model["folder"], model["commit"], model["columns"]["updated_at"]
    yield trees, {"key": commit["tree"], "entries": to_json(folder), "touched_at": created_at}
    yield commits, {"repository": repository_id, **commit}
    yield refs, {"repository": repository_id, "kind": "branch", "name": "main", "commit": commit["oid"]}
    for tag in model["columns"]["facts"]["tags"]:
        yield repository_tags, {"repository": repository_id, "tag": tag}
    for name, entry in folder.items():
        yield repository_blobs, {"repository": repository_id, "sha256": entry.key, "awaited_at": None}
        if name != "README.md":
            yield blobs, {"sha256": entry.key, "size": entry.size, "place": entry.key, "touched_at": created_at}
