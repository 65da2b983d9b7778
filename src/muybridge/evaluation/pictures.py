"""Results to look at: what is taken for what, how well each label is found, and whether confidence is justified."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.evaluation.metrics import ReliabilityBins, expected_calibration_error, mean_average_precision
from muybridge.extras import extra

with extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#2f6db3", "#c8503c", "#707070"
# Up to so many labels every cell has its number, and up to so many every row and column its name.
MOST_NUMBERED, MOST_NAMED = 24, 120
NUM_CONFUSIONS_LISTED = 20
LIST_INCHES = 5.5
DOTS_PER_INCH = 120


def draw_confusion(matrix: NDArray[np.integer[Any]], names: Sequence[str], path: str | Path) -> None:
    """Writes a picture of a confusion matrix (L, L), each row in shares of its sum.

    Few labels have numbers in the cells; where there are too many for that, the gravest confusions are listed beside
    the matrix, and where there are too many for names, the axes count.
    """
    side, is_listed = matrix_inches(len(names)), len(names) > MOST_NUMBERED
    figure = Figure(figsize=(side + LIST_INCHES * is_listed, side), layout="constrained", dpi=DOTS_PER_INCH)
    axes, *beside = figure.subplots(1, 2, width_ratios=(side, LIST_INCHES)) if is_listed else [figure.add_subplot()]
    shares = shares_of_rows(matrix)
    picture = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    axes.set(xlabel="taken for", ylabel="label")
    axes.set_title(f"{matrix.sum()} videos, {matrix.trace() / max(1, matrix.sum()):.1%} recognised", loc="left")
    name_axes(axes, names)
    if is_listed:
        list_confusions(beside[0], matrix, names)
        figure.colorbar(picture, ax=beside, location="bottom", aspect=40, label="share of the row")
    else:
        number_cells(axes, matrix, shares)
        figure.colorbar(picture, ax=axes, fraction=0.03, pad=0.01, label="share of the row")
    figure.savefig(path, bbox_inches="tight", pad_inches=0.15)


def shares_of_rows(matrix: NDArray[Any]) -> NDArray[np.float64]:
    totals = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)


def matrix_inches(num_labels: int) -> float:
    """The side of the matrix: room for a number in each cell, or for a name beside it, or neither."""
    if num_labels <= MOST_NUMBERED:
        return max(4.0, 0.5 * num_labels)
    return 0.17 * num_labels if num_labels <= MOST_NAMED else 10.0


def name_axes(axes: Axes, names: Sequence[str]) -> None:
    if len(names) > MOST_NAMED:
        return
    size = 9 if len(names) <= MOST_NUMBERED else 7.5
    short = list(map(shorten_name, names))
    axes.set_xticks(range(len(names)), short, rotation=90 if len(names) > MOST_NUMBERED else 45, fontsize=size)
    axes.set_yticks(range(len(names)), short, fontsize=size)
    if len(names) <= MOST_NUMBERED:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)


def shorten_name(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + "…"


def number_cells(axes: Axes, matrix: NDArray[Any], shares: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=9)


def gravest_confusions(matrix: NDArray[Any], names: Sequence[str]) -> list[str]:
    """The cells beside the diagonal with the most videos, of equal ones those with the larger share of their row."""
    shares = shares_of_rows(matrix)
    mistakes = matrix - np.diag(matrix.diagonal())
    cells = sorted(np.argwhere(mistakes > 0).tolist(), key=lambda cell: (-mistakes[*cell], -shares[*cell]))
    return [
        f"{mistakes[row, column]} of {matrix[row].sum()}  {names[row]} → {names[column]}"
        for row, column in cells[:NUM_CONFUSIONS_LISTED]
    ]


def list_confusions(axes: Axes, matrix: NDArray[Any], names: Sequence[str]) -> None:
    lines = gravest_confusions(matrix, names) or ["none"]
    axes.axis("off")
    text = "\n".join(["Most often taken for something else:", "", *lines])
    axes.text(0, 1, text, transform=axes.transAxes, va="top", fontsize=10, linespacing=1.5)


def draw_precisions(
    precisions: NDArray[np.float64], counts: NDArray[np.integer[Any]], names: Sequence[str], path: str | Path
) -> None:
    """Writes a picture of the average precision (L,) of each label that occurs, the best on top.

    `counts` are the labels' videos. Where there are too many labels for names, the axis counts.
    """
    occurring = np.flatnonzero(~np.isnan(precisions))
    order = occurring[np.argsort(-precisions[occurring], kind="stable")]
    has_names = len(order) <= MOST_NAMED
    height = max(3.0, 0.22 * len(order)) if has_names else 10.0
    figure = Figure(figsize=(7, height + 1), layout="constrained", dpi=DOTS_PER_INCH)
    axes = figure.add_subplot()
    places = np.arange(len(order))
    axes.barh(places, precisions[order], color=BLUE)
    axes.axvline(mean_average_precision(precisions), color=RED, linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(len(order) - 0.5, -0.5), xlabel="average precision", ylabel="label")
    if has_names:
        shown = [f"{shorten_name(names[label])} ({counts[label]})" for label in order]
        axes.set_yticks(places, shown, fontsize=7.5)
    axes.set_title(f"{len(order)} labels, mAP {mean_average_precision(precisions):.1%}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def draw_reliability(bins: ReliabilityBins, path: str | Path, *, of_labels: bool = False) -> None:
    """Writes a reliability diagram (Guo et al. 2017): how often the model is right against how sure it is of it.

    of_labels: the bins hold every label of every video, and not the best label of each.
    """
    counted, answer = ("labels of videos", "a label") if of_labels else ("videos", "its best label")
    figure = Figure(figsize=(5, 6), layout="constrained", dpi=DOTS_PER_INCH)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = bins.counts > 0
    left, width = bins.edges[:-1][filled], np.diff(bins.edges)[filled]
    accuracies, confidences = bins.accuracies[filled], bins.confidences[filled]
    above.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="as sure as right")
    above.bar(left, accuracies, width, align="edge", color=BLUE, edgecolor="white", label="right")
    above.bar(
        left, confidences - accuracies, width, accuracies, align="edge",
        fill=False, hatch="////", edgecolor=RED, linewidth=0, label="gap to how sure it is",
    )  # fmt: skip
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    figure.suptitle(f"{bins.counts.sum()} {counted}, calibration error {expected_calibration_error(bins):.1%}")
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    below.bar(left, bins.counts[filled], width, align="edge", color=GREY, edgecolor="white")
    below.set(xlabel=f"how sure the model is of {answer}", ylabel=counted)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
