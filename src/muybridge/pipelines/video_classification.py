"""Videos become labels: one, a list, or an endless iterator of them.

Shapes: V views of a video, N views in a batch, L labels.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

from muybridge.inference import Engine, Inputs, Loading, VideoLoader, count_frames, get_stores
from muybridge.models.heads import average_views, get_aggregation, get_tasks
from muybridge.models.loading import load_model, load_processor
from muybridge.models.optimization import optimize
from muybridge.video import ErrorPolicy, Reader

Labels = list[dict[str, Any]]

# What is a video though one can iterate over it.
ONE_VIDEO = (str, bytes, bytearray, memoryview, Mapping, Tensor, np.ndarray, Reader)

# What from_pretrained takes, where the pipeline is given the name of a model.
LOADING_ARGUMENTS = ("dtype", "device_map", "revision", "token", "cache_dir", "local_files_only")


class VideoClassificationPipeline(transformers.VideoClassificationPipeline):
    """Transformers' pipeline, with views, batches, decoding ahead and a rule for files that cannot be read.

    `model` is a model, a folder or a name on the Hub. `num_clips` × `num_crops` views of each video are scored and
    averaged; `batch_size` views go through the model at once; `num_workers` threads decode ahead. `fast` runs the
    model as `muybridge.optimize` makes it.

    A video in, its labels out; a list in, a list out; records, a stream, an iterator or a Dataset in, an iterator out
    that reads no further ahead than it must. With the policy "skip" an unreadable video gives None, and
    `policy.skipped` lists it.
    """

    def __init__(
        self,
        model: PreTrainedModel | str | Path,
        video_processor: Any = None,
        *,
        policy: ErrorPolicy | str = "raise",
        fast: bool = False,
        num_workers: int = 1,
        **arguments: Any,
    ) -> None:
        if isinstance(model, str | Path):
            loading = {name: arguments.pop(name) for name in LOADING_ARGUMENTS if name in arguments}
            where = {name: value for name, value in loading.items() if name not in ("dtype", "device_map")}
            video_processor = video_processor or load_processor(model, **where)
            model = load_model(model, **loading)
        refuse_several_tasks(model)
        self.policy = ErrorPolicy.parse(policy) if isinstance(policy, str) else policy
        super().__init__(
            model=optimize(model) if fast else model,
            video_processor=video_processor,
            num_workers=num_workers,
            **arguments,
        )

    def _sanitize_parameters(
        self,
        num_clips: int | None = None,
        num_crops: int | None = None,
        frame_sampling_rate: int | None = None,
        **arguments: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        preprocess, forward, postprocess = super()._sanitize_parameters(**arguments)
        views = {"num_clips": num_clips, "num_crops": num_crops}
        preprocess |= {name: number for name, number in views.items() if number is not None}
        if frame_sampling_rate is not None:  # transformers' word for frames so far apart
            preprocess |= {"sampling": "dense", "frame_stride": frame_sampling_rate, "fps": None}
        return preprocess, forward, postprocess

    def __call__(
        self, inputs: Any, *, batch_size: int | None = None, num_workers: int | None = None, **arguments: Any
    ) -> Any:
        if inputs is None:
            raise ValueError("there is nothing to classify: inputs is None")
        preprocess, _, postprocess = self._sanitize_parameters(**arguments)
        is_one = is_one_video(inputs)
        num_workers = self._num_workers if num_workers is None else num_workers
        labels = self.classify(
            [inputs] if is_one else inputs,
            loading=Loading(batch_size or self._batch_size or 1, num_workers),
            preprocess=self._preprocess_params | preprocess,
            postprocess=self._postprocess_params | postprocess,
        )
        if is_one:
            return next(labels)
        return list(labels) if isinstance(inputs, list | tuple) else labels

    def classify(
        self,
        videos: Iterable[Any],
        *,
        loading: Loading,
        preprocess: dict[str, Any],
        postprocess: dict[str, Any],
    ) -> Iterator[Labels | None]:
        """The labels of each video in order, decoded ahead and scored in batches."""
        is_probability = postprocess.get("function_to_apply") in (None, "softmax")
        aggregation = get_aggregation(self.model.config) if is_probability else "logits"
        load = self.make_loader(preprocess, get_stores(videos))
        engine = Engine(self.score, load, load.num_views, loading, dtype=self.dtype)
        for outcome in engine.run(videos, self.policy):
            if outcome.outputs is None:
                yield None
            else:
                logits = average_views(outcome.outputs["logits"][None], aggregation)
                yield self.postprocess(ImageClassifierOutput(logits=logits), **postprocess)

    def score(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The logits (N, L) of views, as transformers' pipeline computes them: on its device."""
        return {"logits": self.forward(inputs)["logits"]}

    def preprocess(self, video: Any, **arguments: Any) -> Inputs:
        """The inputs (V, …) of a video."""
        return self.make_loader(arguments)(video)

    def make_loader(self, arguments: dict[str, Any], stores: Mapping[str, Any] | None = None) -> VideoLoader:
        own = count_frames(self.model.config, self.video_processor)
        return VideoLoader(self.video_processor, {**own, **arguments}, stores or {})


def refuse_several_tasks(model: PreTrainedModel) -> None:
    """Raises where the labels of a model are those of several tasks, which have no scores together."""
    tasks = get_tasks(model.config)
    if tasks:
        raise ValueError(
            f"the model has the tasks {', '.join(tasks)}, each with its own labels; pass that of one of them, such as "
            f"model.take_task({next(iter(tasks))!r})"
        )


def is_one_video(inputs: Any) -> bool:
    """Whether what was handed in is a video, and no list, data set or iterator of them."""
    is_file = hasattr(inputs, "read")  # which is an iterator too, of lines
    return is_file or isinstance(inputs, ONE_VIDEO) or not (isinstance(inputs, Iterable | Dataset))
