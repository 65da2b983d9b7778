"""Many small files become few large ones: WebDataset's tar shards, with an index that makes every clip reachable.

    OUT/plan.json             what is being packed, and how; written first
    OUT/train-000000.tar      000000042.mp4, 000000042.json, 000000042.cls, 000000007.mp4, …
    OUT/train-000000.jsonl    for each clip its place in the tar file and its record; written when the shard is complete
    OUT/index.json            the names of labels and the list of shards; written last

A clip's further sources and arrays lie behind it: 000000042.sound.wav, 000000042.masks.npz.

What was interrupted goes on with the first shard that is not complete. Inside a split clips are shuffled, so that also
a reader that can only go forwards meets all classes; `position` is their place before.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from muybridge.data.encoding import Encoding, encode
from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import VIDEO_SUFFIXES
from muybridge.data.formats.shards import FIELDS, INDEX_NAME, PLAN_NAME, SOUND_SUFFIXES
from muybridge.data.pool import map_in_processes
from muybridge.data.records import VideoRecord, VideoRecords, open_clip
from muybridge.data.targets import Target, write_targets
from muybridge.data.targets.arrays import ArrayTarget
from muybridge.files import replace_bytes, replace_file

if TYPE_CHECKING:
    from muybridge.video import ErrorPolicy

HEADER_SIZE = 512  # of a member of a tar file whose name is short
NO_SPLIT_NAME = "clips"
SHUFFLE_SEED = 0


@dataclass(frozen=True)
class Shard:
    """A tar file to be written: its name without ending, and the positions of its clips."""

    name: str
    positions: tuple[int, ...]


@dataclass(frozen=True)
class PackReport:
    """What was packed; `skipped` are the clips that could not be read, and why."""

    num_shards: int
    num_clips: int
    num_bytes: int
    skipped: Mapping[str, str]


def pack_videos(
    records: VideoRecords,
    folder: str | Path,
    *,
    shard_size: int = 256,
    encoding: Encoding | None = None,
    policy: "ErrorPolicy | None" = None,
    num_workers: int = 0,
    show_progress: bool = False,
) -> PackReport:
    """Packs clips into shards of `shard_size` clips, or goes on where the same packing was interrupted.

    Without an encoding the files are copied as they are. With one they are decoded, and parts of longer videos are
    cut out; targets that are in pixels follow. `num_workers` processes share the work; 0 is this one alone.
    """
    from muybridge.video import ErrorPolicy

    folder = Path(folder)
    refuse_sound(records, encoding)
    shards = plan_shards(records, shard_size)
    begin_packing(folder, describe_plan(records, shard_size, encoding))
    writer = ShardWriter(records, folder, shards, encoding, policy or ErrorPolicy("skip"))
    with tqdm(total=len(records), unit="clip", desc="packing", disable=None if show_progress else True) as bar:
        for num_clips in map_in_processes(writer, len(shards), num_workers):
            bar.update(num_clips)
    index = {"names": records.names, "shards": [shard.name for shard in shards]}
    replace_bytes(folder / INDEX_NAME, json.dumps(index, ensure_ascii=False, indent=2).encode())
    return make_report(folder, shards)


def plan_shards(records: VideoRecords, shard_size: int) -> list[Shard]:
    """Which clips go to which shard: those of a split, shuffled, `shard_size` at a time."""
    if shard_size < 1:
        raise ValueError(f"shard_size is {shard_size}; it must be 1 or more")
    positions: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        name = re.sub(r"\W+", "_", record.split or NO_SPLIT_NAME)
        positions.setdefault(name, []).append(position)
    generator = np.random.default_rng(SHUFFLE_SEED)
    shards = []
    for name, own in positions.items():
        order = generator.permutation(own).tolist()
        parts = [order[start : start + shard_size] for start in range(0, len(order), shard_size)]
        shards += [Shard(f"{name}-{number:06}", tuple(part)) for number, part in enumerate(parts)]
    return shards


def describe_plan(records: VideoRecords, shard_size: int, encoding: Encoding | None) -> dict[str, Any]:
    """What must be the same for a packing to go on where it stopped."""
    digest = hashlib.sha256(repr((records.names, *records)).encode()).hexdigest()
    return {
        "clips": len(records),
        "digest": digest,
        "shard_size": shard_size,
        "encoding": encoding.to_dict() if encoding else None,
    }


def begin_packing(folder: Path, plan: dict[str, Any]) -> None:
    """Makes the folder, or makes sure that it holds a part of the same packing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PLAN_NAME
    if not path.is_file():
        if any(folder.iterdir()):
            raise DataError(f"{folder} is not empty; choose another place or remove it")
        replace_bytes(path, json.dumps(plan, indent=2).encode())
    elif (begun := json.loads(path.read_text(encoding="utf-8"))) != plan:
        changed = [name for name in plan if plan[name] != begun.get(name)]
        raise DataError(
            f"{folder} holds another packing, which differs in {', '.join(changed)}; choose another place or remove it"
        )


@dataclass(frozen=True)
class PackedClip:
    """A clip on its way into a shard: its record, and the bytes of its files with their endings, by name."""

    record: VideoRecord
    sources: Mapping[str, tuple[str, bytes]]
    arrays: Mapping[str, bytes]


@dataclass(frozen=True)
class ShardWriter:
    """Writes shards; calling it with the number of one writes that, unless an earlier run did."""

    records: VideoRecords
    folder: Path
    shards: Sequence[Shard]
    encoding: Encoding | None
    policy: "ErrorPolicy"

    def __call__(self, number: int) -> int:
        """Writes a shard; returns the number of its clips."""
        shard = self.shards[number]
        sidecar = self.folder / f"{shard.name}.jsonl"
        if not sidecar.is_file():
            rows = self.write(shard)
            replace_bytes(sidecar, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        return len(shard.positions)

    def write(self, shard: Shard) -> list[dict[str, Any]]:
        """Writes the tar file and returns a row a clip, for the file beside it."""
        path = self.folder / f"{shard.name}.tar"
        with replace_file(path) as partial, tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as archive:
            return [self.add_clip(archive, position) for position in shard.positions]

    def add_clip(self, archive: tarfile.TarFile, position: int) -> dict[str, Any]:
        """Adds the files of a clip: the video, what is known of it, then further sources and arrays."""
        record = self.records[position]
        clip = self.policy.attempt(lambda: self.pack_clip(record), record.name)
        if clip is None:
            return {"position": position, "name": record.name, "skipped": self.policy.skipped[-1][1]}
        key = f"{position:09}"
        facts = {name: getattr(clip.record, name) for name in FIELDS}
        targets = write_targets(drop_arrays(clip.record.targets))
        (main, (ending, data)), *others = clip.sources.items()
        places = {main: add_member(archive, f"{key}{ending}", data)}
        known = {name: value for name, value in facts.items() if name != "extra" and value is not None}
        beside = {"name": record.name, **targets, **known, **facts["extra"]}
        add_member(archive, f"{key}.json", json.dumps(beside, ensure_ascii=False).encode())
        if self.records.labels:
            number = self.records.label2id[record.label] if record.label else -1  # -1: no label, as `datasets` has it
            add_member(archive, f"{key}.cls", str(number).encode())
        for name, (ending, data) in others:
            places[name] = add_member(archive, f"{key}.{name}{ending}", data) if data else places[main]
        for kind, data in clip.arrays.items():
            targets[kind] = add_member(archive, f"{key}.{kind}.npz", data)
        return {"position": position, "sources": places, "targets": targets, **facts}

    def pack_clip(self, record: VideoRecord) -> PackedClip:
        """The files of a record that go into a shard: as they are, or encoded again."""
        sources: dict[str, tuple[str, bytes]] = {}
        for name, source in record.sources.items():
            is_in_main = source == record.source and sources  # such as sound that lies in the video's own file
            sources[name] = ("", b"") if is_in_main else self.pack_source(record, name)
        if self.encoding:
            record = self.cut_out(record, self.encoding)
        arrays = {
            kind: write_array(target) for kind, target in record.targets.items() if isinstance(target, ArrayTarget)
        }
        return PackedClip(record, sources, arrays)

    def pack_source(self, record: VideoRecord, name: str) -> tuple[str, bytes]:
        """A source's file name ending and its bytes."""
        if self.encoding is None or name == "sound":
            with self.records.open_file(record, name) as file:
                return find_suffix(record.sources[name]), file.read()
        with open_clip(record, self.records.stores, name) as reader:
            return ".mp4", encode(reader, self.encoding)

    def cut_out(self, record: VideoRecord, encoding: Encoding) -> VideoRecord:
        """The record of a clip after it was encoded: no part of a longer file any more, and perhaps smaller."""
        with self.records.open(record) as reader:
            old = reader.metadata.height, reader.metadata.width
        new = encoding.size(*old)
        targets = {kind: target.resize(old, new) for kind, target in record.targets.items()} if new != old else None
        return replace(record, start_seconds=None, end_seconds=None, targets=targets or record.targets)


def refuse_sound(records: VideoRecords, encoding: Encoding | None) -> None:
    """Raises where sound would be lost or would not be cut as its video is: encoding makes files without sound."""
    if encoding is None:
        return
    for record in records:
        sound = record.sources.get("sound")
        if sound is not None and (record.is_segment or sound == record.source):
            raise DataError(
                f"{record.name} has the source 'sound', and encoding writes videos without sound; pack the files "
                "as they are"
            )


def drop_arrays(targets: Mapping[str, Target]) -> dict[str, Target]:
    return {kind: target for kind, target in targets.items() if not isinstance(target, ArrayTarget)}


def write_array(target: ArrayTarget) -> bytes:
    """An array as the bytes of a NumPy file, the same for the same array."""
    file = io.BytesIO()
    np.savez_compressed(file, **{target.kind: target.load()})  # type: ignore[arg-type]
    return file.getvalue()


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> dict[str, Any]:
    """Adds a file, the same for the same bytes whenever it is written; returns where its bytes lie."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    offset = archive.offset + HEADER_SIZE
    archive.addfile(info, io.BytesIO(data))
    return {"member": name, "offset": offset, "size": len(data)}


def find_suffix(source: Any) -> str:
    suffix = Path(str(source)).suffix.lower()
    return suffix if suffix in VIDEO_SUFFIXES | SOUND_SUFFIXES else ".mp4"


def make_report(folder: Path, shards: Sequence[Shard]) -> PackReport:
    rows = [row for shard in shards for row in read_rows(folder, shard)]
    skipped = {row["name"]: row["skipped"] for row in rows if "skipped" in row}
    num_bytes = sum((folder / f"{shard.name}.tar").stat().st_size for shard in shards)
    return PackReport(len(shards), len(rows) - len(skipped), num_bytes, skipped)


def read_rows(folder: Path, shard: Shard) -> Iterator[dict[str, Any]]:
    text = (folder / f"{shard.name}.jsonl").read_text(encoding="utf-8")
    return map(json.loads, text.splitlines())
