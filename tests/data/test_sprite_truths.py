"""What sprites say of themselves, in targets, words and sound, is what their pixels show."""

import colorsys
import csv
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from muybridge.cli import main
from muybridge.data import VideoRecord, check_videos, load_videos, sprite, write_sprites
from muybridge.data.sprites.appearance import HUES, PATTERNS
from muybridge.data.sprites.rendering import render
from muybridge.data.sprites.scenes import Scene
from muybridge.data.sprites.sound import LOUD_SPEED, SAMPLE_RATE
from muybridge.data.sprites.words import VERBS

GOLDEN = Path(__file__).parents[1] / "goldens" / "sprites.npz"
SETS = {
    "easy": {},
    "hard": {"classes": "hard"},
    "appearance": {"classes": "appearance", "seed": 3},
    "camera": {"classes": "all", "camera_motion": True},
}


@pytest.mark.parametrize("number", [1, 6])
@pytest.mark.parametrize("name", SETS)
def test_clips_are_those_that_were_recorded_before_there_were_several_sprites(name, number):
    """Rounding may differ by a level of 255 on another processor, and does so nowhere on the one that recorded."""
    clip = sprite(number, num_frames=4, size=24, **SETS[name])
    with np.load(GOLDEN) as golden:
        recorded = {
            field: golden[f"{name}/{number}/{field}"] for field in ("frames", "label", "flow", "boxes", "masks")
        }
    differences = (clip.frames.int() - torch.from_numpy(recorded["frames"]).int()).abs()
    assert differences.max() <= 1
    assert (differences > 0).float().mean() < 1e-3
    assert clip.label == recorded["label"]
    np.testing.assert_allclose(clip.flow, recorded["flow"], atol=1e-3)
    np.testing.assert_array_equal(clip.boxes, recorded["boxes"])
    np.testing.assert_array_equal(clip.masks, recorded["masks"])


# Several sprites


@pytest.mark.parametrize("camera_motion", [False, True])
def test_what_is_in_front_hides_what_is_behind_it(camera_motion):
    """The masks and colours of several sprites against those of each alone, laid over each other."""
    num_hidden = 0
    for index in range(6):
        clip = sprite(index, num_sprites=3, num_frames=8, camera_motion=camera_motion)
        assert len(clip.scene.sprites) == 3
        empty, *alone = [
            render(Scene(sprites, clip.scene.background, clip.scene.camera), 64)
            for sprites in ([], *([each] for each in clip.scene.sprites))
        ]
        whole = torch.from_numpy(np.stack([rendered.things for rendered in alone])) == 1  # (sprite, T, H, W)
        depth = torch.where(whole.any(0), whole.int().argmax(0) + 1, 0)
        assert torch.equal(clip.things.int(), depth.int())
        num_hidden += int((whole.sum(0) > 1).sum())
        is_in_front = torch.zeros_like(clip.masks)
        for number, rendered in enumerate(alone, start=1):
            inside = erode(whole[number - 1]) & ~is_in_front
            assert measure_difference(clip.frames, torch.from_numpy(rendered.frames), inside) <= 1
            is_in_front |= torch.from_numpy((rendered.frames != empty.frames).any(1))
            flow = torch.from_numpy(rendered.flow).transpose(0, 1)[:, (clip.things == number)[:-1]]
            assert torch.equal(clip.flow.transpose(0, 1)[:, (clip.things == number)[:-1]], flow)
    assert num_hidden > 1000


def measure_difference(frames: Tensor, others: Tensor, mask: Tensor) -> int:
    """By how many levels of 255 frames (T, 3, H, W) differ at most where the mask (T, H, W) is true."""
    differences = (frames.int() - others.int()).abs().amax(1)[mask]
    return int(differences.max()) if len(differences) else 0


def erode(masks: Tensor) -> Tensor:
    """Masks (T, H, W) without the pixels at their edges, which show something of both sides."""
    return -torch.nn.functional.max_pool2d(-masks[:, None].float(), 5, 1, 2)[:, 0] == 1


def test_the_sprite_in_front_is_the_same_with_others_behind_it():
    """So is the label, which it tells."""
    alone, several = sprite(5), sprite(5, num_sprites=3)
    assert torch.equal(alone.masks, several.masks)
    inside = erode(alone.masks)
    assert measure_difference(alone.frames, several.frames, inside) <= 1
    assert alone.targets["label"] == several.targets["label"]


def test_depth_grows_from_the_sprite_in_front_to_the_background():
    clip = sprite(2, num_sprites=3)
    depth = torch.from_numpy(clip.targets["depth"].load())
    assert depth.unique().tolist() == [1, 2, 3, 4]
    assert (depth[clip.things == 0] == 4).all()
    for number in (1, 2, 3):
        assert (depth[clip.things == number] == number).all()


def test_boxes_hold_what_is_seen_of_each_sprite_in_each_frame():
    for index in range(5):
        clip = sprite(index, num_sprites=3, num_frames=8, camera_motion=True)
        boxes = {(box.frame, int(box.identity)): box for box in clip.targets["boxes"].boxes}
        for frame in range(8):
            for number in (1, 2, 3):
                rows, columns = (clip.things[frame] == number).nonzero().unbind(1)
                if not len(rows):
                    assert (frame, number) not in boxes
                    continue
                box = boxes[frame, number]
                extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                assert tuple(box[:4]) == tuple(map(float, extent))
                assert box.label == clip.scene.sprites[number - 1].look.shape


def test_the_set_of_labels_is_what_all_sprites_do_or_are():
    moving, shapes = sprite(3, num_sprites=4), sprite(3, num_sprites=4, classes="appearance")
    assert set(moving.targets["labels"].names) == {each.motion for each in moving.scene.sprites}
    assert set(shapes.targets["labels"].names) == {each.look.shape for each in shapes.scene.sprites}
    for clip in (moving, shapes):
        assert clip.targets["label"].name in clip.targets["labels"].names
        assert clip.settings.labels[clip.label] == clip.targets["label"].name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_sprites": 0}, "num_sprites is 0; it must be 1 or more"),
        ({"num_sprites": 255}, "num_sprites is 255; it must be 254 or less"),
        ({"num_colours": 3}, "num_colours is 3; it must be 1 or 2"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sprite(0, **settings)


# Words


def name_of_hue(colour: Tensor) -> str:
    """The name of a colour (3,) that is nearest on the circle of hues."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*(colour / 255).tolist())
    assert saturation > 0.3
    return min(HUES, key=lambda name: min(abs(hue - HUES[name] - turn) for turn in (-1, 0, 1)))


def test_the_one_colour_that_a_caption_names_is_that_of_the_pixels():
    for index in range(40):
        clip = sprite(index, num_colours=1)
        name, shape = clip.targets["caption"].texts[0].split()[1:3]
        assert shape == clip.scene.sprites[0].look.shape
        inside = erode(erode(clip.masks))
        if inside.sum() > 50:
            assert name_of_hue(clip.frames.transpose(0, 1)[:, inside].float().mean(1)) == name


def test_the_two_colours_that_a_caption_names_are_those_of_most_pixels():
    shares = []
    for index in range(40):
        clip = sprite(index)
        names = clip.scene.sprites[0].look.colours
        assert clip.targets["caption"].texts[0].split()[1 : 2 * len(names)] == " and ".join(names).split()
        inside = erode(erode(clip.masks))
        pixels = clip.frames.transpose(0, 1)[:, inside].float().T
        vivid = [pixel for pixel in pixels[::7] if pixel.max() - pixel.min() > 0.5 * pixel.max()]
        shares += [np.mean([name_of_hue(pixel) in names for pixel in vivid])] if len(vivid) > 20 else []
    assert len(shares) > 10
    assert np.median(shares) > 0.8


@pytest.mark.parametrize(("words", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)])
def test_a_caption_says_where_the_flow_of_the_sprite_goes(words, axis, sign):
    for index in range(8):
        clip = sprite(index)
        is_said = f"moves {words}," in clip.targets["caption"].texts[1]
        velocity = torch.stack([flow[:, mask].mean(1) for flow, mask in zip(clip.flow, clip.masks, strict=False)])
        median = velocity.median(0).values
        assert is_said == bool(sign * median[axis] > 0.1 and median[1 - axis].abs() < 1e-3)


def test_captions_are_sentences():
    assert sprite(2, num_colours=1).targets["caption"].texts[0].startswith("a")
    (orange,) = {
        text.split()[0] for index in range(60) for text in sprite(index, num_colours=1).targets["caption"].texts
        if text.split()[1] == "orange"
    }  # fmt: skip
    assert orange == "an"
    for text in sprite(4, num_sprites=2).targets["caption"].texts:
        first, second, *_ = text.split(", ")
        assert any(first.endswith(verb) for verb in VERBS.values())
        assert second.startswith("behind it a")


def test_questions_are_answered_by_the_pixels_and_the_caption():
    for index in range(20):
        clip = sprite(index, num_sprites=2 + index % 3, num_colours=1)
        answers = dict(clip.targets["questions"].pairs)
        assert answers.pop("how many shapes are there?") == str(len(clip.scene.sprites))
        caption = clip.targets["caption"].texts[0]
        shapes = [box.label for box in clip.targets["boxes"].boxes]
        for question, answer in answers.items():
            shape = question.rstrip("?").split()[-1 if question.startswith("which colour") else 3]
            assert shape in shapes or shape in caption
            assert caption.count(f" {shape} ") == 1
            expected = f"{answer} {shape}" if question.startswith("which colour") else f"{shape} {answer}"
            assert expected in caption


def test_the_scene_is_the_pattern_of_the_background():
    """Stripes change in one direction alone; of the others each has more than one."""
    coherence: dict[str, list[float]] = {name: [] for name in PATTERNS}
    for index in range(150):
        clip = sprite(index, num_frames=1)
        picture = clip.frames[0].float().mean(0)
        outside = erode(~clip.masks)[0]
        gradient = torch.stack(torch.gradient(picture)) * outside
        smaller, larger = torch.linalg.eigvalsh(gradient.flatten(1) @ gradient.flatten(1).T)
        coherence[clip.targets["scene"].name].append(float((larger - smaller) / (larger + smaller)))
    medians = {name: np.median(values) for name, values in coherence.items()}
    assert medians["stripes"] > 0.95
    assert all(median < 0.85 for name, median in medians.items() if name != "stripes")


# Sound


def measure_pitch(sound: Tensor, first: int, stop: int, fps: int = 16) -> float:
    """The strongest frequency of the sound while frames `first` to `stop` are on display, by a Fourier transform."""
    part = sound[first * SAMPLE_RATE // fps : stop * SAMPLE_RATE // fps]
    spectrum = torch.fft.rfft(part * torch.hann_window(len(part)), n=1 << 17).abs()
    return float(spectrum.argmax()) * SAMPLE_RATE / (1 << 17)


def find_still_parts(clip, length: int = 6) -> list[int]:
    """The frames from which on a sprite neither jumps nor touches the picture's edge."""
    ends = (clip.boxes[:, :2] > 0).all(1) & (clip.boxes[:, 2:] < 64).all(1)
    calm = clip.flow.abs().amax((1, 2, 3)) < 10
    return [
        start
        for start in range(0, 16 - length)
        if ends[start : start + length].all() and calm[start : start + length].all()
    ]


@pytest.mark.parametrize("motion", ["up", "down", "left", "right"])
def test_the_pitch_goes_with_the_place_of_the_sprite(motion):
    """Two octaves over the height of the picture, one over its width; measured in the sound and in the boxes."""
    num_compared = 0
    for index in range(12):
        clip = sprite(index, classes=[motion])
        sound = clip.make_sound(fps=16)
        for start in find_still_parts(clip)[:1]:
            pitches = [measure_pitch(sound, start + shift, start + shift + 2) for shift in (0, 4)]
            centres = [
                sum((box[:2] + box[2:]) / 2 for box in clip.boxes[start + shift : start + shift + 3]) / 3
                for shift in (0, 4)
            ]
            right, down = ((centres[1] - centres[0]) / 64).tolist()
            assert np.log2(pitches[1] / pitches[0]) == pytest.approx(right - 2 * down, abs=0.06)
            num_compared += 1
    assert num_compared > 4


def test_what_grows_sounds_lower_and_what_shrinks_higher():
    for motion, sign in (("growing", -1), ("shrinking", 1)):
        for index in range(6):
            clip = sprite(index, classes=[motion])
            sound = clip.make_sound(fps=16)
            areas = clip.masks.flatten(1).sum(1).float()
            changes = (areas.diff() * -sign > 0).int()
            start = next((start for start in range(10) if changes[start : start + 5].all()), None)
            if start is not None:
                pitches = [measure_pitch(sound, start, start + 2), measure_pitch(sound, start + 3, start + 5)]
                assert sign * (pitches[1] - pitches[0]) > 0


def test_the_loudness_goes_with_the_speed():
    """Of sprites that get faster or slower, while two frames are on display between which nothing jumps."""
    num_compared = 0
    for index in range(40):
        clip = sprite(index, classes=["accelerate", "decelerate"])
        speeds = torch.stack(
            [flow[:, mask].norm(dim=0).mean() for flow, mask in zip(clip.flow, clip.masks, strict=False)]
        )
        sound = clip.make_sound(fps=16)
        for start in find_still_parts(clip)[:1]:
            if speeds[start : start + 6].max() < 64 * LOUD_SPEED:
                first, later = (
                    sound[frame * 1000 : (frame + 1) * 1000].square().mean().sqrt() for frame in (start, start + 4)
                )
                expected = speeds[start : start + 2].mean() / speeds[start + 4 : start + 6].mean()
                assert (first / later).item() == pytest.approx(expected.item(), rel=0.1)
                num_compared += 1
    assert num_compared > 10


def test_a_sound_is_as_long_as_its_clip_and_stays_in_range():
    for fps, rate in ((16, 16_000), (25, 8_000)):
        sound = sprite(0, num_frames=10, num_sprites=3).make_sound(fps, rate)
        assert len(sound) == round(10 / fps * rate)
        assert 0.01 < sound.abs().max() <= 0.5
    assert not sprite(0, num_frames=1).make_sound().any()


# Files

SMALL = {"size": 32, "num_frames": 5, "show_progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sprites") / "out"
    write_sprites(folder, 9, sound=True, num_sprites=2, camera_motion=True, **SMALL)
    return folder


def test_a_folder_of_sprites_gives_back_all_that_is_true_of_them(folder):
    records = load_videos(folder)
    assert not check_videos(records, min_seconds=0.0).findings
    for index, record in enumerate(records):
        clip = sprite(index, size=32, num_frames=5, num_sprites=2, camera_motion=True)
        assert list(record.sources) == ["video", "sound"]
        assert record.sources["video"] == record.sources["sound"]
        assert record.targets.keys() == clip.targets.keys()
        for kind in ("label", "labels", "scene", "caption", "questions", "boxes"):
            assert record.targets[kind] == clip.targets[kind]
        for kind in ("masks", "depth"):
            assert np.array_equal(record.targets[kind].load(), clip.targets[kind].load())
        np.testing.assert_allclose(record.targets["flow"].load(), clip.flow, rtol=1e-3, atol=1e-3)


def test_the_sound_in_a_file_is_that_of_its_clip_and_in_step(folder):
    for index, record in enumerate(load_videos(folder)):
        expected = sprite(index, size=32, num_frames=5, num_sprites=2, camera_motion=True).make_sound(fps=16)
        with av.open(record.source) as container:
            (stream,) = container.streams.audio
            frames = list(container.decode(stream))
            assert stream.rate == SAMPLE_RATE
            assert frames[0].pts == 0
            video = container.streams.video[0]
            assert float(video.duration * video.time_base) == pytest.approx(len(expected) / SAMPLE_RATE, abs=1e-3)
        sound = np.concatenate([frame.to_ndarray()[0] for frame in frames]) / 32767
        np.testing.assert_allclose(sound, expected, atol=2e-5)


def test_readers_of_a_folder_of_sprites_give_frames_and_sound_in_step(folder):
    records = load_videos(folder)
    clip = sprite(3, size=32, num_frames=5, num_sprites=2, camera_motion=True)
    with records.open_all(records[3]) as readers:
        assert [reader.modality for reader in readers.values()] == ["video", "sound"]
        sound = readers["sound"].frames_at(range(len(readers["sound"])))
        torch.testing.assert_close(sound, clip.make_sound(fps=16), atol=1e-4, rtol=0)
        frames = readers["video"].frames_at(range(5)).float()
    assert (frames - clip.frames.float()).abs().mean() < 8
    part = replace(records[3], start_seconds=2 / 16, end_seconds=4 / 16)
    with records.open_all(part) as readers:
        assert len(readers["video"]) == 2
        sound = readers["sound"].frames_at(range(2000))
        torch.testing.assert_close(sound, clip.make_sound(fps=16)[2000:4000], atol=1e-4, rtol=0)
        assert torch.equal(readers["video"].frames_at([0]).float(), frames[[2]])
    with records.open(VideoRecord(records[3].source), "sound") as reader:  # of the video's own file
        assert reader.modality == "sound"


def test_files_without_sound_and_truths_have_labels_alone(tmp_path):
    write_sprites(tmp_path / "out", 8, truths=False, **SMALL)
    assert {path.suffix for path in (tmp_path / "out").rglob("*.*")} == {".mp4", ".csv", ".json"}
    assert [path.name for path in (tmp_path / "out").rglob("*.json")] == ["sprites.json"]
    (record, *_) = load_videos(tmp_path / "out")
    assert list(record.targets) == ["label"]
    with av.open(record.source) as container:
        assert not container.streams.audio


def test_the_command_writes_several_sprites_with_sound(tmp_path):
    words = "--num-videos 8 --image-size 32 --num-frames 4 --num-sprites 2 --num-colours 1 --sound"
    assert main(["sprites", "--output", str(tmp_path / "out"), *words.split()]) == 0
    with (tmp_path / "out" / "labels.csv").open() as file:
        (row, *_) = csv.DictReader(file)
    assert row["path_sound"] == row["path"]
    assert ", behind it a" in row["caption"]
