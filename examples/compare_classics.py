"""The classic networks on made clips: which of them see motion, which see appearance, and what they cost.

    python examples/compare_classics.py --output compare_classics

Each learns two sets of sprites from scratch: one where the motion alone tells the class, so that a single frame says
nothing, and one where the shape does. All see the same clips in the same order, are trained by one recipe for equally
many steps, and what counts is the last one: nothing is chosen by the test clips. All are small, and those that look at
frames one by one, or fuse them, share one network of the frame.

What was finished is kept in the output folder: started again, the program goes on with what is missing.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from real_video import machine
from torch import Tensor, nn
from tqdm import tqdm

from muybridge.data.sprites import SpriteSettings, sprite
from muybridge.files import replace_text
from muybridge.models import ARCHITECTURES
from muybridge.models.inspection import count_gmacs, count_parameters, make_random_inputs
from muybridge.models.video_base import VideoForClassification
from muybridge.text import make_text_table

# What is to be told apart, and the set of sprites in which it is.
TASKS = {"motion": "easy", "appearance": "appearance"}
RECIPE = {"learning_rate": 2e-3, "weight_decay": 0.02, "warmup_share": 0.2, "max_gradient_norm": 1.0}


@dataclass(frozen=True)
class Sizes:
    """How large the clips are, how many there are, and how often they are seen."""

    num_frames: int = 16
    image_size: int = 32
    num_training: int = 2048
    num_test: int = 800
    batch_size: int = 32
    epochs: int = 12


QUICK = Sizes(num_training=8, num_test=8, batch_size=8, epochs=1)


@dataclass(frozen=True)
class Network:
    """One row of the table: what it sees of a clip, and the fields of its config."""

    sees: str
    architecture: str
    fields: dict[str, Any]

    def make(self, sizes: Sizes, num_labels: int) -> VideoForClassification:
        architecture = ARCHITECTURES[self.architecture]
        clip = {"num_frames": sizes.num_frames, "image_size": sizes.image_size}
        config = architecture.config(**{**clip, "num_labels": num_labels, "head": {"dropout": 0.0}, **self.fields})
        return architecture.task_model(config)


def networks(sizes: Sizes) -> dict[str, Network]:
    widths, kernels, fully_connected = (16, 32, 48, 48, 32), (5, 3, 3, 3, 3), 128
    fusion: dict[str, Any] = {
        "hidden_sizes": widths,
        "kernel_sizes": kernels,
        "stem_stride": 2,
        "has_batch_norm": True,
        "fully_connected_size": fully_connected,
        "fusion_frames": (4, 3, 3),  # 16 frames become 7, 3 and 1
        "fusion_strides": (2, 2, 1),
    }
    frame = {  # the network of single frames, as an image encoder
        "model_type": "alexnet",
        "image_size": sizes.image_size,
        "hidden_sizes": widths,
        "kernel_sizes": kernels,
        "strides": (2, 1, 1, 1, 1),
        "paddings": (2, 1, 1, 1, 1),
        "groups": (1, 1, 1, 1, 1),
        "pooling_size": 2,
        "has_batch_norm": True,
        "normalized_stages": (),
        "fully_connected_sizes": (fully_connected, fully_connected),
        "fully_connected_dropouts": (0.0, 0.0),
    }
    # As in its paper, an LSTM on the first fully connected layer, and the mean of the predictions at every frame.
    recurrent = {
        "backbone_config": {**frame, "fully_connected_sizes": (fully_connected,), "fully_connected_dropouts": (0.0,)},
        "rnn_hidden_size": fully_connected,
        "readout": "average",
    }
    residual: dict[str, Any] = {"depths": (1, 1, 1, 1), "hidden_sizes": (16, 32, 48, 64)}
    factorised = {"convolutions": ("2plus1d",) * 4, "stem_convolution": "2plus1d", "stem_mid_channels": 12}
    plain = {"depths": (1, 1, 1, 1), "hidden_sizes": (16, 32, 48, 64), "fully_connected_size": fully_connected}
    every = "all frames"
    return {
        "single frame": Network("the middle frame", "fusion_cnn", {**fusion, "fusion": "single", "num_frames": 1}),
        "mean pooling": Network("all frames, unordered", "frame_pooling", {"backbone_config": frame}),
        "late fusion": Network("the first and the last frame", "fusion_cnn", {**fusion, "fusion": "late"}),
        "early fusion": Network(every, "fusion_cnn", {**fusion, "fusion": "early"}),
        "slow fusion": Network(every, "fusion_cnn", {**fusion, "fusion": "slow"}),
        "slow fusion, two resolutions": Network(every, "fusion_cnn", {**fusion, "fusion": "slow", "streams": "both"}),
        "LRCN": Network(every, "lrcn", recurrent),
        "C3D": Network(every, "c3d", plain),
        "R3D": Network(every, "video_resnet", residual),
        "MC3": Network(every, "video_resnet", {**residual, "convolutions": ("3d", "2d", "2d", "2d")}),
        "R(2+1)D": Network(every, "video_resnet", {**residual, **factorised}),
        "I3D": Network(every, "i3d", {"width_multiplier": 1 / 8}),
    }


@dataclass(frozen=True)
class Clips:
    """Clips (N, T, C, H, W) in bytes, and the numbers (N,) of their classes."""

    frames: Tensor
    labels: Tensor

    def batch(self, indices: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
        """Pixel values around zero, of all frames or of as many in the middle as the network takes."""
        first = (self.frames.shape[1] - num_frames) // 2
        frames = self.frames[indices, first : first + num_frames]
        return (frames.float() - 127.5) / 63.75, self.labels[indices]


@cache
def load_clips(classes: str, first: int, num_clips: int, num_frames: int, size: int) -> Clips:
    """Clips `first` to `first + num_clips` of a set of sprites."""
    indices = tqdm(range(first, first + num_clips), f"clips of {classes!r}", unit="clip", leave=False)
    made = [sprite(index, classes=classes, num_frames=num_frames, size=size) for index in indices]
    return Clips(torch.stack([clip.frames for clip in made]), torch.tensor([clip.label for clip in made]))


@dataclass(frozen=True)
class Study:
    """All runs: of what size, from which seeds, and where the finished ones are kept."""

    output: Path
    sizes: Sizes
    num_seeds: int

    def results(self) -> dict[str, dict[str, Any]]:
        """What each network costs, and its share of hits in each task for each seed."""
        found = {}
        for name, network in networks(self.sizes).items():
            found[name] = {"sees": network.sees, **self.cost(name, network)}
            for task in TASKS:
                runs = [self.run(name, network, task, seed) for seed in range(self.num_seeds)]
                found[name][task] = summary(runs)
        return found

    def run(self, name: str, network: Network, task: str, seed: int) -> dict[str, float]:
        """The result of one training, done or read again."""
        path = self.output / "runs" / f"{slug(name)}-{task}-{seed}.json"
        settings = {"sizes": asdict(self.sizes), "recipe": RECIPE, "fields": network.fields}
        return kept(path, settings, lambda: self.train_and_test(name, network, task, seed))

    def cost(self, name: str, network: Network) -> dict[str, float]:
        path = self.output / "runs" / f"{slug(name)}-cost.json"
        settings = {"sizes": asdict(self.sizes), "fields": network.fields}
        return kept(path, settings, lambda: measure_cost(network.make(self.sizes, num_labels=8)))

    def train_and_test(self, name: str, network: Network, task: str, seed: int) -> dict[str, float]:
        sizes, classes = self.sizes, TASKS[task]
        training = load_clips(classes, 0, sizes.num_training, sizes.num_frames, sizes.image_size)
        test = load_clips(classes, sizes.num_training, sizes.num_test, sizes.num_frames, sizes.image_size)
        torch.manual_seed(seed)
        model = network.make(sizes, num_labels=len(SpriteSettings(classes=classes).labels))
        start = time.perf_counter()
        batches = list(shuffled_batches(sizes, seed))
        train(model, training, batches, f"{name}, {task}")
        seconds = time.perf_counter() - start
        hits = share_of_hits(model, test)
        print(f"{name}, {task}: {hits:.1%} after {seconds:.0f} s", flush=True)
        return {"hits": hits, "hits_in_training": share_of_hits(model, training), "seconds": round(seconds, 1)}


def kept(path: Path, settings: dict[str, Any], compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What was computed with the same settings before, or is now and is kept."""
    settings = json.loads(json.dumps(settings))
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["settings"] == settings:
            return earlier["result"]
    result = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps({"settings": settings, "result": result}, indent=2) + "\n")
    return result


def train(model: VideoForClassification, clips: Clips, batches: Sequence[Tensor], title: str) -> None:
    """AdamW, a step a batch, with a rate that rises and falls once."""
    optimizer = torch.optim.AdamW(model.parameters(), RECIPE["learning_rate"], weight_decay=RECIPE["weight_decay"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RECIPE["learning_rate"], total_steps=len(batches) + 1, pct_start=RECIPE["warmup_share"]
    )
    model.train()
    for indices in (bar := tqdm(batches, title, unit="step", leave=False)):
        pixels, labels = clips.batch(indices, model.config.num_frames)
        loss = model(pixels, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), RECIPE["max_gradient_norm"])
        optimizer.step()
        schedule.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)


def shuffled_batches(sizes: Sizes, seed: int) -> Iterator[Tensor]:
    """The indices of the clips of every step, shuffled anew in each epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(sizes.epochs):
        yield from torch.randperm(sizes.num_training, generator=generator).split(sizes.batch_size)


@torch.inference_mode()
def share_of_hits(model: VideoForClassification, clips: Clips) -> float:
    model.eval()
    hits = 0
    for indices in torch.arange(len(clips.labels)).split(100):
        pixels, labels = clips.batch(indices, model.config.num_frames)
        hits += int((model(pixels).logits.argmax(-1) == labels).sum())
    return hits / len(clips.labels)


@torch.inference_mode()
def measure_cost(model: VideoForClassification, batch_size: int = 8, rounds: int = 9) -> dict[str, float]:
    """Parameters, multiply-accumulates a clip, and how many clips of a batch go forward in a second."""
    inputs, seconds = make_random_inputs(model.eval(), batch_size), []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        model(**inputs)
        seconds.append(time.perf_counter() - start)
    return {
        "parameters": count_parameters(model),
        "gmacs": count_gmacs(model),
        "clips_per_second": round(batch_size / statistics.median(seconds[1:]), 1),
    }


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """The mean and the deviation over seeds of the share of hits, and each run's numbers."""
    hits = [run["hits"] for run in runs]
    deviation = statistics.stdev(hits) if len(hits) > 1 else None
    return {"hits": {"mean": statistics.mean(hits), "deviation": deviation}, "runs": runs}


def rows(results: dict[str, Any]) -> list[dict[str, str]]:
    """The table that is printed: the mean share of hits of each network."""
    return [
        {"network": name, **{task: f"{found[task]['hits']['mean']:.1%}" for task in TASKS}}
        for name, found in results.items()
    ]


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-seeds", type=int, default=1, help="how often each is trained (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("compare_classics"), help="where it goes (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a step or two of each: does it run at all?")
    arguments = parser.parse_args()
    study = Study(arguments.output, QUICK if arguments.quick else Sizes(), arguments.num_seeds)
    facts = {
        "machine": {**machine(), "threads": torch.get_num_threads()},
        "sizes": asdict(study.sizes),
        "recipe": RECIPE,
        "results": study.results(),
    }
    replace_text(arguments.output / "results.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    print(make_text_table(rows(facts["results"])))


if __name__ == "__main__":
    main()
