"""What a small network makes of real videos: from scratch, after made clips, and without motion.

    python examples/real_video.py WEIZMANN4 FIGHTS --output real_video

An R(2+1)D of a quarter of a million parameters learns two small data sets, each a folder with a labels.csv that has
the columns path, label and split, in three ways:

- from scratch;
- pretrained on sprites, made clips in which the motion alone tells the class;
- single frames: the same network on one frame at a time, which at test sees the very frames that the others see
  together, and whose answers are averaged.

Each is trained as often as `--num-seeds` says, with one recipe for all, and what counts is the last epoch: nothing is
chosen by the test videos. Started again, the program goes on where it was stopped.
"""

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from muybridge import Protocol
from muybridge.data import load_videos
from muybridge.data.sprites import write_sprites
from muybridge.evaluation import Result, Scores, average_splits, evaluate
from muybridge.training import TrainingSettings, train

SCRATCH, PRETRAINED, SINGLE_FRAMES = "from scratch", "pretrained on sprites", "single frames"
WAYS = (SCRATCH, PRETRAINED, SINGLE_FRAMES)
SAMPLING = {"sampling": "uniform", "fps": None}  # frames spread over the whole video
RECIPE = {
    "optimizer": "adamw",
    "learning_rate": 3e-3,
    "weight_decay": 0.02,
    "label_smoothing": 0.1,
    "warmup_epochs": 2.0,
    "channels_last": True,
    "trackers": [],
}


@dataclass(frozen=True)
class Sizes:
    """How large the network, its clips and the sprites are, and for how many epochs each data set is learnt."""

    num_frames: int
    image_size: int
    hidden_sizes: tuple[int, ...]
    num_sprites: int
    sprite_epochs: int
    epochs: dict[str, int]


FULL = Sizes(16, 48, (8, 16, 32, 64), 800, 14, {"weizmann4": 50, "fights": 20})
QUICK = Sizes(4, 32, (4, 8), 32, 1, {"weizmann4": 1, "fights": 1})


@dataclass(frozen=True)
class Study:
    """All runs: on which data, of what size, how often, and where they are kept."""

    data: dict[str, Path]
    output: Path
    sizes: Sizes
    num_seeds: int

    def results(self) -> Iterator[tuple[str, str, Result]]:
        """The result of every run, after the name of its data set and the way it was trained."""
        pretrained = self.pretrain()
        for name, folder in self.data.items():
            for way in WAYS:
                beginning = {"model": str(pretrained)} if way == PRETRAINED else self.new_network(way)
                for seed in range(self.num_seeds):
                    output = self.output / name / way.replace(" ", "-") / str(seed)
                    settings = self.settings(folder, output, self.sizes.epochs[name], seed=seed, **beginning)
                    yield name, way, result_of(settings, self.protocol(way))

    def pretrain(self) -> Path:
        """The checkpoint of a network that has learnt the sprites."""
        folder = self.output / "sprites"
        write_sprites(folder, self.sizes.num_sprites, num_frames=self.sizes.num_frames * 3 // 2)
        settings = self.settings(
            folder, self.output / "pretraining", self.sizes.sprite_epochs,
            batch_size=32, flip=False, **self.new_network(PRETRAINED),
        )  # fmt: skip
        return trained(settings)

    def settings(self, data: Path, output: Path, epochs: int, **others: Any) -> TrainingSettings:
        values = {"batch_size": 16, "processor_fields": SAMPLING, **RECIPE}
        return TrainingSettings(
            data=[str(data)], output=str(output), epochs=epochs, evaluate_every_epochs=epochs, **{**values, **others}
        )

    def new_network(self, way: str) -> dict[str, Any]:
        num_stages = len(self.sizes.hidden_sizes)
        return {
            "model": "video_resnet",
            "num_frames": 1 if way == SINGLE_FRAMES else self.sizes.num_frames,
            "image_size": self.sizes.image_size,
            "model_fields": {
                "depths": [1] * num_stages,
                "hidden_sizes": list(self.sizes.hidden_sizes),
                "convolutions": ["2plus1d"] * num_stages,
            },
        }

    def protocol(self, way: str) -> Protocol:
        """The frames of one clip spread over the video: together, or as many clips of one frame."""
        return Protocol(num_clips=self.sizes.num_frames if way == SINGLE_FRAMES else 1)


def trained(settings: TrainingSettings) -> Path:
    """The checkpoint of a run, which is begun, gone on with, or found finished."""
    folder = Path(settings.output)
    if (folder / "model").is_dir() and not settings.list_changes(TrainingSettings.load(folder / "settings.json")):
        return folder / "model"
    return train(settings, resume=True)


def result_of(settings: TrainingSettings, protocol: Protocol) -> Result:
    """The result of a run on the test videos, measured or read again."""
    model, folder = trained(settings), Path(settings.output) / "results"
    if not (folder / "results.json").is_file():
        evaluate(model, load_videos(settings.data[0], "test"), protocol, batch_size=settings.batch_size).save(folder)
    return Result(Scores.load(folder / "scores.safetensors"))


def run(study: Study) -> dict[str, dict[str, list[Result]]]:
    """The results of all seeds, by data set and way."""
    found: dict[str, dict[str, list[Result]]] = {name: {way: [] for way in WAYS} for name in study.data}
    total, start = len(study.data) * len(WAYS) * study.num_seeds, time.perf_counter()
    for number, (name, way, result) in enumerate(study.results(), start=1):
        found[name][way].append(result)
        minutes = (time.perf_counter() - start) / 60
        print(f"{number}/{total}, {minutes:.1f} min: {name}, {way}: video Hit@1 {hit_share(result):.1%}", flush=True)
    return found


def hit_share(result: Result) -> float:
    return float(result.metrics["video_hit_at_1"] or 0.0)


def summary(results: list[Result]) -> dict[str, Any]:
    """The mean and the deviation over seeds of every number, and each seed's share of hits."""
    numbers = {
        name: {"mean": mean, "deviation": None if math.isnan(deviation) else deviation}
        for name, (mean, deviation) in average_splits(results).items()
    }
    return {"video_hit_at_1_of_seeds": [hit_share(result) for result in results], **numbers}


def write_results(study: Study, found: dict[str, dict[str, list[Result]]]) -> None:
    facts = {
        "machine": machine(),
        "sizes": asdict(study.sizes),
        "recipe": RECIPE,
        "num_videos": {name: count_videos(folder) for name, folder in study.data.items()},
        "results": {name: {way: summary(results) for way, results in ways.items()} for name, ways in found.items()},
    }
    path = study.output / "results.json"
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }


def count_videos(folder: Path) -> dict[str, int]:
    videos = load_videos(folder)
    return {split: len(videos.with_split(split)) for split in ("train", "test")}


def table(found: dict[str, dict[str, list[Result]]]) -> str:
    """The share of hits for people, in Markdown."""
    rows = [["video Hit@1", *found], ["---"] * (len(found) + 1)]
    rows += [[way, *(shown(ways[way]) for ways in found.values())] for way in WAYS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def shown(results: list[Result]) -> str:
    mean, deviation = average_splits(results)["video_hit_at_1"]
    return f"{mean:.1%}" if math.isnan(deviation) else f"{mean:.1%} ± {deviation:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weizmann4", type=Path, help="the folder of four actions by nine persons")
    parser.add_argument("fights", type=Path, help="the folder of fights and what is none")
    parser.add_argument("--num-seeds", type=int, default=3, help="how often each is trained (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("real_video"), help="where it goes (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny networks for an epoch: does it run at all?")
    arguments = parser.parse_args()
    data = {"weizmann4": arguments.weizmann4, "fights": arguments.fights}
    sizes = QUICK if arguments.quick else FULL
    study = Study(data, arguments.output, sizes, arguments.num_seeds)
    found = run(study)
    write_results(study, found)
    print(table(found))


if __name__ == "__main__":
    main()
