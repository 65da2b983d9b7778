"""The life of a checkpoint in a few minutes: `make demo`.

Clips are made in which only the motion tells the class, and written as video files. A small R(2+1)D learns them, is
measured under two protocols, and is published with its card to a hub that this machine serves. Loaded back from there
by its name, it labels a clip; its features find the clips that move alike. What came of it is in one picture.

`--num-videos` and `--epochs` make it shorter, and the numbers worse.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo_picture import Findings, draw
from sklearn.neighbors import NearestNeighbors
from transformers import pipeline
from transformers.utils import logging

from muybridge.data import load_videos
from muybridge.evaluation import extract_features
from muybridge.training.progress import read_metrics

NAME = "someone/sprites-r2plus1d"
MARK = ".demonstration"
SIZE, NUM_FRAMES = 32, 16
NETWORK = ["depths=[1,1,1,1]", "hidden_sizes=[16,32,64,128]", 'convolutions=["2plus1d","2plus1d","2plus1d","2plus1d"]']
NUM_NEIGHBOURS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("demo"), help="where it all goes (%(default)s)")
    parser.add_argument("--num-videos", type=int, default=1000, help="how many clips are made (%(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="how long the network learns (%(default)s)")
    arguments = parser.parse_args()
    logging.disable_progress_bar()  # those of transformers, for files that load in a moment
    start = time.perf_counter()
    folder = arguments.folder
    make_room(folder)
    make_clips(folder, arguments.num_videos)
    train(folder, arguments.epochs)
    for protocol in ("clip", "video-10x1"):
        evaluate(folder, protocol)
    publish_and_use(folder)
    findings = look(folder)
    draw(findings, folder / "demo.png")
    summarise(folder, findings, time.perf_counter() - start)


def make_room(folder: Path) -> None:
    """Removes what an earlier demonstration left, and nothing else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        sys.exit(f"{folder} exists and holds other things than a demonstration; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def make_clips(folder: Path, num_videos: int) -> None:
    muybridge(
        "sprites", "--output", folder / "clips", "--num-videos", num_videos, "--test-share", "0.2",
        "--image-size", SIZE, "--num-frames", NUM_FRAMES * 3 // 2,
    )  # fmt: skip
    shutil.copy(sorted((folder / "clips" / "test").glob("*/*.mp4"))[0], folder / "clip.mp4")


def train(folder: Path, epochs: int) -> None:
    """About a million parameters. No mirror images, for left and right are what is to be told apart."""
    muybridge(
        "train", folder / "clips", "--model", "video_resnet", "--output", folder / "run",
        "--num-frames", NUM_FRAMES, "--image-size", SIZE, "--model-fields", *NETWORK,
        "--processor-fields", "fps=null", "--no-flip", "--smallest-crop", "0.8",
        "--epochs", epochs, "--batch-size", "16",
        "--optimizer", "adamw", "--learning-rate", "0.003", "--weight-decay", "0.02", "--warmup-epochs", "2",
        "--label-smoothing", "0.1", "--evaluate-every-epochs", "2", "--licence", "apache-2.0",
    )  # fmt: skip


def evaluate(folder: Path, protocol: str) -> None:
    muybridge(
        "evaluate", folder / "clips", "--model", folder / "run" / "model", "--protocol", protocol,
        "--output", folder / "results" / protocol, "--card",
    )  # fmt: skip


def publish_and_use(folder: Path) -> None:
    """Uploads the checkpoint to a hub of this machine, and labels a clip with what is downloaded from there."""
    with serve_hub(folder / "hub") as account:
        muybridge("publish", folder / "run" / "model", NAME, **account)
        muybridge("classify", folder / "clip.mp4", "--model", NAME, "--top-k", 3, **account)


@contextmanager
def serve_hub(root: Path) -> Iterator[dict[str, str]]:
    """A hub while it is needed; gives what one sets to use it."""
    program = [sys.executable, "-m", "muybridge_hub"]
    token = subprocess.run(
        [*program, "token", "create", NAME.partition("/")[0], "--root", root],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # one that nobody uses
    print("\n$ muybridge-hub serve --root", root, "--port", port, flush=True)
    server = subprocess.Popen([*program, "serve", "--root", root, "--port", str(port), "--quiet"])
    try:
        wait_for(port)
        # A cache of its own: what is used was downloaded now.
        cache = str((root / "downloaded").absolute())
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_TOKEN": token, "HF_HOME": cache, "HF_HUB_OFFLINE": "0"}
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    for _ in range(300):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    sys.exit(f"the hub does not answer at port {port}")


def look(folder: Path) -> Findings:
    """Labels of test clips, and the training clips whose features are nearest to theirs."""
    model = str(folder / "run" / "model")
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
        f"Look at {folder / 'demo.png'}, and with `muybridge-hub serve --root {folder / 'hub'}` at the hub's pages. "
        f"All of it took {seconds / 60:.1f} minutes."
    )


def muybridge(*words: object, **environment: str) -> None:
    """Runs a command as a person would."""
    texts = list(map(str, words))
    print("\n$ muybridge", *texts, flush=True)
    subprocess.run([sys.executable, "-m", "muybridge", *texts], check=True, env=os.environ | environment)


if __name__ == "__main__":
    main()
