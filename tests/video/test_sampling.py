"""Samplers against a second formulation, in plain Python."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch

from muybridge.types import Clip
from muybridge.video import (
    resample_frames,
    sample_around,
    sample_consecutive,
    sample_dense,
    sample_interleaved,
    sample_segments,
    sample_strided,
    sample_uniform,
)

TOTALS = [1, 2, 3, 7, 16, 17, 100, 301]
LENGTHS = [1, 2, 8, 16]
STRIDES = [1, 2, 4]


def combinations(*choices: list) -> list[tuple]:
    return list(product(*choices))


def evenly(total: int, fps: Fraction | float = 25) -> np.ndarray:
    """The edges of frames at a constant rate."""
    return np.array([float(number / Fraction(fps)) for number in range(total + 1)])


def check_clip(clip: Clip, total: int, wanted: list[int]) -> None:
    """The clip shows the frames wanted, the last one held past the end, with a mask that says where."""
    assert clip.indices.tolist() == [min(frame, total - 1) for frame in wanted]
    assert clip.mask.tolist() == [frame < total for frame in wanted]


@pytest.mark.parametrize(("total", "num_frames"), combinations(TOTALS, LENGTHS))
def test_uniform_takes_the_first_frame_of_each_equal_part(total: int, num_frames: int) -> None:
    wanted = [int(Fraction(total, num_frames) * place) for place in range(num_frames)]
    check_clip(
        sample_uniform(total=total, num_frames=num_frames),
        total,
        wanted if total >= num_frames else list(range(num_frames)),
    )


@pytest.mark.parametrize(("total", "num_frames"), combinations(TOTALS, LENGTHS))
def test_strided_steps_from_the_first_frame_on_by_a_whole_number(total: int, num_frames: int) -> None:
    step = next(step for step in range(total, 0, -1) if step * num_frames <= total) if total >= num_frames else 1
    check_clip(sample_strided(total=total, num_frames=num_frames), total, [step * place for place in range(num_frames)])


@pytest.mark.parametrize(("total", "num_frames", "stride"), combinations(TOTALS, LENGTHS, STRIDES))
def test_dense_lies_in_the_middle(total: int, num_frames: int, stride: int) -> None:
    (clip,) = sample_dense(edges_seconds=evenly(total), num_frames=num_frames, stride=stride)
    start = int(clip.indices[0])
    check_clip(clip, total, list(range(start, start + num_frames * stride, stride)))
    if clip.mask.all():
        behind = total - 1 - int(clip.indices[-1])
        assert behind - start in (0, 1)
    else:
        assert start == 0


@pytest.mark.parametrize(("total", "num_frames", "stride"), combinations(TOTALS, LENGTHS, STRIDES))
def test_random_clips_start_wherever_they_fit(total: int, num_frames: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    num_starts = max(1, total - (num_frames - 1) * stride)
    starts = set()
    for _ in range(60):
        (clip,) = sample_dense(edges_seconds=evenly(total), num_frames=num_frames, stride=stride, generator=generator)
        start = int(clip.indices[0])
        check_clip(clip, total, list(range(start, start + num_frames * stride, stride)))
        starts.add(start)
    assert starts <= set(range(num_starts))
    assert len(starts) > min(num_starts, 10) // 2


def test_the_same_seed_gives_the_same_clip() -> None:
    (first,), (second,) = (
        sample_dense(edges_seconds=evenly(1000), num_frames=8, generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    )
    assert np.array_equal(first.indices, second.indices)


@pytest.mark.parametrize(("total", "num_segments", "length"), combinations(TOTALS, LENGTHS, [1, 3]))
def test_segments_give_one_run_of_each_part(total: int, num_segments: int, length: int) -> None:
    num_starts = total - length + 1
    for generator in (None, torch.Generator().manual_seed(1)):
        clip = sample_segments(total=total, num_segments=num_segments, frames_per_segment=length, generator=generator)
        if total < num_segments * length:
            check_clip(clip, total, list(range(num_segments * length)))
            continue
        assert clip.mask.all()
        for part, run in enumerate(clip.indices.reshape(num_segments, length).tolist()):
            assert run == list(range(run[0], run[0] + length))
            if generator is None:
                assert run[0] == int((part + Fraction(1, 2)) * num_starts / num_segments)
            else:
                assert part * num_starts // num_segments <= run[0] < (part + 1) * num_starts // num_segments


@pytest.mark.parametrize(("total", "num_clips", "stride"), combinations(TOTALS, [1, 2, 3, 10], STRIDES))
def test_regular_clips_reach_from_the_first_frame_to_the_last(total: int, num_clips: int, stride: int) -> None:
    clips = sample_dense(edges_seconds=evenly(total), num_clips=num_clips, num_frames=8, stride=stride)
    starts = [int(clip.indices[0]) for clip in clips]
    assert len(clips) == num_clips
    for clip, start in zip(clips, starts, strict=True):
        check_clip(clip, total, list(range(start, start + 8 * stride, stride)))
    if num_clips == 1:
        assert starts[0] == max(0, total - 1 - 7 * stride) // 2
    else:
        gaps = np.diff(starts)
        assert starts[0] == 0
        assert clips[-1].indices[-1] == total - 1
        assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("total", "stride", "step"), combinations(TOTALS, STRIDES, [None, 1, 5, 40]))
def test_consecutive_clips_pass_the_whole_video(total: int, stride: int, step: int | None) -> None:
    clips = sample_consecutive(total=total, num_frames=8, stride=stride, step=step)
    starts = [int(clip.indices[0]) for clip in clips]
    assert starts == list(range(0, len(clips) * (step or 8 * stride), step or 8 * stride))
    assert all(clip.mask[0] for clip in clips)
    end = starts[-1] + 7 * stride
    assert end >= total - 1 or starts[-1] + (step or 8 * stride) >= total
    if len(clips) > 1:
        assert starts[-2] + 7 * stride < total - 1


@pytest.mark.parametrize("video_fps", [Fraction(30000, 1001), Fraction(25), Fraction(30), Fraction(15)])
@pytest.mark.parametrize("fps", [Fraction(15), Fraction(30), Fraction(10), Fraction(24), Fraction(1, 2)])
def test_resampling_shows_the_frame_on_display(video_fps: Fraction, fps: Fraction) -> None:
    total = 301
    clip = resample_frames(edges_seconds=evenly(total, video_fps), fps=float(fps))
    moments = [Fraction(place) / fps for place in range(len(clip))]
    check_clip(clip, total, [int(moment * video_fps) for moment in moments])
    assert clip.mask.all()
    assert len(clip) / fps * video_fps >= total  # no later frame of the slower camera is missing


def test_resampled_clip_has_the_length_asked_for() -> None:
    (clip,) = sample_dense(edges_seconds=evenly(300, Fraction(30000, 1001)), fps=15, num_frames=16)
    assert len(clip) == 16
    assert set(np.diff(clip.indices)) <= {1, 2}
    assert clip.indices[0] + clip.indices[-1] in (298, 299)


RATES = [Fraction(30000, 1001), Fraction(25), Fraction(30), Fraction(24)]


@pytest.mark.parametrize("video_fps", RATES)
@pytest.mark.parametrize("fps", [*RATES, Fraction(15), Fraction(10), Fraction(1, 2)])
@pytest.mark.parametrize("total", [1, 2, 59, 301])
def test_at_a_constant_rate_times_give_what_the_rate_gives(video_fps: Fraction, fps: Fraction, total: int) -> None:
    edges, ratio = evenly(total, video_fps), video_fps / fps
    num_frames = max(1, math.ceil(total / ratio))
    check_clip(resample_frames(edges_seconds=edges, fps=float(fps)), total, [int(k * ratio) for k in range(num_frames)])
    for num_clips, stride in product([1, 2, 5], [1, 3]):
        clips = sample_dense(edges_seconds=edges, fps=float(fps), stride=stride, num_clips=num_clips, num_frames=8)
        offsets = [int(k * stride * ratio) for k in range(8)]
        last_start = max(0, total - 1 - offsets[-1])
        starts = (
            [last_start // 2]
            if num_clips == 1
            else [index * last_start // (num_clips - 1) for index in range(num_clips)]
        )
        for clip, start in zip(clips, starts, strict=True):
            check_clip(clip, total, [start + offset for offset in offsets])


@pytest.mark.parametrize("total", [59, 60, 61, 301])
def test_times_rounded_to_milliseconds_change_nothing(total: int) -> None:
    """An average of rounded times is a little off: half of 29.995 frames a second is every frame but one too early."""
    edges = np.array([round(1000 * number / 30) / 1000 for number in range(total + 1)])
    check_clip(resample_frames(edges_seconds=edges, fps=15), total, list(range(0, total, 2)))
    for clip in sample_dense(edges_seconds=edges, fps=15, num_clips=7, num_frames=8):
        assert set(np.diff(clip.indices)) == {2}


def on_display(times: list[Fraction], end: Fraction, moment: Fraction) -> int:
    """The frame on display, or the number of frames after the end."""
    return len(times) if moment >= end else sum(time <= moment for time in times) - 1


FAST_THEN_SLOW = [Fraction(number, 100) for number in range(30)] + [
    Fraction(3, 10) + Fraction(number, 10) for number in range(30)
]
END = Fraction(33, 10)


@pytest.mark.parametrize("fps", [Fraction(5), Fraction(7), Fraction(30), Fraction(200)])
def test_a_variable_rate_is_resampled_by_the_times_of_display(fps: Fraction) -> None:
    edges = np.array([*FAST_THEN_SLOW, END], dtype=np.float64)
    clip = resample_frames(edges_seconds=edges, fps=float(fps))
    assert len(clip) == math.ceil(END * fps)
    check_clip(clip, 60, [on_display(FAST_THEN_SLOW, END, place / fps) for place in range(len(clip))])


@pytest.mark.parametrize(("num_clips", "num_frames"), combinations([1, 2, 3], [4, 8, 17, 40]))
def test_clips_of_a_variable_rate_lie_evenly_in_time(num_clips: int, num_frames: int) -> None:
    edges = np.array([*FAST_THEN_SLOW, END], dtype=np.float64)
    clips = sample_dense(edges_seconds=edges, fps=10, stride=2, num_clips=num_clips, num_frames=num_frames)
    length = Fraction(num_frames - 1, 5)
    last_start = max((time for time in FAST_THEN_SLOW if time + length < END), default=Fraction(0))
    shares = [Fraction(1, 2)] if num_clips == 1 else [Fraction(index, num_clips - 1) for index in range(num_clips)]
    for clip, share in zip(clips, shares, strict=True):
        start = FAST_THEN_SLOW[on_display(FAST_THEN_SLOW, END, share * last_start)]
        wanted = [on_display(FAST_THEN_SLOW, END, start + Fraction(place, 5)) for place in range(num_frames)]
        check_clip(clip, 60, wanted)


@pytest.mark.parametrize("num_frames", [1, 4, 8, 40])
def test_random_clips_of_a_variable_rate_start_wherever_they_fit_in_time(num_frames: int) -> None:
    edges = np.array([*FAST_THEN_SLOW, END], dtype=np.float64)
    length = Fraction(num_frames - 1, 5)
    possible = {time for time in FAST_THEN_SLOW if time + length < END} or {Fraction(0)}
    generator = torch.Generator().manual_seed(0)
    drawn = set()
    for _ in range(600):
        (clip,) = sample_dense(edges_seconds=edges, fps=10, stride=2, num_frames=num_frames, generator=generator)
        start = FAST_THEN_SLOW[clip.indices[0]]
        check_clip(clip, 60, [on_display(FAST_THEN_SLOW, END, start + Fraction(k, 5)) for k in range(num_frames)])
        drawn.add(start)
    assert drawn == possible


def test_every_one_of_several_random_clips_is_drawn_for() -> None:
    clips = sample_dense(
        edges_seconds=evenly(500), num_clips=6, num_frames=4, generator=torch.Generator().manual_seed(0)
    )
    assert len({int(clip.indices[0]) for clip in clips}) == 6


@pytest.mark.parametrize(("total", "num_clips", "num_frames"), combinations([3, 8, 100, 301], [1, 2, 5], [1, 4, 8]))
def test_interleaved_clips_together_see_as_many_frames_as_one_long_clip(
    total: int, num_clips: int, num_frames: int
) -> None:
    clips = sample_interleaved(total=total, num_clips=num_clips, num_frames=num_frames)
    if total < num_frames:
        for clip in clips:
            check_clip(clip, total, list(range(num_frames)))
        return
    together = sorted(index for clip in clips for index in clip.indices.tolist())
    whole = num_clips * num_frames
    assert together == [int(Fraction(total, whole) * place) for place in range(whole)]
    assert clips[0].indices.tolist() == sample_uniform(total=total, num_frames=num_frames).indices.tolist()


@pytest.mark.parametrize("fps", [None, 12.5, 25.0])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_clip_around_the_middle_of_another_one_of_the_same_kind_is_that_one(fps: float | None, stride: int) -> None:
    edges = evenly(200)
    for clip in sample_dense(edges_seconds=edges, num_clips=9, num_frames=8, stride=stride, fps=fps):
        moments = edges[clip.indices]
        middle = (moments[0] + moments[-1] + (moments[1] - moments[0])) / 2
        around = sample_around(edges_seconds=edges, middle_seconds=middle, num_frames=8, stride=stride, fps=fps)
        assert around.indices.tolist() == clip.indices.tolist()


@pytest.mark.parametrize("fps", [None, 25.0])
def test_a_longer_clip_around_a_moment_has_it_in_its_middle_or_lies_at_an_end(fps: float | None) -> None:
    edges = evenly(100)
    for middle, first in ((2.0, 40), (0.1, 0), (3.95, 80)):  # in frames: 50, 2 and 98
        clip = sample_around(edges_seconds=edges, middle_seconds=middle, num_frames=20, fps=fps)
        check_clip(clip, 100, list(range(first, first + 20)))
    check_clip(sample_around(edges_seconds=evenly(6), middle_seconds=0.1, num_frames=8, fps=fps), 6, list(range(8)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_uniform(total=0, num_frames=4), "total is 0; it must be 1 or more"),
        (lambda: sample_uniform(total=4, num_frames=0), "num_frames is 0"),
        (
            lambda: sample_dense(edges_seconds=evenly(4), num_frames=2, stride=0),
            "stride is 0; it must be a positive number",
        ),
        (lambda: sample_segments(total=4, num_segments=0), "num_segments is 0"),
        (lambda: sample_dense(edges_seconds=evenly(4), num_clips=0, num_frames=2), "num_clips is 0"),
        (lambda: sample_consecutive(total=4, num_frames=2, step=0), "step is 0"),
        (lambda: sample_dense(edges_seconds=evenly(4), num_frames=2, fps=0.0), "fps is 0.0; it must be a positive"),
        (lambda: sample_interleaved(total=4, num_clips=0, num_frames=2), "num_clips is 0"),
        (
            lambda: sample_around(edges_seconds=evenly(4), middle_seconds=0, num_frames=2, stride=-1),
            "stride is -1; it must be a positive number",
        ),
        (
            lambda: resample_frames(edges_seconds=np.zeros(1), fps=15),
            "it must begin with 0 and rise, with one edge more",
        ),
        (lambda: resample_frames(edges_seconds=np.arange(3), fps=0), "fps is 0; it must be a positive number"),
    ],
)
def test_errors_name_the_argument_and_what_is_allowed(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
