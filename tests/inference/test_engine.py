"""The engine with small networks and loaders made here: videos are numbers, of which their inputs are made."""

import itertools
import sys
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from muybridge import ErrorPolicy, VideoError
from muybridge.inference import Engine, Loading, evaluation_mode
from muybridge.inference.engine import share


def make_engine(network, load, num_views=1, *, device=None, dtype=None, **loading) -> Engine:
    return Engine(network, load, num_views, Loading(**loading), device, dtype)


def load_pair(number: int) -> dict[str, Tensor]:
    """Two views of two inputs and a mask."""
    return {
        "frames": torch.full((2, 3), float(number)) + torch.tensor([[0.0], [0.5]]),
        "sound": torch.full((2, 4), 10.0 * number),
        "frame_mask": torch.tensor([[True, True, False], [True, False, False]]),
    }


def add(frames: Tensor, sound: Tensor, frame_mask: Tensor) -> dict[str, Tensor]:
    assert frame_mask.dtype == torch.bool
    return {"sum": (frames * frame_mask).sum(dim=1) + sound.sum(dim=1), "mean": frames.mean(dim=1, keepdim=True)}


def load_broken(number: int) -> dict[str, Tensor]:
    if number in (1, 4):
        raise VideoError(f"{number}.mp4", "it is broken")
    return load_pair(number)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 64])
@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_all_inputs_and_masks_reach_the_network_and_outputs_come_in_order(batch_size, num_workers):
    outcomes = list(make_engine(add, load_pair, 2, batch_size=batch_size, num_workers=num_workers).run(range(7)))
    assert [outcome.position for outcome in outcomes] == list(range(7))
    for number, outcome in enumerate(outcomes):
        assert_close(outcome.outputs["sum"], torch.tensor([42.0 * number, 41.0 * number + 0.5]))
        assert_close(outcome.outputs["mean"], torch.tensor([[number + 0.0], [number + 0.5]]))


@pytest.mark.parametrize(("batch_size", "expected"), [(1, [1] * 10), (2, [2] * 5), (5, [4, 4, 2]), (7, [6, 4])])
def test_a_batch_has_as_many_videos_as_fit_and_a_video_with_more_views_is_cut(batch_size, expected):
    sizes = []

    def network(**inputs):
        sizes.append(len(inputs["frames"]))
        return add(**inputs)

    assert len(list(make_engine(network, load_pair, 2, batch_size=batch_size).run(range(5)))) == 5
    assert sizes == expected


def test_videos_whose_inputs_differ_in_size_are_run_one_by_one():
    sizes = []

    def network(sound):
        sizes.append(tuple(sound.shape))
        return {"sum": sound.sum(dim=1)}

    outcomes = make_engine(network, lambda number: {"sound": torch.ones(1, number)}, batch_size=3).run([2, 5, 2, 4, 4])
    assert [outcome.outputs["sum"].item() for outcome in outcomes] == [2, 5, 2, 4, 4]
    assert sizes == [(1, 2), (1, 5), (1, 2), (2, 4)]


def test_inputs_with_different_numbers_of_views_are_refused():
    def load(_number):
        return {"frames": torch.ones(2, 3), "sound": torch.ones(1, 3)}

    with pytest.raises(ValueError, match=r"\{'frames': 2, 'sound': 1\} views; each must have as many"):
        list(make_engine(add, load).run([0]))


def test_floats_have_the_type_that_the_network_takes_and_whole_numbers_and_masks_keep_theirs():
    seen = {}

    def network(**inputs):
        seen.update({name: value.dtype for name, value in inputs.items()})
        return {"kept": inputs["ids"], "scores": inputs["frames"]}

    def load(number):
        return {"frames": torch.rand(1, 2), "ids": torch.tensor([[number]]), "mask": torch.ones(1, 2, dtype=torch.bool)}

    (outcome,) = make_engine(network, load, dtype=torch.bfloat16).run([3])
    assert seen == {"frames": torch.bfloat16, "ids": torch.int64, "mask": torch.bool}
    assert outcome.outputs["scores"].dtype == torch.float32
    assert outcome.outputs["kept"].tolist() == [[3]]


def test_a_video_that_cannot_be_read_ends_the_run_and_is_named():
    outcomes = make_engine(add, load_broken, 2, errors="raise", num_workers=2, batch_size=2).run(range(6))
    assert next(outcomes).position == 0
    with pytest.raises(VideoError, match=r"1.mp4: it is broken"):
        list(outcomes)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_videos_that_cannot_be_read_are_skipped_counted_and_listed(batch_size):
    policy = ErrorPolicy("skip")
    outcomes = list(make_engine(add, load_broken, 2, batch_size=batch_size, num_workers=2).run(range(6), policy))
    assert [outcome.position for outcome in outcomes if outcome.outputs is None] == [1, 4]
    assert [(outcome.name, outcome.reason) for outcome in outcomes if outcome.outputs is None] == policy.skipped
    assert policy.skipped == [("1.mp4", "it is broken"), ("4.mp4", "it is broken")]
    assert_close(outcomes[5].outputs["sum"], torch.tensor([210.0, 205.5]))


def test_a_path_is_called_as_it_was_given():
    def load(_path):
        raise VideoError("the same file by another name", "it is broken")

    policy = ErrorPolicy("skip")
    assert len(list(make_engine(add, load).run([Path("folder/clip.mp4"), "clip.mp4"], policy))) == 2
    assert policy.skipped == [("folder/clip.mp4", "it is broken"), ("clip.mp4", "it is broken")]


def test_storage_with_hiccups_is_asked_again():
    attempts = []

    def load(number):
        attempts.append(number)
        if len(attempts) < 3:
            raise OSError("the network is down")
        return load_pair(number)

    (outcome,) = make_engine(add, load, 2, errors="retry(2)", num_workers=0).run([1])
    assert_close(outcome.outputs["sum"], torch.tensor([42.0, 41.5]))
    assert attempts == [1, 1, 1]


def test_errors_that_are_not_the_videos_fault_are_raised_whatever_the_policy():
    with pytest.raises(KeyError, match="no such thing"):
        list(make_engine(add, {}.__getitem__).run(["no such thing"], ErrorPolicy("skip")))


def test_endless_videos_are_read_no_further_ahead_than_needed_and_let_go():
    read, alive = [], weakref.WeakSet()

    def load(number):
        read.append(number)
        inputs = load_pair(number)
        alive.update(inputs.values())
        return inputs

    outcomes = make_engine(add, load, 2, batch_size=4, num_workers=3).run(itertools.count())
    for outcome in itertools.islice(outcomes, 100):
        assert len(read) <= outcome.position + 2 + 3 + 1
        assert len(alive) <= 3 * (2 + 2 + 3 + 1)
    outcomes.close()


def test_outputs_that_are_kept_do_not_keep_their_batch_in_memory():
    outcomes = list(make_engine(add, load_pair, 2, batch_size=64).run(range(8)))
    assert all(outcome.outputs["mean"].untyped_storage().nbytes() == 2 * 4 for outcome in outcomes)


def test_no_videos_are_no_outcomes():
    assert list(make_engine(add, load_pair).run([])) == []
    assert list(make_engine(add, load_pair).run_shared(iter([]))) == []


def test_nothing_is_recorded_for_gradients_and_the_caller_keeps_its_own_mode():
    weight = nn.Parameter(torch.ones(3))
    outcomes = make_engine(lambda frames: {"sum": frames @ weight}, lambda _number: {"frames": torch.ones(1, 3)}).run(
        range(20)
    )
    assert not next(outcomes).outputs["sum"].requires_grad
    assert torch.is_grad_enabled()  # also while the engine waits for the next video to be wanted
    outcomes.close()


def cut_into_pairs(numbers) -> list[tuple[int, ...]]:
    return [tuple(numbers[start : start + 2]) for start in range(0, len(numbers), 2)]


@pytest.mark.parametrize("num_processes", [1, 2, 3, 8])
@pytest.mark.parametrize("num_videos", [1, 2, 10, 11])
def test_every_video_falls_to_one_process_in_a_batch_that_their_number_does_not_change(num_videos, num_processes):
    shares = [list(share(range(num_videos), 2, index, num_processes)) for index in range(num_processes)]
    assert sorted(position for each in shares for position, _ in each) == list(range(num_videos))
    assert all(position == video for each in shares for position, video in each)
    batches = [cut_into_pairs([position for position, _ in each]) for each in shares]
    assert sorted(itertools.chain(*batches)) == cut_into_pairs(range(num_videos))
    assert max(map(len, batches)) - min(map(len, batches)) <= 1


class Terminal:
    """What a bar is drawn on."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None: ...


@pytest.mark.parametrize(("title", "expected"), [("scoring", "scoring: 100%"), (None, "")])
def test_a_bar_with_a_title_counts_the_videos(title, expected, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    list(Engine(add, load_pair, 2, title=title).run(range(4)))
    assert expected in sys.stderr.text
    assert ("4/4" in sys.stderr.text) == bool(title)


def test_a_network_comes_back_in_the_mode_it_was_in():
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout())).train()
    network[1].eval()
    with evaluation_mode(network):
        assert not network[0].training
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert [network.training, network[0].training, network[1].training, network[1][0].training] == [
        True, True, False, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be 1 or more"),
        ({"num_workers": -1}, "num_workers is -1; it must be zero or more"),
        ({"errors": "ignore"}, "the error policy is 'ignore'"),
    ],
)
def test_numbers_of_loading_that_cannot_be_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Loading(**setting)
