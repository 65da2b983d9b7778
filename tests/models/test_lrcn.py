"""LRCN: its recurrent layers beside torch's, padding, streams of frames, and what is read out."""

import re

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from torch.testing import assert_close

from muybridge.models.lrcn import LRCNConfig, LRCNForVideoClassification, LRCNVideoProcessor
from muybridge.models.lrcn.recurrence import Recurrence
from muybridge.models.simple_cnn import TINY_BACKBONE

KINDS = [("lstm", 1, False), ("lstm", 2, True), ("gru", 2, False), ("gru", 1, True)]
each_kind = pytest.mark.parametrize(("rnn_type", "num_layers", "bidirectional"), KINDS)
each_readout = pytest.mark.parametrize("readout", ["last", "average"])


def network(**fields):
    torch.manual_seed(0)
    config = LRCNConfig(
        **{
            "backbone_config": TINY_BACKBONE,
            "image_size": 32,
            "num_frames": 4,
            "num_labels": 3,
            "rnn_hidden_size": 6,
            **fields,
        }
    )
    model = LRCNForVideoClassification(config).eval()
    with torch.no_grad():  # every parameter counts
        for parameter in [*model.base_model.recurrence.parameters(), *model.head.classifier.parameters()]:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def clips(num_frames=4, batch=2, seed=0):
    return torch.randn(batch, num_frames, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def torchs_own(recurrence: Recurrence, config):
    """torch's LSTM or GRU with the same weights."""
    make = nn.LSTM if config.rnn_type == "lstm" else nn.GRU
    size, num_layers = config.rnn_hidden_sizes[0], config.num_layers
    theirs = make(config.frame_hidden_size, size, num_layers, batch_first=True, bidirectional=config.bidirectional)
    for index, layer in enumerate(recurrence.layers):
        for suffix, cell in (("", layer.forward_cell), ("_reverse", layer.backward_cell)):
            if cell is None:
                continue
            names = [f"{name}_l{index}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            bias_state = torch.zeros(len(cell.bias_input))
            if config.rnn_type == "gru":
                bias_state[2 * size :] = cell.bias_state
            values = (cell.weight_input, cell.weight_state, cell.bias_input, bias_state)
            for name, value in zip(names, values, strict=True):
                getattr(theirs, name).data.copy_(value)
    return theirs.eval()


@each_kind
def test_the_recurrent_layers_compute_what_those_of_torch_compute(rnn_type, num_layers, bidirectional):
    model = network(rnn_type=rnn_type, num_layers=num_layers, bidirectional=bidirectional)
    recurrence = model.base_model.recurrence
    frames = torch.randn(2, 5, model.config.frame_hidden_size)
    theirs = torchs_own(recurrence, model.config)
    assert_close(recurrence(frames), theirs(frames)[0])
    last = theirs(model.base_model.encoder.encode(clips(), keep=False)[0])[1]
    last = last[0] if rnn_type == "lstm" else last  # (layers · directions, B, H)
    final = last.unflatten(0, (num_layers, -1))[-1].transpose(0, 1).flatten(1)  # of the last layer, both directions
    assert_close(model.get_features(pixel_values_videos=clips()), final)


def test_a_gru_whose_reset_gate_comes_first_computes_what_its_authors_wrote():
    model = network(rnn_type="gru", is_reset_after=False)
    cell = model.base_model.recurrence.layers[0].forward_cell
    inputs = [part.detach() for part in cell.weight_input.chunk(3)]
    states = [part.detach() for part in cell.weight_state.chunk(3)]
    biases = [part.detach() for part in cell.bias_input.chunk(3)]
    frames = torch.randn(5, model.config.frame_hidden_size)
    hidden = torch.zeros(6)
    for frame in frames:
        reset = torch.sigmoid(inputs[0] @ frame + states[0] @ hidden + biases[0])
        update = torch.sigmoid(inputs[1] @ frame + states[1] @ hidden + biases[1])
        new = torch.tanh(inputs[2] @ frame + states[2] @ (reset * hidden) + biases[2])
        hidden = update * hidden + (1 - update) * new
    assert_close(model.base_model.recurrence(frames[None])[0, -1], hidden)


def test_layers_may_have_sizes_of_their_own():
    model = network(num_layers=2, rnn_hidden_size=[5, 7])
    assert [layer.forward_cell.size for layer in model.base_model.recurrence.layers] == [5, 7]
    assert model.config.hidden_size == 7
    with pytest.raises(StrictDataclassError, match="one size for all or one for each"):
        network(num_layers=3, rnn_hidden_size=[5, 7])


def test_the_average_is_that_of_the_probabilities_at_every_frame():
    model = network(readout="average")
    states = model.base_model.recurrence(model.base_model.encoder.encode(clips(), keep=False)[0])
    expected = (states @ model.head.classifier.weight.T + model.head.classifier.bias).softmax(-1).mean(1)
    assert_close(model(clips()).logits.softmax(-1), expected)
    of_logits = network(readout="average", problem_type="multi_label_classification")
    expected = (states @ model.head.classifier.weight.T + model.head.classifier.bias).mean(1)
    assert_close(of_logits(clips()).logits, expected)


@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])])
def test_a_label_that_no_frame_speaks_for_has_a_finite_loss_that_lessens(mask):
    model = network(readout="average")
    with torch.no_grad():
        model.head.classifier.weight.mul_(1000)
    least = model(clips()).logits.argmin(dim=-1)
    output = model(clips(), labels=least, frame_mask=mask)
    output.loss.backward()
    assert 110 < output.loss < torch.inf
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
    assert model.head.classifier.weight.grad.abs().max() > 0
    state = None
    for frame in clips().unbind(1):
        stepped, state = model.step(frame, state)
    assert_close(stepped.logits, model(clips()).logits, rtol=1e-4, atol=1e-3)


def test_without_a_backbone_there_is_a_small_one_for_frames_of_the_size_asked_for():
    config = LRCNConfig(image_size=96, num_channels=1)
    assert (config.backbone_config.image_size, config.backbone_config.num_channels) == (96, 1)
    assert LRCNForVideoClassification(config)(torch.rand(1, 2, 1, 96, 96)).logits.shape == (1, 2)


# Padding


@each_readout
@each_kind
def test_padded_frames_change_nothing(rnn_type, num_layers, bidirectional, readout):
    model = network(rnn_type=rnn_type, num_layers=num_layers, bidirectional=bidirectional, readout=readout)
    padded = clips(6)
    padded[0, 4:], padded[1, 3:] = 100.0, padded[1, 2:3]
    mask = torch.arange(6) < torch.tensor([[4], [3]])
    logits = model(padded, frame_mask=mask).logits
    assert_close(logits[:1], model(padded[:1, :4]).logits)
    assert_close(logits[1:], model(padded[1:, :3]).logits)
    assert (logits - model(padded).logits).abs().max() > 1e-3  # and without the mask it would


@each_readout
def test_frames_left_out_in_the_middle_change_nothing_either(readout):
    model = network(readout=readout, bidirectional=True)
    mask = torch.tensor([[True, False, True, True]] * 2)
    assert_close(model(clips(), frame_mask=mask).logits, model(clips()[:, [0, 2, 3]]).logits)


def test_each_view_has_a_mask_of_its_own():
    model = network()
    views = torch.stack([clips(seed=1), clips(seed=2)], dim=1)
    mask = torch.tensor([[[1, 1, 1, 0], [1, 1, 0, 0]]] * 2)
    shortened = [model(views[:, 0, :3]).logits, model(views[:, 1, :2]).logits]
    expected = torch.stack([logits.softmax(-1) for logits in shortened]).mean(0)
    assert_close(model(views, frame_mask=mask).logits.softmax(-1), expected)


def test_the_mask_is_what_the_processor_makes_of_a_short_video():
    processor = LRCNVideoProcessor(
        num_frames=6, size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32}
    )
    video = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    model = network()
    padded = processor(video, return_mask=True, return_tensors="pt")
    assert padded["pixel_values_videos"].shape[1] == 6
    whole = processor(video, do_sample_frames=False, return_tensors="pt")
    assert_close(model(**padded).logits, model(**whole).logits)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, 3), r"frame_mask has shape \(2, 3\); for these videos it must be \(2, 4\)"),
        (torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]), "False for every frame of a video"),
    ],
)
def test_masks_that_cannot_be_are_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        network()(clips(), frame_mask=mask)


@pytest.mark.parametrize("shape", [(3, 2, 4), (2, 4), (4,)])
def test_a_mask_of_other_views_is_refused_though_its_values_are_as_many(shape):
    views = clips(batch=6).unflatten(0, (2, 3))
    message = rf"frame_mask has shape {re.escape(str(shape))}; for these videos it must be \(2, 3, 4\)"
    with pytest.raises(ValueError, match=message):
        network()(views, frame_mask=torch.ones(shape))


# Streams


@each_readout
@pytest.mark.parametrize(("rnn_type", "num_layers"), [("lstm", 2), ("gru", 1)])
def test_every_step_gives_what_the_frames_so_far_give(rnn_type, num_layers, readout):
    layers = [{"kind": "linear", "features": 5}, {"kind": "batch_norm"}, {"kind": "activation", "function": "relu"}]
    model = network(rnn_type=rnn_type, num_layers=num_layers, readout=readout, readout_layers=layers)
    state = None
    for time in range(4):
        output, state = model.step(clips()[:, time], state)
        assert_close(output.logits, model(clips()[:, : time + 1]).logits)


def test_a_stream_keeps_nothing_of_another():
    model = network()
    first, state = model.step(clips()[:, 0])
    model.step(clips(seed=1)[:, 1], state)
    again, _ = model.step(clips()[:, 0])
    assert torch.equal(first.logits, again.logits)


def test_a_bidirectional_network_refuses_to_step_with_the_reason():
    with pytest.raises(ValueError, match="bidirectional: what it says of a frame depends on those to come"):
        network(bidirectional=True).step(clips()[:, 0])


def test_a_frame_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="pixel_values_videos has shape"):
        network().step(clips())


def test_an_lstm_learns_which_of_two_frames_came_first():
    model = network(rnn_hidden_size=8).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    one, other = torch.randn(2, 3, 32, 32)
    videos = torch.stack([torch.stack([one, other]), torch.stack([other, one])])
    labels = torch.tensor([0, 1])
    for _ in range(80):
        loss = model(videos, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert model(videos).logits.argmax(-1).tolist() == [0, 1]
    assert loss < 0.1
