"""Many small files become few large ones: WebDataset's tar shards, with an index that makes every clip reachable.

    OUT/plan.json             what is being packed, and how; written first
    OUT/train-000000.tar      000000042.mp4, 000000042.json, 000000042.cls, 000000007.mp4, …
    OUT/train-000000.jsonl    for each clip its place in the tar file and its record; written when the shard is complete
    OUT/index.json            the labels and the list of shards; written last

What was interrupted goes on with the first shard that is not complete. Inside a split clips are shuffled, so that also
a reader that can only go forwards meets all classes; `position` is their place before.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from muybridge.data.encoding import Encoding, encode
from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import VIDEO_SUFFIXES
from muybridge.data.formats.shards import FIELDS, INDEX_NAME, PLAN_NAME
from muybridge.data.records import VideoRecord, VideoRecords
from muybridge.files import replace_bytes, replace_file
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
    policy: ErrorPolicy | None = None,
    num_workers: int = 0,
    show_progress: bool = False,
) -> PackReport:
    """Packs clips into shards of `shard_size` clips, or goes on where the same packing was interrupted.

    Without an encoding the files are copied as they are. With one they are decoded, and parts of longer videos are
    cut out.
    """
    folder = Path(folder)
    shards = plan_shards(records, shard_size)
    begin(folder, plan_of(records, shard_size, encoding))
    packing = Packing(records, folder, shards, encoding, policy or ErrorPolicy("skip"))
    loader = DataLoader(packing, batch_size=None, num_workers=num_workers)
    with tqdm(total=len(records), unit="clip", desc="packing", disable=None if show_progress else True) as bar:
        for num_clips in loader:
            bar.update(num_clips)
    index = {"labels": records.labels, "shards": [shard.name for shard in shards]}
    replace_bytes(folder / INDEX_NAME, json.dumps(index, ensure_ascii=False, indent=2).encode())
    return report_on(folder, shards)


def plan_shards(records: VideoRecords, shard_size: int) -> list[Shard]:
    """Which clips go to which shard: those of a split, shuffled, `shard_size` at a time."""
    if shard_size < 1:
        raise ValueError(f"shard_size is {shard_size}; it must be 1 or more")
    positions: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        name = re.sub(r"\W+", "_", record.split or NO_SPLIT_NAME)
        positions.setdefault(name, []).append(position)
    generator = torch.Generator().manual_seed(SHUFFLE_SEED)
    shards = []
    for name, own in positions.items():
        order = torch.tensor(own)[torch.randperm(len(own), generator=generator)]
        parts = order.split(shard_size)
        shards += [Shard(f"{name}-{number:06}", tuple(part.tolist())) for number, part in enumerate(parts)]
    return shards


def plan_of(records: VideoRecords, shard_size: int, encoding: Encoding | None) -> dict[str, Any]:
    """What must be the same for a packing to go on where it stopped."""
    digest = hashlib.sha256(repr((records.labels, *records)).encode()).hexdigest()
    return {
        "clips": len(records),
        "digest": digest,
        "shard_size": shard_size,
        "encoding": encoding.to_dict() if encoding else None,
    }


def begin(folder: Path, plan: dict[str, Any]) -> None:
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


class Packing(Dataset[int]):
    """Shards that are written when they are asked for: a DataLoader then is a pool of processes."""

    def __init__(
        self,
        records: VideoRecords,
        folder: Path,
        shards: Sequence[Shard],
        encoding: Encoding | None,
        policy: ErrorPolicy,
    ) -> None:
        self.records = records
        self.folder = folder
        self.shards = shards
        self.encoding = encoding
        self.policy = policy

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, index: int) -> int:
        """Writes a shard, unless an earlier run did; returns the number of its clips."""
        shard = self.shards[index]
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
        record = self.records[position]
        data = self.policy.attempt(lambda: self.bytes_of(record), record.name)
        if data is None:
            return {"position": position, "name": record.name, "skipped": self.policy.skipped[-1][1]}
        if self.encoding:
            record = without_segment(record)
        key = f"{position:09}"
        member = key + (".mp4" if self.encoding else suffix_of(record))
        offset = add_member(archive, member, data)
        facts = {name: value for name, value in asdict(record).items() if name in FIELDS}
        known = {name: value for name, value in facts.items() if name != "extra" and value is not None}
        beside = {"name": record.name, **known, **facts["extra"]}
        add_member(archive, f"{key}.json", json.dumps(beside, ensure_ascii=False).encode())
        if self.records.labels:
            number = self.records.label2id[record.label] if record.label else -1  # -1: no label, as `datasets` has it
            add_member(archive, f"{key}.cls", str(number).encode())
        return {"position": position, "member": member, "offset": offset, "size": len(data), **facts}

    def bytes_of(self, record: VideoRecord) -> bytes:
        if self.encoding is None:
            with self.records.open_file(record) as file:
                return file.read()
        with self.records.open(record) as reader:
            return encode(reader, self.encoding)


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> int:
    """Adds a file, the same for the same bytes whenever it is written; returns where its bytes begin."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    offset = archive.offset + HEADER_SIZE
    archive.addfile(info, io.BytesIO(data))
    return offset


def suffix_of(record: VideoRecord) -> str:
    suffix = Path(str(record.source)).suffix.lower()
    return suffix if suffix in VIDEO_SUFFIXES else ".mp4"


def without_segment(record: VideoRecord) -> VideoRecord:
    """The record of a segment after it was cut out."""
    return VideoRecord(record.source, record.label, split=record.split, group=record.group, extra=record.extra)


def report_on(folder: Path, shards: Sequence[Shard]) -> PackReport:
    rows = [row for shard in shards for row in rows_of(folder, shard)]
    skipped = {row["name"]: row["skipped"] for row in rows if "skipped" in row}
    num_bytes = sum((folder / f"{shard.name}.tar").stat().st_size for shard in shards)
    return PackReport(len(shards), len(rows) - len(skipped), num_bytes, skipped)


def rows_of(folder: Path, shard: Shard) -> Iterator[dict[str, Any]]:
    text = (folder / f"{shard.name}.jsonl").read_text(encoding="utf-8")
    return map(json.loads, text.splitlines())
