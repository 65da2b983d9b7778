"""transformers finds our classes by their names, in whatever order the two are imported."""

import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING
from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING

from muybridge.models import ARCHITECTURES, auto_tables
from training_runs import ENVIRONMENT

VIDEO, IMAGE = "c3d", "vgg"

LOAD_ALL = """
from transformers import (
    AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, AutoModelForVideoClassification,
    AutoProcessor, pipeline,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

autos = [AutoConfig, AutoModel, AutoModelForVideoClassification, AutoVideoProcessor, AutoProcessor]
print(*[type(auto.from_pretrained("c3d")).__name__ for auto in autos])
autos = [AutoConfig, AutoModel, AutoModelForImageClassification, AutoImageProcessor]
print(*[type(auto.from_pretrained("vgg")).__name__ for auto in autos])
for task, name in (("video-classification", "c3d"), ("image-classification", "vgg")):
    print(type(pipeline(task, model=name).model).__name__)
"""
FOUND = [
    "C3DConfig C3DModel C3DForVideoClassification C3DVideoProcessor C3DVideoProcessor",
    "VGGConfig VGGModel VGGForImageClassification ImageNetImageProcessor",
    "C3DForVideoClassification",
    "VGGForImageClassification",
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in (VIDEO, IMAGE):
        architecture = ARCHITECTURES[name]
        AutoModel.from_config(architecture.tiny_config()).save_pretrained(folder / name)
        architecture.processor().save_pretrained(folder / name)
    return folder


def run(*program: str | Path, folder: Path) -> list[str]:
    """What a program prints, in which warnings of imports are errors."""
    warnings = ("-W", "error::ImportWarning", "-W", "error::DeprecationWarning")
    done = subprocess.run(
        [sys.executable, *warnings, *program],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "imports",
    [
        "import muybridge",
        "from transformers import AutoModel, AutoProcessor, pipeline; import muybridge",
        "from transformers import PreTrainedModel; import muybridge",
        "import muybridge; from transformers import LlamaModel, Trainer",  # which load the tables half way
    ],
)
def test_every_auto_class_and_the_pipelines_find_our_classes(imports: str, checkpoints: Path):
    assert run("-c", imports + LOAD_ALL, folder=checkpoints) == FOUND


def test_threads_and_processes_find_them_and_tables_that_are_loaded_again(checkpoints: Path):
    program = checkpoints / "program.py"
    program.write_text("""
import importlib, multiprocessing
from concurrent.futures import ThreadPoolExecutor

import muybridge
from transformers import AutoModel, AutoModelForImageClassification, AutoModelForVideoClassification
from transformers.models.auto import configuration_auto

def load(auto, name):
    return type(auto.from_pretrained(name)).__name__

if __name__ == "__main__":
    work = [(AutoModelForVideoClassification, "c3d"), (AutoModel, "vgg"), (AutoModelForImageClassification, "vgg")]
    with ThreadPoolExecutor(6) as threads:
        print(*threads.map(load, *zip(*work, *work)))
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        print(processes.apply(load, [AutoModel, "c3d"]))
    reloaded = importlib.reload(configuration_auto)
    print(reloaded.CONFIG_MAPPING["c3d"].__name__, type(reloaded.__spec__.loader).__name__)
""")
    in_threads = "C3DForVideoClassification VGGModel VGGForImageClassification"
    found = [f"{in_threads} {in_threads}", "C3DModel", "C3DConfig SourceFileLoader"]
    assert run(program, folder=checkpoints) == found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_tables_have_the_classes_of_every_architecture(name: str):
    architecture = ARCHITECTURES[name]
    assert CONFIG_MAPPING[name] is architecture.config
    assert MODEL_MAPPING[architecture.config] is architecture.model
    processors = [
        *VIDEO_PROCESSOR_MAPPING.get(architecture.config, {}).values(),
        *IMAGE_PROCESSOR_MAPPING.get(architecture.config, {}).values(),
    ]
    assert set(processors) == {architecture.processor}


def test_what_transformers_has_itself_stays_its_own():
    from transformers import ResNetConfig, ResNetModel

    assert import_module("transformers.models.resnet").ResNetModel is ResNetModel
    assert CONFIG_MAPPING["resnet"] is ResNetConfig
    with pytest.raises(ModuleNotFoundError, match=r"transformers\.models\.no_such_model"):
        import_module("transformers.models.no_such_model")


class ToyConfig(PreTrainedConfig):
    model_type = "toy_of_this_test"


class ToyModel(PreTrainedModel):
    config_class = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.post_init()


def test_an_architecture_that_is_added_last_is_found_at_once(tmp_path: Path):
    classes = SimpleNamespace(ToyConfig=ToyConfig, ToyModel=ToyModel)
    names = {auto_tables.CONFIGS: "ToyConfig", auto_tables.NETWORKS: "ToyModel"}
    auto_tables.add_names("toy_of_this_test", names, partial(getattr, classes))
    ToyModel(ToyConfig()).save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), ToyConfig)
    assert isinstance(AutoModel.from_pretrained(tmp_path), ToyModel)
