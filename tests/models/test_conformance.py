"""What every architecture promises, shown for each in turn."""

import copy
import json

import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel, Trainer, TrainingArguments, pipeline

import muybridge
from clips import moving_square, write_clip
from muybridge.models import ARCHITECTURES
from muybridge.models.inspection import count_gmacs, count_parameters
from muybridge.models.registry import image_architectures, video_architectures

VIDEO_ARCHITECTURES, IMAGE_ARCHITECTURES = video_architectures(), image_architectures()


def each(architectures):
    return pytest.mark.parametrize("architecture", architectures.values(), ids=architectures.keys())


each_architecture = each(ARCHITECTURES)
each_for_videos = each(VIDEO_ARCHITECTURES)
each_for_images = each(IMAGE_ARCHITECTURES)


def make(architecture, **fields):
    torch.manual_seed(0)
    model = architecture.classifier(architecture.tiny_config(**fields)).eval()
    with torch.no_grad():  # batch norms as after training, so that a forgotten one shows
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return model


def inputs(model, batch=2, seed=0):
    return torch.randn(batch, *model.config.input_shape(), generator=torch.Generator().manual_seed(seed))


@each_architecture
def test_the_classifier_gives_finite_logits_and_a_loss(architecture):
    model = make(architecture)
    output = model(inputs(model), labels=torch.tensor([0, 2]))
    assert output.logits.shape == (2, 3)
    assert output.logits.isfinite().all()
    assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, torch.tensor([0, 2])))


@each_architecture
def test_the_trunk_gives_features_of_the_size_that_the_config_says(architecture):
    model = make(architecture).base_model
    output = model(inputs(model))
    assert output.pooler_output.shape == (2, model.config.hidden_size)
    assert output.last_hidden_state.shape[0] == 2
    assert output.hidden_states is None
    assert_close(model.get_features(inputs(model)), output.pooler_output)


@each_architecture
def test_every_stage_shows_its_hidden_state(architecture):
    model = make(architecture)
    seen = []
    for stage in model.get_stages():
        stage.register_forward_hook(lambda *call: seen.append(call[-1].clone()))
    hidden_states = model(inputs(model), output_hidden_states=True).hidden_states
    assert len(hidden_states) == len(model.get_stages()) == len(seen)
    for hidden, expected in zip(hidden_states, seen, strict=True):
        assert_close(hidden, expected, rtol=0, atol=0)


@each_architecture
def test_the_stages_hold_every_parameter_of_the_trunk(architecture):
    trunk = make(architecture).base_model
    staged = [parameter for stage in trunk.get_stages() for parameter in stage.parameters()]
    assert {id(parameter) for parameter in staged} == {id(parameter) for parameter in trunk.parameters()}
    assert len(staged) == len(list(trunk.parameters()))


@each_architecture
def test_a_batch_of_two_gives_what_two_single_clips_give(architecture):
    model = make(architecture)
    both = inputs(model)
    singles = torch.cat([model(both[:1]).logits, model(both[1:]).logits])
    assert_close(model(both).logits, singles, rtol=1e-4, atol=1e-5)


@each_for_videos
def test_a_clip_played_backwards_gives_other_logits(architecture):
    model = make(architecture)
    clip = inputs(model)
    assert (model(clip).logits - model(clip.flip(1)).logits).abs().max() > 1e-4


@each_architecture
def test_views_are_scored_one_by_one_and_their_probabilities_averaged(architecture):
    model = make(architecture)
    views = torch.stack([inputs(model, seed=seed) for seed in range(3)], dim=1)
    expected = torch.stack([model(views[:, view]).logits.softmax(-1) for view in range(3)]).mean(0)
    assert_close(model(views).logits.softmax(-1), expected, rtol=1e-4, atol=1e-6)
    features = torch.stack([model.get_features(views[:, view]) for view in range(3)]).mean(0)
    assert_close(model.get_features(views), features, rtol=1e-4, atol=1e-5)


@each_for_videos
def test_views_are_averaged_as_logits_where_the_protocol_says_so(architecture):
    model = make(architecture, protocol={"aggregation": "logits"})
    views = torch.stack([inputs(model, seed=seed) for seed in range(3)], dim=1)
    expected = torch.stack([model(views[:, view]).logits for view in range(3)]).mean(0)
    assert_close(model(views).logits, expected, rtol=1e-4, atol=1e-5)


@each_architecture
def test_every_parameter_gets_a_gradient(architecture):
    model = make(architecture).train()
    model(inputs(model), labels=torch.tensor([0, 1])).loss.backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@each_architecture
def test_gradient_checkpointing_changes_no_gradient(architecture):
    gradients = []
    for checkpointing in (False, True):
        model = make(architecture, classifier_dropout=0.0).train()
        if checkpointing:
            model.activation_checkpointing_enable()
        model(inputs(model), labels=torch.tensor([0, 1])).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert_close(gradients[0], gradients[1])


@each_architecture
def test_a_saved_model_comes_back_with_the_same_bits(architecture, tmp_path):
    model = make(architecture, id2label={0: "walk", 1: "run", 2: "jump"}, label2id={"walk": 0, "run": 1, "jump": 2})
    model.save_pretrained(tmp_path)
    loaded = architecture.auto_class.from_pretrained(tmp_path).eval()
    assert type(loaded) is type(model)
    assert loaded.config.id2label == {0: "walk", 1: "run", 2: "jump"}
    assert torch.equal(loaded(inputs(model)).logits, model(inputs(model)).logits)
    assert torch.equal(
        AutoModel.from_pretrained(tmp_path).eval()(inputs(model)).pooler_output,
        model.base_model(inputs(model)).pooler_output,
    )


@each_architecture
def test_a_model_saved_in_shards_comes_back_with_the_same_bits(architecture, tmp_path):
    model = make(architecture)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    loaded = architecture.auto_class.from_pretrained(tmp_path, device_map="cpu").eval()
    assert torch.equal(loaded(inputs(model)).logits, model(inputs(model)).logits)


@each_architecture
def test_a_model_loads_in_half_precision(architecture, tmp_path):
    make(architecture).save_pretrained(tmp_path)
    model = architecture.auto_class.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert model.dtype == torch.bfloat16
    logits = model(inputs(model).to(torch.bfloat16)).logits
    assert logits.dtype == torch.float32
    assert_close(logits, make(architecture)(inputs(model)).logits, rtol=0.1, atol=0.1)


@each_architecture
def test_a_config_survives_json(architecture):
    config = architecture.tiny_config(id2label={0: "walk", 1: "run"}, label2id={"walk": 0, "run": 1})
    again = AutoConfig.for_model(**json.loads(config.to_json_string()))
    assert json.loads(again.to_json_string()) == json.loads(config.to_json_string())


@each_for_videos
def test_a_protocol_survives_json(architecture):
    config = architecture.tiny_config(protocol={"num_clips": 10, "num_crops": 3})
    again = AutoConfig.for_model(**json.loads(config.to_json_string()))
    assert again.get_protocol() == muybridge.Protocol(num_clips=10, num_crops=3)


@each_architecture
def test_an_unknown_field_of_a_config_is_refused(architecture):
    with pytest.raises(TypeError, match=r"has no field 'image_sizes'; it has: .*image_size"):
        architecture.config(image_sizes=8)


@each_architecture
def test_a_field_of_the_wrong_type_is_refused(architecture):
    with pytest.raises(Exception, match="'image_size' expected int, got str"):
        architecture.config(image_size="16")


@each_for_videos
def test_a_protocol_that_cannot_be_is_refused(architecture):
    with pytest.raises(Exception, match="num_crops is 2; it must be 1, 3, 5 or 10"):
        architecture.config(protocol={"num_crops": 2})


@each_architecture
def test_an_input_of_the_wrong_shape_is_refused(architecture):
    model = make(architecture)
    wrong = inputs(model).transpose(-3, -1)  # channels last
    with pytest.raises(ValueError, match=rf"{model.main_input_name} has shape .* channels"):
        model(wrong)


@each_architecture
def test_an_input_with_nothing_in_it_is_refused(architecture):
    model = make(architecture)
    with pytest.raises(ValueError, match=rf"{model.main_input_name} has shape \(2, .*there is nothing in it"):
        model(inputs(model)[..., :0])
    if model.main_input_name == "pixel_values_videos":
        with pytest.raises(ValueError, match="there is nothing in it"):
            model(inputs(model)[:, :0])


@each_architecture
def test_every_stage_gives_features_by_its_name(architecture):
    model = make(architecture)
    names = {id(module): name for name, module in model.base_model.named_modules()}
    hidden_states = model(inputs(model), output_hidden_states=True).hidden_states
    for stage, hidden in zip(model.get_stages(), hidden_states, strict=True):
        assert_close(model.get_features(inputs(model), names[id(stage)]), hidden, rtol=0, atol=0)


@each_architecture
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(architecture):
    model = make(architecture)
    with pytest.raises(ValueError, match="has no layer 'fc9'; its stages are "):
        model.get_features(inputs(model), "fc9")


@each_architecture
def test_the_classifier_can_be_replaced_for_other_labels(architecture, tmp_path):
    model = make(architecture)
    trunk = copy.deepcopy(model.base_model.state_dict())
    model.reset_classifier(["walk", "run"])
    assert model(inputs(model), labels=torch.tensor([0, 1])).logits.shape == (2, 2)
    assert all(torch.equal(tensor, trunk[name]) for name, tensor in model.base_model.state_dict().items())
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).label2id == {"walk": 0, "run": 1}
    assert model.get_classifier().out_features == 2


@each_architecture
def test_a_checkpoint_loads_with_a_new_classifier_as_transformers_does_it(architecture, tmp_path):
    model = make(architecture)
    model.save_pretrained(tmp_path)
    loaded = architecture.auto_class.from_pretrained(tmp_path, num_labels=5, ignore_mismatched_sizes=True)
    assert loaded.eval()(inputs(model)).logits.shape == (2, 5)
    assert torch.equal(loaded.get_features(inputs(model)), model.get_features(inputs(model)))


@each_architecture
def test_outputs_come_as_a_tuple_when_asked_for(architecture):
    model = make(architecture)
    loss, logits = model(inputs(model), labels=torch.tensor([0, 1]), return_dict=False)
    assert loss.shape == ()
    assert torch.equal(logits, model(inputs(model)).logits)


@each_architecture
def test_a_config_that_asks_for_tuples_gets_them(architecture):
    model = make(architecture, return_dict=False)
    (logits,) = model(inputs(model))
    assert logits.shape == (2, 3)
    assert model.get_features(inputs(model)).shape == (2, model.config.hidden_size)


@each_architecture
def test_an_argument_that_is_not_known_is_refused(architecture):
    model = make(architecture)
    with pytest.raises(TypeError, match="output_hidden_state"):
        model(inputs(model), output_hidden_state=True)


@each_architecture
def test_a_single_view_keeps_its_logits(architecture):
    model = make(architecture)
    assert_close(model(inputs(model)[:, None]).logits, model(inputs(model)).logits)


@each_architecture
def test_the_model_compiles_without_a_break_in_its_graph(architecture):
    torch.compiler.reset()  # the architectures share code, and torch compiles one piece of it a few times at most
    model = make(architecture)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert_close(compiled(inputs(model)).logits, model(inputs(model)).logits)


@each_architecture
def test_its_cost_is_counted_without_computing(architecture):
    model = make(architecture)
    assert count_gmacs(model) > 0
    assert count_parameters(model) == sum(parameter.numel() for parameter in model.parameters())
    assert not any(parameter.is_meta for parameter in model.parameters())


class Bright(torch.utils.data.Dataset):
    """Two classes told apart by brightness."""

    def __init__(self, model):
        self.name = model.main_input_name
        self.inputs = [inputs(model, batch=1, seed=seed)[0] + seed % 2 for seed in range(8)]

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return {self.name: self.inputs[index], "labels": index % 2}


@each_architecture
def test_the_trainer_of_transformers_trains_it_unchanged(architecture, tmp_path):
    model = make(architecture)
    before = model.get_classifier().weight.clone()
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    data = Bright(model)
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data)
    assert trainer.train().global_step == 2
    assert not torch.equal(before, model.get_classifier().weight)
    assert trainer.evaluate()["eval_loss"] > 0
    trainer.save_model(str(tmp_path / "trained"))
    assert torch.equal(
        architecture.auto_class.from_pretrained(tmp_path / "trained").get_classifier().weight,
        model.get_classifier().weight,
    )


@each_for_videos
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
    pixels = processor(str(tmp_path / "clip.mp4"), return_tensors="pt").pixel_values_videos
    expected = model(pixels).logits.softmax(-1)[0]
    assert {label["label"]: pytest.approx(label["score"], abs=1e-5) for label in labels} == {
        model.config.id2label[index]: score for index, score in enumerate(expected.tolist())
    }
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@each_for_images
def test_the_pipelines_of_transformers_label_a_picture_and_give_its_features(architecture, tmp_path, caplog):
    model = make(architecture)
    size = model.config.image_size
    processor = architecture.processor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    picture = Image.fromarray(moving_square(num_frames=1, height=48, width=64)[0].permute(1, 2, 0).numpy())
    picture.save(tmp_path / "picture.png")
    labels = pipeline("image-classification", model=str(tmp_path / "model"))(str(tmp_path / "picture.png"))
    pixels = processor(picture, return_tensors="pt").pixel_values
    expected = model(pixels).logits.softmax(-1)[0]
    assert {label["label"]: pytest.approx(label["score"], abs=1e-5) for label in labels} == {
        model.config.id2label[index]: score for index, score in enumerate(expected.tolist())
    }
    extract = pipeline("image-feature-extraction", model=str(tmp_path / "model"), pool=True)
    assert_close(torch.tensor(extract(str(tmp_path / "picture.png"))), model.get_features(pixels))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
