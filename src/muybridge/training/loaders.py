"""Where batches come from: epochs of the run's own data, and further sources beside them, without end."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch.utils.data import DataLoader

from muybridge.data import SplitData, load_videos
from muybridge.objectives import Objective
from muybridge.training.caching import load_fixed_outputs
from muybridge.training.errors import read_batches
from muybridge.training.settings import TrainingSettings
from muybridge.training.sources import EndlessBatches, FixedOutputs, RunClips, ShuffledOrder, make_clips
from muybridge.training.stopping import ignore_signals


def make_main_loader(
    settings: TrainingSettings, data: Sequence[SplitData], objective: Objective, accelerator: Accelerator
) -> tuple[RunClips | FixedOutputs, ShuffledOrder, DataLoader[Any]]:
    """The loader of epochs, with what it loads and in which order."""
    clips: RunClips | FixedOutputs = make_clips(settings, data, objective, objective.views)
    if settings.cache_features and isinstance(clips, RunClips):
        with accelerator.main_process_first():
            clips = load_fixed_outputs(settings, clips, objective.to(accelerator.device))
    order = ShuffledOrder(len(clips), settings.seed)
    is_full = len(clips) >= settings.batch_size * accelerator.num_processes
    loader = DataLoader(clips, settings.batch_size, sampler=order, drop_last=is_full, **loader_options(settings))
    return clips, order, loader


def make_other_loader(
    settings: TrainingSettings, name: str, objective: Objective, accelerator: Accelerator, num_batches: int
) -> Iterator[dict[str, Any]]:
    """The batches of a further source, on the device, from the one after the first `num_batches` on."""
    records = load_videos(settings.other_data[name])
    part = SplitData(name, records.with_split(settings.split) if settings.split in records.splits else records)
    clips = make_clips(settings, [part], objective, objective.get_views(name))
    order = EndlessBatches(
        len(clips),
        settings.batch_size,
        settings.seed,
        process_index=accelerator.process_index,
        num_processes=accelerator.num_processes,
        first=num_batches,
    )
    loader = DataLoader(clips, batch_sampler=order, **loader_options(settings))
    return (send_to_device(batch, accelerator.device) for batch in read_batches(loader))


def loader_options(settings: TrainingSettings) -> dict[str, Any]:
    num_workers = 0 if settings.cache_features else settings.num_workers
    return {
        "num_workers": num_workers,
        "persistent_workers": num_workers > 0,  # starting them takes as long as a short epoch
        "worker_init_fn": ignore_signals,
        # Its own generator: the global one, which dropout draws from, must not depend on how often loading began.
        "generator": torch.Generator().manual_seed(settings.seed),
    }
