"""Random changes: reproducible, the same over time, different from clip to clip."""

import math

import pytest
import torch

from muybridge.processing import (
    ColorJitter,
    Compose,
    Manner,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    functional,
)
from muybridge.processing.changes import Box, ResizedCrop

SMALL = Manner(size=(16, 16))
TRANSFORMS = {
    "resized_crop": RandomResizedCrop(16),
    "crop": RandomCrop(16),
    "flip": RandomHorizontalFlip(),
    "jitter": ColorJitter(0.4, 0.4, 0.4, 0.1),
    "compose": Compose([RandomResizedCrop(16), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.1)]),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def still_clip(num_frames=4, height=24, width=32):
    """One noisy frame, many times: (T, 3, H, W)."""
    frame = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator(7))
    return frame.expand(num_frames, -1, -1, -1)


@pytest.fixture(params=TRANSFORMS.values(), ids=TRANSFORMS.keys())
def transform(request):
    return request.param


def test_all_frames_of_a_clip_change_alike(transform):
    for seed in range(8):
        changed = transform(still_clip(), generator(seed))
        assert all(torch.equal(frame, changed[0]) for frame in changed)


def test_the_same_generator_gives_the_same_clip(transform):
    assert torch.equal(transform(still_clip(), generator(3)), transform(still_clip(), generator(3)))


def test_clips_of_a_batch_are_drawn_for_one_by_one(transform):
    batch = torch.stack([still_clip()] * 8)
    changed = transform(batch, generator())
    assert len({clip.numpy().tobytes() for clip in changed}) > 1
    source = generator()
    assert torch.equal(changed, torch.stack([transform(clip, source) for clip in batch]))


def test_a_single_frame_is_refused(transform):
    with pytest.raises(ValueError, match=r"\(3, 8, 8\); it must be \(T, C, H, W\)"):
        transform(torch.zeros(3, 8, 8))


def test_what_was_drawn_can_be_applied_again(transform):
    change = transform.draw(generator(3), (24, 32))
    expected = transform(still_clip(), generator(3), SMALL)
    assert torch.equal(change.apply(still_clip(), SMALL), expected)
    assert torch.equal(change.apply(still_clip(), SMALL), expected)


def test_a_resized_crop_is_a_crop_resized():
    frames = still_clip(2, 40, 50)
    change = ResizedCrop(Box(3, 7, 20, 30), (40, 50), (16, 16))
    for antialias in (True, False):
        expected = functional.resize(frames[..., 3:23, 7:37], (16, 16), "bicubic", antialias=antialias)
        manner = Manner(interpolation="bicubic", antialias=antialias)
        assert torch.equal(change.apply(frames, manner), expected)


def test_a_rectangle_is_the_same_part_of_larger_and_smaller_frames():
    box = Box(10, 20, 30, 40)
    assert box.rescale((100, 100), (100, 100)) == box
    assert box.rescale((100, 100), (200, 50)) == (20, 10, 60, 20)
    for size in [(1, 1), (7, 3), (333, 1000)]:
        top, left, height, width = Box(99, 99, 1, 1).rescale((100, 100), size)
        assert 0 <= top < top + height <= size[0]
        assert 0 <= left < left + width <= size[1]


def test_crops_of_a_fixed_size_lie_at_every_place_equally_often():
    clip = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 3, 5)
    source = generator()
    lefts = [RandomCrop((3, 3))(clip, source)[0, 0, 0, 0].int().item() for _ in range(900)]
    assert all(250 < lefts.count(left) < 350 for left in (0, 1, 2))


def test_a_change_without_a_size_takes_that_of_the_input_and_else_says_what_is_missing():
    assert RandomCrop()(still_clip(), generator(), SMALL).shape == (4, 3, 16, 16)
    assert RandomResizedCrop()(still_clip(), generator(), SMALL).shape == (4, 3, 16, 16)
    assert RandomCrop(9)(still_clip(), generator(), SMALL).shape == (4, 3, 9, 9)
    with pytest.raises(ValueError, match="the change names no size"):
        RandomCrop()(still_clip())


def test_resized_crops_have_the_area_and_shape_they_are_drawn_for():
    crop = RandomResizedCrop(16, scale=(0.2, 0.6), aspect_ratio=(3 / 4, 4 / 3))
    source = generator()
    boxes = [crop.draw(source, (240, 320)).box for _ in range(2000)]
    areas = torch.tensor([box.height * box.width / (240 * 320) for box in boxes])
    ratios = torch.tensor([math.log(box.width / box.height) for box in boxes])
    assert 0.19 < areas.min() < 0.22
    assert 0.58 < areas.max() < 0.61
    assert abs(areas.mean() - 0.4) < 0.01
    assert ratios.abs().max() < math.log(4 / 3) + 0.01
    assert abs(ratios.mean()) < 0.015
    assert all(box.top >= 0 and box.top + box.height <= 240 for box in boxes)
    assert all(box.left >= 0 and box.left + box.width <= 320 for box in boxes)


def test_a_crop_that_never_fits_is_the_largest_one_in_the_middle():
    crop = RandomResizedCrop(16, scale=(2.0, 2.0), aspect_ratio=(3 / 4, 4 / 3))
    assert crop.draw(generator(), (100, 300)).box == (0, 83, 100, 133)
    assert crop.draw(generator(), (300, 100)).box == (83, 0, 133, 100)
    assert crop.draw(generator(), (100, 120)).box == (0, 0, 100, 120)


def test_flips_come_as_often_as_asked():
    clip = still_clip(1)
    source = generator()
    flip = RandomHorizontalFlip(0.25)
    num_flipped = sum(torch.equal(flip(clip, source), functional.flip_horizontally(clip)) for _ in range(1000))
    assert 200 < num_flipped < 300
    assert torch.equal(RandomHorizontalFlip(0.0)(clip), clip)
    assert torch.equal(RandomHorizontalFlip(1.0)(clip), clip.flip(-1))


def test_jitter_of_nothing_changes_nothing():
    assert torch.equal(ColorJitter()(still_clip()), still_clip())


def test_brightness_stays_within_its_bounds():
    clip = torch.full((1, 3, 4, 4), 0.5)
    source = generator()
    brightness = [ColorJitter(brightness=0.4)(clip, source).mean().item() * 2 for _ in range(500)]
    assert 0.6 <= min(brightness) < 0.63
    assert 1.37 < max(brightness) <= 1.4


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match=r"scale is \(0.5, 0.2\)"):
        RandomResizedCrop(16, scale=(0.5, 0.2))
    with pytest.raises(ValueError, match=r"probability is 1\.5"):
        RandomHorizontalFlip(1.5)
    with pytest.raises(ValueError, match=r"hue is 0\.7"):
        ColorJitter(hue=0.7)
    with pytest.raises(ValueError, match="contrast is -1"):
        ColorJitter(contrast=-1)
