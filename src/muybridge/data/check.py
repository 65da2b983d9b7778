"""What is wrong with a data set: videos that are corrupt, too short, there twice, or in training and test at once, and
targets that contradict their video."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from tqdm import tqdm

from muybridge.data.pool import map_in_processes
from muybridge.data.records import VideoRecord, VideoRecords
from muybridge.data.targets import find_target_faults

Kind = Literal["corrupt", "short", "duplicate", "leaking", "contradictory"]
DECODING_SIZE = 16  # pixels are not looked at, so the fewer are converted, the faster


@dataclass(frozen=True)
class Finding:
    """Something wrong with one video, or with several together."""

    kind: Kind
    videos: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Inspection:
    """What is known of a clip after it was read: `error` is why it could not be, `faults` what contradicts it."""

    sha256: str | None
    duration_seconds: float | None
    num_frames: int
    error: str | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataReport:
    """The findings of a check, and what the data set looks like; `clips_per_target` counts what is known, by kind."""

    num_clips: int
    num_absent: int
    clips_per_split: Mapping[str, int]
    clips_per_label: Mapping[str, int]
    clips_per_target: Mapping[str, int]
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
    `num_workers` processes share the work; 0 is this one alone.
    """
    inspections = inspect_all(records, num_workers, is_quick=is_quick, show_progress=show_progress)
    findings = [
        *find_unreadable(records, inspections, min_seconds),
        *find_duplicates(records, inspections),
        *find_leaks(records, inspections),
        *find_contradictions(records, inspections),
    ]
    return DataReport(
        num_clips=len(records),
        num_absent=len(records.absent),
        clips_per_split=dict(Counter(record.split for record in records if record.split is not None)),
        clips_per_label=dict(Counter(label for record in records for label in record.labels)),
        clips_per_target=dict(Counter(kind for record in records for kind in record.targets)),
        duration_seconds=sum(inspection.duration_seconds or 0.0 for inspection in inspections),
        findings=findings,
    )


@dataclass(frozen=True)
class Inspector:
    """Reads the record of a number, so that a pool of processes can share them."""

    records: VideoRecords
    is_quick: bool

    def __call__(self, number: int) -> Inspection:
        return inspect_record(self.records, self.records[number], is_quick=self.is_quick)


def inspect_all(records: VideoRecords, num_workers: int, *, is_quick: bool, show_progress: bool) -> list[Inspection]:
    results = map_in_processes(Inspector(records, is_quick), len(records), num_workers)
    return list(
        tqdm(results, total=len(records), unit="clip", desc="checking", disable=None if show_progress else True)
    )


def inspect_record(records: VideoRecords, record: VideoRecord, *, is_quick: bool) -> Inspection:
    from muybridge.video.errors import VideoError

    try:
        sha256 = compute_digest(records, record)
    except VideoError as error:
        return Inspection(None, None, 0, error.reason)
    try:
        with records.open(record) as reader:
            if not is_quick:
                decode_all(reader)
            known = reader.metadata
    except VideoError as error:
        return Inspection(sha256, None, 0, error.reason)
    reason = find_source_error(records, record, is_quick=is_quick)
    faults = tuple(find_target_faults(record.targets, known))
    return Inspection(sha256, known.duration_seconds, known.num_frames, reason, faults)


def decode_all(reader: Any) -> None:
    """Decodes a source to its end, which alone finds damage in the middle, and makes its metadata exact."""
    if hasattr(reader, "batches"):
        for _ in reader.batches(size=(DECODING_SIZE, DECODING_SIZE)):
            pass
    len(reader)


def find_source_error(records: VideoRecords, record: VideoRecord, *, is_quick: bool) -> str | None:
    """Which of the further sources cannot be read, and why; None where all can."""
    from muybridge.video.errors import VideoError

    for name in list(record.sources)[1:]:
        try:
            with records.open(record, name) as reader:
                if not is_quick:
                    decode_all(reader)
        except VideoError as error:
            return f"{name}: {error.reason}"
    return None


def compute_digest(records: VideoRecords, record: VideoRecord) -> str:
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
    for alike in group_by_key(zip(map(identify, records, inspections), records, strict=True)):
        labels = sorted({record.label for record in alike if record.label is not None})
        if len(alike) > 1:
            contradiction = f", with the labels {' and '.join(labels)}" if len(labels) > 1 else ""
            yield Finding("duplicate", get_names(alike), f"the same bytes{contradiction}")


def find_leaks(records: VideoRecords, inspections: Sequence[Inspection]) -> Iterator[Finding]:
    """What is in several splits: a group, or a file, also under another name."""
    for alike in group_by_key((record.group, record) for record in records):
        if len(count_splits(alike)) > 1:
            where = ", ".join(f"{count} in {split}" for split, count in count_splits(alike).items())
            yield Finding("leaking", get_names(alike), f"the group {alike[0].group} is in several splits: {where}")
    for alike in group_by_key(
        (inspection.sha256, record) for record, inspection in zip(records, inspections, strict=True)
    ):
        if len(count_splits(alike)) > 1:
            yield Finding("leaking", get_names(alike), f"the same bytes are in {' and '.join(count_splits(alike))}")


def find_contradictions(records: VideoRecords, inspections: Sequence[Inspection]) -> Iterator[Finding]:
    """Targets that do not fit their video or each other."""
    for record, inspection in zip(records, inspections, strict=True):
        for fault in inspection.faults:
            yield Finding("contradictory", (record.name,), fault)


def identify(record: VideoRecord, inspection: Inspection) -> tuple[Any, ...] | None:
    if inspection.sha256 is None:
        return None
    return inspection.sha256, record.start_seconds, record.end_seconds


def group_by_key(pairs: Iterable[tuple[Any, VideoRecord]]) -> list[list[VideoRecord]]:
    """The records of each key; those whose key is None are of no group."""
    groups: dict[Any, list[VideoRecord]] = defaultdict(list)
    for key, record in pairs:
        if key is not None:
            groups[key].append(record)
    return list(groups.values())


def count_splits(records: Iterable[VideoRecord]) -> Counter[str]:
    return Counter(record.split for record in records if record.split is not None)


def get_names(records: Iterable[VideoRecord]) -> tuple[str, ...]:
    return tuple(record.name for record in records)
