"""Optical flow is changed as the frames are that it belongs to."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import muybridge
from clips import moving_square, write_clip
from muybridge.models.i3d import I3DFlowProcessor
from muybridge.processing import (
    ClipMaker,
    ColorJitter,
    Compose,
    FlowProcessor,
    JointProcessor,
    Manner,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    VideoProcessor,
    View,
    functional,
)
from muybridge.video import MemoryReader, Reader, VideoReader

FLOW = Manner(modality="flow")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def panned(shifts: list[tuple[int, int]], height: int = 40, width: int = 56) -> torch.Tensor:
    """Frames (T, 3, H, W) in which all moves by `shifts`, to the right and down, from one to the next."""
    texture = torch.randint(0, 256, (3, 200, 200), dtype=torch.uint8, generator=generator(1))
    left, top, frames = 80, 80, []
    for right, down in [(0, 0), *shifts]:
        left, top = left - right, top - down
        frames.append(texture[:, top : top + height, left : left + width])
    return torch.stack(frames)


def estimate(frames: torch.Tensor, reach: int = 6) -> torch.Tensor:
    """The flow (T - 1, 2) of frames in which all moves alike: the shift under which two of them differ least."""
    frames, found = frames.double(), []
    inner = (..., slice(reach, -reach), slice(reach, -reach))
    for now, then in pairwise(frames):
        errors = {
            (u, v): (then.roll((-v, -u), (-2, -1))[inner] - now[inner]).square().mean().item()
            for u in range(-reach, reach + 1)
            for v in range(-reach, reach + 1)
        }
        found.append(min(errors, key=errors.get))
    return torch.tensor(found, dtype=torch.float32)


SHIFTS = [(3, -1), (-2, 4), (5, 0), (0, -3)]
FRAMES = panned(SHIFTS)
FIELD = torch.tensor(SHIFTS, dtype=torch.float32)[..., None, None].expand(-1, -1, 40, 56)


def test_the_flow_of_a_mirrored_clip_is_the_mirrored_flow_of_the_clip() -> None:
    assert torch.equal(estimate(FRAMES), FIELD[..., 0, 0])
    mirrored = functional.flip_horizontally(FIELD, "flow")
    assert torch.equal(mirrored[..., 0, 0], estimate(functional.flip_horizontally(FRAMES)))


def test_a_mirrored_field_changes_places_and_the_sign_of_u() -> None:
    field = torch.randn(3, 2, 5, 7, generator=generator())
    mirrored = functional.flip_horizontally(field, "flow")
    for x in range(7):
        assert torch.equal(mirrored[:, 0, :, x], -field[:, 0, :, 6 - x])
        assert torch.equal(mirrored[:, 1, :, x], field[:, 1, :, 6 - x])


def test_each_of_ten_crops_has_the_flow_of_its_frames() -> None:
    plain = {"do_resize": False, "crop_size": 24, "num_crops": 10}
    frames = VideoProcessor(**plain, num_frames=5, do_normalize=False)(FRAMES, return_tensors="pt").pixel_values_videos
    flow = FlowProcessor(**plain, num_frames=4)(FIELD, return_tensors="pt").flow_values
    assert flow.shape == (1, 10, 4, 2, 24, 24)
    for of_crop, crop in zip(flow[0], frames[0], strict=True):
        assert torch.equal(of_crop[..., 0, 0], estimate(crop))


@pytest.mark.parametrize("seed", range(6))
def test_frames_and_flow_that_are_drawn_for_together_stay_frames_and_their_flow(seed: int) -> None:
    plain = {"do_resize": False, "crop_size": 24}
    processor = JointProcessor(
        {
            "pixel_values_videos": VideoProcessor(**plain, num_frames=5, do_normalize=False),
            "flow_values": FlowProcessor(**plain, num_frames=4),
        }
    )
    maker = ClipMaker(processor, {"clip": View(changes=[RandomCrop(), RandomHorizontalFlip()])})
    with maker.open({"video": FRAMES, "flow": FIELD}) as readers:
        made = maker.make(readers, generator(seed))["clip"]
    assert torch.equal(made["flow_values"][..., 0, 0], estimate(made["pixel_values_videos"]))


@pytest.mark.parametrize("size", [(40, 56), (20, 28)], ids=["flow as large as the frames", "flow half as large"])
@pytest.mark.parametrize("seed", range(8))
def test_frames_and_flow_are_cut_alike(size: tuple[int, int], seed: int) -> None:
    """Frames show their own coordinates, and things move by as many pixels as their place is from the corner."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(56.0), indexing="ij")
    frames = torch.stack([columns / 56, rows / 40, torch.zeros(40, 56)])[None].repeat(4, 1, 1, 1)
    height, width = size
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    flow = torch.stack([columns, rows])[None].float().repeat(4, 1, 1, 1)
    plain = {"do_resize": False, "crop_size": 16, "num_frames": 4}
    unchanged = {"do_rescale": False, "do_normalize": False}
    processor = JointProcessor(
        {"pixel_values_videos": VideoProcessor(**plain, **unchanged), "flow_values": FlowProcessor(**plain)}
    )
    changes = [RandomResizedCrop(scale=(0.5, 1.0)), RandomHorizontalFlip(), ColorJitter(0.0)]
    maker = ClipMaker(processor, {"clip": View(changes=changes)})
    with maker.open({"video": frames, "flow": flow}) as readers:
        made = maker.make(readers, generator(seed))["clip"]
    drawn = Compose(changes).draw(generator(seed), (40, 56))
    box, is_flipped = drawn.changes[0].box, drawn.changes[1].is_flipped
    # In pixels of the result a part of the frame moves by its place times the ratio of the sizes.
    across, down = 16 / (box.width / 56), 16 / (box.height / 40)
    x, y = made["pixel_values_videos"][:, 0], made["pixel_values_videos"][:, 1]
    tolerance = 0.08 * max(across, down)  # a pixel of the smaller flow
    assert_close(made["flow_values"][:, 0], x * across * (-1 if is_flipped else 1), rtol=0, atol=tolerance)
    assert_close(made["flow_values"][:, 1], y * down, rtol=0, atol=tolerance)


def test_a_rectangle_of_flow_that_is_resized_moves_by_more_or_fewer_pixels() -> None:
    field = torch.empty(2, 2, 20, 30)
    field[:, 0], field[:, 1] = 3.0, -2.0
    resized = functional.resize(field, (10, 60), modality="flow")
    assert_close(resized[:, 0], torch.full((2, 10, 60), 6.0))
    assert_close(resized[:, 1], torch.full((2, 10, 60), -1.0))


def test_changes_of_colours_leave_flow_alone() -> None:
    field = torch.randn(3, 2, 8, 8, generator=generator())
    assert ColorJitter(0.5, 0.5, 0.5, 0.5)(field, generator(), FLOW) is field


def test_flow_is_resized_then_cut_off_then_scaled() -> None:
    field = torch.full((4, 2, 32, 64), 30.0)
    processor = FlowProcessor(
        size={"height": 16, "width": 48}, do_center_crop=False, num_frames=4, flow_bound=20.0, flow_scale=0.1
    )
    values = processor(field, return_tensors="pt").flow_values[0]
    assert_close(values[:, 0], torch.full((4, 16, 48), 2.0))  # 22.5 in the smaller frames: cut off at 20
    assert_close(values[:, 1], torch.full((4, 16, 48), 1.5))  # 15: within the bound


def test_flow_without_a_bound_keeps_its_pixels() -> None:
    field = torch.randn(4, 2, 16, 16, generator=generator()) * 50
    values = FlowProcessor(do_resize=False, do_center_crop=False, num_frames=4)(field, return_tensors="pt").flow_values
    assert torch.equal(values[0], field)


def test_flow_is_sampled_as_frames_are_and_short_flow_has_a_mask() -> None:
    field = torch.arange(20.0)[:, None, None, None].expand(-1, 2, 8, 8)
    processor = FlowProcessor(do_resize=False, crop_size=8, num_frames=4, return_mask=True)
    batch = processor([field, field[:3]], return_tensors="pt")
    assert batch["flow_values"][:, :, 0, 0, 0].tolist() == [[0, 5, 10, 15], [0, 1, 2, 2]]
    assert batch["frame_mask"].tolist() == [[True] * 4, [True, True, True, False]]
    dense = processor(field, sampling="dense", num_clips=2, return_tensors="pt")["flow_values"]
    assert dense[0, :, :, 0, 0, 0].tolist() == [[0, 1, 2, 3], [16, 17, 18, 19]]


class FrameDifferences(Reader):
    """Stands for a reader of flow: what lies between the frames of a video, in the same shape."""

    modality = "flow"

    def __init__(self, path: Path) -> None:
        self.video = VideoReader(path)

    @property
    def name(self) -> str:
        return self.video.name

    @property
    def metadata(self):
        return self.video.metadata

    @property
    def edges_seconds(self) -> np.ndarray:
        return self.video.frame_seconds  # flow i is there from frame i until frame i + 1

    def frames_at(self, indices, size=None) -> torch.Tensor:
        assert size is None
        numbers = np.asarray(indices)
        frames = self.video.frames_at(np.concatenate([numbers, numbers + 1])).float()
        now, then = frames.split(len(numbers))
        return (then - now)[:, :2]

    def close(self) -> None:
        self.video.close()


def test_a_reader_of_flow_is_taken_as_flow_in_memory_is(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_square(num_frames=20, height=32, width=40))
    processor = FlowProcessor(size={"shortest_edge": 24}, crop_size=16, num_frames=6)
    with FrameDifferences(path) as reader:
        assert len(reader) == 19
        whole = reader.frames_at(range(19))
        assert torch.equal(
            processor(reader, return_tensors="pt").flow_values, processor(whole, return_tensors="pt").flow_values
        )


def test_flow_read_beside_frames_is_that_between_them_and_the_next(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_square(num_frames=20, height=32, width=40), fps=10)
    dense = {"sampling": "dense", "fps": 5, "num_frames": 4}
    processor = JointProcessor(
        {"pixel_values_videos": VideoProcessor(**dense), "flow_values": FlowProcessor(**dense)},
    )
    maker = ClipMaker(
        processor, {"middle": View(), "drawn": View(is_random=True), "several": View(fields={"num_clips": 3})}
    )
    with FrameDifferences(path) as flow, VideoReader(path) as video:
        made = maker.make_all({"video": video, "flow": flow}, generator())
    for view in made.values():
        for frames, flows in zip(view.clips["pixel_values_videos"], view.clips["flow_values"], strict=True):
            assert flows.indices.tolist() == np.minimum(frames.indices, 18).tolist()
            assert flows.mask.tolist() == (frames.indices < 19).tolist()


def test_more_flow_than_frames_has_the_same_middle(tmp_path: Path) -> None:
    """The two streams of 2014: one frame, and ten flows around it."""
    path = write_clip(tmp_path / "clip.mp4", moving_square(num_frames=60, height=32, width=40), fps=25)
    processor = JointProcessor(
        {
            "pixel_values_videos": VideoProcessor(sampling="dense", num_frames=1),
            "flow_values": FlowProcessor(sampling="dense", num_frames=10),
        }
    )
    maker = ClipMaker(processor, {"clip": View(is_random=True, count=20)})
    with FrameDifferences(path) as flow, VideoReader(path) as video:
        made = maker.make_all({"video": video, "flow": flow}, generator())["clip"]
    for frame, flows in zip(made.clips["pixel_values_videos"], made.clips["flow_values"], strict=True):
        middle = int(frame.indices[0])
        first = min(max(middle - 4, 0), 59 - 10)
        assert flows.indices.tolist() == list(range(first, first + 10))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(4, 2, 8, 8, dtype=torch.uint8), r"it must be floats \(T, 2, H, W\) in pixels"),
        (torch.zeros(4, 3, 8, 8), r"it must be floats \(T, 2, H, W\) in pixels"),
        (MemoryReader(torch.zeros(4, 3, 8, 8)), "does not compute it: compute the flow between its frames first"),
    ],
)
def test_what_is_no_flow_is_refused(given: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlowProcessor()(given)


def test_a_file_of_video_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_square(num_frames=4, height=32, width=32))
    with pytest.raises(ValueError, match=r"clip\.mp4 was given to a processor of optical flow"):
        FlowProcessor()(path)


@pytest.mark.parametrize("kind", [FlowProcessor, I3DFlowProcessor])
def test_a_processor_of_flow_is_found_by_the_name_in_its_file(kind: type, tmp_path: Path) -> None:
    processor = kind(flow_bound=7.0, flow_scale=0.25, num_frames=3)
    processor.save_pretrained(tmp_path)
    loaded = muybridge.AutoVideoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is kind
    assert loaded.to_dict() == processor.to_dict()
    field = torch.randn(3, 2, 256, 256, generator=generator()) * 20
    assert torch.equal(
        loaded(field, return_tensors="pt").flow_values, processor(field, return_tensors="pt").flow_values
    )
