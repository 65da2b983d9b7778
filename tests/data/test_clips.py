from pathlib import Path

import pytest
import torch
from accelerate import skip_first_batches
from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import DataLoader

from clips import decode_from_start, moving_square, write_clip
from muybridge.data import DataError, VideoRecord, VideoRecords, load_videos
from muybridge.data.clips import (
    EvaluationClips,
    TrainingClips,
    collate_clips,
    collate_views,
    random_clip,
    training_augmentation,
)
from muybridge.processing import Compose, VideoProcessor
from muybridge.video import ErrorPolicy, VideoError

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


def test_an_item_is_pixel_values_label_and_index(folder, processor):
    item = TrainingClips(load_videos(folder), processor)[4]
    assert item["pixel_values_videos"].shape == (4, 3, 32, 32)
    assert item["pixel_values_videos"].dtype == torch.float32
    assert (item["labels"], item["index"]) == (1, 4)


def test_the_draws_of_an_item_come_from_seed_epoch_and_index_alone(folder, processor):
    records = load_videos(folder)
    clips, again = TrainingClips(records, processor, seed=1), TrainingClips(records, processor, seed=1)
    for number in (5, 0, 3):  # whatever was read before
        clips[number]
    assert torch.equal(clips[2]["pixel_values_videos"], again[2]["pixel_values_videos"])
    again.set_epoch(1)
    assert not torch.equal(clips[2]["pixel_values_videos"], again[2]["pixel_values_videos"])
    other = TrainingClips(records, processor, seed=2)
    assert not torch.equal(clips[2]["pixel_values_videos"], other[2]["pixel_values_videos"])


def test_without_augmentation_a_training_clip_is_a_part_of_the_video(folder, processor):
    """The values are those of frames two apart, somewhere in the video, decoded by PyAV alone."""
    records = load_videos(folder)
    plain = VideoProcessor(**{**processor.to_dict(), "do_resize": False, "do_normalize": False})
    clips = TrainingClips(records, plain, augmentation=Compose([]))
    pixels = clips[1]["pixel_values_videos"]
    frames = decode_from_start(records[1].source) / 255
    distances = [(pixels - frames[start : start + 7 : 2]).abs().max() for start in range(14)]
    assert min(distances) < 0.02
    assert sorted(distances)[1] > 0.1


def test_every_start_is_drawn_and_nothing_past_the_end(processor):
    settings = processor.settings({})
    generator = torch.Generator().manual_seed(0)
    starts = {int(random_clip(9, 25.0, settings, generator).indices[0]) for _ in range(100)}
    assert starts == {0, 1, 2}
    spread = VideoProcessor(num_frames=4, sampling="uniform").settings({})
    indices = random_clip(40, 25.0, spread, generator).indices
    assert [index // 10 for index in indices] == pytest.approx([0, 1, 2, 3], abs=1)


def test_a_record_with_times_is_read_there_alone(folder, processor):
    source = load_videos(folder)[0].source
    records = VideoRecords([VideoRecord(source, "x", 0.5, 0.9)], ["x"])
    plain = VideoProcessor(**{**processor.to_dict(), "do_resize": False, "do_normalize": False, "frame_stride": 1})
    frames = decode_from_start(source)[5:9, :, 8:40, 16:48] / 255
    torch.testing.assert_close(EvaluationClips(records, plain)[0]["pixel_values_videos"], frames, atol=0.02, rtol=0)


def batches(clips: TrainingClips, epoch: int, num_skipped: int = 0, **arguments) -> list[dict]:
    """The batches of an epoch as a training with Accelerate gets them, after the first `num_skipped`."""
    clips.set_epoch(epoch)
    sampler = SeedableRandomSampler(clips, data_seed=7, generator=torch.Generator())
    sampler.set_epoch(epoch)
    loader = DataLoader(clips, batch_size=2, sampler=sampler, collate_fn=collate_clips, **arguments)
    return list(skip_first_batches(loader, num_skipped))


def assert_equal_batches(ours: list[dict], theirs: list[dict]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one["index"], other["index"])
        assert torch.equal(one["pixel_values_videos"], other["pixel_values_videos"])


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_make_the_batches_that_one_process_makes(folder, processor, context):
    clips = TrainingClips(load_videos(folder), processor)
    alone = batches(clips, epoch=3)
    assert_equal_batches(batches(clips, epoch=3, num_workers=2, multiprocessing_context=context), alone)


def test_persistent_workers_see_the_epoch(folder, processor):
    clips = TrainingClips(load_videos(folder), processor)
    loader = DataLoader(clips, num_workers=2, persistent_workers=True, collate_fn=collate_clips)
    seen = []
    for epoch in (0, 1):
        clips.set_epoch(epoch)
        seen.append(torch.cat([batch["pixel_values_videos"] for batch in loader]))
    alone = torch.stack([clips[number]["pixel_values_videos"] for number in range(NUM_CLIPS)])
    assert torch.equal(seen[1], alone)
    assert not torch.equal(seen[0], seen[1])


def test_a_resumed_epoch_goes_on_exactly_and_decodes_nothing_again(folder, processor, monkeypatch):
    clips = TrainingClips(load_videos(folder), processor)
    whole = batches(clips, epoch=1)
    decoded = []
    original = VideoRecords.open
    monkeypatch.setattr(VideoRecords, "open", lambda self, record: decoded.append(record) or original(self, record))
    assert_equal_batches(batches(clips, epoch=1, num_skipped=2), whole[2:])
    assert len(decoded) == NUM_CLIPS - 2 * 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_in_training_another_clip_takes_the_place_of_an_unreadable_one(broken_folder, processor, num_workers):
    clips = TrainingClips(load_videos(broken_folder), processor)
    loader = DataLoader(clips, batch_size=5, num_workers=num_workers, collate_fn=collate_clips)
    (first,), (second,) = list(loader), list(loader)
    broken = next(number for number, record in enumerate(clips.records) if "broken" in record.name)
    assert len(first["index"]) == 5
    assert broken not in first["index"]
    assert_equal_batches([first], [second])
    shown = [clips.records.label_ids()[index] for index in first["index"]]
    assert first["labels"].tolist() == shown
    assert list(clips.skipped) == [str(broken_folder / "x" / "broken.mp4")]
    assert "not a video" in next(iter(clips.skipped.values()))


def test_the_log_of_what_was_skipped_can_be_kept(broken_folder, processor, tmp_path):
    clips = TrainingClips(load_videos(broken_folder), processor, log=tmp_path / "skipped.jsonl")
    for number in range(len(clips)):
        clips[number]
    assert "broken.mp4" in (tmp_path / "skipped.jsonl").read_text()


def test_a_temporary_log_disappears_with_its_data_set(folder, processor):
    clips = TrainingClips(load_videos(folder), processor)
    path = clips.skip_log.path
    assert path.exists()
    del clips
    assert not path.exists()


def test_training_with_the_policy_to_raise_names_the_clip(broken_folder, processor):
    clips = TrainingClips(load_videos(broken_folder), processor, policy=ErrorPolicy("raise"))
    loader = DataLoader(clips, num_workers=1, collate_fn=collate_clips)
    with pytest.raises((VideoError, RuntimeError), match=r"VideoError: .*broken\.mp4"):  # torch wraps a worker's
        list(loader)


def test_where_no_clip_can_be_read_training_stops_and_says_why(tmp_path, processor):
    (tmp_path / "a.mp4").write_bytes(b"x")
    records = VideoRecords([VideoRecord(str(tmp_path / "a.mp4"))])
    with pytest.raises(DataError, match=r"(?s)in a row cannot be read.*a\.mp4"):
        TrainingClips(records, processor)[0]


def test_evaluation_gives_the_processors_views(folder, processor):
    records = load_videos(folder)
    item = EvaluationClips(records, processor, num_clips=2, num_crops=3)[1]
    expected = processor(records[1].source, num_clips=2, num_crops=3, return_tensors="pt")["pixel_values_videos"][0]
    assert torch.equal(item["pixel_values_videos"], expected)
    with pytest.raises(TypeError, match="num_corps"):
        EvaluationClips(records, processor, num_corps=3)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_says_which_clips_it_could_not_read(broken_folder, processor, num_workers):
    clips = EvaluationClips(load_videos(broken_folder), processor)
    found = list(DataLoader(clips, batch_size=2, num_workers=num_workers, collate_fn=collate_views))
    broken = next(number for number, record in enumerate(clips.records) if "broken" in record.name)
    assert torch.cat([batch["unreadable"] for batch in found]).tolist() == [broken]
    indices = torch.cat([batch["index"] for batch in found]).tolist()
    assert sorted([*indices, broken]) == list(range(5))
    assert all(len(batch["pixel_values_videos"]) == len(batch["labels"]) for batch in found)
    assert len(clips.skipped) == 1


def test_a_batch_of_unreadable_clips_alone_is_empty():
    batch = collate_views([{"pixel_values_videos": None, "labels": 1, "index": 4}])
    assert [len(batch[name]) for name in ("pixel_values_videos", "labels", "index")] == [0, 0, 0]
    assert batch["unreadable"].tolist() == [4]


def test_nothing_to_decode_is_an_error(processor):
    with pytest.raises(DataError, match="no clips"):
        TrainingClips(VideoRecords([]), processor)


def test_flipping_can_be_turned_off(processor):
    whole = training_augmentation(processor, scale=(1.0, 1.0), flip_probability=0)
    frames = moving_square(num_frames=2, height=32, width=32)
    for seed in range(8):
        assert torch.equal(whole(frames, torch.Generator().manual_seed(seed)), frames)
