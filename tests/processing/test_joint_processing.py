"""Several inputs of one model show the same time, and are cut and mirrored alike."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedConfig

import muybridge
from clips import moving_square, write_clip, write_clip_with_sound
from muybridge.processing import ClipMaker, JointProcessor, RandomCrop, SoundProcessor, VideoProcessor, View
from muybridge.types import Clip
from muybridge.video import MemoryReader, SoundReader, VideoReader

FPS, SECONDS, RATE = 25, 4, 8000
PLAIN = {"do_resize": False, "do_center_crop": False, "do_rescale": False, "do_normalize": False}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Both tell when they are: the halves of a frame are the digits of its number, and the sample at t s is t / 10."""
    frames = torch.zeros(FPS * SECONDS, 3, 16, 16, dtype=torch.uint8)
    for number in range(FPS * SECONDS):
        frames[number, ..., :8], frames[number, ..., 8:] = 25 * (number // 10), 25 * (number % 10)
    samples = np.arange(SECONDS * RATE)[None] / RATE / 10
    return write_clip_with_sound(
        tmp_path_factory.mktemp("clips") / "clip.mkv", frames, samples, sampling_rate=RATE, fps=FPS
    )


def make_processor(num_samples: int = 2000, **fields) -> JointProcessor:
    return JointProcessor(
        {
            "pixel_values_videos": VideoProcessor(
                **{"num_frames": 8, "sampling": "dense", "fps": 25, **PLAIN, **fields}
            ),
            "input_values": SoundProcessor(sampling_rate=RATE, num_samples=num_samples),
        }
    )


def seen_at(pixels: torch.Tensor) -> np.ndarray:
    """When each frame of (..., T, C, H, W) came on display."""
    tens, units = (pixels[..., 0, :, columns].mean((-2, -1)) for columns in (slice(1, 3), slice(-3, -1)))
    return ((10 * (tens / 25).round() + (units / 25).round()) / FPS).numpy()


def heard_at(samples: torch.Tensor) -> np.ndarray:
    return (samples * 10).numpy()


VIEWS = {
    "one": View(),
    "several": View(fields={"num_clips": 5}),
    "at another rate": View(fields={"fps": 10, "num_clips": 2}),
    "drawn": View(is_random=True, count=6),
    "of segments": View(fields={"sampling": "segments", "fps": None}),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_the_middle_of_the_sound_is_the_middle_of_the_frames(clip: Path, view: View) -> None:
    maker = ClipMaker(make_processor(), {"clip": view})
    with maker.open(clip) as readers:
        made = maker.make(readers, torch.Generator().manual_seed(0))["clip"]
    seen, heard = seen_at(made["pixel_values_videos"]), heard_at(made["input_values"])
    assert heard.shape == (*seen.shape[:-1], 2000)
    step = np.diff(seen).mean(-1)  # a frame is seen until the next one
    assert heard.mean(-1) == pytest.approx(seen.mean(-1) + step / 2, abs=1e-3)


def test_sound_as_long_as_the_clip_begins_and_ends_with_it(clip: Path) -> None:
    batch = make_processor(num_samples=8 * RATE // FPS)(clip, num_clips=3, return_tensors="pt")
    seen, heard = seen_at(batch["pixel_values_videos"][0]), heard_at(batch["input_values"][0])
    assert heard[:, 0] == pytest.approx(seen[:, 0], abs=1e-3)
    assert heard[:, -1] == pytest.approx(seen[:, -1] + 1 / FPS, abs=1e-3)


def test_the_parts_of_a_segment_are_in_step(clip: Path) -> None:
    maker = ClipMaker(make_processor(), {"clip": View(fields={"num_clips": 4})})
    with maker.open(clip, start_seconds=1.01, end_seconds=3.0) as readers:
        made = maker.make(readers)["clip"]
    seen, heard = seen_at(made["pixel_values_videos"]), heard_at(made["input_values"])
    inside = heard != 0  # before the segment and after it there is silence
    assert seen.min() == pytest.approx(1.04, abs=1e-3)
    assert heard[inside].min() >= 1.04 - 1e-3
    assert heard[inside].max() <= 3.0
    assert heard[1:3].mean(-1) == pytest.approx(seen[1:3].mean(-1) + 0.02, abs=1e-3)


def test_where_the_window_reaches_past_the_sound_there_is_silence(clip: Path) -> None:
    batch = make_processor(num_samples=RATE * 2)(clip, num_clips=2, return_tensors="pt")
    heard = batch["input_values"][0]
    middle = 4 / FPS  # of the first clip's 8 frames
    num_before = round((1 - middle) * RATE)
    assert not heard[0, :num_before].any()
    assert heard_at(heard[0, num_before + 10]) == pytest.approx(10 / RATE, abs=1e-3)
    assert not heard[1, -num_before:].any()


def test_crops_of_a_clip_are_heard_alike(clip: Path) -> None:
    batch = make_processor(do_center_crop=True, crop_size=8)(clip, num_crops=3, num_clips=2, return_tensors="pt")
    assert batch["pixel_values_videos"].shape[:2] == batch["input_values"].shape[:2] == (1, 6)
    heard = batch["input_values"][0]
    assert all(torch.equal(heard[k], heard[3 * (k // 3)]) for k in range(6))
    assert not torch.equal(heard[0], heard[3])


def test_a_call_is_what_the_clip_maker_makes(clip: Path) -> None:
    processor = make_processor()
    batch = processor([clip, str(clip)], return_tensors="pt")
    maker = ClipMaker(processor, {"clip": View()})
    with maker.open(clip) as readers:
        made = maker.make(readers)["clip"]
    assert batch.keys() == made.keys() == {"pixel_values_videos", "input_values"}
    for name, value in made.items():
        assert torch.equal(batch[name], torch.stack([value, value]))


def test_sources_may_be_several_by_name(clip: Path, tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "silent.mp4", moving_square(num_frames=100, height=16, width=16), fps=FPS)
    processor = make_processor()
    apart = processor({"video": silent, "sound": clip}, return_tensors="pt")
    assert torch.equal(apart["input_values"], processor(clip, return_tensors="pt")["input_values"])
    with VideoReader(silent) as video, SoundReader(clip, sampling_rate=RATE) as sound:
        read = processor([{"video": video, "sound": sound}], return_tensors="pt")
        samples = sound.frames_at(range(len(sound)))
        frames = video.frames_at(range(len(video)))
    held = processor({"video": MemoryReader(frames, fps=FPS), "sound": samples}, return_tensors="pt")
    for name, value in apart.items():
        assert torch.equal(read[name], value)
        assert torch.equal(held[name], value)


def test_two_cameras_show_the_same_moments(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "first.mp4", moving_square(num_frames=60, height=16, width=16), fps=30)
    second = write_clip(tmp_path / "second.mp4", moving_square(num_frames=50, height=32, width=16), fps=25)
    dense = {"sampling": "dense", "fps": 15, "num_frames": 4}
    processor = JointProcessor(
        {
            "pixel_values_videos": VideoProcessor(**dense),
            "other_values": VideoProcessor(**dense, source="second camera"),
        }
    )
    maker = ClipMaker(processor, {"clip": View(is_random=True, count=5)})
    with maker.open({"video": first, "second camera": second}) as readers:
        made = maker.make_all(readers, torch.Generator().manual_seed(0))["clip"]
    for ours, theirs in zip(made.clips["pixel_values_videos"], made.clips["other_values"], strict=True):
        assert theirs.indices.tolist() == [int(index / 30 * 25 + 1e-9) for index in ours.indices]
        assert isinstance(theirs, Clip)


def test_arguments_go_to_every_part_that_knows_them_or_to_one_by_name(clip: Path) -> None:
    processor = make_processor()
    batch = processor(clip, num_clips=2, input_values={"num_samples": 500}, return_tensors="pt")
    assert batch["pixel_values_videos"].shape[:3] == (1, 2, 8)
    assert batch["input_values"].shape == (1, 2, 500)
    with pytest.raises(TypeError, match="SoundProcessor or VideoProcessor has no argument num_clip; it has"):
        processor(clip, num_clip=2)


def test_the_mask_of_one_part_stands_beside_the_inputs(tmp_path: Path) -> None:
    path = write_clip_with_sound(
        tmp_path / "short.mkv",
        moving_square(num_frames=5, height=16, width=16),
        np.zeros((1, 1600)),
        sampling_rate=RATE,
    )
    batch = make_processor(return_mask=True)(path, return_tensors="pt")
    assert batch["frame_mask"].tolist() == [[True] * 5 + [False] * 3]
    parts = make_processor(return_mask=True).parts
    with pytest.raises(ValueError, match="return_mask is True for pixel_values_videos and input_values"):
        JointProcessor({**parts, "input_values": SoundProcessor(return_mask=True)})


class TwoInputsConfig(PreTrainedConfig):
    model_type = "two_inputs_of_tests"


@pytest.mark.parametrize("lead", ["pixel_values_videos", "input_values"])
def test_a_joint_processor_is_saved_and_loaded_as_any_other(clip: Path, lead: str, tmp_path: Path) -> None:
    muybridge.AutoVideoProcessor.register(TwoInputsConfig, JointProcessor, exist_ok=True)
    processor = JointProcessor(make_processor(num_frames=3).parts, lead)
    processor.save_pretrained(tmp_path)
    expected = processor(clip, num_clips=2, return_tensors="pt")
    for loader in (JointProcessor, muybridge.AutoVideoProcessor):
        loaded = loader.from_pretrained(tmp_path)
        assert type(loaded) is JointProcessor
        assert (loaded.lead, loaded.to_dict()) == (lead, processor.to_dict())
        batch = loaded(clip, num_clips=2, return_tensors="pt")
        assert batch.keys() == expected.keys()
        assert all(torch.equal(batch[name], expected[name]) for name in batch)
    changed = muybridge.AutoVideoProcessor.from_pretrained(tmp_path, num_frames=5)
    assert changed.parts["pixel_values_videos"].num_frames == 5
    with pytest.raises(TypeError, match="has no argument num_frame;"):
        JointProcessor.from_pretrained(tmp_path, num_frame=5)


def test_the_sound_may_lead(clip: Path) -> None:
    processor = JointProcessor(make_processor().parts, "input_values")
    batch = processor(clip, num_clips=3, return_tensors="pt")
    heard, seen = heard_at(batch["input_values"][0]), seen_at(batch["pixel_values_videos"][0])
    assert heard[0, 0] == pytest.approx(0, abs=1e-3)
    assert heard[-1, -1] == pytest.approx(SECONDS, abs=1e-3)
    assert seen.mean(-1)[1] + 0.5 / FPS == pytest.approx(heard.mean(-1)[1], abs=1 / FPS)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: JointProcessor({}), ValueError, "at least one part"),
        (lambda: JointProcessor({"a": VideoProcessor()}, "b"), ValueError, "lead is 'b'; it must be one of the parts"),
        (lambda: JointProcessor({"a": 5}), TypeError, "a part is int; it must be a VideoProcessor"),
        (lambda: JointProcessor({"a": {"video_processor_type": "Nobody"}}), ValueError, "is no processor 'Nobody'"),
        (lambda: make_processor()({"vidoe": "clip.mp4"}), ValueError, "has vidoe; the processor takes video, sound"),
        (lambda: make_processor()({"video": torch.zeros(9, 3, 4, 4)}), ValueError, "takes sound; pass it too"),
        (
            lambda: JointProcessor(
                {"a": VideoProcessor(num_frames=4), "b": VideoProcessor(num_frames=5)}
            )(torch.zeros(9, 3, 300, 300)),
            ValueError,
            "its sampling is 'uniform'; only 'dense' can be laid around other frames",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_in_step_is_refused(call, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_sound_and_frames_in_memory_are_in_step_whichever_leads(clip: Path) -> None:
    with VideoReader(clip) as video, SoundReader(clip, sampling_rate=RATE) as sound:
        frames, samples = video.frames_at(range(len(video))), sound.frames_at(range(len(sound)))
    for lead in ("pixel_values_videos", "input_values"):
        processor = JointProcessor(make_processor().parts, lead)
        maker = ClipMaker(processor, {"clip": View(fields={"num_clips": 4})})
        with maker.open({"video": frames, "sound": samples}, fps=FPS) as held, maker.open(clip) as opened:
            ours, theirs = maker.make(held)["clip"], maker.make(opened)["clip"]
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_changes_of_pictures_are_refused_where_there_are_none() -> None:
    with pytest.raises(ValueError, match="no input of this processor has pictures"):
        ClipMaker(SoundProcessor(), {"clip": View(changes=[RandomCrop(4)])})
