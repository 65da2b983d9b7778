import itertools
import subprocess
import sys

import pytest
import torch
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, pipeline

from clips import moving_square, write_clip
from muybridge import AutoVideoProcessor, ErrorPolicy, VideoClassificationPipeline, VideoError, VideoProcessor
from muybridge.models import ARCHITECTURES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, four clips of two sizes and lengths, and a file that is no video."""
    folder = tmp_path_factory.mktemp("pipeline")
    architecture = ARCHITECTURES["video_resnet"]
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config(id2label={0: "walk", 1: "run", 2: "jump"}))
    model.get_head().classifier.weight.data.mul_(50)  # or all scores are near a third
    model.save_pretrained(folder / "model")
    processor = architecture.processor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, num_frames=4, fps=None
    )
    processor.save_pretrained(folder / "model")
    for index in range(4):
        height = 48 if index % 2 else 40
        write_clip(folder / f"{index}.mp4", moving_square(num_frames=10 + 5 * index, height=height, width=64))
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


def scores(labels):
    return {label["label"]: label["score"] for label in labels}


def assert_same(labels, expected, tolerance=1e-5):
    assert scores(labels) == pytest.approx(scores(expected), abs=tolerance)


@pytest.fixture(scope="module")
def classify(folder):
    return VideoClassificationPipeline(str(folder / "model"))


def test_one_video_in_gives_its_labels_best_first(classify, folder):
    labels = classify(str(folder / "0.mp4"))
    assert {label["label"] for label in labels} == {"walk", "run", "jump"}
    assert sum(scores(labels).values()) == pytest.approx(1)
    assert [label["score"] for label in labels] == sorted(scores(labels).values(), reverse=True)
    assert len(classify(str(folder / "0.mp4"), top_k=1)) == 1


@pytest.mark.parametrize("form", ["path", "bytes", "file", "tensor", "array"])
def test_a_video_may_come_in_any_form(classify, folder, form):
    path = folder / "1.mp4"
    pixels = (
        AutoVideoProcessor.from_pretrained(folder / "model")(
            path, return_tensors="pt", do_rescale=False, do_normalize=False
        )
        .pixel_values_videos[0]
        .to(torch.uint8)
    )
    forms = {
        "path": path,
        "bytes": path.read_bytes(),
        "file": path.open("rb"),
        "tensor": pixels,
        "array": pixels.permute(0, 2, 3, 1).numpy(),
    }
    assert_same(classify(forms[form]), classify(str(path)))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_and_workers_change_no_label_and_no_order(classify, folder, batch_size, num_workers):
    paths = [str(folder / f"{index}.mp4") for index in range(4)]
    together = classify(paths, batch_size=batch_size, num_workers=num_workers)
    assert isinstance(together, list)
    for labels, path in zip(together, paths, strict=True):
        assert_same(labels, classify(path))


def test_the_probabilities_of_views_are_averaged(classify, folder):
    path = folder / "3.mp4"
    processor = AutoVideoProcessor.from_pretrained(folder / "model")
    views = processor(path, num_clips=3, num_crops=3, return_tensors="pt").pixel_values_videos[0]
    assert views.shape == (9, 4, 3, 32, 32)
    with torch.no_grad():
        expected = torch.stack([classify.model(view[None]).logits.softmax(-1)[0] for view in views]).mean(0)
    for batch_size in (1, 4, 20):
        labels = classify(str(path), num_clips=3, num_crops=3, batch_size=batch_size)
        found = [scores(labels)[classify.model.config.id2label[index]] for index in range(3)]
        assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_an_endless_iterator_is_read_no_further_ahead_than_needed(classify, folder):
    read = []

    def endless():
        for index in itertools.count():
            read.append(index)
            yield str(folder / f"{index % 4}.mp4")

    results = classify(endless(), batch_size=2, num_workers=2)
    assert iter(results) is results
    first = list(itertools.islice(results, 4))
    assert_same(first[3], classify(str(folder / "3.mp4")))
    assert len(read) <= 4 + 2 + 2 + 1
    results.close()


def test_an_unreadable_video_is_named(classify, folder):
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        classify([str(folder / "0.mp4"), str(folder / "broken.mp4")])


def test_an_unreadable_video_is_skipped_counted_and_listed_where_that_is_the_policy(folder):
    policy = ErrorPolicy("skip")
    classify = VideoClassificationPipeline(folder / "model", policy=policy, batch_size=2)
    paths = [folder / name for name in ("0.mp4", "broken.mp4", "missing.mp4", "1.mp4")]
    results = classify(paths)
    assert [labels is None for labels in results] == [False, True, True, False]
    assert_same(results[3], classify(folder / "1.mp4"))
    assert [source for source, _ in policy.skipped] == [
        str(folder / "broken.mp4"),
        str(folder / "missing.mp4"),
    ]
    assert policy.num_skipped == 2


def test_fast_gives_nearly_the_same_scores(classify, folder):
    fast = VideoClassificationPipeline(folder / "model", fast=True)
    for index in range(4):
        assert_same(fast(folder / f"{index}.mp4"), classify(str(folder / f"{index}.mp4")), tolerance=0.05)


def test_a_model_of_transformers_runs_in_it_with_our_processor(folder):
    config = VideoMAEConfig(
        image_size=32, patch_size=16, num_frames=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=3,
    )  # fmt: skip
    processor = VideoProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, num_frames=4)
    # Transformers' own older models call their input `pixel_values`.
    processor.model_input_names = ["pixel_values"]
    classify = VideoClassificationPipeline(VideoMAEForVideoClassification(config).eval(), processor)
    assert len(classify(folder / "0.mp4", num_clips=2)) == 3


def test_a_person_needs_two_imports_and_one_line(folder):
    program = (
        "import muybridge\nfrom transformers import pipeline\n"
        "print(pipeline('video-classification', model='model')('0.mp4', top_k=1)[0]['label'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"walk", "run", "jump"}
    assert "not supported" not in done.stderr


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none", None])
def test_scores_are_those_of_the_pipeline_of_transformers(classify, folder, function):
    stock = pipeline("video-classification", model=str(folder / "model"))
    arguments = {} if function is None else {"function_to_apply": function}
    for index in range(2):
        assert_same(
            classify(str(folder / f"{index}.mp4"), **arguments), stock(str(folder / f"{index}.mp4"), **arguments)
        )


def test_without_a_softmax_the_logits_of_views_are_averaged(classify, folder):
    path = folder / "3.mp4"
    processor = AutoVideoProcessor.from_pretrained(folder / "model")
    views = processor(path, num_clips=3, return_tensors="pt").pixel_values_videos[0]
    with torch.no_grad():
        expected = classify.model(views).logits.mean(0)
    for function, scored in (("none", expected), ("sigmoid", expected.sigmoid())):
        labels = scores(classify(str(path), num_clips=3, function_to_apply=function))
        assert [labels[name] for name in ("walk", "run", "jump")] == pytest.approx(scored.tolist(), abs=1e-5)


def test_labels_that_do_not_exclude_each_other_have_the_sigmoid_of_the_models_own_average(folder):
    judge = VideoClassificationPipeline(folder / "model")
    judge.model.config.problem_type = "multi_label_classification"
    path = folder / "3.mp4"
    processor = AutoVideoProcessor.from_pretrained(folder / "model")
    views = processor(path, num_clips=3, return_tensors="pt").pixel_values_videos
    with torch.no_grad():
        expected = judge.model(views).logits[0].sigmoid()  # the network averages the views by itself
    labels = scores(judge(str(path), num_clips=3))
    assert [labels[name] for name in ("walk", "run", "jump")] == pytest.approx(expected.tolist(), abs=1e-5)
    assert sum(labels.values()) != pytest.approx(1, abs=0.01)


def test_several_videos_in_one_tensor_are_not_taken_for_views_of_one(classify):
    with pytest.raises(ValueError, match=r"\(2, 4, 3, 32, 32\)"):
        classify(torch.zeros(2, 4, 3, 32, 32, dtype=torch.uint8))


def test_every_second_frame_is_taken_in_the_words_of_transformers(classify, folder):
    processor = AutoVideoProcessor.from_pretrained(folder / "model")
    pixels = processor(folder / "3.mp4", frame_stride=2, return_tensors="pt").pixel_values_videos
    with torch.no_grad():
        expected = classify.model(pixels).logits.softmax(-1)[0]
    labels = scores(classify(str(folder / "3.mp4"), frame_sampling_rate=2))
    assert [labels[name] for name in ("walk", "run", "jump")] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_model_is_loaded_in_the_precision_asked_for(folder):
    classify = VideoClassificationPipeline(folder / "model", dtype=torch.bfloat16)
    assert classify.model.dtype == torch.bfloat16
    assert len(classify(folder / "0.mp4")) == 3


def test_what_is_skipped_counts_when_its_turn_comes(folder):
    policy = ErrorPolicy("skip")
    classify = VideoClassificationPipeline(folder / "model", policy=policy, num_workers=3)
    results = classify(iter([str(folder / "0.mp4"), *[str(folder / "broken.mp4")] * 3]))
    assert next(results)
    assert policy.num_skipped == 0
    assert next(results) is None
    assert policy.num_skipped == 1
    results.close()


def test_a_data_set_is_streamed(classify, folder):
    class Paths(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            if index >= len(self):
                raise IndexError(index)
            return str(folder / f"{index}.mp4")

    results = classify(Paths())
    assert iter(results) is results
    assert len(list(results)) == 2
