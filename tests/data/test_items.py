from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import skip_first_batches
from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import DataLoader

from clips import decode_from_start, moving_square, write_clip, write_clip_with_sound
from muybridge.data import (
    NO_LABEL,
    ClipDataset,
    DataError,
    VideoRecord,
    VideoRecords,
    collate_items,
    load_videos,
)
from muybridge.data.targets import Caption, Label, Scene
from muybridge.inference import VideoLoader
from muybridge.processing import (
    ClipMaker,
    Compose,
    JointProcessor,
    Manner,
    SoundProcessor,
    VideoProcessor,
    View,
    make_training_changes,
)
from muybridge.video import ErrorPolicy, VideoError, VideoReader

NUM_CLIPS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(NUM_CLIPS):
        path = folder / ("jump" if number % 2 else "wave") / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_clip(path, moving_square(num_frames=20, height=48, width=64, seed=number), fps=10)
    return folder


@pytest.fixture
def broken_folder(tmp_path) -> Path:
    for number in range(4):
        (tmp_path / "xy"[number % 2]).mkdir(exist_ok=True)
        path = tmp_path / "xy"[number % 2] / f"{number}.mp4"
        write_clip(path, moving_square(num_frames=8, height=48, width=64))
    (tmp_path / "x" / "broken.mp4").write_bytes(b"this is no video")
    return tmp_path


@pytest.fixture(scope="module")
def processor() -> VideoProcessor:
    side = {"height": 32, "width": 32}
    return VideoProcessor(num_frames=4, sampling="dense", frame_stride=2, size={"shortest_edge": 40}, crop_size=side)


def random_clips(records: VideoRecords, processor: VideoProcessor, **arguments) -> ClipDataset:
    """A data set as training takes it."""
    view = View(is_random=True, changes=make_training_changes())
    return ClipDataset(records, ClipMaker(processor, {"clip": view}), **arguments)


def fixed_clips(records: VideoRecords, processor: VideoProcessor, **fields) -> ClipDataset:
    """A data set as evaluation takes it."""
    return ClipDataset(records, ClipMaker(processor, {"clip": View(fields=fields)}), replace_unreadable=False)


def pixels_of(item: dict) -> torch.Tensor:
    return item["views"]["clip"]["pixel_values_videos"]


def test_an_item_is_views_targets_and_index(folder, processor):
    item = random_clips(load_videos(folder), processor)[4]
    assert item.keys() == {"views", "targets", "index"}
    assert item["views"].keys() == {"clip"}
    assert item["views"]["clip"].keys() == {"pixel_values_videos"}
    assert pixels_of(item).shape == (4, 3, 32, 32)
    assert pixels_of(item).dtype == torch.float32
    assert (item["targets"], item["index"]) == ({"label": 1}, 4)


def test_the_draws_of_an_item_come_from_seed_epoch_and_index_alone(folder, processor):
    records = load_videos(folder)
    clips, again = random_clips(records, processor, seed=1), random_clips(records, processor, seed=1)
    for number in (5, 0, 3):  # whatever was read before
        clips[number]
    assert torch.equal(pixels_of(clips[2]), pixels_of(again[2]))
    again.set_epoch(1)
    assert not torch.equal(pixels_of(clips[2]), pixels_of(again[2]))
    other = random_clips(records, processor, seed=2)
    assert not torch.equal(pixels_of(clips[2]), pixels_of(other[2]))


def test_without_changes_a_random_clip_is_a_part_of_the_video(folder, processor):
    """The values are those of frames two apart, somewhere in the video, decoded by PyAV alone."""
    records = load_videos(folder)
    plain = VideoProcessor(
        **{**processor.to_dict(), "do_resize": False, "do_center_crop": False, "do_normalize": False}
    )
    clips = ClipDataset(records, ClipMaker(plain, {"clip": View(is_random=True)}))
    frames = decode_from_start(records[1].source) / 255
    distances = [(pixels_of(clips[1]) - frames[start : start + 7 : 2]).abs().max() for start in range(14)]
    assert min(distances) < 0.02
    assert sorted(distances)[1] > 0.1


def test_a_record_with_times_is_read_there_alone(folder, processor):
    source = load_videos(folder)[0].source
    records = VideoRecords([VideoRecord(source, "x", 0.5, 0.9)], ["x"])
    plain = VideoProcessor(**{**processor.to_dict(), "do_resize": False, "do_normalize": False, "frame_stride": 1})
    frames = decode_from_start(source)[5:9, :, 8:40, 16:48] / 255
    torch.testing.assert_close(pixels_of(fixed_clips(records, plain)[0]), frames, atol=0.02, rtol=0)


def batches(clips: ClipDataset, epoch: int, num_skipped: int = 0, **arguments) -> list[dict]:
    """The batches of an epoch as a training with Accelerate gets them, after the first `num_skipped`."""
    clips.set_epoch(epoch)
    sampler = SeedableRandomSampler(clips, data_seed=7, generator=torch.Generator())
    sampler.set_epoch(epoch)
    loader = DataLoader(clips, batch_size=2, sampler=sampler, collate_fn=collate_items, **arguments)
    return list(skip_first_batches(loader, num_skipped))


def assert_equal_batches(ours: list[dict], theirs: list[dict]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one["index"], other["index"])
        assert torch.equal(pixels_of(one), pixels_of(other))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_make_the_batches_that_one_process_makes(folder, processor, context):
    clips = random_clips(load_videos(folder), processor)
    alone = batches(clips, epoch=3)
    assert_equal_batches(batches(clips, epoch=3, num_workers=2, multiprocessing_context=context), alone)


def test_persistent_workers_see_the_epoch(folder, processor):
    clips = random_clips(load_videos(folder), processor)
    loader = DataLoader(clips, num_workers=2, persistent_workers=True, collate_fn=collate_items)
    seen = []
    for epoch in (0, 1):
        clips.set_epoch(epoch)
        seen.append(torch.cat([pixels_of(batch) for batch in loader]))
    alone = torch.stack([pixels_of(clips[number]) for number in range(NUM_CLIPS)])
    assert torch.equal(seen[1], alone)
    assert not torch.equal(seen[0], seen[1])


def test_a_resumed_epoch_goes_on_exactly_and_decodes_nothing_again(folder, processor, monkeypatch):
    clips = random_clips(load_videos(folder), processor)
    whole = batches(clips, epoch=1)
    opened = []
    original = VideoReader.frames_at_sizes
    monkeypatch.setattr(
        VideoReader, "frames_at_sizes", lambda self, sizes: opened.append(self.name) or original(self, sizes)
    )
    assert_equal_batches(batches(clips, epoch=1, num_skipped=2), whole[2:])
    assert len(opened) == NUM_CLIPS - 2 * 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_in_training_another_clip_takes_the_place_of_an_unreadable_one(broken_folder, processor, num_workers):
    clips = random_clips(load_videos(broken_folder), processor)
    loader = DataLoader(clips, batch_size=5, num_workers=num_workers, collate_fn=collate_items)
    (first,), (second,) = list(loader), list(loader)
    broken = next(number for number, record in enumerate(clips.records) if "broken" in record.name)
    assert len(first["index"]) == 5
    assert broken not in first["index"]
    assert_equal_batches([first], [second])
    shown = [clips.records.label_ids()[index] for index in first["index"]]
    assert first["targets"]["label"].tolist() == shown
    assert list(clips.skipped) == [str(broken_folder / "x" / "broken.mp4")]
    assert "not a video" in next(iter(clips.skipped.values()))


def test_the_log_of_what_was_skipped_can_be_kept(broken_folder, processor, tmp_path):
    clips = random_clips(load_videos(broken_folder), processor, log=tmp_path / "skipped.jsonl")
    for number in range(len(clips)):
        clips[number]
    assert "broken.mp4" in (tmp_path / "skipped.jsonl").read_text()


def test_a_temporary_log_disappears_with_its_data_set(folder, processor):
    clips = random_clips(load_videos(folder), processor)
    path = clips.skip_log.path
    assert path.exists()
    del clips
    assert not path.exists()


def test_training_with_the_policy_to_raise_names_the_clip(broken_folder, processor):
    clips = random_clips(load_videos(broken_folder), processor, policy=ErrorPolicy("raise"))
    loader = DataLoader(clips, num_workers=1, collate_fn=collate_items)
    with pytest.raises((VideoError, RuntimeError), match=r"VideoError: .*broken\.mp4"):  # torch wraps a worker's
        list(loader)


def test_where_no_clip_can_be_read_training_stops_and_says_why(tmp_path, processor):
    (tmp_path / "a.mp4").write_bytes(b"x")
    records = VideoRecords([VideoRecord(str(tmp_path / "a.mp4"))])
    with pytest.raises(DataError, match=r"(?s)in a row cannot be read.*a\.mp4"):
        random_clips(records, processor)[0]


def test_evaluation_gives_the_processors_views(folder, processor):
    records = load_videos(folder)
    item = fixed_clips(records, processor, num_clips=2, num_crops=3)[1]
    expected = processor(records[1].source, num_clips=2, num_crops=3, return_tensors="pt")["pixel_values_videos"][0]
    assert torch.equal(pixels_of(item), expected)
    with pytest.raises(TypeError, match="num_corps"):
        fixed_clips(records, processor, num_corps=3)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_says_which_clips_it_could_not_read(broken_folder, processor, num_workers):
    clips = fixed_clips(load_videos(broken_folder), processor)
    found = list(DataLoader(clips, batch_size=2, num_workers=num_workers, collate_fn=collate_items))
    broken = next(number for number, record in enumerate(clips.records) if "broken" in record.name)
    assert torch.cat([batch["unreadable"] for batch in found]).tolist() == [broken]
    indices = torch.cat([batch["index"] for batch in found]).tolist()
    assert sorted([*indices, broken]) == list(range(5))
    whole = [batch for batch in found if len(batch["index"])]
    assert all(len(pixels_of(batch)) == len(batch["targets"]["label"]) == len(batch["index"]) for batch in whole)
    assert len(clips.skipped) == 1


def test_a_batch_of_unreadable_clips_alone_is_empty():
    batch = collate_items([{"views": None, "targets": {"label": 1}, "index": 4}])
    assert (batch["views"], batch["targets"], len(batch["index"])) == ({}, {}, 0)
    assert batch["unreadable"].tolist() == [4]


def test_nothing_to_decode_is_an_error(processor):
    with pytest.raises(DataError, match="no clips"):
        random_clips(VideoRecords([]), processor)


def test_flipping_can_be_turned_off():
    whole = Compose(make_training_changes(scale=(1.0, 1.0), flip_probability=0))
    frames = moving_square(num_frames=2, height=32, width=32)
    for seed in range(8):
        assert torch.equal(whole(frames, torch.Generator().manual_seed(seed), Manner(size=(32, 32))), frames)


def test_an_item_has_the_targets_that_are_asked_for(folder, processor):
    source = load_videos(folder)[0].source
    targets = {"label": Label("wave"), "scene": Scene("street"), "caption": Caption(("a wave",))}
    records = VideoRecords([VideoRecord(source, targets=targets), VideoRecord(source, "jump")])
    maker = ClipMaker(processor, {"clip": View()})
    clips = ClipDataset(records, maker, targets=("scene", "label", "caption"))
    batch = collate_items([clips[0], clips[1]])["targets"]
    assert batch["label"].tolist() == [records.label2id["wave"], records.label2id["jump"]]
    assert batch["scene"].tolist() == [0, NO_LABEL]
    assert batch["caption"] == [("a wave",), ()]
    assert ClipDataset(records, maker, targets=())[0]["targets"] == {}


@pytest.fixture(scope="module")
def sounding(tmp_path_factory) -> Path:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 16_000))
    frames = moving_square(num_frames=20, height=48, width=64)
    return write_clip_with_sound(
        tmp_path_factory.mktemp("sound") / "clip.mkv", frames, samples, sampling_rate=8000, fps=10
    )


def make_joint(processor: VideoProcessor, **cameras: str) -> JointProcessor:
    others = {name: VideoProcessor(**{**processor.to_dict(), "source": source}) for name, source in cameras.items()}
    sound = SoundProcessor(sampling_rate=8000, num_samples=2000)
    return JointProcessor({"pixel_values_videos": processor, **others, "input_values": sound})


@pytest.mark.parametrize("span", [{}, {"start_seconds": 0.45, "end_seconds": 1.6}])
def test_sound_is_in_the_file_of_the_video_where_it_has_none_of_its_own(sounding, processor, span):
    joint = make_joint(processor)
    record = VideoRecord(str(sounding), "x", **span)
    item = fixed_clips(VideoRecords([record], ["x"]), joint)[0]["views"]["clip"]
    maker = ClipMaker(joint, {"clip": View()})
    with maker.open(sounding, **span) as readers:
        expected = maker.make(readers)["clip"]
    assert item.keys() == expected.keys() == {"pixel_values_videos", "input_values"}
    assert all(torch.equal(item[name], expected[name]) for name in item)
    assert item["input_values"].any()


def test_sources_of_a_record_become_inputs_in_step(folder, sounding, processor):
    joint = make_joint(processor, infrared_values="infrared")
    camera = load_videos(folder)[3].source
    sources = {"front": str(sounding), "infrared": camera}  # the first is the video, whatever it is called
    records = VideoRecords([VideoRecord(sources=sources)])
    item = fixed_clips(records, joint)[0]["views"]["clip"]
    for name, path in (("pixel_values_videos", sounding), ("infrared_values", camera)):
        assert torch.equal(item[name], processor(path, return_tensors="pt")["pixel_values_videos"][0])
    assert item["input_values"].shape == (2000,)
    with pytest.raises(DataError, match="has no source 'infrared'; it has video"):
        fixed_clips(VideoRecords([VideoRecord(str(sounding))]), joint)[0]


def test_the_engine_loads_all_inputs_of_a_record(sounding, processor):
    joint = make_joint(processor)
    record = VideoRecord(str(sounding), start_seconds=0.45, end_seconds=1.6)
    loaded = VideoLoader(joint, {"num_clips": 2})(record)
    item = fixed_clips(VideoRecords([record]), joint, num_clips=2)[0]["views"]["clip"]
    assert loaded.keys() == item.keys()
    assert all(torch.equal(loaded[name], item[name]) for name in item)
    single = VideoLoader(joint)(str(sounding))
    assert single["input_values"].shape == (1, 2000)
