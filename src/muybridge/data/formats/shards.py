"""Tar shards: what `muybridge pack` writes, and WebDataset's in general, read by their offsets.

A tar file is its members one after the other, so that a clip can be read without what lies before it: shards behave
like a folder, and shuffling and exact resumption work on them.
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, is_video_file, read_lines, sorted_labels
from muybridge.data.records import TarMember, VideoRecord

INDEX_NAME = "index.json"  # written last: its presence says that packing has finished
PLAN_NAME = "plan.json"  # written first
FIELDS = ("label", "split", "group", "start_seconds", "end_seconds", "extra")


def recognises(path: Path) -> bool:
    is_packed = (path / INDEX_NAME).is_file() or (path / PLAN_NAME).is_file()
    return path.is_dir() and (is_packed or any(path.glob("*.tar")))


def read(request: Request) -> Catalogue:
    folder = request.path
    if (folder / INDEX_NAME).is_file():
        return read_packed(folder)
    if (folder / PLAN_NAME).is_file():
        raise DataError(f"{folder} holds shards that are not all written; run the same `muybridge pack` again")
    return read_foreign(folder)


def read_packed(folder: Path) -> Catalogue:
    """Shards with an index, in the order that the clips had before they were packed."""
    index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    numbered: list[tuple[int, Entry]] = []
    for shard in index["shards"]:
        for origin, line in read_lines(folder / f"{shard}.jsonl"):
            row = json.loads(line)
            if "skipped" in row:
                continue
            source = TarMember(str(folder / f"{shard}.tar"), row["member"], row["offset"], row["size"])
            record = VideoRecord(source, **{name: row[name] for name in FIELDS})
            numbered.append((row["position"], Entry(record, origin)))
    return Catalogue([entry for _, entry in sorted(numbered, key=lambda pair: pair[0])], index["labels"])


def read_foreign(folder: Path) -> Catalogue:
    """Shards of others: a clip's label is in its `.json`, or in its `.cls` or `.txt`."""
    entries = [entry for shard in sorted(folder.glob("*.tar")) for entry in read_shard(shard)]
    return Catalogue(entries, sorted_labels({entry.record.label for entry in entries if entry.record.label}))


def read_shard(shard: Path) -> Iterator[Entry]:
    try:
        with tarfile.open(shard, "r:") as archive:
            for key, members in samples_of(archive):
                yield read_sample(shard, key, members, archive)
    except tarfile.TarError as error:
        raise DataError(f"{shard} is no uncompressed tar file: {error}") from error


def samples_of(archive: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Neighbours whose names agree up to the first dot make a sample: WebDataset's rule."""
    key = ""
    members: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if not member.isfile():
            continue
        folder, _, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        if members and key != f"{folder}/{stem}":
            yield key, members
            members = {}
        key = f"{folder}/{stem}"
        members[ending.lower()] = member
    if members:
        yield key, members


def read_sample(shard: Path, key: str, members: dict[str, tarfile.TarInfo], archive: tarfile.TarFile) -> Entry:
    origin = f"{shard}, sample {key.lstrip('/')}"
    videos = [member for ending, member in members.items() if is_video_file(f"video.{ending}")]
    if len(videos) != 1:
        raise DataError(f"{origin}: it has {len(videos)} videos among {', '.join(members)}; it must have one")
    video = videos[0]
    facts = read_facts(members, archive, origin)
    source = TarMember(str(shard), video.name, video.offset_data, video.size)
    known = {name: facts.pop(name) for name in FIELDS if name in facts and name != "extra"}
    return Entry(VideoRecord(source, **known, extra=facts), origin)


def read_facts(members: dict[str, tarfile.TarInfo], archive: tarfile.TarFile, origin: str) -> dict[str, Any]:
    """What the files beside a video say of it."""
    texts = {}
    for ending in ("json", "cls", "txt"):
        file = archive.extractfile(members[ending]) if ending in members else None
        if file is not None:
            texts[ending] = file.read().decode("utf-8", errors="replace").strip()
    try:
        facts = json.loads(texts.get("json", "{}"))
    except json.JSONDecodeError as error:
        raise DataError(f"{origin}: its .json is not JSON: {error.msg}") from error
    label = facts.get("label", texts.get("cls", texts.get("txt")))
    return {**facts, "label": None if label is None else str(label)}
