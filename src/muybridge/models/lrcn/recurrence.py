"""Recurrent layers that can be stepped frame by frame, and pass over frames that are only padding.

Shapes: B videos, T frames, D features of a frame, H of a state.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init

from muybridge.models.lrcn.configuration_lrcn import LRCNConfig

# What a layer carries from frame to frame: the state, and an LSTM's memory; each (B, H).
State = tuple[Tensor, ...]


def hard_sigmoid(values: Tensor) -> Tensor:
    """The sigmoid of three lines that Keras had until version 3."""
    return (0.2 * values + 0.5).clamp(0, 1)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "hard_sigmoid": hard_sigmoid,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class RecurrentCell(nn.Module):
    """One step in time. The weights lie as in torch's LSTM and GRU, one gate's rows after the other's."""

    num_gates: int
    num_states: int

    def __init__(self, config: LRCNConfig, in_features: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.weight_input = nn.Parameter(torch.empty(self.num_gates * size, in_features))
        self.weight_state = nn.Parameter(torch.empty(self.num_gates * size, size))
        self.bias_input = nn.Parameter(torch.empty(self.num_gates * size))
        self.gate = ACTIVATIONS[config.gate_activation]
        self.activation = ACTIVATIONS[config.state_activation]

    def initialize(self) -> None:
        """Glorot's for the input, orthogonal for the state; no bias."""
        init.copy_(self.weight_input, self.stack_gates(nn.init.xavier_uniform_, self.weight_input.shape[1]))
        init.copy_(self.weight_state, self.stack_gates(nn.init.orthogonal_, self.size))
        init.zeros_(self.bias_input)

    def stack_gates(self, initialize: Callable[[Tensor], Tensor], in_features: int) -> Tensor:
        """The rows of every gate, initialised each for itself."""
        gates = [torch.empty(self.size, in_features, dtype=torch.float32) for _ in range(self.num_gates)]
        return torch.cat([initialize(gate) for gate in gates])

    def project(self, frames: Tensor) -> Tensor:
        """What the gates see of the input, (…, D) → (…, G·H): for all frames at once."""
        return F.linear(frames, self.weight_input, self.bias_input)

    def start(self, projected: Tensor) -> State:
        """The state before the first frame."""
        return (projected.new_zeros(len(projected), self.size),) * self.num_states

    def step(self, projected: Tensor, state: State) -> State:
        raise NotImplementedError


class LSTMCell(RecurrentCell):
    """Gates in the order of input, forget, cell, output."""

    num_gates = 4
    num_states = 2

    def initialize(self) -> None:
        """Beside that, it begins by forgetting little."""
        super().initialize()
        is_forget = torch.arange(4) == 1
        init.copy_(self.bias_input, is_forget.to(self.bias_input.dtype).repeat_interleave(self.size))

    def step(self, projected: Tensor, state: State) -> State:
        hidden, memory = state
        admit, keep, new, show = (projected + F.linear(hidden, self.weight_state)).chunk(4, dim=-1)
        memory = self.gate(keep) * memory + self.gate(admit) * self.activation(new)
        return self.gate(show) * self.activation(memory), memory


class GRUCell(RecurrentCell):
    """Gates in the order of reset, update, new."""

    num_gates = 3
    num_states = 1

    def __init__(self, config: LRCNConfig, in_features: int, size: int) -> None:
        super().__init__(config, in_features, size)
        self.is_reset_after = config.is_reset_after
        self.bias_state = nn.Parameter(torch.empty(size)) if config.is_reset_after else None  # of the new state alone

    def initialize(self) -> None:
        super().initialize()
        if self.bias_state is not None:
            init.zeros_(self.bias_state)

    def step(self, projected: Tensor, state: State) -> State:
        (hidden,) = state
        gates, new = projected.split([2 * self.size, self.size], dim=-1)
        of_gates, of_new = self.weight_state.split([2 * self.size, self.size])
        reset, keep = self.gate(gates + F.linear(hidden, of_gates)).chunk(2, dim=-1)
        if self.is_reset_after:
            new = new + reset * F.linear(hidden, of_new, self.bias_state)
        else:
            new = new + F.linear(reset * hidden, of_new)
        return ((1 - keep) * self.activation(new) + keep * hidden,)


CELLS: dict[str, type[RecurrentCell]] = {"lstm": LSTMCell, "gru": GRUCell}


def run(cell: RecurrentCell, frames: Tensor, mask: Tensor | None, state: State | None = None) -> tuple[Tensor, State]:
    """The states (B, T, H) after each of the frames (B, T, D), and what the layer carries on.

    A frame whose mask is False changes nothing: its state is that of the frame before.
    """
    projected = cell.project(frames)
    state = cell.start(projected[:, 0]) if state is None else state
    states = []
    for time in range(frames.shape[1]):
        following = cell.step(projected[:, time], state)
        if mask is not None:
            is_real = mask[:, time, None]
            following = tuple(torch.where(is_real, new, old) for new, old in zip(following, state, strict=True))
        state = following
        states.append(state[0])
    return torch.stack(states, dim=1), state


class RecurrentLayer(nn.Module):
    """A layer in one direction or both: (B, T, D) → (B, T, H), or (B, T, 2·H), the backward half last."""

    def __init__(self, config: LRCNConfig, in_features: int, size: int) -> None:
        super().__init__()
        make = CELLS[config.rnn_type]
        self.forward_cell = make(config, in_features, size)
        self.backward_cell = make(config, in_features, size) if config.bidirectional else None

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        states, _ = run(self.forward_cell, frames, mask)
        if self.backward_cell is None:
            return states
        backward, _ = run(self.backward_cell, frames.flip(1), None if mask is None else mask.flip(1))
        return torch.cat([states, backward.flip(1)], dim=-1)


class Recurrence(nn.Module):
    """Recurrent layers one on the other: features (B, T, D) → states (B, T, H)."""

    def __init__(self, config: LRCNConfig) -> None:
        super().__init__()
        layers, in_features = [], config.frame_hidden_size or 0
        for size in config.rnn_hidden_sizes:
            layers.append(RecurrentLayer(config, in_features, size))
            in_features = size * (2 if config.bidirectional else 1)
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(config.rnn_dropout)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        for index, layer in enumerate(self.layers):
            frames = layer(self.dropout(frames) if index else frames, mask)
        return frames

    def step(self, features: Tensor, states: Sequence[State] | None) -> tuple[Tensor, tuple[State, ...]]:
        """The state (B, H) after one more frame's features (B, D), and what the layers carry on."""
        carried = []
        for index, layer in enumerate(cast(Iterable[RecurrentLayer], self.layers)):
            before = None if states is None else states[index]
            after, state = run(layer.forward_cell, features[:, None], None, before)
            features = after[:, 0]
            carried.append(state)
        return features, tuple(carried)
