"""Videos in, outputs of a network out, in order: decoded ahead, in batches, shared among processes.

Videos are divided into batches first, and batches among the processes afterwards. So each batch is the same for any
number of processes, and so are its outputs, to the bit; and no video is padded or counted twice.

Shapes: V views of a video.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import torch
from accelerate.utils import gather_object
from tqdm import tqdm

from muybridge.inference.ahead import map_ahead
from muybridge.inference.batches import Inputs, Network, Outputs, run_batch
from muybridge.inference.loading import Loading
from muybridge.inference.videos import name_video
from muybridge.processes import process_state
from muybridge.video import ErrorPolicy

# A process computes so many batches before all exchange what they have. Between, none waits for another.
BATCHES_BETWEEN_EXCHANGES = 32


@dataclass(frozen=True)
class Outcome:
    """What came of a video: the outputs (V, …) of the network by name, or the reason why it could not be read."""

    position: int  # of the video among all of them
    outputs: Outputs | None
    name: str | None = None  # that of a video that could not be read
    reason: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A video on its way to the network: its inputs (V, …), or the name and the reason where it could not be read."""

    position: int
    inputs: Inputs | None
    name: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Engine:
    """A network, and how videos come to it.

    network: called with the inputs of several views by name; gives tensors by name, each with a row a view.
    load: makes the inputs (V, …) of a video; a `VideoLoader`, or any function.
    num_views: how many views a video has; a batch is of as many videos as have `loading.batch_size` views together.
    device, dtype: where the network is, and which floating point numbers it takes; None leaves them as they are.
    title: what the bar is called; None shows none. It is on a terminal, and of the first process.

    The network is called without gradients. Its mode is its owner's: see `evaluation_mode`.
    """

    network: Network
    load: Callable[[Any], Inputs]
    num_views: int = 1
    loading: Loading = field(default_factory=Loading)
    device: torch.device | str | None = None
    dtype: torch.dtype | None = None
    title: str | None = None

    def run(self, videos: Iterable[Any], policy: ErrorPolicy | None = None) -> Iterator[Outcome]:
        """What comes of each video, in order; videos may be without end, and are read no further ahead than needed.

        policy: what becomes of a video that cannot be read, `loading.errors` by default. A video that is skipped is
            noted in it when its turn comes.
        """
        policy = policy or self.loading.make_policy()
        yield from note_skipped(self._run(enumerate(videos), policy, count(videos)), policy)

    def run_shared(self, videos: Iterable[Any], policy: ErrorPolicy | None = None) -> Iterator[Outcome]:
        """As `run`, with the videos shared among the processes: each computes a part, and each gets all outcomes.

        Every process must be given the same videos, and must take all outcomes.
        """
        state = process_state()
        if state.num_processes == 1:
            yield from self.run(videos, policy)
            return
        policy = policy or self.loading.make_policy()

        def own(of: Iterable[Any]) -> Iterator[tuple[int, Any]]:
            return share(of, self.videos_per_batch, state.process_index, state.num_processes)

        total = count(videos)
        outcomes = self._run(own(videos), policy, None if total is None else sum(1 for _ in own(range(total))))
        yield from note_skipped(exchange(outcomes, BATCHES_BETWEEN_EXCHANGES * self.videos_per_batch), policy)

    @property
    def videos_per_batch(self) -> int:
        """One at least, also where it has more views than a batch."""
        return max(1, self.loading.batch_size // self.num_views)

    def _run(self, numbered: Iterable[tuple[int, Any]], policy: ErrorPolicy, total: int | None) -> Iterator[Outcome]:
        """What comes of each of the videos with these positions, which are `total` as far as that is known."""
        load = partial(self._load, policy=policy)
        with (
            closing(map_ahead(load, numbered, self.loading.num_workers)) as loaded,
            make_bar(self.title, total) as bar,
        ):
            while batch := list(islice(loaded, self.videos_per_batch)):
                readable = [video.inputs for video in batch if video.inputs is not None]
                outputs = iter(
                    run_batch(self.network, readable, self.loading.batch_size, device=self.device, dtype=self.dtype)
                )
                for video in batch:
                    bar.update()
                    own = None if video.inputs is None else next(outputs)
                    yield Outcome(video.position, own, video.name, video.reason)

    def _load(self, numbered: tuple[int, Any], policy: ErrorPolicy) -> Loaded:
        """The inputs of a video; in a thread, ahead of its turn."""
        position, video = numbered
        own = ErrorPolicy.parse(str(policy))  # what is skipped counts when its turn comes
        inputs = own.attempt(lambda: self.load(video), name_video(video))
        return Loaded(position, inputs, *(own.skipped[0] if inputs is None else ()))


def note_skipped(outcomes: Iterable[Outcome], policy: ErrorPolicy) -> Iterator[Outcome]:
    """The outcomes; those of videos that could not be read are noted in the policy on the way."""
    for outcome in outcomes:
        if outcome.outputs is None:
            policy.record(outcome.name, outcome.reason or "")
        yield outcome


def share(
    videos: Iterable[Any], videos_per_batch: int, process_index: int, num_processes: int
) -> Iterator[tuple[int, Any]]:
    """The videos of the batches that fall to one process, each with its position among all."""
    for position, video in enumerate(videos):
        if position // videos_per_batch % num_processes == process_index:
            yield position, video


def exchange(own: Iterator[Outcome], at_once: int) -> Iterator[Outcome]:
    """The outcomes of all processes in order, from those of this one."""
    while outcomes := gather_object(list(islice(own, at_once))):
        yield from sorted(outcomes, key=lambda outcome: outcome.position)


def count(videos: Iterable[Any]) -> int | None:
    """How many there are, where that is known before the last one comes."""
    return len(videos) if isinstance(videos, Sized) else None


def make_bar(title: str | None, total: int | None) -> tqdm:
    is_shown = title is not None and process_state().is_main_process
    return tqdm(desc=title, total=total, unit="video", disable=None if is_shown else True)
