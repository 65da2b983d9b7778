"""Networks of all kinds go every road: transformers' own, of several inputs, of sound, of flow, of several tasks.

What is expected is what the network itself gives for what its processor gives, one video at a time.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

import toys
from clips import moving_square, write_clip, write_sound
from muybridge import Protocol, VideoClassificationPipeline
from muybridge.cli import main
from muybridge.data import VideoRecord, VideoRecords
from muybridge.evaluation import evaluate, extract_features
from muybridge.models import ARCHITECTURES, load_model, load_processor
from muybridge.models.registry import FOREIGN_ARCHITECTURES
from muybridge.processing import FlowProcessor, JointProcessor, SoundProcessor, VideoProcessor
from muybridge.video import MemoryReader

LABELS = ["left", "right", "up"]
OF_TRANSFORMERS = {name: each for name, each in FOREIGN_ARCHITECTURES.items() if each.task == "video-classification"}


def assert_probabilities(labels, expected):
    """The labels of a pipeline against probabilities (L,)."""
    scores = {label["label"]: label["score"] for label in labels}
    assert [scores[name] for name in LABELS] == pytest.approx(expected.tolist(), abs=1e-5)


def make(architecture, **fields):
    """A small network whose scores differ by more than rounding."""
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config(id2label=dict(enumerate(LABELS)), **fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


# Of transformers


@pytest.fixture(scope="module", params=OF_TRANSFORMERS)
def checkpoint(request, tmp_path_factory) -> Path:
    """A checkpoint as transformers saves it, with the file of its own processor."""
    folder = tmp_path_factory.mktemp(request.param)
    model = make(OF_TRANSFORMERS[request.param])
    model.save_pretrained(folder)
    numbers = {
        "do_resize": True, "size": {"shortest_edge": 36}, "resample": 2, "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.3, 0.2, 0.1],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(numbers))
    return folder


@pytest.fixture
def theirs(checkpoint):
    """The network as transformers has it."""
    return AutoModelForVideoClassification.from_pretrained(checkpoint).eval()


@pytest.fixture
def their_inputs(checkpoint, videos):
    return load_processor(checkpoint)(videos[0].source, return_tensors="pt")


def test_a_network_of_transformers_is_judged_by_its_own_logits(checkpoint, theirs, videos):
    processor = load_processor(checkpoint)
    result = evaluate(checkpoint, videos, "video-10x1", batch_size=4)
    for place in (0, 4, 8):
        views = processor(videos[place].source, num_clips=10, return_tensors="pt")[processor.model_input_names[0]][0]
        with torch.no_grad():
            logits = theirs(views).logits.reshape(10, 3)
        assert_close(torch.from_numpy(result.scores.logits[place]), logits, rtol=1e-4, atol=1e-5)
    assert len(result.scores.unreadable) == 1


def test_the_features_of_its_stages_are_the_means_of_its_hidden_states(checkpoint, theirs, their_inputs, videos):
    names = load_model(checkpoint).get_stage_names()
    outputs = {}
    for name in names:
        theirs.get_submodule(name).register_forward_hook(
            lambda _module, _given, output, name=name: outputs.update(
                {name: output if isinstance(output, torch.Tensor) else output[0]}
            )
        )
    with torch.no_grad():
        hidden_states = theirs(**their_inputs, output_hidden_states=True).hidden_states
    assert sum(any(is_same(output, hidden) for output in outputs.values()) for hidden in hidden_states) >= 3
    for number, name in enumerate(names):
        for stage in (name, number):
            features = extract_features(checkpoint, videos.select([0]), stage=stage)
            expected = outputs[name].flatten(0, -2).mean(dim=0)  # of one video
            assert_close(torch.from_numpy(features.values[0]), expected, rtol=0, atol=1e-5)


def is_same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, rtol=0, atol=1e-5)


def test_its_features_are_what_its_classifier_gets(checkpoint, theirs, their_inputs, videos):
    found = []
    linear = [module for module in theirs.modules() if getattr(module, "out_features", None) == len(LABELS)][-1]
    linear.register_forward_pre_hook(lambda _module, given: found.append(given[0]))
    with torch.no_grad():
        theirs(**their_inputs)
    features = extract_features(checkpoint, videos.select([0]))
    assert_close(torch.from_numpy(features.values), found[0].reshape(1, -1), rtol=0, atol=1e-5)


def test_it_runs_in_the_pipeline_with_views(checkpoint, theirs, videos):
    processor = load_processor(checkpoint)
    views = processor(videos[0].source, num_clips=3, return_tensors="pt")[processor.model_input_names[0]][0]
    with torch.no_grad():
        expected = theirs(views).logits.reshape(3, 3).softmax(dim=-1).mean(dim=0)
    assert_probabilities(VideoClassificationPipeline(checkpoint)(videos[0].source, num_clips=3), expected)


def test_commands_take_it(checkpoint, videos, tmp_path, capsys):
    folder = tmp_path / "results"
    data = str(Path(videos[0].source).parents[1])
    assert main(["evaluate", data, "--model", str(checkpoint), "--output", str(folder), "--json"]) == 1
    model_type = json.loads((checkpoint / "config.json").read_text())["model_type"]
    assert json.loads(capsys.readouterr().out)["architecture"] == model_type
    assert main(["classify", videos[0].source, "--model", str(checkpoint), "--json"]) == 0
    assert {label["label"] for label in json.loads(capsys.readouterr().out)["labels"]} == set(LABELS)


# Of several inputs, and of sound alone


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> VideoRecords:
    """Videos with sound in a file of its own."""
    folder = tmp_path_factory.mktemp("recordings")
    records = []
    for number in range(3):
        video = write_clip(folder / f"{number}.mp4", moving_square(num_frames=20, height=40, width=48, seed=number))
        sound = write_sound(folder / f"{number}.wav", num_samples=8000)
        records.append(VideoRecord(sources={"video": str(video), "sound": str(sound)}, label=LABELS[number]))
    return VideoRecords(records, LABELS)


@pytest.fixture
def joint() -> JointProcessor:
    frames = VideoProcessor(num_frames=4, size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    sound = SoundProcessor(sampling_rate=8000, num_samples=400, value_mean=-1.0)
    return JointProcessor({"pixel_values_videos": frames, "input_values": sound})


def test_a_network_of_two_inputs_goes_every_road(recordings, joint, tmp_path):
    with toys.registered(toys.VIDEO_AND_SOUND):
        make(toys.VIDEO_AND_SOUND).save_pretrained(tmp_path)
        joint.save_pretrained(tmp_path)
        model, processor = load_model(tmp_path).eval(), load_processor(tmp_path)
        views = [processor(dict(each.sources), num_clips=2, return_tensors="pt") for each in recordings]
        assert views[0].keys() == {"pixel_values_videos", "input_values"}
        with torch.no_grad():
            expected = torch.cat([model(**inputs).logits for inputs in views]).softmax(dim=-1)
            features = torch.cat([model.get_features(**inputs) for inputs in views])
        scores = evaluate(tmp_path, recordings, Protocol(num_clips=2), batch_size=4).scores
        found = torch.from_numpy(np.exp(scores.get_video_log_probabilities())).float()
        assert_close(found, expected, rtol=1e-4, atol=1e-5)
        values = extract_features(tmp_path, recordings, Protocol(num_clips=2)).values
        assert_close(torch.from_numpy(values), features, rtol=1e-4, atol=1e-5)
        labels = VideoClassificationPipeline(tmp_path, num_clips=2)(recordings)
        for each, probabilities in zip(labels, expected, strict=True):
            assert_probabilities(each, probabilities)


def test_a_network_of_sound_alone_goes_every_road(recordings):
    processor = SoundProcessor(sampling_rate=8000, num_samples=400, value_mean=-1.0)
    with toys.registered(toys.SOUND):
        model = make(toys.SOUND)
        sounds = [processor(each.sources["sound"], return_tensors="pt") for each in recordings]
        with torch.no_grad():
            expected = torch.cat([model(**inputs).logits for inputs in sounds])
            features = torch.cat([model.get_features(**inputs) for inputs in sounds])
        scores = evaluate(model, recordings, processor=processor).scores
        assert_close(torch.from_numpy(scores.logits[:, 0]), expected, rtol=1e-4, atol=1e-5)
        values = extract_features(model, recordings, processor=processor).values
        assert_close(torch.from_numpy(values), features, rtol=1e-4, atol=1e-5)
        labels = VideoClassificationPipeline(model, processor)(recordings[1].sources["sound"])
        assert_probabilities(labels, expected[1].softmax(dim=-1))


# Of flow


class StoredFlowProcessor(FlowProcessor):
    """Reads flow that is stored as a tensor: a fake for what reads it from a store."""

    def open_file(self, source, settings, span):  # noqa: ARG002
        with source.open_file() as file:
            return MemoryReader(torch.load(file), modality="flow")


@pytest.fixture(scope="module")
def flows() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(12, 2, 40, 48, generator=generator) for _ in range(3)]


def crop_ten(flow: torch.Tensor, side: int) -> torch.Tensor:
    """Corners and middle (5, T, 2, H, W), and the same of the mirrored flow, whose u is negated."""
    height, width = flow.shape[-2:]
    places = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side),
              ((height - side) // 2, (width - side) // 2)]  # fmt: skip
    crops = [flow[..., top : top + side, left : left + side] for top, left in places]
    mirrored = [torch.stack([-crop[:, 0].flip(-1), crop[:, 1].flip(-1)], dim=1) for crop in crops]
    return torch.stack([*crops, *mirrored])


def test_ten_crops_of_flow_are_judged_with_the_horizontal_part_of_mirrored_ones_negated(flows, tmp_path):
    architecture = ARCHITECTURES["i3d"]
    model = make(architecture, modality="flow", num_frames=12)
    processor = StoredFlowProcessor(
        num_frames=12, do_resize=False, crop_size={"height": 32, "width": 32}, flow_scale=0.5
    )
    records = []
    for number, flow in enumerate(flows):
        torch.save(flow, tmp_path / f"{number}.pt")
        records.append(VideoRecord(sources={"flow": str(tmp_path / f"{number}.pt")}, label=LABELS[number]))
    scores = evaluate(model, VideoRecords(records, LABELS), Protocol(num_crops=10), processor=processor).scores
    pipe = VideoClassificationPipeline(model, processor, num_crops=10)
    for flow, logits in zip(flows, scores.logits, strict=True):
        with torch.no_grad():
            expected = model(flow_values=0.5 * crop_ten(flow, 32)).logits
        assert (expected[:, None] - expected).abs().amax(dim=2).fill_diagonal_(1).min() > 1e-3  # all differ
        distances = (torch.from_numpy(logits)[:, None] - expected).abs().amax(dim=2)
        assert distances.amin(dim=0).max() < 1e-4
        assert distances.amin(dim=1).max() < 1e-4
        assert_probabilities(pipe(flow), expected.softmax(dim=-1).mean(dim=0))


# Of several tasks


@pytest.fixture(scope="module")
def several():
    """A network of two tasks that share a label, and its processor."""
    architecture = ARCHITECTURES["video_resnet"]
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config()).eval()
    model.reset_head({"moves": LABELS, "shapes": ["square", "left", "round"]})
    with torch.no_grad():
        for parameter in model.get_head().parameters():
            parameter.normal_()
    return model, architecture.processor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, num_frames=4
    )


@pytest.mark.parametrize("task", ["moves", "shapes"])
def test_each_task_of_a_network_has_a_result_of_its_own(several, videos, task):
    model, processor = several
    shared = VideoRecords(videos.where(lambda record: record.label == "left"), ["left"])
    data = videos if task == "moves" else shared
    alone = evaluate(model.take_task(task), data, "video-10x1", processor=processor)
    result = evaluate(model, data, "video-10x1", processor=processor, task=task)
    np.testing.assert_allclose(result.scores.logits, alone.scores.logits, rtol=1e-5, atol=1e-6)
    assert result.scores.label_names == alone.scores.label_names
    assert result.to_dict()["task"] == task
    assert result.metrics == pytest.approx(alone.metrics)


def test_the_task_is_the_one_that_knows_the_labels_of_the_data(several, videos):
    model, processor = several
    assert evaluate(model, videos, "clip", processor=processor).to_dict()["task"] == "moves"
    ambiguous = VideoRecords(videos.where(lambda record: record.label == "left"), ["left"])
    with pytest.raises(ValueError, match="the labels of the data are those of 'moves' and 'shapes'; say with task="):
        evaluate(model, ambiguous, "clip", processor=processor)
    with pytest.raises(ValueError, match="the task is 'colours'; the model has 'moves', 'shapes'"):
        evaluate(model, videos, "clip", processor=processor, task="colours")
    with pytest.raises(ValueError, match="the task is 'moves'; the model has no tasks"):
        evaluate(model.take_task("moves"), videos, "clip", processor=processor, task="moves")


def test_the_command_judges_the_task_that_is_named(several, videos, tmp_path, capsys):
    for part in several:
        part.save_pretrained(tmp_path)
    data = str(Path(videos[0].source).parents[1])
    assert main(["evaluate", data, "--model", str(tmp_path), "--task", "moves", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["task"] == "moves"
    assert main(["evaluate", data, "--model", str(tmp_path), "--task", "shapes"]) == 2
    assert "labels that the model does not know: right, up" in capsys.readouterr().err


def test_the_pipeline_refuses_a_network_of_several_tasks_and_takes_one_of_them(several, videos):
    model, processor = several
    with pytest.raises(ValueError, match=r"the tasks moves, shapes, .* such as model.take_task\('moves'\)"):
        VideoClassificationPipeline(model, processor)
    labels = VideoClassificationPipeline(model.take_task("shapes"), processor)(videos[0].source)
    assert {label["label"] for label in labels} == {"square", "left", "round"}
