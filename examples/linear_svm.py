"""How much a model knows of videos that it was not trained on: simple classifiers on its features.

    python examples/linear_svm.py VIDEOS --model CHECKPOINT --stages 2 3 fc6

The features of every stage or layer that is asked for, averaged over space and time, and those that the model's own
classifier gets, are given to a linear SVM and to the nearest neighbours. VIDEOS is divided into train and test, as a
folder with VIDEOS/train/LABEL/clip.mp4 is, or anything else that `load_videos` reads.
"""

import argparse
from typing import Any

from muybridge.data import load_videos
from muybridge.evaluation import extract_features, probe

CLASSIFIERS: dict[str, dict[str, Any]] = {"svm": {"cost": 1.0}, "knn": {"num_neighbours": 5}}


def layer(word: str) -> int | str:
    return int(word) if word.isdigit() else word


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", help="a folder of class folders, in train and test")
    parser.add_argument("--model", required=True, help="a checkpoint: a folder, or a name on the Hub")
    parser.add_argument(
        "--stages", type=layer, nargs="*", default=[], help="numbers of stages, from 0, or names of layers"
    )
    parser.add_argument("--protocol", default="clip", help="which views are averaged (%(default)s)")
    arguments = parser.parse_args()

    parts = [load_videos(arguments.videos, split) for split in ("train", "test")]
    print("| features | " + " | ".join(f"video Hit@1, {name}" for name in CLASSIFIERS) + " |")
    print("| --- " * (len(CLASSIFIERS) + 1) + "|")
    for stage in [*arguments.stages, None]:
        train, test = (extract_features(arguments.model, part, arguments.protocol, stage=stage) for part in parts)
        results = [probe(train, test, name, **settings) for name, settings in CLASSIFIERS.items()]
        numbers = [f"{result.metrics['video_hit_at_1']:.1%}" for result in results]
        name = "the classifier's" if stage is None else f"stage {stage}"
        print(f"| {name}, {train.values.shape[1]} | {' | '.join(numbers)} |")


if __name__ == "__main__":
    main()
