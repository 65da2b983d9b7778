"""The procedural set: what it claims to be true of a clip is, and no single frame tells the class."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from clips import decode_from_start
from muybridge.cli import main
from muybridge.data import DataError, collate_targets, load_videos
from muybridge.data.sprites import (
    CLASS_SETS,
    EASY,
    HARD,
    MOTIONS,
    SHAPES,
    SpriteClip,
    SpriteDataset,
    SpriteSettings,
    SpriteStream,
    files,
    sprite,
    write_sprites,
)
from muybridge.data.sprites.motion import draw_course, draw_state
from muybridge.processing import (
    ClipMaker,
    FlowProcessor,
    JointProcessor,
    SoundProcessor,
    VideoProcessor,
    View,
    make_training_changes,
)
from muybridge.video import VideoReader

NUM_TRAINING, NUM_TEST = 1200, 800
CHANCE = 1 / 8
NEAR_CHANCE = CHANCE + 0.06  # five standard deviations of the accuracy on NUM_TEST clips


def of_motion(name: str, num_clips: int, **settings) -> list[SpriteClip]:
    return [sprite(index, classes=[name], **settings) for index in range(num_clips)]


# What a clip is


@pytest.mark.parametrize("classes", CLASS_SETS)
@pytest.mark.parametrize("camera_motion", [False, True])
def test_every_clip_is_valid(classes, camera_motion):
    labels = SpriteSettings(classes=classes).labels
    for index in range(len(labels)):
        clip = sprite(index, classes=classes, num_frames=6, size=48, camera_motion=camera_motion)
        assert clip.frames.shape == (6, 3, 48, 48)
        assert clip.frames.dtype == torch.uint8
        assert clip.frames.float().std() > 10
        assert clip.label == index
        assert clip.flow.shape == (5, 2, 48, 48)
        assert clip.flow.isfinite().all()
        assert clip.masks.shape == (6, 48, 48)
        assert clip.masks.flatten(1).any(1).all()
        assert not torch.equal(clip.frames[0], clip.frames[-1])


def test_a_clip_is_given_by_its_settings_and_number_alone():
    clip, same = sprite(5, seed=1), sprite(5, seed=1)
    for name in ("frames", "flow", "boxes", "masks"):
        assert torch.equal(getattr(clip, name), getattr(same, name))
    assert clip.targets == same.targets
    assert torch.equal(clip.make_sound(), same.make_sound())
    assert not torch.equal(clip.frames, sprite(5, seed=2).frames)
    assert not torch.equal(clip.frames, sprite(13, seed=1).frames)


def test_the_class_changes_the_motion_and_nothing_else():
    """All motions begin with the same frame, where they begin with the same numbers."""
    first_frames = [sprite(3, classes=[motion]).frames[0] for motion in MOTIONS if motion != "bounce"]
    assert all(torch.equal(frame, first_frames[0]) for frame in first_frames)


def test_labels_are_numbered_by_the_alphabet():
    assert SpriteSettings(classes=EASY).labels == SpriteSettings().labels == tuple(sorted(EASY))
    assert SpriteSettings(classes=["up", "down"]).labels == ("down", "up")


def test_one_frame_is_a_clip_without_flow():
    clip = sprite(0, num_frames=1)
    assert clip.frames.shape == (1, 3, 64, 64)
    assert clip.flow.shape == (0, 2, 64, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": "medium"}, "classes is 'medium'; the sets are easy, hard, all, appearance"),
        ({"classes": ["left", "star"]}, "it must name some of the motions .* or of shapes"),
        ({"classes": []}, "it must name some"),
        ({"num_frames": 0}, "num_frames is 0; it must be 1 or more"),
        ({"size": 8}, "size is 8; it must be 16 or more"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sprite(0, **settings)


# Truths about a clip


def followed_back(frames: Tensor, flow: Tensor) -> Tensor:
    """Frames t + 1 (T - 1, 3, H, W) seen at t: each pixel fetched from where the flow leads."""
    height, width = frames.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(frames[1:].float(), grid, mode="bicubic", align_corners=False, padding_mode="border")


def certain(clip: SpriteClip) -> Tensor:
    """The pixels (T - 1, H, W) whose surface is surely seen at t + 1: away from the sprite's edges now and then."""
    size = clip.frames.shape[-1]
    masks = clip.masks[:, None].float()
    near_an_edge = F.max_pool2d(masks, 5, 1, 2) - -F.max_pool2d(-masks, 5, 1, 2) > 0
    is_sprite_later = followed_back(masks.expand(-1, 3, -1, -1), clip.flow)[:, 0]
    near_an_edge_later = followed_back(near_an_edge.float().expand(-1, 3, -1, -1), clip.flow)[:, 0] > 0.01
    same_surface = (is_sprite_later - masks[:-1, 0]).abs() < 0.01
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    x, y = columns + clip.flow[:, 0], rows + clip.flow[:, 1]
    stays = (x >= 1) & (x < size - 1) & (y >= 1) & (y < size - 1)
    return same_surface & ~near_an_edge[:-1, 0] & ~near_an_edge_later & stays


@pytest.mark.parametrize("camera_motion", [False, True])
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_flow_leads_to_where_the_same_surface_is_seen_next(motion, camera_motion):
    for clip in of_motion(motion, 4, size=96, camera_motion=camera_motion):
        where = certain(clip)
        errors = (followed_back(clip.frames, clip.flow) - clip.frames[:-1]).abs().mean(1)
        assert where.float().mean() > 0.5
        assert errors[where].mean() < 1.5  # of 255; what interpolation between pixels costs
        is_jump = clip.flow.abs().amax((1, 2, 3)) > 10
        on_sprite = where & clip.masks[:-1] & ~is_jump[:, None, None]
        assert on_sprite.sum() > 100
        unmoved = (clip.frames[1:].float() - clip.frames[:-1]).abs().mean(1)
        assert errors[on_sprite].mean() < 0.5 * unmoved[on_sprite].mean() + 0.5


def centres_of(masks: Tensor) -> Tensor:
    """The mean x and y (T, 2) of each mask's pixels."""
    return torch.stack([mask.nonzero().float().mean(0).flip(0) for mask in masks])


def test_the_flow_of_a_sprite_is_how_its_mask_moves():
    """A second way to the same numbers, without rendering: the middles of masks that stay whole and do not jump."""
    num_compared = 0
    for clip in of_motion("right", 30) + of_motion("up", 30):
        is_whole = clip.boxes.min() > 0 and clip.boxes.max() < 64
        if is_whole and clip.flow.abs().max() < 10:
            mean_flow = torch.stack([flow[:, mask].mean(1) for flow, mask in zip(clip.flow, clip.masks, strict=False)])
            first, last = centres_of(clip.masks)[[0, -1]]
            torch.testing.assert_close(mean_flow.sum(0), last - first, atol=0.6, rtol=0)
            num_compared += 1
    assert num_compared > 10


def swirl_and_spread(clip: SpriteClip) -> tuple[Tensor, Tensor]:
    """The median over time of how the sprite turns clockwise, and how it grows, by its flow alone."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    rates = []
    for flow, mask in zip(clip.flow, clip.masks, strict=False):
        x, y = columns[mask] - columns[mask].mean(), rows[mask] - rows[mask].mean()
        u, v = flow[:, mask] - flow[:, mask].mean(1, keepdim=True)
        rates.append(torch.stack([(x * v - y * u).sum(), (x * u + y * v).sum()]) / (x**2 + y**2).sum())
    return tuple(torch.stack(rates).median(0).values)


def test_what_the_easy_classes_are_called_is_what_is_seen():
    for name, (axis, sign) in {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}.items():
        for clip in of_motion(name, 5):
            velocity = torch.stack([flow[:, mask].mean(1) for flow, mask in zip(clip.flow, clip.masks, strict=False)])
            assert sign * velocity.median(0).values[axis] > 0.1
            assert velocity[:, 1 - axis].abs().max() < 1e-3
    for name, (kind, sign) in {
        "clockwise": (0, 1),
        "anticlockwise": (0, -1),
        "growing": (1, 1),
        "shrinking": (1, -1),
    }.items():
        for clip in of_motion(name, 5):
            rates = swirl_and_spread(clip)
            assert sign * rates[kind] > 0.01
            assert abs(rates[1 - kind]) < 0.5 * abs(rates[kind])


def widened(masks: Tensor) -> Tensor:
    """Masks (T, H, W) with the pixels around them, which the sprite may cover in part."""
    return F.max_pool2d(masks[:, None].float(), 5, 1, 2)[:, 0] > 0


def test_boxes_hold_what_differs_from_the_background():
    """Without the mask: over many ways to move, a pixel is mostly the background's."""
    is_tight = []
    for index in range(6):
        clips = [sprite(index, classes=[motion]) for motion in ("left", "right", "up", "down", "orbit")]
        background = torch.cat([clip.frames for clip in clips]).float().median(0).values
        is_known = torch.cat([widened(clip.masks) for clip in clips]).float().mean(0) < 0.4
        for frame, box in zip(clips[-1].frames, clips[-1].boxes.int(), strict=True):
            rows, columns = (((frame - background).abs().sum(0) > 60) & is_known).nonzero().unbind(1)
            seen = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            outside = torch.cat([box[:2] - seen[:2], seen[2:] - box[2:]])
            assert outside.max() <= 2  # the tip of a star covers less than half of its last pixels
            is_tight.append(outside.min() >= -1)
    assert np.mean(is_tight) > 0.3


def test_boxes_are_the_extent_of_the_masks():
    for clip in of_motion("growing", 4, camera_motion=True):
        for (left, top, right, bottom), mask in zip(clip.boxes.int().tolist(), clip.masks, strict=True):
            rows, columns = mask.nonzero().unbind(1)
            extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert (left, top, right, bottom) == tuple(map(int, extent))


def test_a_camera_moves_the_background():
    still, moving = sprite(2), sprite(2, camera_motion=True)
    outside = ~widened(still.masks).any(0) & ~widened(moving.masks).any(0)
    assert (still.frames[0] == still.frames[-1])[:, outside].all()
    assert (still.flow[:, :, outside] == 0).all()
    assert (moving.frames[0] != moving.frames[-1])[:, outside].float().mean() > 0.5
    assert moving.flow[:, :, outside].abs().mean() > 0.01


# Hard classes


def speeds(clip: SpriteClip) -> Tensor:
    """Of the sprite's middle, in pixels a frame; the flow's jumps at the edge are taken out."""
    velocity = torch.stack([flow[:, mask].mean(1) for flow, mask in zip(clip.flow, clip.masks, strict=False)])
    speed = velocity.norm(dim=1)
    return speed[speed < 10]


def test_what_accelerates_ends_faster_and_what_decelerates_slower():
    for clip in of_motion("accelerate", 8):
        assert speeds(clip)[-3:].mean() > 2 * speeds(clip)[:3].mean()
    for clip in of_motion("decelerate", 8):
        assert speeds(clip)[-3:].mean() < 0.5 * speeds(clip)[:3].mean()


@pytest.mark.parametrize("seed", range(20))
def test_a_ball_that_bounces_is_where_small_steps_bring_it(seed):
    """The closed form against a walk that turns round at the edge of the disc, and at least once."""
    generator = np.random.default_rng(seed)
    state, course = draw_state(generator), draw_course(generator, 16)
    position, velocity, num_bounces = complex(state.position), course.heading, 0
    across = (position / course.heading).imag
    num_steps = 20_000
    step = 2 * course.reach * 2 * np.sqrt(1 - across**2) / num_steps
    for _ in range(num_steps):
        if abs(position + step * velocity) > 1:
            velocity, num_bounces = -velocity, num_bounces + 1
        position += step * velocity
    assert num_bounces >= 1
    assert HARD["bounce"](state, course).position[-1] == pytest.approx(position, abs=1e-2)


def test_what_orbits_keeps_its_distance_and_its_angle():
    generator = np.random.default_rng(0)
    state, course = draw_state(generator), draw_course(generator, 16)
    orbit = HARD["orbit"](state, course)
    np.testing.assert_allclose(np.abs(orbit.position), abs(state.position))
    assert orbit.turn == state.turn
    assert np.abs(np.diff(np.angle(orbit.position))).min() > 0


def test_two_events_differ_in_their_order_alone():
    generator = np.random.default_rng(0)
    state, course = draw_state(generator), draw_course(generator, 17)
    first, second = (HARD[name](state, course) for name in ("grow_then_turn", "turn_then_grow"))
    assert (first.turn[:9] == first.turn[0]).all()
    assert (second.growth[:9] == second.growth[0]).all()
    assert first.turn[-1] == pytest.approx(second.turn[-1])
    assert first.growth[-1] == pytest.approx(second.growth[-1])
    assert first.growth[8] != first.growth[0]


# No single frame tells the class


@pytest.mark.parametrize("motion", MOTIONS)
def test_states_are_uniform_in_every_frame_of_every_motion(motion):
    """By Kolmogorov and Smirnov, at a level of about one in a thousand for each of a few hundred comparisons."""
    num_draws, num_frames = 2000, 4
    generator = np.random.default_rng(0)
    coordinates = np.zeros((4, num_draws, num_frames))
    for draw in range(num_draws):
        state = MOTIONS[motion](draw_state(generator), draw_course(generator, num_frames))
        coordinates[:, draw] = [
            np.broadcast_to(values, num_frames)
            for values in (
                np.abs(state.position) ** 2,
                np.angle(state.position) / (2 * np.pi) % 1,
                state.turn,
                state.growth,
            )
        ]
    expected = (np.arange(num_draws) + 0.5) / num_draws
    distances = np.abs(np.sort(coordinates, axis=1) - expected[None, :, None]).max(axis=1)
    assert distances.max() < 2.2 / np.sqrt(num_draws)


@pytest.fixture(scope="module")
def clips() -> tuple[Tensor, Tensor, Tensor]:
    """Frames (N, T, 3, S, S), labels (N,) and boxes (N, T, 4) of the easy classes."""
    clips = [sprite(index, num_frames=8, size=32) for index in range(NUM_TRAINING + NUM_TEST)]
    frames = torch.stack([clip.frames for clip in clips]) / 255 - 0.5
    return frames, torch.tensor([clip.label for clip in clips]), torch.stack([clip.boxes for clip in clips])


def accuracy(classifier, features: Tensor, labels: Tensor) -> float:
    classifier.fit(features[:NUM_TRAINING], labels[:NUM_TRAINING])
    return classifier.score(features[NUM_TRAINING:], labels[NUM_TRAINING:])


@pytest.mark.parametrize("time", [0, 4, 7])
def test_a_linear_classifier_of_one_frame_is_near_chance(clips, time):
    frames, labels, _ = clips
    assert accuracy(RidgeClassifier(1e3), frames[:, time].flatten(1), labels) < NEAR_CHANCE


def small_network(num_labels: int = 8) -> nn.Module:
    widths = (3, 16, 32, 64)
    blocks = [
        layer
        for inside, outside in itertools.pairwise(widths)
        for layer in (nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.BatchNorm2d(outside), nn.ReLU())
    ]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 16, num_labels))


def trained_accuracy(network: nn.Module, inputs: Tensor, labels: Tensor, num_epochs: int) -> float:
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    for _ in range(num_epochs):
        for batch in torch.randperm(NUM_TRAINING).split(32):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        predicted = network(inputs[NUM_TRAINING:]).argmax(1)
    return (predicted == labels[NUM_TRAINING:]).float().mean().item()


def test_a_convolutional_network_of_one_frame_is_near_chance(clips):
    torch.manual_seed(0)
    frames, labels, _ = clips
    assert trained_accuracy(small_network(), frames[:, 4], labels, num_epochs=4) < NEAR_CHANCE


def test_the_same_network_of_one_frame_tells_where_a_sprite_is(clips):
    """So it is not for its weakness that it finds no class: one that kept to a place it would find."""
    torch.manual_seed(0)
    frames, _, boxes = clips
    middle = boxes[:, 4].reshape(-1, 2, 2).mean(1)
    quadrant = (middle > 16).long() @ torch.tensor([1, 2])
    assert trained_accuracy(small_network(4), frames[:, 4], quadrant, num_epochs=2) > 0.6


def motion_of(frames: Tensor) -> Tensor:
    """The median over time of the motion across, down, round and apart that best explains the changes of brightness."""
    brightness = frames.mean(2)
    change, mean = brightness.diff(dim=1), (brightness[:, 1:] + brightness[:, :-1]) / 2
    slope_y, slope_x = torch.gradient(mean, dim=(2, 3))
    weight = change.abs() / change.abs().sum((2, 3), keepdim=True).clamp_min(1e-6)
    grid = torch.arange(frames.shape[-1]).float()
    x = grid - (weight * grid).sum((2, 3), keepdim=True)
    y = grid[:, None] - (weight * grid[:, None]).sum((2, 3), keepdim=True)
    effects = [slope_x, slope_y, x * slope_y - y * slope_x, x * slope_x + y * slope_y]
    rates = [-(change * effect).sum((2, 3)) / (effect**2).sum((2, 3)).clamp_min(1e-6) for effect in effects]
    return torch.stack(rates, dim=-1).median(1).values


def test_what_changes_between_frames_tells_the_class(clips):
    frames, labels, _ = clips
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    assert accuracy(classifier, motion_of(frames), labels) > 0.9


# Data sets


def test_a_data_set_gives_items_like_those_of_videos():
    dataset = SpriteDataset(12, first=100, size=32, num_frames=4)
    item = dataset[3]
    assert set(item) == {"views", "targets", "index"}
    pixels = item["views"]["clip"]["pixel_values_videos"]
    assert pixels.dtype == torch.float32
    expected = (sprite(103, size=32, num_frames=4).frames / 255 - 0.5) / 0.25
    torch.testing.assert_close(pixels, expected)
    assert (len(dataset), item["index"], item["targets"]) == (12, 3, {"label": 103 % 8})
    assert [item["targets"]["label"] for item in dataset] == dataset.label_ids()


def test_a_clip_maker_makes_the_pixel_values():
    processor = VideoProcessor(num_frames=4, size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    item = SpriteDataset(2, size=32, num_frames=8, clip_maker=ClipMaker(processor, {"clip": View()}))[1]
    expected = processor(sprite(1, size=32, num_frames=8).frames, return_tensors="pt").pixel_values_videos[0]
    assert torch.equal(item["views"]["clip"]["pixel_values_videos"], expected)


def test_random_views_of_a_clip_differ_in_each_epoch_and_are_the_same_in_every_worker():
    side = {"height": 24, "width": 24}
    processor = VideoProcessor(num_frames=4, size=side, crop_size=side)
    changed = View(is_random=True, changes=make_training_changes())
    dataset = SpriteDataset(4, size=32, num_frames=8, clip_maker=ClipMaker(processor, {"one": changed, "two": changed}))
    first = [item["views"] for item in dataset]
    assert not torch.equal(*(first[0][name]["pixel_values_videos"] for name in ("one", "two")))
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    for epoch, is_alike in ((0, True), (1, False), (0, True)):
        dataset.set_epoch(epoch)
        for views, item in zip(first, loader, strict=True):
            same = torch.equal(views["one"]["pixel_values_videos"], item["views"]["one"]["pixel_values_videos"])
            assert same == is_alike


def test_frames_flow_and_sound_of_a_sprite_go_through_a_processor_in_step():
    side = {"height": 32, "width": 32}
    processor = JointProcessor(
        {
            "pixel_values_videos": VideoProcessor(num_frames=8, size=side, crop_size=side),
            "flow_values": FlowProcessor(num_frames=7, size=side, crop_size=side),
            "input_values": SoundProcessor(num_samples=4000, sampling_rate=8000),
        }
    )
    dataset = SpriteDataset(2, size=32, num_frames=8, clip_maker=ClipMaker(processor, {"clip": View()}))
    views = dataset[1]["views"]["clip"]
    clip = sprite(1, size=32, num_frames=8)
    assert views["pixel_values_videos"].shape == (8, 3, 32, 32)
    assert views["flow_values"].shape == (7, 2, 32, 32)
    assert torch.equal(views["flow_values"], clip.flow)
    torch.testing.assert_close(views["input_values"], clip.make_sound(fps=16, sample_rate=8000))


def test_an_item_has_the_targets_that_are_asked_for_numbered_alike_in_every_clip():
    kinds = ["label", "labels", "scene", "boxes", "masks", "flow", "depth", "caption", "questions"]
    dataset = SpriteDataset(6, size=32, num_frames=4, num_sprites=2, targets=kinds)
    batch = collate_targets([item["targets"] for item in dataset])
    assert list(batch) == kinds
    for index in range(6):
        clip = sprite(index, size=32, num_frames=4, num_sprites=2)
        assert dataset.names["label"][batch["label"][index]] == clip.targets["label"].name
        assert dataset.names["scene"][batch["scene"][index]] == clip.targets["scene"].name
        assert torch.equal(batch["masks"]["masks"][index], clip.things.int())
        assert torch.equal(batch["flow"]["flow"][index], clip.flow)
        answers = batch["questions"]["answers"][index][batch["questions"]["mask"][index]].tolist()
        assert [dataset.names["questions"][number] for number in answers] == [
            pair.answer for pair in clip.targets["questions"].pairs
        ]


def test_a_stream_has_no_end_and_its_workers_share_it():
    stream = SpriteStream(first=10, size=16, num_frames=2)
    alone = [item["index"] for item in itertools.islice(stream, 6)]
    shared = [item["index"] for item in itertools.islice(DataLoader(stream, batch_size=None, num_workers=2), 6)]
    assert alone == sorted(shared) == list(range(10, 16))


def test_labels_are_balanced():
    counts = np.bincount(SpriteDataset(48, classes=HARD).label_ids())
    assert counts.tolist() == [8] * 6


# Files

SMALL = {"size": 32, "num_frames": 5, "show_progress": False}


def test_files_decode_to_nearly_the_tensors(tmp_path):
    write_sprites(tmp_path / "out", 16, fps=10, **SMALL)
    with (tmp_path / "out" / "labels.csv").open() as table:
        rows = list(csv.DictReader(table))
    own = ["path", "label", "split", "group", "frames", "fps"]
    assert list(rows[0]) == [*own, "labels", "scene", "caption", "boxes", "questions", "masks", "depth", "flow"]
    for index, row in enumerate(rows):
        clip = sprite(index, size=32, num_frames=5)
        with VideoReader(tmp_path / "out" / row["path"]) as reader:
            decoded = reader.frames_at(range(len(reader)))
            assert reader.metadata.fps == int(row["fps"]) == 10
        assert len(decoded) == int(row["frames"]) == 5
        assert (decoded.float() - clip.frames.float()).abs().mean() < 8  # chroma at half the resolution
        assert row["label"] == sorted(EASY)[clip.label]


def test_files_lie_in_class_folders_and_are_a_data_set(tmp_path):
    write_sprites(tmp_path / "out", 64, test_share=0.25, **SMALL)
    by_table = load_videos(tmp_path / "out")
    train, test = (load_videos(tmp_path / "out", split) for split in ("train", "test"))
    assert by_table.labels == SpriteSettings().labels
    assert (len(train), len(test)) == (48, 16)
    assert np.bincount(train.label_ids()).tolist() == [6] * 8
    assert not {record.group for record in train} & {record.group for record in test}
    assert all(Path(record.source).parent.name == record.label for record in by_table)
    assert all(Path(record.source).parent.parent.name == record.split for record in by_table)


def test_writing_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    write_sprites(whole, 16, **SMALL)
    write_video = files.write_video

    def write_three(path, *arguments):
        if path.name == "000003.mp4":
            raise KeyboardInterrupt
        write_video(path, *arguments)

    monkeypatch.setattr(files, "write_video", write_three)
    with pytest.raises(KeyboardInterrupt):
        write_sprites(stopped, 16, **SMALL)
    monkeypatch.undo()
    assert not (stopped / "labels.csv").exists()
    done = {path: path.stat().st_mtime_ns for path in stopped.rglob("*.mp4")}
    assert len(done) == 3
    write_sprites(stopped, 16, **SMALL)
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert_same_set(stopped, whole)


def assert_same_set(folder: Path, expected: Path) -> None:
    """The same files with the same contents; of videos the same clips, which x264 does not encode twice alike."""
    found, wanted = contents(folder), contents(expected)
    assert found.keys() == wanted.keys()
    assert all(found[name] == wanted[name] for name in wanted if not name.endswith(".mp4"))
    names = sorted(name for name in wanted if name.endswith(".mp4"))
    frames = torch.stack([decode_from_start(folder / name) for name in names]).flatten(1).float()
    others = torch.stack([decode_from_start(expected / name) for name in names]).flatten(1).float()
    distances = torch.cdist(frames, others, p=1) / frames.shape[1]
    to_others = distances + torch.eye(len(names)) * 255
    assert (4 * distances.diagonal() < to_others.amin(1)).all()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_more_clips_join_those_that_are_there(tmp_path):
    write_sprites(tmp_path / "grown", 8, **SMALL)
    write_sprites(tmp_path / "grown", 40, **SMALL)
    write_sprites(tmp_path / "at_once", 40, **SMALL)
    assert_same_set(tmp_path / "grown", tmp_path / "at_once")


def test_a_folder_of_other_sprites_or_other_things_is_left_alone(tmp_path):
    write_sprites(tmp_path / "out", 8, **SMALL)
    before = contents(tmp_path / "out")
    with pytest.raises(DataError, match=re.escape("begun with other settings (seed 0 → 1)")):
        write_sprites(tmp_path / "out", 8, seed=1, **SMALL)
    with pytest.raises(DataError, match="num_clips 8 → 4"):
        write_sprites(tmp_path / "out", 4, **SMALL)
    assert contents(tmp_path / "out") == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="holds no sprites"):
        write_sprites(tmp_path / "other", 8, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clips": 0}, "num_clips is 0"),
        ({"fps": 0}, "fps 0"),
        ({"test_share": 1.0}, "test_share is 1.0; it must be 0 or more and less than 1"),
        ({"size": 33}, "size is 33; video files have sides of an even number of pixels"),
    ],
)
def test_what_cannot_be_written_is_refused_before_a_folder_is_made(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_sprites(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_a_data_set_and_says_what(tmp_path, capsys):
    numbers = "--num-videos 24 --image-size 32 --num-frames 4 --fps 8 --test-share 0.5 --seed 3"
    words = ["--output", str(tmp_path / "out"), "--motions", "hard", "--camera-motion", *numbers.split()]
    assert main(["sprites", *words]) == 0
    assert "12 to train, 12 to test, 6 classes" in capsys.readouterr().err
    assert load_videos(tmp_path / "out").labels == tuple(sorted(HARD))


def test_the_command_explains_a_wrong_word(tmp_path, capsys):
    assert main(["sprites", "--output", str(tmp_path / "out"), "--fps", "0"]) == 2
    assert "fps 0; both must be 1 or more" in capsys.readouterr().err


def test_shapes_lie_in_the_circle_and_cover_some_of_it():
    grid = np.linspace(-1.5, 1.5, 151, dtype=np.float32)
    points = (grid[None] + 1j * grid[:, None]).astype(np.complex64)
    for shape in SHAPES.values():
        inside = shape(points) < 0
        assert inside.any()
        assert np.abs(points[inside]).max() <= 1.001
        assert 0.2 < inside.sum() * 0.02**2 / np.pi <= 1.01
