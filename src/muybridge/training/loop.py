"""One training run, told from its settings to its checkpoint.

Accelerate spreads it over processes and machines, mixes precision and accumulates gradients. What is drawn for a clip
depends on the seed, the epoch and the clip alone, and a state holds all the rest: so a run that was killed goes on as
if it had not been.
"""

import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from muybridge.evaluation import Result, evaluate
from muybridge.models.video_base import VideoForClassification
from muybridge.randomness import make_generator
from muybridge.training.averaging import WeightAverage
from muybridge.training.checking import check_caching, check_task_labels, check_weights, warnings_of
from muybridge.training.clips import VIEW, CachedFeatures, ShuffledOrder, TaskClips, make_clips
from muybridge.training.errors import TrainingError, explained, readable
from muybridge.training.features import cached_features
from muybridge.training.learner import Learner, task_loss
from muybridge.training.mixing import Mixing
from muybridge.training.parameters import freeze, parameter_groups, train_mode
from muybridge.training.precision import pad_short_clips
from muybridge.training.progress import Progress, Stopwatch, list_left_out
from muybridge.training.schedules import schedule
from muybridge.training.settings import TrainingSettings
from muybridge.training.setup import load_data, make_model, make_tasks
from muybridge.training.sharding import check_sharding, share_unsharded, whole_model
from muybridge.training.state import Position, load_state, newest_position, save_state
from muybridge.training.trained_model import single_task_model, write_checkpoint

LOG_EVERY_STEPS = 10


def train(settings: TrainingSettings, *, resume: bool = False, allow_changes: bool = False) -> Path:
    """Trains as the settings say; returns the folder of the checkpoint, `output`/model."""
    run = Run(settings)
    run.begin(resume=resume, allow_changes=allow_changes)
    with stop_at_signal() as stop:
        run.train(stop)
    return run.finish()


class StopSignal:
    """Whether someone asked the run to stop; it does so at the end of a step, and not within one."""

    def __init__(self) -> None:
        self.is_asked = False  # of this process
        self.is_set = False  # for all processes, which heed it at the same step

    def ask(self, *_: Any) -> None:
        if self.is_asked:
            raise KeyboardInterrupt  # asked twice: at once
        self.is_asked = True


@contextmanager
def stop_at_signal() -> Iterator[StopSignal]:
    """Turns Ctrl-C, and the request of a cluster to end, into a flag."""
    stop = StopSignal()
    earlier = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def ignore_signals(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; the workers go on until the run itself ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Run:
    """A training run: what it trains, on what, and how far it is."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.folder = Path(settings.output)
        AcceleratorState._reset_state()  # it is one for the process, and an earlier run's precision would stay
        self.accelerator = Accelerator(
            mixed_precision=settings.mixed_precision,
            gradient_accumulation_steps=settings.accumulation_steps,
            log_with=settings.trackers or None,
            project_dir=str(self.folder),
        )
        check_sharding(self.accelerator.state)
        self.position = Position(num_processes=self.accelerator.num_processes)
        self.stopwatch = Stopwatch()
        torch.manual_seed(settings.seed)
        self.data = load_data(settings)
        check_task_labels(self.data, settings.split)
        check_weights(settings.model)
        self.tasks = make_tasks(self.data)
        self.model, self.processor = make_model(settings, self.tasks)
        check_caching(settings, self.model)
        self.model.to(self.accelerator.device)  # before it is copied for an average
        if settings.mixed_precision == "bf16" and self.accelerator.device.type == "cpu":
            pad_short_clips(self.model)
        self.bare_learner = Learner(self.model)
        self.average = WeightAverage(self.model, settings.average_decay) if settings.average_decay else None
        self.mixing = Mixing(self.tasks, settings)
        self.results: dict[str, Result] = {}  # by data set, of the last evaluation

    def begin(self, *, resume: bool, allow_changes: bool) -> None:
        """Makes the run's folder, or takes up what is in it."""
        path = self.folder / "settings.json"
        is_continued = resume and path.is_file()
        if is_continued:
            refuse_changes(TrainingSettings.load(path), self.settings, allow_changes=allow_changes)
            self.position = newest_position(self.folder)
            is_divided_anew = self.position.num_processes != self.accelerator.num_processes
            if self.position.step and is_divided_anew and not allow_changes:
                raise TrainingError(
                    f"the run was begun with {self.position.num_processes} processes, and there are "
                    f"{self.accelerator.num_processes} now: its steps would be others. Start as many, or pass "
                    "--allow-changes"
                )
            self.position.num_processes = self.accelerator.num_processes
        elif path.is_file():
            raise TrainingError(f"{self.folder} holds a run already; pass --resume to go on with it, or another output")
        self.accelerator.wait_for_everyone()  # or one process makes the folder before another looks for it
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare(self.position.epoch_of_last_batch)  # as it was when the state was saved
        if self.accelerator.is_main_process and (not is_continued or allow_changes):
            self.settings.save(path)  # now that they are known to make a run
        if self.position.step:
            load_state(self.accelerator, self.folder, self.average)
        if self.settings.trackers:
            self.accelerator.init_trackers("tracking")
        self.progress = Progress(self.accelerator, self.folder, self.num_steps, self.position.step)
        for line in [*warnings_of(self.data), *list_left_out(self.settings.trackers)]:
            self.progress.say(line)

    def prepare(self, epoch: int) -> None:
        """Hands model, optimiser and loader to Accelerate, for the part of the run that has this epoch."""
        settings = self.settings
        self.accelerator.free_memory()
        freeze(self.model, trained_stages(settings, epoch))
        if settings.channels_last:
            self.model.to(memory_format=torch.channels_last_3d)
        learner: nn.Module = self.bare_learner
        if settings.compile:
            learner = torch.compile(learner)  # type: ignore[assignment]
        optimizer = make_optimizer(self.model, settings)
        self.clips, self.order, loader = self.make_loader()
        self.learner, self.optimizer, self.loader = self.accelerator.prepare(learner, optimizer, loader)
        self.steps_per_epoch = math.ceil(len(self.loader) / settings.accumulation_steps)
        self.num_steps = settings.steps or self.steps_per_epoch * settings.epochs
        factor = schedule(settings, self.steps_per_epoch, self.num_steps)
        # Not prepared: Accelerate would step it once for each process. Its position is all that it has to remember.
        self.schedule = LambdaLR(self.optimizer.optimizer, factor, last_epoch=self.position.step - 1)

    def make_loader(self) -> tuple[TaskClips | CachedFeatures, ShuffledOrder, DataLoader[Any]]:
        settings = self.settings
        decoded = make_clips(settings, self.data, self.tasks, self.processor)
        clips: TaskClips | CachedFeatures = decoded
        if settings.cache_features:
            with self.accelerator.main_process_first():
                clips = cached_features(settings, decoded, self.model.to(self.accelerator.device), self.processor)
        order = ShuffledOrder(len(clips), settings.seed)
        num_workers = 0 if settings.cache_features else settings.num_workers
        loader = DataLoader(
            clips,
            settings.batch_size,
            sampler=order,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,  # starting them takes as long as a short epoch
            drop_last=len(clips) >= settings.batch_size * self.accelerator.num_processes,
            worker_init_fn=ignore_signals,
            # Its own generator: the global one, which dropout draws from, must not depend on how often loading began.
            generator=torch.Generator().manual_seed(settings.seed),
        )
        return clips, order, loader

    def train(self, stop: StopSignal) -> None:
        while self.position.step < self.num_steps and not stop.is_set:
            if self.is_between_steps:
                self.prepare(self.position.epoch)
            self.train_epoch(stop)
        if stop.is_set:
            self.save()
        if self.clips.skipped:
            self.progress.say(
                f"{len(self.clips.skipped)} clips cannot be read, and others took their places; "
                f"{self.folder / 'skipped.jsonl'} says why"
            )
        self.progress.close()
        if stop.is_set:
            raise TrainingError(
                f"stopped at step {self.position.step}, and saved; go on with --resume, or resume=True in Python"
            )

    @property
    def is_between_steps(self) -> bool:
        """Whether the classifier is trained, and all is to be trained now."""
        is_at_end = self.position.epoch == self.settings.classifier_epochs and self.position.batch == 0
        return self.settings.trained == "two-steps" and is_at_end

    def train_epoch(self, stop: StopSignal) -> None:
        """The rest of an epoch; then its evaluation, and a state."""
        position = self.position
        self.clips.set_epoch(position.epoch)
        self.order.set_epoch(position.epoch)
        loader = skip_first_batches(self.loader, position.batch) if position.batch else self.loader
        loader.set_epoch(position.epoch)  # or Accelerate counts epochs from the beginning of this process
        train_mode(self.model)
        self.stopwatch.restart()
        for batch in self.stopwatch.watch(readable(loader)):
            loss = self.train_batch(batch)
            position.batch += 1
            if self.accelerator.sync_gradients:
                self.finish_step(loss)
                self.agree(stop)
                if position.step == self.num_steps or stop.is_set:
                    break
        if position.batch == len(self.loader):
            position.epoch, position.batch = position.epoch + 1, 0
        if not stop.is_set:
            self.finish_epoch()

    def train_batch(self, batch: dict[str, Any]) -> Tensor:
        """Forward and backward, and a step of the optimiser where enough gradients are gathered; gives the loss."""
        inputs: dict[str, Tensor] = batch["views"][VIEW]
        labels: Tensor = batch["targets"]["label"]
        generator = make_generator(self.settings.seed, self.position.epoch, self.position.batch)
        with self.accelerator.accumulate(self.learner):
            inputs, targets = self.mixing(inputs, labels, batch["task"], generator)
            with self.accelerator.autocast():
                logits = self.learner(**inputs)
            loss = task_loss(logits.float(), targets, batch["task"], self.tasks)
            if not loss.isfinite():
                raise TrainingError(self.describe_broken(loss, batch))
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients and self.settings.max_gradient_norm:
                self.accelerator.clip_grad_norm_(self.learner.parameters(), self.settings.max_gradient_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.stopwatch.num_clips += len(labels) * self.accelerator.num_processes
        return loss.detach()

    def finish_step(self, loss: Tensor) -> None:
        self.schedule.step()
        self.position.step += 1
        if self.average is not None:
            self.average.update(self.model)
        self.progress.step(loss.item(), self.stopwatch)
        if self.position.step % LOG_EVERY_STEPS == 0 or self.position.step == self.num_steps:
            self.progress.log(
                self.position.step,
                {
                    "epoch": self.position.epoch,
                    "loss": self.accelerator.reduce(loss, "mean").item(),
                    "learning_rate": self.schedule.get_last_lr()[-1],
                    "clips_per_second": round(self.stopwatch.clips_per_second, 2),
                    "waiting_share": round(self.stopwatch.waiting_share, 4),
                },
            )
        every = self.settings.save_every_steps
        if every and self.position.step % every == 0 and self.position.batch < len(self.loader):
            self.save()

    def agree(self, stop: StopSignal) -> None:
        """Stops all processes where any was asked to: at the same step, for what they do next they do together."""
        asked = torch.tensor(float(stop.is_asked), device=self.accelerator.device)
        stop.is_set = bool(self.accelerator.reduce(asked, "sum") > 0)

    def finish_epoch(self) -> None:
        is_last = self.position.step >= self.num_steps
        if is_last or self.position.epoch % self.settings.evaluate_every_epochs == 0:
            self.evaluate()
        self.save()

    def evaluate(self) -> None:
        """Hit@1 on one clip of each evaluation video: a number to watch; the last one goes on the card."""
        numbers: dict[str, float] = {}
        best_model = self.best_model()
        for task, data in zip(self.tasks, self.data, strict=True):
            if data.evaluation is None:
                continue
            model = single_task_model(best_model, task, self.tasks)
            result = evaluate(
                model, data.evaluation, "clip", processor=self.processor, batch_size=self.settings.batch_size,
                num_workers=self.settings.num_workers, errors=self.settings.errors,
                provenance={"data": data.name, "split": data.evaluation_split},
            )  # fmt: skip
            self.results[task.name] = result
            prefix = "" if len(self.tasks) == 1 else f"{task.name}/"
            numbers[f"{prefix}clip_hit_at_1"] = float(result.metrics["clip_hit_at_1"] or 0.0)
        if numbers:
            self.progress.log(self.position.step, numbers)
            text = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
            self.progress.say(f"epoch {self.position.epoch}: {text}")

    def best_model(self) -> VideoForClassification:
        """The model whose numbers are reported and which is saved in the end: whole, and the same on every process."""
        model = self.model if self.average is None else self.average.model
        share_unsharded(model)
        return whole_model(model)

    def save(self) -> None:
        share_unsharded(self.model)
        with explained(f"the state of step {self.position.step} cannot be saved in {self.folder}"):
            save_state(self.accelerator, self.folder, self.position, self.average)

    def finish(self) -> Path:
        """Writes the checkpoint of each data set; gives the folder of the first."""
        names = ["model"] if len(self.tasks) == 1 else [f"model-{task.name}" for task in self.tasks]
        folders = [self.folder / name for name in names]
        # A run that was finished before keeps its checkpoints, with what has come to stand on their cards since.
        if self.results or not all((folder / "config.json").is_file() for folder in folders):
            self.write_checkpoints(folders)
        self.accelerator.wait_for_everyone()
        self.end()
        return folders[0]

    def write_checkpoints(self, folders: Sequence[Path]) -> None:
        if not self.results:  # killed after its last step
            self.evaluate()
        best_model = self.best_model()
        if not self.accelerator.is_main_process:
            return
        for folder, task, data in zip(folders, self.tasks, self.data, strict=True):
            model = single_task_model(best_model, task, self.tasks)
            with explained(f"the checkpoint {folder} cannot be written"):
                write_checkpoint(folder, model, self.processor, self.settings, data, self.results.get(task.name))

    def end(self) -> None:
        """Lets the learner go before the group of processes: were it the last to hold that, gloo could hang."""
        del self.learner
        self.accelerator.free_memory()
        for tracker in self.accelerator.trackers:
            tracker.finish()  # the group of processes stays, for whatever comes after training

    def describe_broken(self, loss: Tensor, batch: dict[str, Any]) -> str:
        places = zip(batch["task"].tolist(), batch["index"].tolist(), strict=True)
        names = "\n  ".join(self.clips.get_name(task, index) for task, index in places)
        return (
            f"the loss is {loss.item()} at step {self.position.step}, epoch {self.position.epoch}. "
            f"Lower the learning rate ({self.settings.learning_rate}), or look at the clips of this batch:\n  {names}"
        )


def trained_stages(settings: TrainingSettings, epoch: int) -> int | None:
    """How many of the last stages are trained in this epoch; None for all."""
    is_classifier_alone = settings.trained == "two-steps" and epoch < settings.classifier_epochs
    if settings.trained == "classifier" or is_classifier_alone:
        return 0
    return settings.num_last_stages if settings.trained == "last-stages" else None


def make_optimizer(model: VideoForClassification, settings: TrainingSettings) -> torch.optim.Optimizer:
    groups = parameter_groups(model, settings)
    for group in groups:
        group["initial_lr"] = group["lr"]  # what a schedule that begins in the middle of a run starts from
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, momentum=settings.momentum)


def refuse_changes(earlier: TrainingSettings, now: TrainingSettings, *, allow_changes: bool) -> None:
    changes = now.changes_from(earlier)
    if changes and not allow_changes:
        listed = "\n  ".join(changes)
        raise TrainingError(
            f"the run was begun with other settings:\n  {listed}\nPass --allow-changes to go on with these"
        )
