"""Videos become labels: one, a list, or an endless iterator of them.

Shapes: B videos, V views of each, T frames, C channels, H×W pixels, L labels.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.utils.data import Dataset
from transformers import AutoModelForVideoClassification, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from muybridge.inference import map_ahead
from muybridge.models.base import average_views, get_aggregation
from muybridge.models.optimization import optimize
from muybridge.video import ErrorPolicy

Labels = list[dict[str, Any]]

# What from_pretrained takes, where the pipeline is given the name of a model.
LOADING_ARGUMENTS = ("dtype", "device_map", "revision", "token", "cache_dir", "local_files_only")


class VideoClassificationPipeline(transformers.VideoClassificationPipeline):
    """Transformers' pipeline, with views, batches, decoding ahead and a rule for files that cannot be read.

    `model` is a model, a folder or a name on the Hub. `num_clips` × `num_crops` views of each video are scored and
    averaged; `batch_size` views go through the model at once; `num_workers` threads decode ahead. `fast` runs the
    model as `muybridge.optimize` makes it.

    A video in, its labels out; a list in, a list out; an iterator or a Dataset in, an iterator out that reads no
    further ahead than it must. With the policy "skip" an unreadable video gives None, and `policy.skipped` lists it.
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
            video_processor = video_processor or AutoVideoProcessor.from_pretrained(model, **where)
            model = AutoModelForVideoClassification.from_pretrained(model, **loading)
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
        is_list = isinstance(inputs, list | tuple)
        # A file is an iterator too, of lines.
        is_stream = isinstance(inputs, Iterator | Dataset) and not hasattr(inputs, "read")
        labels = self.classify(
            inputs if is_list or is_stream else [inputs],
            batch_size=batch_size or self._batch_size or 1,
            num_workers=self._num_workers if num_workers is None else num_workers,
            preprocess=self._preprocess_params | preprocess,
            postprocess=self._postprocess_params | postprocess,
        )
        if is_stream:
            return labels
        return list(labels) if is_list else next(labels)

    def classify(
        self,
        videos: Iterable[Any],
        *,
        batch_size: int,
        num_workers: int,
        preprocess: dict[str, Any],
        postprocess: dict[str, Any],
    ) -> Iterator[Labels | None]:
        """The labels of each video in order, decoded ahead and scored in batches."""
        is_probability = postprocess.get("function_to_apply") in (None, "softmax")
        aggregation = get_aggregation(self.model.config) if is_probability else "logits"

        def decode(video: Any) -> tuple[Tensor | None, list[tuple[str, str]]]:
            own = ErrorPolicy.parse(str(self.policy))  # what is skipped counts when its turn comes, not ahead of it
            return own.attempt(lambda: self.preprocess(video, **preprocess), video), own.skipped

        with closing(map_ahead(decode, videos, num_workers)) as decoded:
            while batch := list(islice(decoded, batch_size)):
                readable = [views for views, _ in batch if views is not None]
                scores = iter(self.score(readable, batch_size, aggregation))
                for views, skipped in batch:
                    self.policy.skipped += skipped
                    yield None if views is None else self.postprocess(next(scores), **postprocess)

    def preprocess(self, video: Any, **arguments: Any) -> Tensor:
        """The views (V, T, C, H, W) of a video."""
        arguments = {"num_frames": self.model.config.num_frames, "do_sample_frames": True, **arguments}
        # In a list of its own, or a batch would be taken for the views of one video.
        pixels = self.video_processor([video], return_tensors="pt", **arguments)[self.model.main_input_name]
        return pixels.to(self.dtype) if pixels.ndim == 5 else pixels[0].to(self.dtype)

    def score(self, videos: list[Tensor], batch_size: int, aggregation: str) -> list[ImageClassifierOutput]:
        """The averaged logits (1, L) of each video's views."""
        if len({views.shape[1:] for views in videos}) > 1:  # nothing was cropped: sizes differ
            return [score for views in videos for score in self.score([views], batch_size, aggregation)]
        if not videos:
            return []
        name = self.model.main_input_name
        logits = torch.cat([self.forward({name: views})["logits"] for views in torch.cat(videos).split(batch_size)])
        return [
            ImageClassifierOutput(logits=average_views(views[None].float(), aggregation))
            for views in logits.split([len(views) for views in videos])
        ]
