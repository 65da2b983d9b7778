"""transformers' own classifiers: their stages, features and heads are what transformers itself computes."""

import pickle

import pytest
import torch
from torch.testing import assert_close
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    TrainingArguments,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    VideoMAEModel,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES

from muybridge.cards import CardFacts, write_card
from muybridge.models import ARCHITECTURES, adapt, auto_tables
from muybridge.models.adapters import adapt_class
from muybridge.models.inspection import describe_network, make_random_inputs
from muybridge.models.registry import FOREIGN_ARCHITECTURES

OF_VIDEOS = {name: each for name, each in FOREIGN_ARCHITECTURES.items() if each.task == "video-classification"}
each_for_videos = pytest.mark.parametrize("architecture", OF_VIDEOS.values(), ids=OF_VIDEOS.keys())
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 32}


def make(architecture, **fields):
    """A network as transformers has it, every parameter of which counts."""
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config(**fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def make_inputs(model, batch=2):
    return make_random_inputs(model, batch, torch.Generator().manual_seed(0))


def test_all_that_transformers_has_for_videos_are_known():
    ours = set(ARCHITECTURES) | set(auto_tables.ENTRIES)  # also those that another test has added
    theirs = set(MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES) - ours
    assert theirs == set(OF_VIDEOS)


@each_for_videos
def test_stages_are_the_hidden_states_of_transformers(architecture):
    model = make(architecture)
    inputs = make_inputs(model)
    hidden_states = list(model(**inputs, output_hidden_states=True).hidden_states)
    if architecture.name == "videoprism_vision_model":  # which has the last one normed and reshaped
        hidden_states[-1] = model.vision_model(**inputs).last_temporal_hidden_state
    adapted = adapt(model)
    layers = [name for name in adapted.get_stage_names() if name.rpartition(".")[2].isdigit()]
    assert len(layers) == len(hidden_states) - 1
    for name, expected in zip(layers, hidden_states[1:], strict=True):
        assert_close(adapted.get_features(name, **inputs), expected, rtol=0, atol=1e-5)
    before_first_layer = adapted.get_stage_names()[adapted.get_stage_names().index(layers[0]) - 1]
    assert_close(adapted.get_features(before_first_layer, **inputs), hidden_states[0], rtol=0, atol=1e-5)


# Written out for each: how the features that the classifier gets follow from the last hidden state.
POOLED = {
    "timesformer": lambda _model, hidden: hidden[:, 0],
    "videomae": lambda model, hidden: model.fc_norm(hidden.mean(1)),
    "videoprism_vision_model": lambda model, hidden: model.head_layernorm(model.head(hidden)[0])[:, 0],
    "vivit": lambda _model, hidden: hidden[:, 0],
    "vjepa2": lambda model, hidden: model.pooler(hidden),
}


@each_for_videos
def test_features_are_what_the_classifier_gets(architecture):
    model = make(architecture)
    inputs = make_inputs(model)
    options = {"skip_predictor": True} if architecture.name == "vjepa2" else {}
    expected = POOLED[architecture.name](model, model.base_model(**inputs, **options).last_hidden_state)
    adapted = adapt(model)
    assert_close(adapted.get_features(**inputs), expected, rtol=0, atol=1e-5)
    linear = adapted.get_head()
    logits = expected @ linear.weight.T + linear.bias
    assert_close(adapted(**inputs).logits, logits, rtol=0, atol=1e-5)
    assert_close(model(**inputs).logits.reshape(2, 3), logits, rtol=0, atol=1e-5)


@each_for_videos
def test_inputs_have_the_sizes_of_the_config(architecture):
    model = adapt(make(architecture))
    assert model.input_shapes() == {model.main_input_name: (4, 3, 32, 32)}
    assert model(**make_inputs(model)).logits.shape == (2, 3)


def test_stages_go_from_the_embeddings_to_what_stands_before_the_head():
    names = {name: adapt(make(architecture)).get_stage_names() for name, architecture in OF_VIDEOS.items()}
    encoder, trunk = "vjepa2.encoder", "vision_model"
    assert names == {
        "timesformer": [
            "timesformer.embeddings", "timesformer.encoder.layer.0", "timesformer.encoder.layer.1",
            "timesformer.layernorm",
        ],
        "videomae": [
            "videomae.embeddings", "videomae.encoder.layer.0", "videomae.encoder.layer.1", "fc_norm",
        ],
        "videoprism_vision_model": [
            f"{trunk}.spatial_embeddings", f"{trunk}.spatial_layers.0", f"{trunk}.spatial_layers.1",
            f"{trunk}.layernorm1", f"{trunk}.temporal_embeddings", f"{trunk}.temporal_layers.0", f"{trunk}.layernorm2",
            "head", "head_layernorm",
        ],
        "vivit": ["vivit.embeddings", "vivit.layers.0", "vivit.layers.1", "vivit.layernorm"],
        "vjepa2": [
            f"{encoder}.embeddings", f"{encoder}.layer.0", f"{encoder}.layer.1", f"{encoder}.layernorm", "pooler",
        ],
    }  # fmt: skip


def test_a_videomae_that_reads_its_first_token_ends_in_a_norm():
    torch.manual_seed(0)
    model = VideoMAEForVideoClassification(VideoMAEConfig(**SMALL, num_frames=4, use_mean_pooling=False)).eval()
    adapted, inputs = adapt(model), make_inputs(model)
    assert adapted.get_stage_names()[-1] == "videomae.layernorm"
    assert_close(adapted.get_features(**inputs), model.videomae(**inputs).last_hidden_state[:, 0])


@each_for_videos
def test_the_head_is_found_though_other_layers_are_as_wide(architecture):
    width = architecture.tiny["hidden_size"]
    model = adapt(make(architecture, num_labels=width))
    assert model.get_head() is model.classifier
    model.reset_head(2)
    assert model.classifier.out_features == 2


# Adapting


def test_what_is_adapted_stays_as_it_is_and_shares_its_weights():
    model = make(OF_VIDEOS["videomae"])
    adapted, inputs = adapt(model), make_inputs(model)
    assert type(model) is VideoMAEForVideoClassification
    assert isinstance(adapted, VideoMAEForVideoClassification)
    assert {id(parameter) for parameter in adapted.parameters()} == {id(parameter) for parameter in model.parameters()}
    before = model(**inputs).logits
    adapted.reset_head(["walk", "run"])
    assert model.config.num_labels == 3
    assert torch.equal(model(**inputs).logits, before)
    with torch.no_grad():
        model.videomae.encoder.layer[0].output.dense.weight.zero_()
    assert adapted.get_features(**inputs).isfinite().all()
    assert_close(adapted.get_features(**inputs), adapt(model).get_features(**inputs))


def test_a_network_that_has_the_vocabulary_is_not_adapted():
    ours = ARCHITECTURES["c3d"].task_model(ARCHITECTURES["c3d"].tiny_config())
    assert adapt(ours) is ours
    theirs = adapt(make(OF_VIDEOS["vivit"]))
    assert adapt(theirs) is theirs


def test_a_checkpoint_of_an_adapted_network_is_one_of_transformers(tmp_path):
    model = make(OF_VIDEOS["videomae"])
    adapted = adapt(model)
    adapted.reset_head(["walk", "run"])
    adapted.save_pretrained(tmp_path)
    loaded = VideoMAEForVideoClassification.from_pretrained(tmp_path).eval()
    assert type(loaded) is VideoMAEForVideoClassification
    assert loaded.config.architectures == ["VideoMAEForVideoClassification"]
    assert torch.equal(loaded(**make_inputs(model)).logits, adapted(**make_inputs(model)).logits)


def test_an_adapted_network_is_sent_to_a_process_that_has_adapted_none():
    adapted = adapt(make(OF_VIDEOS["vivit"]))
    sent = pickle.dumps(adapted)
    adapt_class.cache_clear()  # as in a process that begins
    arrived = pickle.loads(sent)
    assert arrived.get_stage_names() == adapted.get_stage_names()
    views = {name: value[:, None] for name, value in make_inputs(adapted).items()}
    assert_close(arrived(**views).logits, adapted(**views).logits)


def test_the_arguments_of_transformers_are_passed_on():
    model = make(OF_VIDEOS["vivit"])
    adapted, inputs = adapt(model), make_inputs(model)
    assert len(adapted(**inputs, output_hidden_states=True).hidden_states) == 3
    assert adapted(**inputs).hidden_states is None
    with pytest.raises(ValueError, match="doesn't match model"):
        adapted(torch.randn(2, 4, 3, 64, 64))
    assert_close(adapted(inputs["pixel_values"]).logits, model(**inputs).logits)


def test_a_head_of_another_kind_is_refused_with_the_reason():
    adapted = adapt(make(OF_VIDEOS["videomae"]))
    for arguments in (({"motion": ["left", "right"]},), (["left"], {"name": "frames"})):
        with pytest.raises(ValueError, match="a network of transformers, whose head is linear and of one task"):
            adapted.reset_head(*arguments)


def test_a_trunk_has_no_head():
    adapted = adapt(VideoMAEModel(VideoMAEConfig(**SMALL, num_frames=4)))
    with pytest.raises(ValueError, match="has no linear layer of 2 outputs, one a label: it is no classifier"):
        adapted.get_head()


def test_the_trainer_of_transformers_sees_the_names_of_inputs(tmp_path):
    """It drops the columns that are no arguments of `forward`."""
    from transformers import Trainer

    adapted = adapt(make(OF_VIDEOS["videomae"]))
    trainer = Trainer(adapted, TrainingArguments(str(tmp_path), report_to=[], use_cpu=True))
    trainer._set_signature_columns_if_needed()
    assert {"pixel_values", "labels"} <= set(trainer._signature_columns)


# Networks of images, and those that nothing is known of beforehand


def test_a_resnet_of_transformers_has_stages_and_features():
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic", num_labels=3)
    model = ResNetForImageClassification(config).eval()
    adapted, inputs = adapt(model), {"pixel_values": torch.randn(2, 3, 64, 64)}
    assert adapted.input_shapes() == {"pixel_values": (3, 224, 224)}
    assert adapted.get_stage_names() == ["resnet.embedder", "resnet.encoder.stages.0", "resnet.encoder.stages.1"]
    hidden_states = model(**inputs, output_hidden_states=True).hidden_states
    for name, expected in zip(adapted.get_stage_names(), hidden_states, strict=True):
        assert_close(adapted.get_features(name, **inputs), expected)
    assert_close(adapted.get_features(**inputs), hidden_states[-1].mean((2, 3)))
    assert adapted.get_head() is adapted.classifier[1]


def test_a_network_that_no_one_named_is_understood_and_described():
    torch.manual_seed(0)
    model = ViTForImageClassification(ViTConfig(**SMALL, num_labels=3)).eval()
    adapted, inputs = adapt(model), {"pixel_values": torch.randn(2, 3, 32, 32)}
    assert adapted.input_shapes() == {"pixel_values": (3, 32, 32)}
    hidden_states = model(**inputs, output_hidden_states=True).hidden_states
    layers = [name for name in adapted.get_stage_names() if name.rpartition(".")[2].isdigit()]
    for name, expected in zip(layers, hidden_states[1:], strict=True):
        assert_close(adapted.get_features(name, **inputs), expected, rtol=0, atol=1e-5)
    facts = describe_network(model)
    assert (facts["architecture"], facts["input"], facts["labels"]) == ("vit", "3×32×32", 3)
    card = write_card(model, CardFacts("A test", "vit", "What it is.", "mit", "muybridge train …", []))
    assert "Architecture: ViT (`vit`)" in card
    assert "pipeline_tag: image-classification" in card
