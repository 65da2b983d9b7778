"""Tar shards: what `muybridge pack` writes, and WebDataset's in general, read by their offsets.

A tar file is its members one after the other, so that a clip can be read without what lies before it: shards behave
like a folder, and shuffling and exact resumption work on them.
"""

import json
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, is_video_file, read_lines
from muybridge.data.records import MAIN_SOURCE, VideoRecord
from muybridge.data.sources import TarMember
from muybridge.data.targets import read_targets
from muybridge.data.targets.base import Row
from muybridge.data.targets.rows import get_target_columns

Kinds = Collection[str] | None  # of targets that are read; None for all

INDEX_NAME = "index.json"  # written last: its presence says that packing has finished
PLAN_NAME = "plan.json"  # written first
FIELDS = ("split", "group", "start_seconds", "end_seconds", "extra")  # of a record, beside sources and targets
SOUND_SUFFIXES = frozenset({".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"})


def recognises(path: Path) -> bool:
    is_packed = (path / INDEX_NAME).is_file() or (path / PLAN_NAME).is_file()
    return path.is_dir() and (is_packed or any(path.glob("*.tar")))


def read(request: Request) -> Catalogue:
    folder = request.path
    if (folder / INDEX_NAME).is_file():
        return read_packed(folder, request.targets)
    if (folder / PLAN_NAME).is_file():
        raise DataError(f"{folder} holds shards that are not all written; run the same `muybridge pack` again")
    return read_foreign(folder, request.targets)


def read_packed(folder: Path, kinds: Kinds) -> Catalogue:
    """Shards with an index, in the order that the clips had before they were packed."""
    index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    numbered: list[tuple[int, Entry]] = []
    for shard in index["shards"]:
        for origin, line in read_lines(folder / f"{shard}.jsonl"):
            row = json.loads(line)
            if "skipped" not in row:
                record = read_packed_row(row, folder / f"{shard}.tar", kinds)
                numbered.append((row["position"], Entry(record, origin)))
    return Catalogue([entry for _, entry in sorted(numbered, key=lambda pair: pair[0])], index["names"])


def read_packed_row(row: dict[str, Any], shard: Path, kinds: Kinds) -> VideoRecord:
    """The record that `muybridge pack` noted for a clip."""

    def find_member(place: Any) -> TarMember:
        return TarMember(str(shard), place["member"], place["offset"], place["size"])

    return VideoRecord(
        sources={name: find_member(place) for name, place in row["sources"].items()},
        targets=read_targets(Row(row["targets"], find_member), kinds),
        **{name: row[name] for name in FIELDS},
    )


def read_foreign(folder: Path, kinds: Kinds) -> Catalogue:
    """Shards of others: what is known of a clip is in its `.json`, its label perhaps in its `.cls` or `.txt`."""
    return Catalogue([entry for shard in sorted(folder.glob("*.tar")) for entry in read_shard(shard, kinds)])


def read_shard(shard: Path, kinds: Kinds) -> Iterator[Entry]:
    try:
        with tarfile.open(shard, "r:") as archive:
            for key, members in group_samples(archive):
                yield read_sample(shard, key, members, archive, kinds)
    except tarfile.TarError as error:
        raise DataError(f"{shard} is no uncompressed tar file: {error}") from error


def group_samples(archive: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
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


def read_sample(
    shard: Path, key: str, members: dict[str, tarfile.TarInfo], archive: tarfile.TarFile, kinds: Kinds
) -> Entry:
    origin = f"{shard}, sample {key.lstrip('/')}"
    try:
        facts = read_facts(members, archive)
        known = {*FIELDS, *get_target_columns(kinds)}
        record = VideoRecord(
            sources=find_sources(shard, members),
            targets=read_targets(Row(facts, refuse_file), kinds),
            **{name: facts[name] for name in FIELDS if name in facts and name != "extra"},
            extra={name: value for name, value in facts.items() if name not in known},
        )
    except ValueError as error:
        raise DataError(f"{origin}: {error}") from error
    return Entry(record, origin)


def find_sources(shard: Path, members: dict[str, tarfile.TarInfo]) -> dict[str, TarMember]:
    """`KEY.mp4` is the video, and `KEY.NAME.mp4` or `KEY.sound.wav` a further source in step with it."""
    sources = {}
    for ending, member in members.items():
        name, _, suffix = ending.rpartition(".")
        if is_video_file(f"video.{suffix}") or (name and f".{suffix}" in SOUND_SUFFIXES):
            if (name or MAIN_SOURCE) in sources:
                raise DataError(f"there are two videos among {', '.join(members)}; there must be one")
            sources[name or MAIN_SOURCE] = TarMember(str(shard), member.name, member.offset_data, member.size)
    if MAIN_SOURCE not in sources:
        raise DataError(f"there is no video among {', '.join(members)}; there must be one")
    return {MAIN_SOURCE: sources.pop(MAIN_SOURCE), **sources}


def read_facts(members: dict[str, tarfile.TarInfo], archive: tarfile.TarFile) -> dict[str, Any]:
    """What the files beside a video say of it."""
    texts = {}
    for ending in ("json", "cls", "txt"):
        file = archive.extractfile(members[ending]) if ending in members else None
        if file is not None:
            texts[ending] = file.read().decode("utf-8", errors="replace").strip()
    try:
        facts = json.loads(texts.get("json", "{}"))
    except json.JSONDecodeError as error:
        raise DataError(f"its .json is not JSON: {error.msg}") from error
    if facts.get("label") is None:
        facts["label"] = texts.get("cls", texts.get("txt"))
    return facts


def refuse_file(value: Any) -> TarMember:
    raise DataError(f"{value!r} names a file beside the shard, and what belongs to a clip must lie in the shard")
