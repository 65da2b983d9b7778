"""Writes clips of moving sprites as video files, where only the motion tells the class: for trying things out."""

import argparse
import sys
from collections import Counter
from dataclasses import fields

from muybridge.cli.arguments import add_output, positive


def configure(parser: argparse.ArgumentParser) -> None:
    from muybridge.data.sprites import CLASS_SETS, SpriteSettings

    defaults = {field.name: field.default for field in fields(SpriteSettings)}
    add_output(parser, "the folder to write, or to go on writing", required=True)
    parser.add_argument(
        "--num-videos", type=positive, default=800, help="how many, of all classes together (%(default)s)"
    )
    parser.add_argument(
        "--motions",
        choices=tuple(CLASS_SETS),
        default=defaults["classes"],
        help="which classes; with `appearance` the shape tells them apart, and the motion nothing (%(default)s)",
    )
    parser.add_argument("--camera-motion", action="store_true", help="the camera pans, rolls and zooms a little")
    parser.add_argument("--sound", action="store_true", help="the files have a sound that goes with the motion")
    parser.add_argument(
        "--num-sprites",
        type=positive,
        default=defaults["num_sprites"],
        help="sprites a clip, one behind the other; the one in front tells the class (%(default)s)",
    )
    parser.add_argument(
        "--num-colours",
        type=positive,
        default=defaults["num_colours"],
        help="colours of a sprite, 1 or 2 (%(default)s)",
    )
    parser.add_argument("--image-size", type=int, default=defaults["size"], help="pixels a side (%(default)s)")
    parser.add_argument("--num-frames", type=int, default=defaults["num_frames"], help="frames a clip (%(default)s)")
    parser.add_argument("--fps", type=int, default=16, help="frames a second (%(default)s)")
    parser.add_argument("--test-share", type=float, default=0.25, help="how much of it is for testing (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=defaults["seed"], help="another one gives other clips (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    from muybridge.data.sprites import write_sprites

    files = write_sprites(
        arguments.output,
        arguments.num_videos,
        fps=arguments.fps,
        test_share=arguments.test_share,
        sound=arguments.sound,
        classes=arguments.motions,
        num_frames=arguments.num_frames,
        size=arguments.image_size,
        seed=arguments.seed,
        camera_motion=arguments.camera_motion,
        num_sprites=arguments.num_sprites,
        num_colours=arguments.num_colours,
    )
    splits = Counter(file.split for file in files)
    counts = ", ".join(f"{count} to {split}" for split, count in splits.items())
    print(f"wrote {arguments.output}: {counts}, {len({file.label for file in files})} classes", file=sys.stderr)
    return 0
