"""The picture at the end of the demonstration: clips, what they were taken for, what they look like, the curves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from muybridge.video import VideoReader

INK, GOOD, BAD, PALE = "#20262e", "#2e8b57", "#c8503c", "#d7dde4"
FRAMES_SHOWN = (0, 5, 10, 15, 20)


@dataclass
class Findings:
    """What the demonstration found: clips with their true labels, guesses and neighbours, and the run's numbers."""

    clips: list[str]
    labels: list[str]
    guesses: list[list[dict[str, Any]]]
    neighbours: list[list[tuple[str, str]]]
    curves: list[dict[str, Any]]
    results: dict[str, dict[str, Any]]


def draw(findings: Findings, path: Path) -> None:
    """A row for each clip: five of its frames, the three best labels, its nearest neighbours; the curves below."""
    num_clips, num_neighbours = len(findings.clips), len(findings.neighbours[0])
    figure = Figure(figsize=(15, 1.25 * num_clips + 4.2), dpi=110, facecolor="white")
    above, below = figure.subfigures(2, 1, height_ratios=(1.25 * num_clips + 0.4, 3.6))
    widths = [1] * len(FRAMES_SHOWN) + [3.4] + [1] * num_neighbours
    grid = above.subplots(
        num_clips, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths, "wspace": 0.08, "hspace": 0.16}
    )
    above.subplots_adjust(left=0.03, right=0.985, top=0.92, bottom=0.02)
    for row, clip in enumerate(findings.clips):
        draw_frames(grid[row][: len(FRAMES_SHOWN)], clip, findings.labels[row])
        draw_guesses(grid[row][len(FRAMES_SHOWN)], findings.guesses[row], findings.labels[row])
        for axes, (neighbour, label) in zip(grid[row][len(FRAMES_SHOWN) + 1 :], findings.neighbours[row], strict=True):
            draw_neighbour(axes, neighbour, label, is_alike=label == findings.labels[row])
    grid[0][0].set_title("frames of a test clip →", loc="left", fontsize=10, color=INK)
    grid[0][len(FRAMES_SHOWN)].set_title("what it is taken for", loc="left", fontsize=10, color=INK, x=0.28)
    grid[0][len(FRAMES_SHOWN) + 1].set_title("training clips that move alike", loc="left", fontsize=10, color=INK)
    draw_run(below, findings)
    above.suptitle("A network that sees motion: no single frame tells these classes", fontsize=14, color=INK)
    figure.savefig(path)


def draw_frames(row: list[Axes], clip: str, label: str) -> None:
    with VideoReader(clip) as reader:
        frames = reader.frames_at(FRAMES_SHOWN)
    for axes, frame in zip(row, frames, strict=True):
        axes.imshow(frame.permute(1, 2, 0).numpy())
        axes.axis("off")
    row[0].text(
        -0.08, 0.5, label, transform=row[0].transAxes, rotation=90, ha="right", va="center", fontsize=9, color=INK
    )


def draw_guesses(axes: Axes, guesses: list[dict[str, Any]], label: str) -> None:
    names, scores = [guess["label"] for guess in guesses], [guess["score"] for guess in guesses]
    axes.barh(names, scores, height=0.62, color=[GOOD if name == label else BAD for name in names])
    axes.barh(names, [1] * len(names), height=0.62, color=PALE, zorder=-1)
    for place, score in enumerate(scores):
        axes.text(1.03, place, f"{score:.0%}", va="center", fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.set(xlim=(-0.02, 1.25), xticks=[])
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.set_position(shifted(axes))
    axes.spines[:].set_visible(False)


def shifted(axes: Axes) -> tuple[float, float, float, float]:
    """Room for the names of the labels."""
    box = axes.get_position()
    return box.x0 + 0.3 * box.width, box.y0, 0.7 * box.width, box.height


def draw_neighbour(axes: Axes, clip: str, label: str, *, is_alike: bool) -> None:
    """The first frame, the middle one and the last in one: what moves leaves a trace."""
    with VideoReader(clip) as reader:
        frames = reader.frames_at([0, len(reader) // 2, len(reader) - 1]).float()
    axes.imshow(frames.mean(dim=0).permute(1, 2, 0).byte().numpy())
    axes.set(xticks=[], yticks=[])
    axes.text(
        0.5, -0.02, label, transform=axes.transAxes, ha="center", va="top", fontsize=7, color=GOOD if is_alike else BAD
    )
    for spine in axes.spines.values():
        spine.set(color=GOOD if is_alike else BAD, linewidth=2)


def draw_run(figure: Any, findings: Findings) -> None:
    """The loss, the accuracy, and how well each class is told apart."""
    loss, accuracy, classes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.88, bottom=0.16, wspace=0.22)
    for axes, name, title in ((loss, "loss", "training loss"), (accuracy, "clip_hit_at_1", "test accuracy")):
        points = [(line["step"], line[name]) for line in findings.curves if name in line]
        axes.plot(*zip(*points, strict=True), color=INK, marker="o", markersize=2.5, linewidth=1.4)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("step")
    accuracy.set_ylim(0, 1.02)
    rows = findings.results["video-10x1"]["classes"]
    classes.bar([row["label"] for row in rows], [row["accuracy"] or 0 for row in rows], color=GOOD, width=0.65)
    accuracies = [f"{name}: {result['metrics']['video_hit_at_1']:.1%}" for name, result in findings.results.items()]
    classes.set_title("recognised, by class   (" + ", ".join(accuracies) + ")", loc="left", fontsize=10, color=INK)
    classes.tick_params(axis="x", rotation=30, labelsize=8)
    classes.set_ylim(0, 1.02)
    for axes in (loss, accuracy, classes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
