import numpy as np
import pytest
from PIL import Image

from muybridge.evaluation.metrics import reliability_bins
from muybridge.evaluation.pictures import draw_confusion, draw_precisions, draw_reliability, gravest_confusions


@pytest.mark.parametrize("num_labels", [2, 8, 51, 400])
def test_a_confusion_matrix_of_any_size_is_a_picture_that_fits_a_screen(num_labels, tmp_path):
    matrix = np.diag(np.full(num_labels, 20))
    matrix[1, 0] = 5
    matrix[0] = 0  # a label without videos
    draw_confusion(matrix, [f"label number {number}" for number in range(num_labels)], tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        assert max(image.size) < 3000
        assert np.asarray(image).std() > 5


def test_the_gravest_confusions_come_first():
    matrix = np.array([[5, 2, 0], [1, 5, 0], [2, 0, 2]])
    assert gravest_confusions(matrix, ["a", "b", "c"]) == ["2 of 4  c → a", "2 of 7  a → b", "1 of 6  b → a"]


def test_a_reliability_diagram_is_drawn_also_of_one_video(tmp_path):
    draw_reliability(reliability_bins(np.array([[0.3, 0.7]]), np.array([1])), tmp_path / "reliability.png")
    assert np.asarray(Image.open(tmp_path / "reliability.png")).std() > 5


@pytest.mark.parametrize("num_labels", [1, 20, 157, 400])
def test_the_precisions_of_any_number_of_labels_are_a_picture_that_fits_a_screen(num_labels, tmp_path):
    precisions = np.linspace(0, 1, num_labels)
    precisions[1:2] = np.nan  # a label without videos
    names = [f"label number {number}" for number in range(num_labels)]
    draw_precisions(precisions, np.full(num_labels, 7), names, tmp_path / "precisions.png")
    with Image.open(tmp_path / "precisions.png") as image:
        assert max(image.size) < 4000
        assert np.asarray(image).std() > 5
