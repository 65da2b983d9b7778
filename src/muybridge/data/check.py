"""What is wrong with a data set: videos that are corrupt, too short, there twice, or in training and test at once."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from muybridge.data.records import VideoRecord, VideoRecords
from muybridge.video import VideoError

Kind = Literal["corrupt", "short", "duplicate", "leaking"]
DECODING_SIZE = 16  # pixels are not looked at, so the fewer are converted, the faster


@dataclass(frozen=True)
class Finding:
    """Something wrong with one video, or with several together."""

    kind: Kind
    videos: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Inspection:
    """What is known of a clip after it was read: `error` is why it could not be."""

    sha256: str | None
    duration_seconds: float | None
    num_frames: int
    error: str | None


@dataclass(frozen=True)
class DataReport:
    """The findings of a check, and what the data set looks like."""

    num_clips: int
    num_absent: int
    clips_per_split: Mapping[str, int]
    clips_per_label: Mapping[str, int]
    duration_seconds: float
    findings: Sequence[Finding]

    def count(self, kind: Kind) -> int:
        return sum(finding.kind == kind for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "counts": {kind: self.count(kind) for kind in get_args(Kind)}}


def check_videos(
    records: VideoRecords,
    *,
    num_workers: int = 0,
    min_seconds: float = 0.0,
    is_quick: bool = False,
    show_progress: bool = False,
) -> DataReport:
    """Reads every clip and says what is wrong.

    Each is decoded to its end, which alone finds damage in the middle; `is_quick` decodes the first frame only.
    """
    inspections = inspect_all(records, num_workers, is_quick=is_quick, show_progress=show_progress)
    findings = [
        *find_unreadable(records, inspections, min_seconds),
        *find_duplicates(records, inspections),
        *find_leaks(records, inspections),
    ]
    return DataReport(
        num_clips=len(records),
        num_absent=len(records.absent),
        clips_per_split=dict(Counter(record.split for record in records if record.split is not None)),
        clips_per_label=dict(Counter(record.label for record in records if record.label is not None)),
        duration_seconds=sum(inspection.duration_seconds or 0.0 for inspection in inspections),
        findings=findings,
    )


class Inspections(Dataset[Inspection]):
    """The inspection of each record, made when it is asked for: a DataLoader then is a pool of processes."""

    def __init__(self, records: VideoRecords, *, is_quick: bool) -> None:
        self.records = records
        self.is_quick = is_quick

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Inspection:
        return inspect(self.records, self.records[index], is_quick=self.is_quick)


def inspect_all(records: VideoRecords, num_workers: int, *, is_quick: bool, show_progress: bool) -> list[Inspection]:
    if num_workers < 0:
        raise ValueError(f"num_workers is {num_workers}; it must be 0, which reads in this process, or more")
    loader = DataLoader(Inspections(records, is_quick=is_quick), batch_size=None, num_workers=num_workers)
    return list(tqdm(loader, unit="clip", desc="checking", disable=None if show_progress else True))


def inspect(records: VideoRecords, record: VideoRecord, *, is_quick: bool) -> Inspection:
    try:
        sha256 = digest_of(records, record)
    except VideoError as error:
        return Inspection(None, None, 0, error.reason)
    try:
        with records.open(record) as reader:
            if is_quick:
                known = reader.metadata
                return Inspection(sha256, known.duration_seconds, known.num_frames, None)
            num_frames = sum(len(batch) for batch in reader.batches(size=(DECODING_SIZE, DECODING_SIZE)))
            len(reader)  # what makes the duration exact
            return Inspection(sha256, reader.metadata.duration_seconds, num_frames, None)
    except VideoError as error:
        return Inspection(sha256, None, 0, error.reason)


def digest_of(records: VideoRecords, record: VideoRecord) -> str:
    digest = hashlib.sha256()
    with records.open_file(record) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def find_unreadable(records: VideoRecords, inspections: Sequence[Inspection], min_seconds: float) -> Iterator[Finding]:
    for record, inspection in zip(records, inspections, strict=True):
        duration = inspection.duration_seconds
        if inspection.error is not None:
            yield Finding("corrupt", (record.name,), inspection.error)
        elif duration is not None and duration < min_seconds:
            yield Finding("short", (record.name,), f"it lasts {duration:.2f} s, which is less than {min_seconds:g} s")


def find_duplicates(records: VideoRecords, inspections: Sequence[Inspection]) -> Iterator[Finding]:
    """Clips of the same bytes. Parts of one video are no duplicates unless they are the same part."""
    for alike in grouped(zip(map(identity, records, inspections), records, strict=True)):
        labels = sorted({record.label for record in alike if record.label is not None})
        if len(alike) > 1:
            contradiction = f", with the labels {' and '.join(labels)}" if len(labels) > 1 else ""
            yield Finding("duplicate", names_of(alike), f"the same bytes{contradiction}")


def find_leaks(records: VideoRecords, inspections: Sequence[Inspection]) -> Iterator[Finding]:
    """What is in several splits: a group, or a file, also under another name."""
    for alike in grouped((record.group, record) for record in records):
        if len(splits_of(alike)) > 1:
            where = ", ".join(f"{count} in {split}" for split, count in splits_of(alike).items())
            yield Finding("leaking", names_of(alike), f"the group {alike[0].group} is in several splits: {where}")
    for alike in grouped((inspection.sha256, record) for record, inspection in zip(records, inspections, strict=True)):
        if len(splits_of(alike)) > 1:
            yield Finding("leaking", names_of(alike), f"the same bytes are in {' and '.join(splits_of(alike))}")


def identity(record: VideoRecord, inspection: Inspection) -> tuple[Any, ...] | None:
    if inspection.sha256 is None:
        return None
    return inspection.sha256, record.start_seconds, record.end_seconds


def grouped(pairs: Iterable[tuple[Any, VideoRecord]]) -> list[list[VideoRecord]]:
    """The records of each key; those whose key is None are of no group."""
    groups: dict[Any, list[VideoRecord]] = defaultdict(list)
    for key, record in pairs:
        if key is not None:
            groups[key].append(record)
    return list(groups.values())


def splits_of(records: Iterable[VideoRecord]) -> Counter[str]:
    return Counter(record.split for record in records if record.split is not None)


def names_of(records: Iterable[VideoRecord]) -> tuple[str, ...]:
    return tuple(record.name for record in records)
