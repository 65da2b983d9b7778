"""The registry: tasks and architectures from anywhere, known to transformers, and nothing loaded before it is used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForObjectDetection

import muybridge
import toys
from muybridge.cards import CardFacts, parse_card, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.models import ARCHITECTURES, TASKS, load_model, load_processor
from muybridge.models.inputs import shorten_shapes
from muybridge.models.registry import (
    FOREIGN_ARCHITECTURES,
    find_architecture,
    get_architecture,
    list_architectures,
)

EVERY = {**ARCHITECTURES, **FOREIGN_ARCHITECTURES}
each_architecture = pytest.mark.parametrize("architecture", EVERY.values(), ids=EVERY.keys())
PACKAGE = Path(muybridge.__file__).parent
FOLDERS = sorted(path.parent.name for path in (PACKAGE / "models").glob("*/__init__.py"))
FOLDERS = [name for name in FOLDERS if name not in ("heads", "layers")]
PACKAGES = [f"muybridge.models.{name}" for name in FOLDERS]

# The package `muybridge` itself may load more; here it is an empty one, so that what is below it is seen alone.
ISOLATED = f"""
import sys, types
package = types.ModuleType("muybridge")
package.__path__ = [{str(PACKAGE)!r}]
sys.modules["muybridge"] = package
"""


def run(program: str) -> str:
    words = [sys.executable, "-c", ISOLATED + program]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_importing_the_models_loads_neither_torch_nor_transformers():
    modules = ["muybridge.models", "muybridge.models.registry", "muybridge.models.inputs", *PACKAGES]
    assert "muybridge.models.c3d" in modules
    found = run(
        f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'transformers', 'numpy', 'av'}))"
    )
    assert found.strip() == "[]"


def test_titles_papers_and_inputs_are_known_without_torch():
    found = run(
        "from muybridge.models import ARCHITECTURES, TASKS\n"
        "for each in ARCHITECTURES.values():\n"
        "    print(each.name, each.title, each.input_size, each.papers[0].title, TASKS[each.task].thing, sep='; ')\n"
        "print('torch' in sys.modules)"
    )
    *lines, has_torch = found.splitlines()
    assert has_torch == "False"
    assert len(lines) == len(ARCHITECTURES)
    assert any(line.startswith("c3d; C3D; 16×112×112; Learning Spatiotemporal Features with 3D") for line in lines)


def test_the_names_of_a_package_are_listed_before_they_are_imported():
    found = run("from muybridge.models import c3d\nprint('C3DConfig' in dir(c3d), 'torch' in sys.modules)\n")
    assert found.split() == ["True", "False"]


@each_architecture
def test_classes_are_where_the_registry_says(architecture):
    assert issubclass(
        architecture.task_model, architecture.get_task().get_auto_class()._model_mapping[architecture.config]
    )
    assert architecture.config.model_type == architecture.name


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_the_stated_input_is_that_of_the_default_config(architecture):
    assert architecture.input_size == shorten_shapes(architecture.config().input_shapes())


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_transformers_knows_ours_by_name(architecture):
    assert type(AutoConfig.for_model(architecture.name)) is architecture.config
    assert AutoModel._model_mapping[architecture.config] is architecture.model
    assert architecture.get_task().get_network_names()[architecture.name] == architecture.task_model.__name__


def test_every_folder_is_an_architecture_and_named_in_one_line():
    names = {each.name for each in EVERY.values()}
    assert set(FOLDERS) == {name.removesuffix("_vision_model") for name in names}


def test_no_architecture_is_named_but_where_it_lives():
    """Beside its folder, only conversion, which renames its tensors, and the one line that imports it say its name."""
    names = [name for name in EVERY if name != "ensemble"]
    prefixes = [each.prefix for each in EVERY.values()]
    pattern = re.compile(rf"\b(?:{'|'.join(names)})\b|\b(?:{'|'.join(prefixes)})(?:\b|Config|Model|For|Video|Image)")
    found = {}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).parts
        if place[0] == "conversion" or (place[0] == "models" and len(place) > 2 and place[1] in FOLDERS):
            continue
        if place != ("models", "__init__.py") and (said := pattern.findall(path.read_text(encoding="utf-8"))):
            found["/".join(place)] = said
    assert not found


# From outside


@pytest.fixture
def _with_a_detector():
    with toys.registered(toys.DETECTOR):
        yield


def make_detector():
    torch.manual_seed(0)
    return toys.ToyDetectorForObjectDetection(toys.DETECTOR.tiny_config()).eval()


@pytest.mark.usefixtures("_with_a_detector")
def test_a_detector_from_outside_is_loaded_by_the_auto_class_of_its_task(tmp_path):
    model = make_detector()
    model.save_pretrained(tmp_path)
    toys.ToyDetectorImageProcessor().save_pretrained(tmp_path)
    images = torch.randn(2, 3, 32, 32)
    for loaded in (AutoModelForObjectDetection.from_pretrained(tmp_path), load_model(tmp_path)):
        assert type(loaded) is toys.ToyDetectorForObjectDetection
        assert torch.equal(loaded.eval()(images).pred_boxes, model(images).pred_boxes)
    for processor in (AutoImageProcessor.from_pretrained(tmp_path), load_processor(tmp_path)):
        assert type(processor) is toys.ToyDetectorImageProcessor
    assert type(AutoModel.from_pretrained(tmp_path)) is toys.ToyDetectorModel


@pytest.mark.usefixtures("_with_a_detector")
def test_a_detector_from_outside_has_a_card(tmp_path):
    facts = CardFacts("A test", "my-detector", "What it is.", "mit", "python train.py", toys.DETECTOR.papers)
    text = write_card(make_detector(), facts)
    assert parse_card(text)["pipeline_tag"] == "object-detection"
    assert 'detect = pipeline("object-detection", model="my-detector")\nprint(detect("picture.jpg"))' in text
    assert "Objects in images may be missed." in text
    assert "Input: 32×32" in text
    save_checkpoint(tmp_path / "model", make_detector(), toys.ToyDetectorImageProcessor(), text)
    assert (tmp_path / "model" / "README.md").is_file()


@pytest.mark.usefixtures("_with_a_detector")
def test_a_detector_from_outside_has_stages_and_features():
    model = make_detector()
    images = torch.randn(2, 3, 32, 32)
    assert model.get_stage_names() == ["stage"]
    assert model.get_features("stage", pixel_values=images).shape == (2, 8, 4, 4)
    assert model.get_features(pixel_values=images).shape == (2, 8)
    assert list(list_architectures("object-detection")) == ["toy_detector"]


def test_what_was_registered_for_a_test_is_gone():
    assert "toy_detector" not in ARCHITECTURES
    assert set(TASKS) == {"video-classification", "image-classification"}


# Names that are not known


def test_an_architecture_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"the architecture 'c4d' is not known; known are alexnet, c3d, .*videomae"):
        get_architecture("c4d")
    assert find_architecture("c4d") is None


def test_a_network_of_transformers_is_known_by_the_tables_of_transformers():
    architecture = get_architecture("vit")
    assert (architecture.title, architecture.task) == ("ViT", "image-classification")
    assert architecture.task_model.__name__ == "ViTForImageClassification"
    assert architecture.config.__name__ == "ViTConfig"
