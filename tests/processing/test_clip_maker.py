"""One clip-maker for training and evaluation: with nothing drawn it is the processor; it decodes each frame once."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL.Image import Resampling
from torch.testing import assert_close

from clips import cut_losslessly, decode_from_start, moving_square, write_clip
from muybridge.models.lrcn import LRCNVideoProcessor
from muybridge.processing import (
    ClipMaker,
    ColorJitter,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    VideoProcessor,
    View,
    make_training_changes,
)
from muybridge.video import SegmentReader, VideoReader
from muybridge.video.conversion import FrameConverter
from muybridge.video.decoder import Decoder

FRAMES = moving_square(num_frames=70, height=48, width=64)


class SmallProcessor(VideoProcessor):
    size = 24  # the shortest edge
    crop_size = 16
    num_frames = 4


SELECTIONS = {
    "uniform": {},
    "several uniform clips": {"num_clips": 3},
    "dense": {"sampling": "dense"},
    "dense with a stride": {"sampling": "dense", "frame_stride": 3, "num_clips": 2},
    "dense at a rate": {"sampling": "dense", "fps": 10, "num_clips": 5},
    "dense at 25 a second": {"sampling": "dense", "fps": 25, "num_frames": 16},
    "segments": {"sampling": "segments", "num_frames": 7},
    "strided": {"sampling": "strided", "num_frames": 9},
    "whole at a rate": {"num_frames": None, "fps": 5},
    "whole": {"num_frames": None},
    "all frames": {"do_sample_frames": False},
    "more frames than there are": {"num_frames": 100, "sampling": "dense"},
    "a rate that reaches past the end": {"num_frames": 64, "sampling": "dense", "fps": 15},
}
TREATMENTS = {
    "resized while decoding": {},
    "resized afterwards": {"resize_while_decoding": False},
    "without antialias": {"antialias": False},
    "bicubic": {"resample": Resampling.BICUBIC},
    "not resized": {"do_resize": False},
    "not cropped": {"do_center_crop": False},
    "several crops": {"num_crops": 10},
    "blue first": {"channel_order": "bgr", "do_normalize": False},
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(path: Path, view: View, processor: VideoProcessor | None = None, seed: int = 0, **span) -> dict:
    maker = ClipMaker(processor or SmallProcessor(), {"clip": view})
    with maker.open(path, **span) as readers:
        return maker.make(readers, generator(seed))["clip"]


@pytest.fixture(scope="module", params=[30, Fraction(30000, 1001)], ids=["30 fps", "29.97 fps"])
def clip(request, tmp_path_factory) -> Path:
    options = {"g": "12", "bf": "3"}
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", FRAMES, fps=request.param, options=options)


# Nothing drawn.


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS.keys())
@pytest.mark.parametrize("treatment", TREATMENTS.values(), ids=TREATMENTS.keys())
def test_with_nothing_drawn_a_view_is_what_the_processor_gives(clip: Path, selection: dict, treatment: dict) -> None:
    fields = {**selection, **treatment, "return_mask": True}
    for span in ({}, {"start_seconds": 0.4, "end_seconds": 1.5}):
        reader = SegmentReader(clip, **span) if span else VideoReader(clip)
        with reader:
            expected = SmallProcessor()(reader, return_tensors="pt", **fields)
        made = make(clip, View(fields=fields), **span)
        assert made.keys() == expected.keys() == {"pixel_values_videos", "frame_mask"}
        for name, value in made.items():
            assert torch.equal(value, expected[name][0])


@pytest.mark.parametrize("treatment", TREATMENTS.values(), ids=TREATMENTS.keys())
def test_a_processor_with_these_numbers_gives_the_view_with_these_fields(clip: Path, treatment: dict) -> None:
    made, own = make(clip, View(fields=treatment)), make(clip, View(), SmallProcessor(**treatment))
    assert torch.equal(made["pixel_values_videos"], own["pixel_values_videos"])


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS.keys())
@pytest.mark.parametrize("span", [(0.4, 1.5), (1.0, 2.0), (0.0, 0.3)])
def test_a_segment_gives_what_the_file_gives_that_is_cut_out(
    clip: Path, selection: dict, span: tuple[float, float], tmp_path: Path
) -> None:
    cut = cut_losslessly(clip, tmp_path / "cut.mp4", *span)
    fields = {**selection, "return_mask": True, "return_metadata": True, "return_tensors": "pt"}
    expected = SmallProcessor()(cut, **fields)
    with SegmentReader(clip, start_seconds=span[0], end_seconds=span[1]) as reader:
        ours = SmallProcessor()(reader, **fields)
    assert ours["video_metadata"][0].frames_indices == expected["video_metadata"][0].frames_indices
    assert ours["video_metadata"][0].total_num_frames == expected["video_metadata"][0].total_num_frames
    assert torch.equal(ours["pixel_values_videos"], expected["pixel_values_videos"])
    assert torch.equal(ours["frame_mask"], expected["frame_mask"])


def test_a_real_segment_is_sampled_as_the_file_that_is_cut_out(shared_data: Path, tmp_path: Path) -> None:
    """Seconds 2 to 4 of 10.9: at 5 a second it was 55 frames once, 45 of them copies of the last."""
    path = shared_data / "clips" / "WUzgd7C1pWA.mp4"
    cut = cut_losslessly(path, tmp_path / "cut.mp4", 2, 4)
    for fields in ({"num_frames": None, "fps": 5}, {"num_frames": 16, "sampling": "dense", "fps": 25}):
        fields = {**fields, "return_mask": True, "return_metadata": True, "return_tensors": "pt"}
        expected = SmallProcessor()(cut, **fields)
        with SegmentReader(path, start_seconds=2, end_seconds=4) as reader:
            ours = SmallProcessor()(reader, **fields)
        indices = ours["video_metadata"][0].frames_indices
        assert indices == expected["video_metadata"][0].frames_indices
        assert torch.equal(ours["pixel_values_videos"], expected["pixel_values_videos"])
        assert ours["frame_mask"].all()
        assert len(set(indices)) == len(indices)
    first, last = indices[0], indices[-1]
    assert abs(first - (59 - last)) <= 1  # in the middle of 60 frames


# One opening, one decode.


class Counts:
    """How often a file is opened and each of its frames decoded, and how often a frame is converted to a size."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = 0
        self.decoded: Counter[int] = Counter()
        self.converted: Counter[tuple[int, int]] = Counter()
        start, step, convert = VideoReader._start, Decoder.next_frame, FrameConverter.convert

        def count_opening(reader, *arguments) -> None:
            self.opened += 1
            start(reader, *arguments)

        def count_frame(decoder, wanted=None):
            frame = step(decoder, wanted)
            if frame is not None:
                self.decoded[frame.pts] += 1
            return frame

        def count_conversion(converter, frame, out) -> None:
            self.converted[converter.height, converter.width] += 1
            convert(converter, frame, out)

        monkeypatch.setattr(VideoReader, "_start", count_opening)
        monkeypatch.setattr(Decoder, "next_frame", count_frame)
        monkeypatch.setattr(FrameConverter, "convert", count_conversion)


MANY_VIEWS = {
    "fixed": View(),
    "long and fixed": View(fields={"num_frames": 8, "sampling": "dense", "fps": 15, "num_clips": 2}),
    "large": View(fields={"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "num_crops": 3}),
    "unscaled": View(fields={"resize_while_decoding": False}),
    "random": View(is_random=True, changes=make_training_changes(), count=2),
    "short and random": View(is_random=True, changes=[RandomResizedCrop(8)], count=3, fields={"num_frames": 2}),
    "random in space alone": View(changes=[RandomCrop(12)], count=2),
    "random in time alone": View(is_random=True, fields={"sampling": "dense", "frame_stride": 4, "num_crops": 5}),
}


def test_views_of_any_kinds_open_a_file_once_and_decode_each_frame_once(clip: Path, monkeypatch) -> None:
    counts = Counts(monkeypatch)
    maker = ClipMaker(SmallProcessor(), MANY_VIEWS)
    with maker.open(clip) as readers:
        made = maker.make(readers, generator())
    assert counts.opened == 1
    assert counts.decoded
    assert max(counts.decoded.values()) == 1
    assert set(counts.converted) == {(24, 32), (40, 53), (48, 64)}
    assert all(count <= len(FRAMES) for count in counts.converted.values())
    shapes = {name: tuple(view["pixel_values_videos"].shape) for name, view in made.items()}
    assert shapes == {
        "fixed": (4, 3, 16, 16),
        "long and fixed": (2, 8, 3, 16, 16),
        "large": (3, 4, 3, 32, 32),
        "unscaled": (4, 3, 16, 16),
        "random": (2, 4, 3, 16, 16),
        "short and random": (3, 2, 3, 8, 8),
        "random in space alone": (2, 4, 3, 12, 12),
        "random in time alone": (5, 4, 3, 16, 16),
    }


@pytest.mark.parametrize("name", [name for name, view in MANY_VIEWS.items() if not view.draws])
def test_a_fixed_view_is_the_same_beside_others(clip: Path, name: str) -> None:
    maker = ClipMaker(SmallProcessor(), MANY_VIEWS)
    with maker.open(clip) as readers:
        together = maker.make(readers, generator())[name]["pixel_values_videos"]
    assert torch.equal(together, make(clip, MANY_VIEWS[name])["pixel_values_videos"])


# Something drawn.


def numbers_of(pixels: torch.Tensor, frames: torch.Tensor) -> list[int]:
    """Which of the frames (N, C, H, W) each of the pixels (T, C, H, W) is nearest to."""
    return torch.cdist(pixels.flatten(1).double(), frames.flatten(1).double()).argmin(1).tolist()


PLAIN = {"do_resize": False, "do_center_crop": False, "do_rescale": False, "do_normalize": False}


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"sampling": "dense", "fps": 15, "num_frames": 8}, range(70 - 7 * 2)),
        ({"sampling": "dense", "frame_stride": 9, "num_frames": 8}, range(70 - 7 * 9)),
        ({"sampling": "dense", "num_frames": 80}, range(1)),
    ],
)
def test_a_random_clip_starts_wherever_it_fits(tmp_path: Path, fields: dict, starts: range) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES[..., :16, :16], fps=30)
    stride = 2 if "fps" in fields else fields.get("frame_stride", 1)
    seen = set()
    for seed in range(200 if len(starts) > 10 else 20):
        maker = ClipMaker(
            SmallProcessor(), {"clip": View(is_random=True, fields={**fields, "size": 4, "crop_size": 4})}
        )
        with maker.open(path) as readers:
            made = maker.make_all(readers, generator(seed))["clip"]
        (found,) = made.clips["pixel_values_videos"]
        start = int(found.indices[0])
        assert found.indices.tolist() == [min(start + stride * k, 69) for k in range(fields["num_frames"])]
        seen.add(start)
    assert seen <= set(starts)
    assert {starts[0], starts[-1]} <= seen or len(seen) >= 0.9 * len(starts)


def test_random_times_follow_the_times_of_display(tmp_path: Path) -> None:
    """30 frames in 0.3 s, then 30 in 3 s: by the average rate of 18 a second a clip at 5 would take every fourth."""
    times = [*range(0, 300, 10), *range(300, 3300, 100)]
    path = write_clip(tmp_path / "clip.mkv", FRAMES[:60], times=times, time_base=Fraction(1, 1000))
    view = View(is_random=True, fields={"sampling": "dense", "fps": 5, "num_frames": 4})
    for seed in range(20):
        maker = ClipMaker(SmallProcessor(), {"clip": view})
        with maker.open(path) as readers:
            (found,) = maker.make_all(readers, generator(seed))["clip"].clips["pixel_values_videos"]
        start = times[found.indices[0]]
        moments = [start + 200 * k for k in range(4)]
        assert found.indices.tolist() == [sum(time <= moment for time in times) - 1 for moment in moments]


def test_random_frames_are_those_of_the_video(clip: Path) -> None:
    pixels = make(clip, View(is_random=True, fields={**PLAIN, "sampling": "dense"}))["pixel_values_videos"]
    whole = decode_from_start(clip)
    (first, *rest) = numbers_of(pixels, whole)
    assert rest == [first + 1, first + 2, first + 3]
    assert (pixels - whole[first : first + 4]).abs().max() <= 3  # the reader and plain PyAV may round differently


def test_what_is_drawn_depends_on_the_generator_alone(clip: Path) -> None:
    view = View(is_random=True, changes=[*make_training_changes(), ColorJitter(0.4)])
    first, again, other = (make(clip, view, seed=seed)["pixel_values_videos"] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_draw_of_a_view_is_another_one(clip: Path) -> None:
    for view in (
        View(is_random=True, changes=make_training_changes(), count=4),
        View(is_random=True, fields={"sampling": "dense"}, count=4),
        View(changes=[RandomResizedCrop()], count=4),
        View(changes=[RandomResizedCrop()], fields={"num_clips": 4, "sampling": "dense", "num_frames": 1, "fps": None}),
    ):
        views = make(clip, view)["pixel_values_videos"]
        assert len({view.numpy().tobytes() for view in views}) == 4


@pytest.mark.parametrize("fields", [{"resize_while_decoding": False}, {"antialias": False}, {"resample": 3}, {}])
def test_training_resizes_as_the_processor_does(clip: Path, fields: dict) -> None:
    """A crop of the whole frame that is not resized again leaves what the processor makes before it crops."""
    fields = {**fields, "size": {"height": 24, "width": 24}, "crop_size": {"height": 24, "width": 24}}
    whole = RandomResizedCrop(scale=(1.0, 1.0), aspect_ratio=(1.0, 1.0))
    made = make(clip, View(changes=[whole], fields=fields))["pixel_values_videos"]
    with VideoReader(clip) as reader:
        expected = SmallProcessor()(reader, return_tensors="pt", **fields)["pixel_values_videos"][0]
    assert torch.equal(made, expected)


@pytest.mark.parametrize(("name", "value"), [("antialias", False), ("resample", Resampling.BICUBIC)])
def test_a_random_crop_is_resized_as_the_processor_resizes(clip: Path, name: str, value: object) -> None:
    """Out of a large frame, so that the crop is made smaller after the processor's own resize was none."""
    view = View(changes=[RandomResizedCrop(8)], fields={"do_resize": False})
    plain, other = (make(clip, view, SmallProcessor(**fields))["pixel_values_videos"] for fields in ({}, {name: value}))
    assert not torch.equal(plain, other)


def test_a_change_takes_the_size_that_the_model_takes(clip: Path) -> None:
    for view in (View(changes=[RandomResizedCrop()]), View(changes=[RandomCrop()])):
        assert make(clip, view)["pixel_values_videos"].shape == (4, 3, 16, 16)
        squeezed = SmallProcessor(size={"height": 20, "width": 24}, do_center_crop=False)
        assert make(clip, view, squeezed)["pixel_values_videos"].shape == (4, 3, 20, 24)
    with pytest.raises(ValueError, match="the change names no size, and the processor makes frames of no one size"):
        make(clip, View(changes=[RandomCrop()]), SmallProcessor(do_center_crop=False))


def test_what_is_random_takes_one_clip_and_one_crop_whatever_the_processors_own_number(clip: Path) -> None:
    processor = SmallProcessor(num_clips=3, num_crops=10)
    assert make(clip, View(), processor)["pixel_values_videos"].shape == (30, 4, 3, 16, 16)
    for view in (View(is_random=True), View(changes=[RandomHorizontalFlip()]), View(True, [RandomCrop()])):
        assert make(clip, view, processor)["pixel_values_videos"].ndim == 4
    drawn = View(is_random=True, fields={"num_clips": 2}, count=3)
    assert make(clip, drawn, processor)["pixel_values_videos"].shape == (6, 4, 3, 16, 16)


def test_clips_that_show_the_same_frames_are_changed_each_for_itself(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "still.mp4", FRAMES[:1].repeat(20, 1, 1, 1))
    views = make(path, View(changes=[RandomCrop(8)], fields={"num_clips": 4}))["pixel_values_videos"]
    assert len({view.numpy().tobytes() for view in views}) > 1


# Masks.


@pytest.mark.parametrize(
    "view",
    [
        View(),
        View(fields={"num_clips": 2, "num_crops": 3, "sampling": "dense"}),
        View(is_random=True, changes=make_training_changes()),
        View(is_random=True, fields={"sampling": "dense"}, count=2),
        View(changes=[RandomCrop()], count=2),
    ],
)
def test_a_short_clip_has_a_mask_in_every_kind_of_view(tmp_path: Path, view: View) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES[:3])
    made = make(path, view, SmallProcessor(return_mask=True))
    pixels, mask = made["pixel_values_videos"], made["frame_mask"]
    assert mask.dtype == torch.bool
    assert mask.shape == pixels.shape[:-3]
    assert mask.reshape(-1, 4).tolist() == [[True, True, True, False]] * (mask.numel() // 4)
    flat = pixels.reshape(-1, 4, *pixels.shape[-3:])
    assert torch.equal(flat[:, 2], flat[:, 3])


def test_no_mask_is_given_where_it_is_not_asked_for(clip: Path) -> None:
    assert make(clip, View()).keys() == {"pixel_values_videos"}


def test_the_processor_of_a_network_that_takes_a_mask_gives_one(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES[:3])
    given = LRCNVideoProcessor(num_frames=4)(path, return_tensors="pt")
    assert given["frame_mask"].tolist() == [[True, True, True, False]]
    LRCNVideoProcessor().save_pretrained(tmp_path)
    assert LRCNVideoProcessor.from_pretrained(tmp_path).return_mask


# What makes no sense.


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({"fields": {"num_corps": 3}}, r"SmallProcessor has no argument num_corps; it has .*num_crops"),
        ({"is_random": True, "fields": {"num_frames": None}}, "clips that are drawn at random need one length"),
        ({"is_random": True, "fields": {"do_sample_frames": False}}, "drawn at random need one length"),
        ({"changes": [RandomCrop()], "fields": {"num_crops": 3}}, "num_crops is 3 in a view with changes"),
        ({"fields": {"sampling": "strided", "num_clips": 2}}, "sampling 'strided' makes one clip"),
        ({"fields": {"num_clips": 0}}, "num_clips is 0; it must be 1 or more"),
        ({"count": 0}, "count is 0; it must be 1 or more"),
        ({"count": 2}, "count is 2, and nothing is drawn"),
    ],
)
def test_views_that_make_no_sense_are_refused_when_the_maker_is_made(view: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        ClipMaker(SmallProcessor(), {"clip": View(**view)})


def test_drawing_without_a_generator_is_refused(clip: Path) -> None:
    maker = ClipMaker(SmallProcessor(), {"fixed": View(), "drawn": View(is_random=True)})
    with (
        maker.open(clip) as readers,
        pytest.raises(ValueError, match="the views drawn are drawn at random; pass a gene"),
    ):
        maker.make(readers)
    with pytest.raises(ValueError, match="no views"):
        ClipMaker(SmallProcessor(), {})


def test_frames_in_memory_are_clips_too() -> None:
    maker = ClipMaker(SmallProcessor(), {"clip": View(is_random=True, fields={**PLAIN, "sampling": "dense"})})
    with maker.open(FRAMES, fps=30) as readers:
        pixels = maker.make(readers, generator())["clip"]["pixel_values_videos"]
    first, *rest = numbers_of(pixels, FRAMES)
    assert_close(pixels, FRAMES[first : first + 4].float(), rtol=0, atol=0)
    assert np.diff([first, *rest]).tolist() == [1, 1, 1]
