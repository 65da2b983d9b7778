"""The life of a checkpoint in a few minutes: `make demo`.

Clips are made in which only the motion tells the class, and written as video files. A small R(2+1)D learns them, is
measured under two protocols, and is published with its card. Loaded back by its name, it labels clips, and its features
find the clips that move alike. What came of it is in one picture.

`--clips` and `--epochs` make it shorter, and the numbers worse.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from demo_picture import Findings, draw
from sklearn.neighbors import NearestNeighbors
from transformers import pipeline
from transformers.utils import logging

from muybridge.data import load_videos
from muybridge.evaluation import extract_features
from muybridge.publishing import check_folder
from muybridge.training.progress import read_metrics

NAME = "someone/sprites-r2plus1d"
MARK = ".demonstration"
SIZE, NUM_FRAMES = 32, 16
NETWORK = ["depths=[1,1,1,1]", "hidden_sizes=[16,32,64,128]", 'convolutions=["2plus1d","2plus1d","2plus1d","2plus1d"]']
NUM_NEIGHBOURS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("demo"), help="where it all goes (%(default)s)")
    parser.add_argument("--clips", type=int, default=1000, help="how many clips are made (%(default)s)")
    parser.add_argument("--publish", metavar="NAMESPACE/NAME", help="to the hub that HF_ENDPOINT names, as this")
    parser.add_argument("--epochs", type=int, default=10, help="how long the network learns (%(default)s)")
    arguments = parser.parse_args()
    logging.disable_progress_bar()  # those of transformers, for files that load in a moment
    start = time.perf_counter()
    folder = arguments.folder
    make_room(folder)
    make_clips(folder, arguments.clips)
    train(folder, arguments.epochs)
    for protocol in ("clip", "video-10x1"):
        evaluate(folder, protocol)
    published = publish(folder, arguments.publish)
    findings = look(folder, published)
    draw(findings, folder / "demo.png")
    summarise(folder, findings, time.perf_counter() - start)


def make_room(folder: Path) -> None:
    """Removes what an earlier demonstration left, and nothing else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        sys.exit(f"{folder} exists and holds other things than a demonstration; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def make_clips(folder: Path, num_clips: int) -> None:
    muybridge(
        "sprites", folder / "clips", "--clips", num_clips, "--test-share", "0.2",
        "--size", SIZE, "--num-frames", NUM_FRAMES * 3 // 2,
    )  # fmt: skip
    shutil.copy(sorted((folder / "clips" / "test").glob("*/*.mp4"))[0], folder / "clip.mp4")


def train(folder: Path, epochs: int) -> None:
    """About a million parameters. No mirror images, for left and right are what is to be told apart."""
    muybridge(
        "train", "--model", "video_resnet", "--data", folder / "clips", "--output", folder / "run",
        "--num-frames", NUM_FRAMES, "--image-size", SIZE, "--model-fields", *NETWORK,
        "--processor-fields", "fps=null", "--no-flip", "--smallest-crop", "0.8",
        "--epochs", epochs, "--batch-size", "16",
        "--optimizer", "adamw", "--learning-rate", "0.003", "--weight-decay", "0.02", "--warmup-epochs", "2",
        "--label-smoothing", "0.1", "--evaluate-every-epochs", "2", "--licence", "apache-2.0",
    )  # fmt: skip


def evaluate(folder: Path, protocol: str) -> None:
    muybridge(
        "evaluate", "--model", folder / "run" / "model", "--data", folder / "clips", "--protocol", protocol,
        "--output", folder / "results" / protocol, "--card",
    )  # fmt: skip


def publish(folder: Path, name: str | None) -> str:
    """To a hub under this name, or else to a folder that stands for one; gives what it is loaded by."""
    checkpoint = folder / "run" / "model"
    if name:
        muybridge("publish", checkpoint, name)
        return name
    check_folder(checkpoint)
    place = folder / "hub" / NAME
    shutil.copytree(checkpoint, place)
    print(f"\npublished to the folder {place}; with --publish it goes to a hub")
    return str(place)


def look(folder: Path, model: str) -> Findings:
    """Labels of test clips, and the training clips whose features are nearest to theirs."""
    videos = load_videos(folder / "clips")
    tests, trained_on = videos.with_split("test"), videos.with_split("train")
    first_of_each = {record.label: index for index, record in reversed(list(enumerate(tests)))}
    shown = tests.select(sorted(first_of_each.values()))
    classify = pipeline("video-classification", model=model)
    guesses = [classify(record.source, top_k=3) for record in shown]
    known, asked = (extract_features(model, records, batch_size=32) for records in (trained_on, shown))
    neighbours = NearestNeighbors(n_neighbors=NUM_NEIGHBOURS, metric="cosine").fit(known.values)
    places = neighbours.kneighbors(asked.values, return_distance=False)
    return Findings(
        clips=[record.source for record in shown],
        labels=[record.label for record in shown],
        guesses=guesses,
        neighbours=[[(trained_on[place].source, trained_on[place].label) for place in row] for row in places],
        curves=read_metrics(folder / "run" / "metrics.jsonl"),
        results={
            protocol: json.loads((folder / "results" / protocol / "results.json").read_text(encoding="utf-8"))
            for protocol in ("clip", "video-10x1")
        },
    )


def summarise(folder: Path, findings: Findings, seconds: float) -> None:
    accuracies = ", ".join(
        f"{protocol} {result['metrics']['video_hit_at_1']:.1%}" for protocol, result in findings.results.items()
    )
    alike = [label == own for own, row in zip(findings.labels, findings.neighbours, strict=True) for _, label in row]
    facts = findings.results["clip"]
    print(
        f"\nOn {facts['num_videos']} clips that it never saw, of {facts['num_labels']} kinds: {accuracies}.\n"
        f"{sum(alike)} of the {len(alike)} nearest neighbours move alike.\n"
        f"Look at {folder / 'demo.png'}; the card is {folder / 'run' / 'model' / 'README.md'}. "
        f"All of it took {seconds / 60:.1f} minutes."
    )


def muybridge(*words: object) -> None:
    """Runs a command as a person would."""
    texts = list(map(str, words))
    print("\n$ muybridge", *texts, flush=True)
    subprocess.run([sys.executable, "-m", "muybridge", *texts], check=True)


if __name__ == "__main__":
    main()
