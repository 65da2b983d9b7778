"""What no target can be is refused where it is made."""

import re

import numpy as np
import pytest

from muybridge.data import DataError
from muybridge.data.targets import Box, Boxes, Caption, Depth, Flow, Label, Labels, Masks, QuestionAnswer, Questions
from muybridge.data.targets.boxes import read_box
from muybridge.types import VideoMetadata


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Label(""), "the label is ''; it must be a text"),
        (lambda: Label(3), "the label is 3; it must be a text"),
        (lambda: Labels(("a", "b", "a")), "the labels are a, b, a; each may be there once"),
        (lambda: Labels(("a", " ")), "one of the labels is ' '"),
        (lambda: Caption(()), "a caption has no texts"),
        (lambda: Caption(("",)), "a caption is ''"),
        (lambda: Questions((QuestionAnswer("", "2"),)), "a question is ''"),
        (lambda: Questions((QuestionAnswer("how many?", ""),)), r"the answer to 'how many\?' is ''"),
        (lambda: Boxes((Box(3, 0, 3, 4, frame=0),)), r"\(3, 0, 3, 4\) at frame 0 is empty or inverted"),
        (lambda: Boxes((Box(0, 5, 3, 4, seconds=1.5),)), r"\(0, 5, 3, 4\) at 1.5 s is empty or inverted"),
        (lambda: Boxes((Box(0, 0, float("nan"), 4, frame=0),)), "edges that are not finite"),
        (lambda: Boxes((Box(0, 0, 1, 1),)), "must have a frame or seconds, and not both"),
        (lambda: Boxes((Box(0, 0, 1, 1, frame=0, seconds=0.0),)), "must have a frame or seconds, and not both"),
        (lambda: Boxes((Box(0, 0, 1, 1, frame=-1),)), "a time that cannot be"),
        (lambda: Boxes((Box(0, 0, 1, 1, frame=0), Box(0, 0, 1, 1, seconds=1.0))), "must all have the same"),
        (
            lambda: Boxes((Box(0, 0, 1, 1, frame=2, identity="a"), Box(1, 0, 2, 1, frame=2, identity="a"))),
            "'a' has 2 boxes at 2; it can be in one place",
        ),
        (lambda: read_box([0, 0, 1, 1]), "is no box; it must be an object such as"),
        (lambda: read_box({"box": [0, 0, 1]}), r"a box is \[0, 0, 1\]; it must be four numbers"),
        (lambda: read_box({"box": [0, 0, 1, 1], "frame": 0.5}), "the frame of a box is 0.5; it must be a whole number"),
        (lambda: read_box({"box": [0, 0, 1, 1], "time": 3}), "a box has time; its fields are box, frame, seconds"),
        (lambda: Masks(np.zeros((2, 3))), r"masks is an array \(2, 3\) of float64; it must be \(T, H, W\) of int32"),
        (lambda: Masks(np.zeros((2, 3, 4))), "masks is an array .* of float64"),
        (lambda: Depth(np.zeros((2, 3, 4), dtype=bool)), "depth is an array .* of bool"),
        (lambda: Flow(np.zeros((2, 3, 4, 5))), r"flow is an array \(2, 3, 4, 5\); it must be \(T - 1, 2, H, W\)"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_array_is_an_array_or_the_place_of_a_file():
    with pytest.raises(TypeError, match="masks is a list; it must be an array or the place of a file"):
        Masks([[[0]]])


def test_files_that_hold_no_such_array_are_named(tmp_path):
    np.savez(tmp_path / "other.npz", depth=np.zeros((2, 3, 4)))
    np.save(tmp_path / "flat.npy", np.zeros((3, 4), dtype=np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    whole = (tmp_path / "other.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, message in {
        "other.npz": "has no array 'masks'; it has depth",
        "flat.npy": r"masks is an array \(3, 4\)",
        "objects.npy": "is no NumPy file with numbers",
        "text.npy": "is no NumPy file with numbers",
        "cut.npz": "is no NumPy file with numbers",
        "gone.npz": "cannot be read: No such file",
    }.items():
        with pytest.raises(DataError, match=rf"{name}.*{message}"):
            Masks(str(tmp_path / name)).load()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box(-1, 0, 3, 3, frame=0), r"the box \(-1, 0, 3, 3\) at frame 0 reaches out of the picture, which is 6×4"),
        (Box(0, 0, 3, 4.5, frame=0), "reaches out of the picture"),
        (Box(0, 0, 3, 4, frame=3), "at frame 3 comes after the end; the clip has 3 frames"),
        (Box(0, 0, 3, 4, seconds=0.5), "at 0.5 s comes after the end; the clip lasts 0.30 s"),
    ],
)
def test_a_box_outside_the_video_is_a_fault_and_one_at_its_edges_is_none(box, message):
    video = VideoMetadata(num_frames=3, is_num_frames_exact=True, fps=10, duration_seconds=0.3, height=4, width=6)
    fine = (Box(0, 0, 6, 4, frame=2),) if box.seconds is None else (Box(0, 0, 6, 4, seconds=0.3),)
    (fault,) = Boxes((*fine, box)).find_faults(video)
    assert re.search(message, fault)
