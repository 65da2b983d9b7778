"""One training run, told from its settings to its checkpoints.

An objective says what is learnt; here it is learnt. Accelerate spreads the run over processes and machines, mixes
precision and accumulates gradients. What is drawn for a clip depends on the seed, the epoch and the clip alone, and a
state holds all the rest: so a run that was killed goes on as if it had not been.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from muybridge.objectives import Export, Objective, Output
from muybridge.randomness import make_generator
from muybridge.training.averaging import WeightAverage
from muybridge.training.checking import check_weights
from muybridge.training.errors import TrainingError, explain_write_errors, read_batches
from muybridge.training.exporting import write_checkpoint
from muybridge.training.judging import Judgement, judge
from muybridge.training.loaders import make_main_loader, make_other_loader
from muybridge.training.precision import pad_short_clips
from muybridge.training.progress import Progress, Stopwatch, list_left_out
from muybridge.training.schedules import make_schedule
from muybridge.training.settings import TrainingSettings
from muybridge.training.setup import load_data, make_objective
from muybridge.training.sharding import check_sharding, make_whole, share_unsharded
from muybridge.training.state import Position, load_state, read_newest_position, save_state
from muybridge.training.stopping import StopSignal, stop_at_signal

LOG_EVERY_STEPS = 10


def train(settings: TrainingSettings, *, resume: bool = False, allow_changes: bool = False) -> Path:
    """Trains as the settings say; gives the folder of the first checkpoint, such as `output`/model."""
    run = Run(settings)
    run.begin(resume=resume, allow_changes=allow_changes)
    with stop_at_signal() as stop:
        run.train(stop)
    return run.finish()


class Run:
    """A training run: what it learns, from what, and how far it is."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.folder = Path(settings.output)
        self.accelerator = make_accelerator(settings)
        self.position = Position(num_processes=self.accelerator.num_processes)
        self.stopwatch = Stopwatch()
        torch.manual_seed(settings.seed)
        self.data = load_data(settings)
        check_weights(settings.model)
        self.objective = make_objective(settings, self.data)
        self.objective.to(self.accelerator.device)  # before it is copied for an average
        if settings.mixed_precision == "bf16" and self.accelerator.device.type == "cpu":
            pad_short_clips(self.objective)
        self.average = WeightAverage(self.objective, settings.average_decay) if settings.average_decay else None
        self.judgements: dict[str, Judgement] = {}  # by the name of what was judged last

    # The beginning.

    def begin(self, *, resume: bool, allow_changes: bool) -> None:
        """Makes the run's folder, or takes up what is in it."""
        path = self.folder / "settings.json"
        is_continued = resume and path.is_file()
        if is_continued:
            self.find_position(TrainingSettings.load(path), allow_changes=allow_changes)
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
        for line in [*self.objective.get_warnings(), *list_left_out(self.settings.trackers)]:
            self.progress.say(line)

    def find_position(self, earlier: TrainingSettings, *, allow_changes: bool) -> None:
        """Takes the position of the newest state, where this run goes on as the earlier one would have."""
        refuse_changes(earlier, self.settings, allow_changes=allow_changes)
        self.position = read_newest_position(self.folder)
        is_divided_anew = self.position.num_processes != self.accelerator.num_processes
        if self.position.step and is_divided_anew and not allow_changes:
            raise TrainingError(
                f"the run was begun with {self.position.num_processes} processes, and there are "
                f"{self.accelerator.num_processes} now: its steps would be others. Start as many, or pass "
                "--allow-changes"
            )
        self.position.num_processes = self.accelerator.num_processes

    def prepare(self, epoch: int) -> None:
        """Hands objective, optimiser and loader to Accelerate, for the part of the run that has this epoch."""
        settings = self.settings
        self.accelerator.free_memory()
        self.objective.freeze(count_trained_stages(settings, epoch))
        if settings.channels_last:
            self.objective.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch has it
        learner: nn.Module = self.objective
        if settings.compile:
            learner = torch.compile(learner)  # type: ignore[assignment]
        optimizer = make_optimizer(self.objective, settings)
        self.clips, self.order, loader = make_main_loader(settings, self.data, self.objective, self.accelerator)
        self.learner, self.optimizer, self.loader = self.accelerator.prepare(learner, optimizer, loader)
        num_batches = self.position.epoch * len(self.loader) + self.position.batch
        self.others = {
            name: make_other_loader(settings, name, self.objective, self.accelerator, num_batches)
            for name in self.objective.other_sources
        }
        self.steps_per_epoch = math.ceil(len(self.loader) / settings.accumulation_steps)
        self.num_steps = settings.steps or self.steps_per_epoch * settings.epochs
        factor = make_schedule(settings, self.steps_per_epoch, self.num_steps)
        # Not prepared: Accelerate would step it once for each process. Its position is all that it has to remember.
        self.schedule = LambdaLR(self.optimizer.optimizer, factor, last_epoch=self.position.step - 1)

    # The middle.

    def train(self, stop: StopSignal) -> None:
        while self.position.step < self.num_steps and not stop.is_set:
            if self.is_between_phases:
                self.prepare(self.position.epoch)
            self.train_epoch(stop)
        if stop.is_set:
            self.save()
        for line in self.clips.describe_skipped(self.folder):
            self.progress.say(line)
        self.progress.close()
        if stop.is_set:
            raise TrainingError(
                f"stopped at step {self.position.step}, and saved; go on with --resume, or resume=True in Python"
            )

    @property
    def is_between_phases(self) -> bool:
        """Whether what stands behind the trunk is trained, and all is to be trained now."""
        is_at_end = self.position.epoch == self.settings.classifier_epochs and self.position.batch == 0
        return self.settings.trained == "two-steps" and is_at_end

    def train_epoch(self, stop: StopSignal) -> None:
        """The rest of an epoch; then its evaluation, and a state."""
        position = self.position
        self.order.set_epoch(position.epoch)
        self.objective.set_training_mode()
        self.stopwatch.restart()
        for batches in self.stopwatch.watch(self.load_batches()):
            output = self.train_batch(batches)
            position.batch += 1
            if self.accelerator.sync_gradients:
                self.finish_step(output)
                stop.agree(self.accelerator)
                if position.step == self.num_steps or stop.is_set:
                    break
        if position.batch == len(self.loader):
            position.epoch, position.batch = position.epoch + 1, 0
        if not stop.is_set:
            self.finish_epoch()

    def load_batches(self) -> Iterator[dict[str, Any]]:
        """The epoch's batches from the position on, each with a batch of every other source."""
        position = self.position
        loader = skip_first_batches(self.loader, position.batch) if position.batch else self.loader
        loader.set_epoch(position.epoch)  # or Accelerate counts epochs from the beginning of this process
        for batch in read_batches(loader):
            yield {"batch": batch, **{name: next(batches) for name, batches in self.others.items()}}

    def train_batch(self, batches: dict[str, Any]) -> Output:
        """Forward and backward, and a step of the optimiser where enough gradients are gathered."""
        generator = make_generator(self.settings.seed, self.position.epoch, self.position.batch)
        with self.accelerator.accumulate(self.learner):
            changed = self.objective.change_batches(batches, generator)
            with self.accelerator.autocast():
                loss, metrics = self.learner(**changed)
            if not loss.isfinite():
                raise TrainingError(self.describe_broken(loss, batches["batch"]))
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients and self.settings.max_gradient_norm:
                self.accelerator.clip_grad_norm_(self.learner.parameters(), self.settings.max_gradient_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.stopwatch.num_clips += len(batches["batch"]["index"]) * self.accelerator.num_processes
        return Output(loss.detach(), metrics)

    def finish_step(self, output: Output) -> None:
        self.schedule.step()
        self.position.step += 1
        self.objective.after_step(self.position.step, self.num_steps)
        if self.average is not None:
            self.average.update(self.objective)
        self.progress.step(output.loss.item(), self.stopwatch)
        if self.position.step % LOG_EVERY_STEPS == 0 or self.position.step == self.num_steps:
            self.log(output)
        every = self.settings.save_every_steps
        if every and self.position.step % every == 0 and self.position.batch < len(self.loader):
            self.save()

    def log(self, output: Output) -> None:
        numbers = {"loss": output.loss, **output.metrics}
        self.progress.log(
            self.position.step,
            {
                "epoch": self.position.epoch,
                **{name: self.accelerator.reduce(number, "mean").item() for name, number in numbers.items()},
                "learning_rate": self.schedule.get_last_lr()[-1],
                "clips_per_second": round(self.stopwatch.clips_per_second, 2),
                "waiting_share": round(self.stopwatch.waiting_share, 4),
            },
        )

    def finish_epoch(self) -> None:
        is_last = self.position.step >= self.num_steps
        if is_last or self.position.epoch % self.settings.evaluate_every_epochs == 0:
            self.evaluate()
        self.save()

    def evaluate(self) -> None:
        """Numbers to watch; the last ones go on the cards."""
        exports = self.get_exports()
        numbers: dict[str, float] = {}
        for export in exports:
            judgement = judge(export, self.objective.processor, self.settings)
            if judgement is not None:
                self.judgements[export.name] = judgement
                prefix = "" if len(exports) == 1 else f"{export.data.name}/"
                numbers |= {f"{prefix}{name}": value for name, value in judgement.numbers.items()}
        if numbers:
            self.progress.log(self.position.step, numbers)
            text = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
            self.progress.say(f"epoch {self.position.epoch}: {text}")

    def get_exports(self) -> list[Export]:
        """The networks that are judged and that become checkpoints: whole, and the same in every process."""
        objective = self.objective if self.average is None else self.average.objective
        share_unsharded(objective)
        return make_whole(objective, self.settings, self.data).get_exports()

    def save(self) -> None:
        share_unsharded(self.objective)
        with explain_write_errors(f"the state of step {self.position.step} cannot be saved in {self.folder}"):
            save_state(self.accelerator, self.folder, self.position, self.average)

    # The end.

    def finish(self) -> Path:
        """Writes a checkpoint of each network that the objective exports; gives the folder of the first."""
        if not self.judgements and not self.has_checkpoints():  # killed after its last step
            self.evaluate()
        exports = self.get_exports()
        folders = [self.folder / export.name for export in exports]
        # A run that was finished before keeps its checkpoints, with what has come to stand on their cards since.
        if self.judgements or not self.has_checkpoints():
            self.write_checkpoints(exports, folders)
        self.accelerator.wait_for_everyone()
        self.end()
        return folders[0]

    def has_checkpoints(self) -> bool:
        names = self.objective.export_names
        return all((self.folder / name / "config.json").is_file() for name in names)

    def write_checkpoints(self, exports: Sequence[Export], folders: Sequence[Path]) -> None:
        if not self.accelerator.is_main_process:
            return
        for folder, export in zip(folders, exports, strict=True):
            with explain_write_errors(f"the checkpoint {folder} cannot be written"):
                write_checkpoint(
                    folder, export, self.objective.processor, self.settings, self.judgements.get(export.name)
                )

    def end(self) -> None:
        """Lets the learner go before the group of processes: were it the last to hold that, gloo could hang."""
        del self.learner
        self.accelerator.free_memory()
        for tracker in self.accelerator.trackers:
            tracker.finish()  # the group of processes stays, for whatever comes after training

    def describe_broken(self, loss: Tensor, batch: dict[str, Any]) -> str:
        places = zip(batch["data_set"].tolist(), batch["index"].tolist(), strict=True)
        names = "\n  ".join(self.clips.get_name(data_set, index) for data_set, index in places)
        return (
            f"the loss is {loss.item()} at step {self.position.step}, epoch {self.position.epoch}. "
            f"Lower the learning rate ({self.settings.learning_rate}), or look at the clips of this batch:\n  {names}"
        )


def make_accelerator(settings: TrainingSettings) -> Accelerator:
    AcceleratorState._reset_state()  # it is one for the process, and an earlier run's precision would stay
    accelerator = Accelerator(
        mixed_precision=settings.mixed_precision,
        gradient_accumulation_steps=settings.accumulation_steps,
        log_with=settings.trackers or None,
        project_dir=settings.output,
    )
    check_sharding(accelerator.state)
    return accelerator


def count_trained_stages(settings: TrainingSettings, epoch: int) -> int | None:
    """How many of the last stages are trained in this epoch; None for all."""
    is_classifier_alone = settings.trained == "two-steps" and epoch < settings.classifier_epochs
    if settings.trained == "classifier" or is_classifier_alone:
        return 0
    return settings.num_last_stages if settings.trained == "last-stages" else None


def make_optimizer(objective: Objective, settings: TrainingSettings) -> torch.optim.Optimizer:
    groups = objective.get_parameter_groups(settings)
    for group in groups:
        group["initial_lr"] = group["lr"]  # what a schedule that begins in the middle of a run starts from
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, momentum=settings.momentum)


def refuse_changes(earlier: TrainingSettings, now: TrainingSettings, *, allow_changes: bool) -> None:
    changes = now.list_changes(earlier)
    if changes and not allow_changes:
        listed = "\n  ".join(changes)
        raise TrainingError(
            f"the run was begun with other settings:\n  {listed}\nPass --allow-changes to go on with these"
        )
