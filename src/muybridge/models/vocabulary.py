"""What training, probing, retrieval and visualisation may ask of a network, whoever wrote it.

Ours have it from `base`, and those of transformers from `adapters.adapt`.

Shapes: B images or videos, V views of each, T frames, D features.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from muybridge.models.inputs import FRAME_MASK, Shape
from muybridge.models.pooling import pool_positions


class Vocabulary:
    """The words that every network understands."""

    config: Any
    main_input_name: str

    # What a network can do beside; the conformance suite tries what is declared. Where the config decides, it is set
    # when the network is made.
    sees_order: bool = False  # a clip played backwards gives other features
    can_step: bool = False  # `step` takes frame after frame
    has_score_maps: bool = False  # `get_score_map` scores every place of a larger image
    has_switches: bool = False  # `output_switches` tells where the maxima of its poolings were
    takes_frame_mask: bool = False  # `frame_mask` (B, T) tells which frames are real

    def input_shapes(self) -> dict[str, Shape]:
        """The shape of each input without the batch, by the names of `forward`."""
        return self.config.input_shapes()

    def get_stages(self) -> list[nn.Module]:
        """The stages from input to output: what freezing, layer-wise rates and visualisation go by."""
        raise NotImplementedError

    def get_trunk(self) -> nn.Module:
        """The module below which layers have their names."""
        raise NotImplementedError

    def pool_features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The features (B, D) of inputs without views, as the head gets them."""
        raise NotImplementedError

    def run_trunk(self, inputs: Mapping[str, Tensor]) -> Any:
        """Runs all stages on inputs without views."""
        raise NotImplementedError

    def get_stage_names(self) -> list[str]:
        """What `get_features` calls the stages."""
        names = {id(module): name for name, module in self.get_trunk().named_modules()}
        return [names[id(stage)] for stage in self.get_stages()]

    def get_features(self, layer: str | None = None, **inputs: Tensor) -> Tensor:
        """What the layer called `layer` gives for a batch: its name as in `get_stage_names`, or of any layer within.

        Without a name it is the features (B, D) that the head gets. Several views are averaged. A layer that works
        frame by frame gives T rows a video, one after the other.
        """
        flat, num_views = self.flatten_views(inputs)
        features = self.pool_features(flat) if layer is None else self.run_to_layer(layer, flat)
        if num_views is None:
            return features
        num_rows = features.shape[0] // len(flat[self.main_input_name])
        return features.unflatten(0, (-1, num_views, num_rows)).mean(dim=1).flatten(0, 1)

    def pool_layer(self, layer: str, **inputs: Tensor) -> Tensor:
        """The features (B, D) that a layer makes of inputs without views: the mean over positions and real frames."""
        hidden = self.get_features(layer, **inputs)
        return pool_positions(hidden, len(inputs[self.main_input_name]), inputs.get(FRAME_MASK))

    def run_to_layer(self, layer: str, inputs: Mapping[str, Tensor]) -> Tensor:
        """The output of a layer, copied before a later one could write into it."""
        if not isinstance(layer, str):
            raise TypeError(
                f"layer is a {type(layer).__name__}; it must be a name, and inputs are named too: "
                f"get_features({self.get_stage_names()[0]!r}, {self.main_input_name}=…)"
            )
        layers = dict(self.get_trunk().named_modules())
        if not layer or layer not in layers:
            raise ValueError(
                f"{type(self).__name__} has no layer {layer!r}; its stages are {', '.join(self.get_stage_names())}, "
                f"and named_modules() of its {type(self.get_trunk()).__name__} lists every layer within them"
            )
        found: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            # Layers of transformers may give a tuple, whose first is what goes on.
            found.append((output if isinstance(output, Tensor) else output[0]).clone())

        hook = layers[layer].register_forward_hook(keep)
        try:
            self.run_trunk(inputs)
        finally:
            hook.remove()
        if not found:
            raise ValueError(f"the layer {layer!r} of {type(self).__name__} has no part in its features")
        return found[0]

    def flatten_views(self, inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int | None]:
        """Views (B, V, …) of every input as (B·V, …), with V; a batch without views as it is, with None."""
        shapes = self.input_shapes()
        counts = {
            name: value.shape[1] if value.ndim == len(shapes[name]) + 2 else None
            for name, value in inputs.items()
            if name in shapes
        }
        if len(set(counts.values())) > 1:
            raise ValueError(f"the inputs have different numbers of views: {counts}; each must have as many")
        num_views = next(iter(counts.values()), None)
        if FRAME_MASK in inputs:
            inputs = {**inputs, FRAME_MASK: self.check_frame_mask(inputs[FRAME_MASK], inputs[self.main_input_name])}
        if num_views is None:
            return dict(inputs), None
        return {name: value.flatten(0, 1) for name, value in inputs.items()}, num_views

    def check_frame_mask(self, mask: Tensor, frames: Tensor) -> Tensor:
        """A mask as truth values, one for each frame of videos (B, T, …) or views (B, V, T, …)."""
        expected = tuple(frames.shape[: frames.ndim - len(self.input_shapes()[self.main_input_name]) + 1])
        if tuple(mask.shape) != expected:
            raise ValueError(f"{FRAME_MASK} has shape {tuple(mask.shape)}; for these videos it must be {expected}")
        return mask.bool()
