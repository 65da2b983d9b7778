"""Config of networks that put an image encoder on frames and a recurrent network on its features."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.image_encoder import FramesConfig, specify_backbone
from muybridge.models.simple_cnn.layers import compute_shape

GateActivation = Literal["sigmoid", "hard_sigmoid"]
StateActivation = Literal["tanh", "relu"]


@strict
class LRCNConfig(FramesConfig):
    """An image encoder on every frame, and an LSTM or GRU on its features; the defaults are a small one for 64×64.

    `num_layers` recurrent layers of `rnn_hidden_size`: one number, or one a layer. With `bidirectional` each also runs
    from the last frame to the first. `readout` says what is read: "last", the state after the last frame (of the
    backward half: after the first), which a "linear" head classifies; or "average", the states at every frame, whose
    predictions a "frames" head averages.

    `readout_layers` lists layers between the recurrent ones and the head, as `simple_cnn.layers` has them. The other
    fields are for recurrent layers that differ from torch's: `rnn_dropout` lies between the layers; `gate_activation`
    and `state_activation` are Keras's recurrent_activation and activation, where Keras 2.0 to 2.2 cut the sigmoid into
    lines; `is_reset_after` says whether a GRU's reset gate comes after its product with the state, as in torch and
    Keras since 2.3, or before.
    """

    model_type: ClassVar[str] = "lrcn"
    sub_configs_defaults = specify_backbone("simple_cnn")

    num_frames: int = 20
    image_size: int = 64
    rnn_type: Literal["lstm", "gru"] = "lstm"
    rnn_hidden_size: int | Numbers = 32
    num_layers: int = 1
    bidirectional: bool = False
    readout: Literal["last", "average"] = "last"
    readout_layers: list[dict[str, Any]] | tuple[dict[str, Any], ...] = ()
    rnn_dropout: float = 0.0
    gate_activation: GateActivation = "sigmoid"
    state_activation: StateActivation = "tanh"
    is_reset_after: bool = True

    def default_backbone(self) -> dict[str, Any]:
        return {"model_type": "simple_cnn", "image_size": self.image_size, "num_channels": self.num_channels}

    def default_hidden_size(self) -> int:
        return compute_shape(self.readout_layers, (self.state_size,))[0]

    def default_head(self) -> dict[str, Any]:
        return {"name": "frames" if self.readout == "average" else "linear", "dropout": 0.0}

    @property
    def rnn_hidden_sizes(self) -> list[int]:
        """The size of each recurrent layer, in one direction."""
        sizes = self.rnn_hidden_size
        return [sizes] * self.num_layers if isinstance(sizes, int) else list(sizes)

    @property
    def state_size(self) -> int:
        """What the last recurrent layer gives for a frame."""
        return self.rnn_hidden_sizes[-1] * (2 if self.bidirectional else 1)

    def validate_recurrence(self) -> None:
        if len(self.rnn_hidden_sizes) != self.num_layers or not self.num_layers:
            raise ValueError(
                f"rnn_hidden_size is {self.rnn_hidden_size} and num_layers {self.num_layers}; there must be one layer "
                "or more, and one size for all or one for each"
            )
        if min(self.rnn_hidden_sizes) < 1:
            raise ValueError(f"rnn_hidden_size is {self.rnn_hidden_size}; it must be 1 or more")
