"""How transformers' Auto classes and pipeline() find our classes, without anything being imported before it is used.

transformers lists its own architectures in tables of names, such as `CONFIG_MAPPING_NAMES`, and imports
`transformers.models.<model_type>` when it needs the class of a name. Ours stand in the same tables: they are written
there as soon as a table is loaded, or at once where it is loaded already. Where transformers has no package
`transformers.models.<model_type>`, ours answers.

To register the classes themselves would be simpler, but it needs all of them, and at a moment when transformers may be
half imported.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importlib.abc takes longer to import than all the rest of this

MODELS = "transformers.models"
CONFIGS = f"{MODELS}.auto.configuration_auto:CONFIG_MAPPING_NAMES"
NETWORKS = f"{MODELS}.auto.modeling_auto:MODEL_MAPPING_NAMES"
VIDEO_CLASSIFIERS = f"{MODELS}.auto.modeling_auto:MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES"
IMAGE_CLASSIFIERS = f"{MODELS}.auto.modeling_auto:MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"
VIDEO_PROCESSORS = f"{MODELS}.auto.video_processing_auto:VIDEO_PROCESSOR_MAPPING_NAMES"
IMAGE_PROCESSORS = f"{MODELS}.auto.image_processing_auto:IMAGE_PROCESSOR_MAPPING_NAMES"
# Under which names transformers looks for a processor; ours needs none of the libraries that these are named after.
BACKENDS = {VIDEO_PROCESSORS: ("torchvision",), IMAGE_PROCESSORS: ("pil", "torchvision")}


class Entry(NamedTuple):
    """What stands in transformers' tables of one architecture: names by table, and how a name becomes a class."""

    names: Mapping[str, str]
    find_class: Callable[[str], Any]


ENTRIES: dict[str, Entry] = {}  # by model_type
WATCHED: set[str] = set()  # the modules with the tables


def add_names(model_type: str, names: Mapping[str, str], find_class: Callable[[str], Any]) -> None:
    """Makes an architecture known to transformers: a class name for each table ("module:TABLE") that it stands in."""
    ENTRIES[model_type] = Entry(names, find_class)
    modules = {table.partition(":")[0] for table in names}
    WATCHED.update(modules)
    for module in modules & set(sys.modules):
        fill_tables(import_module(module), model_type)  # which waits where another thread is loading it


def fill_tables(module: ModuleType, *model_types: str) -> None:
    """Writes the names of these architectures into a module's tables; what is transformers' own stays."""
    for model_type in model_types:
        for table, name in ENTRIES[model_type].names.items():
            place, _, attribute = table.partition(":")
            if place == module.__name__:
                value = dict.fromkeys(BACKENDS[table], name) if table in BACKENDS else name
                getattr(module, attribute).setdefault(model_type, value)
    config_names = {ENTRIES[model_type].names[CONFIGS]: model_type for model_type in model_types}
    for mapping in vars(module).values():
        # Those that were made before know the names of configs that there were then.
        known = getattr(mapping, "_reverse_config_mapping", None)
        if isinstance(known, dict):
            known.update(config_names)


class TableFinder:
    """Finds the modules with the tables, as the other finders do, and sees to it that the names get into them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name not in WATCHED:
            return None
        specs = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None:
            spec.loader = TableLoader(spec.loader)
        return spec


class TableLoader(Loader):
    """Loads a module as ever, and then fills its tables; of the module it says what would have loaded it otherwise."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        fill_tables(module, *ENTRIES)


class PackageFinder:
    """Finds `transformers.models.<model_type>` for our architectures; it is asked last, where transformers has none."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        parent, _, model_type = name.rpartition(".")
        return ModuleSpec(name, PackageLoader(model_type)) if parent == MODELS and model_type in ENTRIES else None


class PackageLoader(Loader):
    """Makes a package in which every name is looked up as the architecture says."""

    def __init__(self, model_type: str) -> None:
        self.model_type = model_type

    def create_module(self, _: ModuleSpec) -> None:
        """None: an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = ENTRIES[self.model_type].find_class  # type: ignore[method-assign]


sys.meta_path.insert(0, TableFinder())
sys.meta_path.append(PackageFinder())
