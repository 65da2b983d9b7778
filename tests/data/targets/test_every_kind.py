"""What holds for every kind of target, whatever it tells."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from muybridge.data import NO_LABEL, TARGETS, DataError, Target, VideoRecord, VideoRecords, collate_targets, load_videos
from muybridge.data.targets import get_target, read_targets, register_target, write_targets
from muybridge.data.targets.base import Row
from muybridge.types import VideoMetadata

VIDEO = VideoMetadata(num_frames=3, is_num_frames_exact=True, fps=10, duration_seconds=0.3, height=4, width=6)

# Two rows of a manifest for each kind, of different size where a kind has sizes, and one that contradicts VIDEO.
ROWS = {
    "label": ({"label": "wave"}, {"label": "jump"}),
    "labels": ({"labels": ["wave", "jump"]}, {"labels": []}),
    "scene": ({"scene": "street"}, {"scene": "hall"}),
    "domain": ({"domain": "night"}, {"domain": "day"}),
    "boxes": (
        {"boxes": [{"box": [0, 1, 2, 3], "frame": 0, "label": "cat", "identity": "7"},
                   {"box": [1, 1, 4, 3], "frame": 2}]},
        {"boxes": [{"box": [0.5, 1, 2, 3], "seconds": 0.1, "label": "dog"}]},
    ),
    "caption": ({"caption": "a red star moves left"}, {"caption": ["a disc", "it grows"]}),
    "questions": (
        {"questions": [{"question": "how many?", "answer": "2"}, {"question": "which?", "answer": None}]},
        {"questions": [{"question": "where?", "answer": "left"}]},
    ),
    "masks": ({"masks": "small.npz"}, {"masks": "large.npz"}),
    "depth": ({"depth": "small.npz"}, {"depth": "large.npz"}),
    "flow": ({"flow": "small.npz"}, {"flow": "large.npz"}),
}  # fmt: skip
CONTRADICTIONS = {
    "boxes": ({"boxes": [{"box": [0, 0, 7, 3], "frame": 0}]}, "reaches out of the picture, which is 6×4"),
    "masks": ({"masks": "wide.npz"}, "its frames are 7×5 and those of the video 6×4"),
    "depth": ({"depth": "long.npz"}, "it has 4 frames; for the 3 of the video it must have 3"),
    "flow": ({"flow": "long.npz"}, "it has 3 frames; for the 3 of the video it must have 2"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("arrays")
    random = np.random.default_rng(0)
    for name, (frames, height, width) in {
        "small": (3, 4, 6),
        "large": (2, 5, 7),
        "long": (4, 4, 6),
        "wide": (3, 5, 7),
    }.items():
        np.savez(
            folder / f"{name}.npz",
            masks=random.integers(0, 3, (frames, height, width)),
            depth=random.random((frames, height, width)),
            flow=random.random((frames - 1, 2, height, width)),
        )
    return folder


def read(kind: str, row: Mapping, folder: Path) -> Target:
    targets = read_targets(Row(row, lambda name: str(folder / name)))
    assert list(targets) == [kind]
    return targets[kind]


def encode(target: Target | None, kind: str, ids: Mapping[str, int]) -> dict:
    record = VideoRecord("a.mp4", targets={} if target is None else {kind: target})
    return VideoRecords([record], names={kind: list(ids)}).encode_targets(0, [kind])


def leaves(value) -> dict[str, Tensor | list]:
    """Tensors and lists by name."""
    return value if isinstance(value, dict) else {"": value}


def test_every_kind_has_rows_here():
    assert set(ROWS) == set(TARGETS)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kind", ROWS)
def test_a_target_is_what_its_row_says_and_its_row_what_it_is(kind, number, folder):
    target = read(kind, ROWS[kind][number], folder)
    row = write_targets({kind: target})
    again = read_targets(Row(json.loads(json.dumps(row)), str))[kind]
    assert again == target
    assert pickle.loads(pickle.dumps(target)) == target
    assert target != read(kind, ROWS[kind][1 - number], folder)


@pytest.mark.parametrize("kind", ROWS)
def test_lists_and_objects_may_stand_in_a_cell_as_json(kind, folder):
    row = ROWS[kind][1]
    cells = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
    assert read(kind, cells, folder) == read(kind, row, folder)


@pytest.mark.parametrize("kind", ROWS)
def test_a_batch_holds_each_clip_as_it_is_alone_and_padding_behind_it(kind, folder):
    targets = [read(kind, row, folder) for row in ROWS[kind]]
    ids = {name: number for number, name in enumerate({name: None for each in targets for name in each.get_names()})}
    items = [encode(each, kind, ids) for each in (*targets, None)]
    batch = leaves(collate_targets(items)[kind])
    for number, item in enumerate(items):
        alone = leaves(collate_targets([item])[kind])
        for name, values in batch.items():
            assert len(values) == 3
            if not isinstance(values, Tensor):
                assert values[number] == alone[name][0]
                continue
            own = tuple(map(slice, alone[name].shape[1:]))
            torch.testing.assert_close(values[number][own], alone[name][0], equal_nan=True)
            padding = values[number].clone()
            padding[own] = 0
            assert not padding.any()


@pytest.mark.parametrize("kind", ROWS)
def test_of_a_clip_without_the_target_a_batch_says_that_nothing_is_known(kind):
    batch = leaves(collate_targets([encode(None, kind, {"x": 0})])[kind])
    if "mask" in batch:
        assert not batch["mask"].any()
    else:
        assert next(iter(batch.values()))[0] in (NO_LABEL, ())


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_what_contradicts_the_video_is_found_and_what_fits_is_not(kind, folder):
    row, message = CONTRADICTIONS[kind]
    (fault,) = read(kind, row, folder).find_faults(VIDEO)
    assert message in fault
    assert not list(read(kind, ROWS[kind][0], folder).find_faults(VIDEO))


@pytest.mark.parametrize("kind", ["label", "labels", "scene", "boxes", "questions"])
def test_a_name_that_is_not_known_is_refused_with_the_record_and_the_kind(kind, folder):
    with pytest.raises(DataError, match=rf"a\.mp4, {kind}: .* is none of the known ones: other"):
        encode(read(kind, ROWS[kind][0], folder), kind, {"other": 0})


def test_names_are_those_of_all_records_sorted_and_numbered_in_their_order():
    rows = [{**ROWS["label"][0], **ROWS["scene"][0], **ROWS["boxes"][0]}, {**ROWS["label"][1], **ROWS["boxes"][1]}]
    targets = [read_targets(Row(row, str)) for row in rows]
    records = VideoRecords(VideoRecord(f"{number}.mp4", targets=each) for number, each in enumerate(targets))
    assert records.names == {"label": ("jump", "wave"), "scene": ("street",), "boxes": ("cat", "dog")}
    assert records.labels == ("jump", "wave")
    assert records.encode_targets(0, ["label", "scene"]) == {"label": 1, "scene": 0}
    assert records[1:].encode_targets(0, ["label", "scene"]) == {"label": 0, "scene": NO_LABEL}


def test_an_unknown_kind_lists_the_known_ones():
    records = VideoRecords([VideoRecord("a.mp4")])
    with pytest.raises(ValueError, match=r"'pose' is not known; known are .*label, scene"):
        records.encode_targets(0, ["pose"])


@dataclass(frozen=True)
class Count(Target):
    """A kind as someone would add it."""

    kind = "count"
    columns = ("count",)
    title = "how many people there are"
    number: int

    @classmethod
    def read(cls, row):
        return None if row.get("count") is None else cls(int(row.get("count")))

    def to_row(self):
        return {"count": self.number}

    @classmethod
    def encode(cls, target, _ids):
        return -1 if target is None else target.number

    @classmethod
    def collate(cls, encoded):
        return torch.tensor(encoded)


@pytest.fixture
def toy_kind():
    yield register_target(Count)
    del TARGETS["count"]


def test_a_kind_that_is_registered_is_read_and_collated_like_the_others(toy_kind, tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").touch()
    (tmp_path / "clips.csv").write_text("path,count,place\na.mp4,3,left\nb.mp4,,right\n")
    records = load_videos(tmp_path / "clips.csv")
    assert records[0].targets == {"count": toy_kind(3)}
    assert records[0].extra == {"place": "left"}
    batch = collate_targets([records.encode_targets(index, ["count"]) for index in range(2)])
    assert batch["count"].tolist() == [3, -1]


def test_a_kind_and_its_columns_belong_to_one_class(toy_kind):
    with pytest.raises(ValueError, match="'count' is registered already, as Count"):
        register_target(toy_kind)

    class Other(get_target("scene")):
        kind = "place"
        columns = ("scene",)

    with pytest.raises(ValueError, match="'place' reads the column 'scene', which belongs to 'scene'"):
        register_target(Other)
