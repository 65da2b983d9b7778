"""What every architecture promises, shown for each in turn: ours, toys from outside, and those of transformers.

Each is asked for what it declares: its inputs, and what it can do beside (`Vocabulary`).
"""

import copy
import json

import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel, Trainer, TrainingArguments, pipeline

import muybridge
import toys
from clips import moving_square, write_clip
from muybridge.cards import CardFacts, parse_card, write_card
from muybridge.models import ARCHITECTURES, adapt, load_model
from muybridge.models.inputs import describe_shapes
from muybridge.models.inspection import count_gmacs, count_parameters, make_random_inputs
from muybridge.models.registry import FOREIGN_ARCHITECTURES, list_architectures

TOYS = {each.name: each for each in (toys.VIDEO_AND_SOUND, toys.SOUND)}
OURS = {**ARCHITECTURES, **TOYS}
EVERY = {**OURS, **FOREIGN_ARCHITECTURES}


def each(architectures):
    return pytest.mark.parametrize("architecture", architectures.values(), ids=architectures.keys())


each_of_ours = each(OURS)
each_architecture = each(EVERY)
each_with_a_video_processor = each(list_architectures("video-classification"))
each_with_an_image_processor = each(list_architectures("image-classification"))


@pytest.fixture(autouse=True)
def _with_toys():
    with toys.registered(*TOYS.values()):
        yield


def make(architecture, **fields):
    torch.manual_seed(0)
    model = adapt(architecture.task_model(architecture.tiny_config(**fields))).eval()
    with torch.no_grad():  # as after training, so that a forgotten batch norm or embedding shows
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(0.2 * torch.rand_like(buffer))
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=1.0 if parameter.ndim > 2 else 0.05)
    return model


def make_inputs(model, batch=2, seed=0):
    return make_random_inputs(model, batch, torch.Generator().manual_seed(seed))


def pick(inputs, *index):
    """The inputs, each indexed so."""
    return {name: value[index] for name, value in inputs.items()}


def stack_views(model, num_views=3, batch=2):
    """Different views (B, V, …) of every input."""
    views = [make_inputs(model, batch, seed) for seed in range(num_views)]
    return {name: torch.stack([view[name] for view in views], dim=1) for name in views[0]}


def find_weights(model):
    """The weights of the layer that knows the labels."""
    head = model.get_head()
    return (head.classifier if hasattr(head, "classifier") else head).weight


# From inputs to scores


@each_architecture
def test_the_classifier_gives_finite_logits_and_a_loss(architecture):
    model = make(architecture)
    output = model(**make_inputs(model), labels=torch.tensor([0, 2]))
    assert output.logits.shape == (2, 3)
    assert output.logits.isfinite().all()
    assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, torch.tensor([0, 2])))


@each_of_ours
def test_the_trunk_gives_features_of_the_size_that_the_config_says(architecture):
    model = make(architecture).base_model
    output = model(**make_inputs(model))
    assert output.pooler_output.shape == (2, model.config.hidden_size)
    assert output.last_hidden_state.shape[0] == 2
    assert output.hidden_states is None
    assert_close(model.get_features(**make_inputs(model)), output.pooler_output)


@each_architecture
def test_the_head_can_score_what_it_reads_without_the_trunk(architecture):
    model = make(architecture)
    inputs, views = make_inputs(model), stack_views(model)
    kept = model.get_head_inputs(**inputs)
    assert_close(model.score(kept), model(**inputs).logits)
    assert_close(model.score(pick(kept, slice(1, 2))), model(**inputs).logits[1:])
    assert_close(model.score(model.get_head_inputs(**views), num_views=3), model(**views).logits)


@each_architecture
def test_a_batch_of_two_gives_what_two_single_ones_give(architecture):
    model = make(architecture)
    both = make_inputs(model)
    singles = torch.cat([model(**pick(both, slice(0, 1))).logits, model(**pick(both, slice(1, 2))).logits])
    assert_close(model(**both).logits, singles, rtol=1e-4, atol=1e-5)


@each_architecture
def test_every_input_makes_a_difference(architecture):
    model = make(architecture)
    inputs, others = make_inputs(model), make_inputs(model, seed=1)
    for name in inputs:
        changed = model(**{**inputs, name: others[name]}).logits
        assert (changed - model(**inputs).logits).abs().max() > 1e-6


@each_architecture
def test_views_are_scored_one_by_one_and_their_probabilities_averaged(architecture):
    model = make(architecture)
    views = stack_views(model)
    one_by_one = [pick(views, slice(None), view) for view in range(3)]
    expected = torch.stack([model(**view).logits.double().softmax(-1) for view in one_by_one]).mean(0)
    labels = torch.tensor([0, 2])
    output = model(**views, labels=labels)
    assert_close(output.logits.softmax(-1), expected.float(), rtol=1e-4, atol=1e-6)
    assert_close(output.loss, torch.nn.functional.nll_loss(expected.log(), labels).float(), rtol=1e-4, atol=1e-5)
    features = torch.stack([model.get_features(**view) for view in one_by_one]).mean(0)
    assert_close(model.get_features(**views), features, rtol=1e-4, atol=1e-5)


@each_architecture
def test_stages_are_averaged_over_views(architecture):
    model = make(architecture)
    views = stack_views(model)
    for name in model.get_stage_names():
        one_by_one = [model.get_features(name, **pick(views, slice(None), view)) for view in range(3)]
        expected = torch.stack(one_by_one).mean(0)
        assert_close(model.get_features(name, **views), expected, rtol=1e-4, atol=1e-4)


@each_of_ours
def test_views_are_averaged_as_logits_where_the_protocol_says_so(architecture):
    if "protocol" not in architecture.tiny_config().to_dict():
        pytest.skip("it has no protocol")
    model = make(architecture, protocol={"aggregation": "logits"})
    views = stack_views(model)
    expected = torch.stack([model(**pick(views, slice(None), view)).logits for view in range(3)]).mean(0)
    assert_close(model(**views).logits, expected, rtol=1e-4, atol=1e-5)


@each_architecture
def test_a_single_view_keeps_its_logits(architecture):
    model = make(architecture)
    inputs = make_inputs(model)
    assert_close(model(**pick(inputs, slice(None), None)).logits, model(**inputs).logits)


@each_of_ours
def test_an_input_of_the_wrong_shape_is_refused(architecture):
    model = make(architecture)
    for name, value in make_inputs(model).items():
        wrong = value.transpose(-3, -1) if value.ndim > 3 else value.unflatten(1, (2, 1, 1, -1))  # channels last
        with pytest.raises(ValueError, match=rf"{name} has shape .*; \w+ takes \(batch, "):
            model(**{**make_inputs(model), name: wrong})


@each_of_ours
def test_an_input_with_nothing_in_it_is_refused(architecture):
    model = make(architecture)
    for name, value in make_inputs(model).items():
        for empty in {1: [value[:, :0]], 3: [value[..., :0]], 4: [value[..., :0], value[:, :0]]}[value.ndim - 1]:
            with pytest.raises(ValueError, match=rf"{name} has shape \(2, .*there is nothing in it"):
                model(**{**make_inputs(model), name: empty})


@each_of_ours
def test_inputs_of_different_numbers_of_views_are_refused(architecture):
    model = make(architecture)
    views = stack_views(model)
    if len(views) == 1:
        pytest.skip("it has one input")
    first = next(iter(views))
    with pytest.raises(ValueError, match="the inputs have different numbers of views"):
        model(**{**views, first: views[first][:, :2]})


@each_of_ours
def test_an_argument_that_is_not_known_is_refused(architecture):
    model = make(architecture)
    with pytest.raises(TypeError, match="output_hidden_state"):
        model(**make_inputs(model), output_hidden_state=True)


@each_architecture
def test_outputs_come_as_a_tuple_when_asked_for(architecture):
    model = make(architecture)
    loss, logits = model(**make_inputs(model), labels=torch.tensor([0, 1]), return_dict=False)
    assert loss.shape == ()
    assert torch.equal(logits, model(**make_inputs(model)).logits)
    (of_views,) = model(**stack_views(model), return_dict=False)
    assert torch.equal(of_views, model(**stack_views(model)).logits)


@each_of_ours
def test_a_config_that_asks_for_tuples_gets_them(architecture):
    model = make(architecture, return_dict=False)
    (logits,) = model(**make_inputs(model))
    assert logits.shape == (2, 3)
    assert model.get_features(**make_inputs(model)).shape == (2, model.config.hidden_size)


# Stages


@each_of_ours
def test_every_stage_shows_its_hidden_state(architecture):
    model = make(architecture)
    seen = []
    hooks = [stage.register_forward_hook(lambda *call: seen.append(call[-1].clone())) for stage in model.get_stages()]
    hidden_states = model(**make_inputs(model), output_hidden_states=True).hidden_states
    for hook in hooks:
        hook.remove()
    assert len(hidden_states) == len(model.get_stages()) == len(seen)
    for name, hidden, expected in zip(model.get_stage_names(), hidden_states, seen, strict=True):
        assert_close(hidden, expected, rtol=0, atol=0)
        assert_close(model.get_features(name, **make_inputs(model)), hidden, rtol=0, atol=0)


@each_architecture
def test_the_stages_and_the_head_hold_every_parameter_that_scores_depend_on(architecture):
    model = make(architecture)
    model(**make_inputs(model)).logits.sum().backward()
    used = {id(parameter) for parameter in model.parameters() if parameter.grad is not None}
    staged = [parameter for stage in model.get_stages() for parameter in stage.parameters()]
    head = {id(parameter) for parameter in model.get_head().parameters() if parameter.grad is not None}
    assert {id(parameter) for parameter in staged} == used - head
    assert len(staged) == len(used - head)


@each_architecture
def test_the_stages_are_in_the_order_in_which_they_are_run(architecture):
    model = make(architecture)
    order = []
    for name, stage in zip(model.get_stage_names(), model.get_stages(), strict=True):
        stage.register_forward_hook(lambda *_, name=name: order.append(name))
    model(**make_inputs(model))
    assert order == model.get_stage_names()


@each_architecture
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(architecture):
    model = make(architecture)
    with pytest.raises(ValueError, match="has no layer 'fc9'; its stages are "):
        model.get_features("fc9", **make_inputs(model))


# What it can do beside


@each_architecture
def test_a_clip_played_backwards_gives_other_logits_where_it_sees_order(architecture):
    model = make(architecture)
    inputs = make_inputs(model)
    clips = [name for name, value in inputs.items() if value.ndim == 5]
    if not clips:
        assert not model.sees_order
        return
    backwards = {name: value.flip(1) if name in clips else value for name, value in inputs.items()}
    difference = (model(**inputs).logits - model(**backwards).logits).abs().max()
    assert difference > 1e-4 if model.sees_order else difference < 1e-5


@each_of_ours
def test_every_step_gives_what_the_frames_so_far_give(architecture):
    model = make(architecture)
    if not model.can_step:
        pytest.skip("it does not step")
    (name, clips), *_ = make_inputs(model).items()
    state = None
    for time in range(clips.shape[1]):
        output, state = model.step(clips[:, time], state)
        assert_close(output.logits, model(**{name: clips[:, : time + 1]}).logits)


@each_of_ours
def test_frames_that_the_mask_leaves_out_change_nothing(architecture):
    model = make(architecture)
    inputs = make_inputs(model)
    mask = torch.tensor([[True] * 3 + [False]] * 2)
    if not model.takes_frame_mask:
        with pytest.raises(TypeError, match="frame_mask"):
            model(**inputs, frame_mask=mask)
        return
    name = model.main_input_name
    padded = {**inputs, name: torch.cat([inputs[name][:, :3], torch.full_like(inputs[name][:, :1], 50)], dim=1)}
    shortened = {**inputs, name: inputs[name][:, :3]}
    assert_close(model(**padded, frame_mask=mask).logits, model(**shortened).logits)
    assert_close(model.get_features(**padded, frame_mask=mask), model.get_features(**shortened))
    assert (model(**padded).logits - model(**shortened).logits).abs().max() > 1e-4
    views = {key: torch.stack([inputs[key], padded[key]], dim=1) for key in inputs}
    masks = torch.stack([torch.ones_like(mask), mask], dim=1)
    expected = (model(**inputs).logits.softmax(-1) + model(**shortened).logits.softmax(-1)) / 2
    assert_close(model(**views, frame_mask=masks).logits.softmax(-1), expected)


@each_of_ours
def test_the_score_map_at_its_own_size_is_its_logits(architecture):
    model = make(architecture)
    if not model.has_score_maps:
        assert not hasattr(model, "get_score_map")
        return
    (images,) = make_inputs(model).values()
    score_map = model.get_score_map(images)
    assert score_map.shape == (2, 3, 1, 1)
    assert_close(score_map.flatten(1), model(images).logits)


@each_of_ours
def test_there_are_switches_for_every_pooling_where_it_has_them(architecture):
    trunk = make(architecture).base_model
    if not trunk.has_switches:
        with pytest.raises(TypeError, match="output_switches"):
            trunk(**make_inputs(trunk), output_switches=True)
        return
    output = trunk(**make_inputs(trunk), output_switches=True)
    assert output.switches
    assert all(switches.dtype == torch.int64 for switches in output.switches)
    assert_close(output.pooler_output, trunk(**make_inputs(trunk)).pooler_output, rtol=0, atol=0)


# Learning


@each_of_ours
def test_every_parameter_gets_a_gradient(architecture):
    model = make(architecture).train()
    model(**make_inputs(model), labels=torch.tensor([0, 1])).loss.backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@each_of_ours
def test_gradient_checkpointing_changes_no_gradient(architecture):
    if not architecture.task_model.supports_gradient_checkpointing:
        pytest.skip("it declares that it keeps all of its inner values")
    gradients = []
    for checkpointing in (False, True):
        model = make(architecture).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.activation_checkpointing_enable()
        model(**make_inputs(model), labels=torch.tensor([0, 1])).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert_close(gradients[0], gradients[1])


@each_architecture
def test_the_head_can_be_replaced_for_other_labels(architecture, tmp_path):
    model = make(architecture)
    before = model.get_features(**make_inputs(model))
    model.reset_head(["walk", "run"])
    assert model(**make_inputs(model), labels=torch.tensor([0, 1])).logits.shape == (2, 2)
    assert torch.equal(model.get_features(**make_inputs(model)), before)
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).label2id == {"walk": 0, "run": 1}
    assert find_weights(model).shape[0] == 2
    assert torch.equal(load_model(tmp_path).eval()(**make_inputs(model)).logits, model(**make_inputs(model)).logits)
    model.reset_head(5)
    assert model(**make_inputs(model)).logits.shape == (2, 5)
    with pytest.raises(ValueError, match="labels is empty"):
        model.reset_head([])


@each_architecture
def test_a_checkpoint_loads_with_a_new_head_as_transformers_does_it(architecture, tmp_path):
    model = make(architecture)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, num_labels=5, ignore_mismatched_sizes=True).eval()
    assert loaded(**make_inputs(model)).logits.shape == (2, 5)
    assert torch.equal(loaded.get_features(**make_inputs(model)), model.get_features(**make_inputs(model)))


class Bright(torch.utils.data.Dataset):
    """Two classes told apart by the mean of every input."""

    def __init__(self, model):
        self.items = [make_inputs(model, batch=1, seed=seed) for seed in range(8)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return {**{name: value[0] + index % 2 for name, value in self.items[index].items()}, "labels": index % 2}


@each_architecture
def test_the_trainer_of_transformers_trains_it_unchanged(architecture, tmp_path):
    model = make(architecture)
    before = find_weights(model).clone()
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    data = Bright(model)
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data)
    assert trainer.train().global_step == 2
    assert not torch.equal(before, find_weights(model))
    assert trainer.evaluate()["eval_loss"] > 0
    trainer.save_model(str(tmp_path / "trained"))
    assert torch.equal(find_weights(load_model(tmp_path / "trained")), find_weights(model))


# Checkpoints


@each_architecture
def test_a_saved_model_comes_back_with_the_same_bits(architecture, tmp_path):
    model = make(architecture, id2label={0: "walk", 1: "run", 2: "jump"}, label2id={"walk": 0, "run": 1, "jump": 2})
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path).eval()
    assert type(loaded) is type(model)
    assert loaded.config.id2label == {0: "walk", 1: "run", 2: "jump"}
    assert torch.equal(loaded(**make_inputs(model)).logits, model(**make_inputs(model)).logits)
    as_transformers_loads_it = architecture.get_task().get_auto_class().from_pretrained(tmp_path).eval()
    logits = as_transformers_loads_it(**make_inputs(model)).logits
    assert torch.equal(logits.reshape(2, 3), model(**make_inputs(model)).logits)  # one of theirs has an axis more


@each_of_ours
def test_the_trunk_of_a_saved_model_is_loaded_alone(architecture, tmp_path):
    model = make(architecture)
    model.save_pretrained(tmp_path)
    trunk = AutoModel.from_pretrained(tmp_path).eval()
    expected = model.base_model(**make_inputs(model)).pooler_output
    assert torch.equal(trunk(**make_inputs(model)).pooler_output, expected)


@each_of_ours
def test_a_model_saved_in_shards_comes_back_with_the_same_bits(architecture, tmp_path):
    model = make(architecture)
    model.save_pretrained(tmp_path, max_shard_size=2 * count_parameters(model))  # half of their bytes
    assert (tmp_path / "model.safetensors.index.json").is_file()
    loaded = load_model(tmp_path, device_map="cpu").eval()
    assert torch.equal(loaded(**make_inputs(model)).logits, model(**make_inputs(model)).logits)


@each_of_ours
def test_a_model_loads_in_half_precision(architecture, tmp_path):
    make(architecture).save_pretrained(tmp_path)
    model = load_model(tmp_path, dtype=torch.bfloat16).eval()
    assert model.dtype == torch.bfloat16
    inputs = make_inputs(model)
    logits = model(**{name: value.to(torch.bfloat16) for name, value in inputs.items()}).logits
    assert logits.dtype == torch.float32
    assert_close(logits, make(architecture)(**inputs).logits, rtol=0.1, atol=0.1)


# Configs


@each_of_ours
def test_a_config_survives_json(architecture):
    config = architecture.tiny_config(id2label={0: "walk", 1: "run"}, label2id={"walk": 0, "run": 1})
    again = AutoConfig.for_model(**json.loads(config.to_json_string()))
    assert json.loads(again.to_json_string()) == json.loads(config.to_json_string())


@each_with_a_video_processor
def test_a_protocol_survives_json(architecture):
    config = architecture.tiny_config(protocol={"num_clips": 10, "num_crops": 3})
    again = AutoConfig.for_model(**json.loads(config.to_json_string()))
    assert again.get_protocol() == muybridge.Protocol(num_clips=10, num_crops=3)


@each_of_ours
def test_an_unknown_field_of_a_config_is_refused(architecture):
    with pytest.raises(TypeError, match=r"has no field 'image_sizes'; it has: .*hidden_size"):
        architecture.config(image_sizes=8)


@each_of_ours
def test_a_field_of_the_wrong_type_is_refused(architecture):
    with pytest.raises(Exception, match="'hidden_size' expected "):
        architecture.config(hidden_size="16")


@each_with_a_video_processor
def test_a_protocol_that_cannot_be_is_refused(architecture):
    with pytest.raises(Exception, match="num_crops is 2; it must be 1, 3, 5 or 10"):
        architecture.config(protocol={"num_crops": 2})


@each_of_ours
def test_a_head_that_is_not_known_is_refused_with_those_that_are(architecture):
    with pytest.raises(ValueError, match=r"there is no head 'liner'; there are .*frames, linear"):
        architecture.config(head={"name": "liner"})


@each_of_ours
def test_a_number_that_its_head_does_not_have_is_refused(architecture):
    with pytest.raises(ValueError, match="the head 'linear' has no number dropouts; it has dropout"):
        architecture.config(head={"name": "linear", "dropouts": 0.5})


@each_of_ours
def test_the_input_that_is_stated_is_that_of_the_default_config(architecture):
    shapes = architecture.config().input_shapes()
    stated = [tuple(map(int, part.split("×"))) for part in architecture.input_size.split(" + ")]
    for (name, shape), sizes in zip(shapes.items(), stated, strict=True):
        has_channels = name.startswith("pixel_values")
        assert sizes == (shape[:-3] + shape[-2:] if has_channels else shape)


# What it is and costs


@each_architecture
def test_the_model_compiles_without_a_break_in_its_graph(architecture):
    torch.compiler.reset()  # the architectures share code, and torch compiles one piece of it a few times at most
    model = make(architecture)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert_close(compiled(**make_inputs(model)).logits, model(**make_inputs(model)).logits)


@each_architecture
def test_its_cost_is_counted_without_computing(architecture):
    model = make(architecture)
    assert count_gmacs(model) > 0
    assert count_parameters(model) == sum(parameter.numel() for parameter in model.parameters())
    assert not any(parameter.is_meta for parameter in model.parameters())


@each_architecture
def test_a_card_says_what_it_is_and_takes(architecture):
    model, task = make(architecture), architecture.get_task()
    facts = CardFacts("A test", "my-model", "What it is.", "mit", "muybridge train …", architecture.papers)
    text = write_card(model, facts)
    assert parse_card(text)["pipeline_tag"] == architecture.task
    assert f"Architecture: {architecture.title} (`{architecture.name}`)" in text
    assert f"Input: {describe_shapes(model.input_shapes())}" in text
    assert f"G {task.unit}" in text
    assert f'pipeline("{task.name}", model="my-model")\nprint({task.verb}("{task.file}"))' in text
    assert all(paper.url in text for paper in architecture.papers)


@each_architecture
def test_a_copy_stands_for_itself(architecture):
    model = make(architecture)
    duplicate = copy.deepcopy(model)
    duplicate.reset_head(7)
    assert duplicate(**make_inputs(model)).logits.shape == (2, 7)
    assert model(**make_inputs(model)).logits.shape == (2, 3)
    assert model.config.num_labels == 3


# The pipelines of transformers


@each_with_a_video_processor
def test_the_pipeline_of_transformers_labels_a_file(architecture, tmp_path, caplog):
    model = make(architecture)
    size = model.config.image_size
    processor = architecture.processor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        num_frames=model.config.num_frames,
    )
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    write_clip(tmp_path / "clip.mp4", moving_square(num_frames=12, height=48, width=64))
    classify = pipeline("video-classification", model=str(tmp_path / "model"))
    labels = classify(str(tmp_path / "clip.mp4"))
    inputs = processor(str(tmp_path / "clip.mp4"), return_tensors="pt")
    expected = model(**inputs).logits.softmax(-1)[0]
    assert {label["label"]: pytest.approx(label["score"], abs=1e-5) for label in labels} == {
        model.config.id2label[index]: score for index, score in enumerate(expected.tolist())
    }
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@each_with_an_image_processor
def test_the_pipelines_of_transformers_label_a_picture_and_give_its_features(architecture, tmp_path, caplog):
    model = make(architecture)
    size = model.config.image_size
    processor = architecture.processor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    picture = Image.fromarray(moving_square(num_frames=1, height=48, width=64)[0].permute(1, 2, 0).numpy())
    picture.save(tmp_path / "picture.png")
    labels = pipeline("image-classification", model=str(tmp_path / "model"))(str(tmp_path / "picture.png"))
    inputs = processor(picture, return_tensors="pt")
    expected = model(**inputs).logits.softmax(-1)[0]
    assert {label["label"]: pytest.approx(label["score"], abs=1e-5) for label in labels} == {
        model.config.id2label[index]: score for index, score in enumerate(expected.tolist())
    }
    extract = pipeline("image-feature-extraction", model=str(tmp_path / "model"), pool=True)
    assert_close(torch.tensor(extract(str(tmp_path / "picture.png"))), model.get_features(**inputs))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
