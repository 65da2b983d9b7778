"""Reads facts about a repository from its card, its config and its weight headers, for lists and searches."""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import yaml

from muybridge_hub.names import Kind

MAX_CARD_SIZE = 1 << 20
MAX_FRONT_MATTER = 50_000  # characters
MAX_HEADER_SIZE = 10 << 20
MAX_WEIGHT_FILES = 200
MAX_TAGS = 200
MAX_COUNT, MAX_DIMENSIONS, MAX_DTYPES = 2**53, 16, 20
FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

# The task of a model, by the ending of the class name in its config.
TASKS = {
    "VideoClassification": "video-classification",
    "ImageClassification": "image-classification",
    "SequenceClassification": "text-classification",
    "CausalLM": "text-generation",
}


class Facts(NamedTuple):
    """The facts about a commit. What its files do not say is empty or None."""

    card: dict[str, Any]
    tags: list[str]
    pipeline_tag: str | None
    library: str | None
    architecture: str | None
    licence: str | None
    config: dict[str, Any]
    safetensors: dict[str, Any] | None


# Reads the bytes [start, end) of a file of the commit: `read(path, start, end)`.
Read = Callable[[str, int, int], bytes]


def read_facts(kind: Kind, sizes: Mapping[str, int], read: Read) -> Facts:
    """Reads the facts about a commit, given the sizes of its files by path. What cannot be parsed is ignored."""
    card = {}
    if 0 < sizes.get("README.md", 0) <= MAX_CARD_SIZE:
        card = parse_card(read("README.md", 0, sizes["README.md"]).decode("utf-8", "replace"))[0]
    config = read_config(sizes, read) if kind == "model" else {}
    safetensors = count_parameters(sizes, read) if kind == "model" else None
    architecture = get_text(config.get("model_type"))
    library = get_text(card.get("library_name")) or ("transformers" if architecture else None)
    pipeline_tag = get_text(card.get("pipeline_tag")) or find_task(config)
    licence = get_text(card.get("license"))
    tags = collect_tags(card, [library, architecture, pipeline_tag], has_weights=safetensors is not None)
    return Facts(card, tags, pipeline_tag, library, architecture, licence, config, safetensors)


class PlainLoader(yaml.SafeLoader):
    """Loads YAML without aliases: with them, a short text can expand to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in a card")
        return super().compose_node(parent, index)


def parse_card(text: str) -> tuple[dict[str, Any], str]:
    """Splits a card into its front matter, parsed, and the text after it."""
    match = FRONT_MATTER.match(text)
    if not match or len(match[1]) > MAX_FRONT_MATTER:
        return {}, text
    rest = text[match.end() :]
    try:
        values = make_storable(load_yaml(match[1]))
    except yaml.YAMLError:
        return {}, rest
    return (values if isinstance(values, dict) else {}), rest


def load_yaml(text: str) -> Any:
    """Parses the front matter of a card. Raises YAMLError, whatever is wrong with it."""
    try:
        return yaml.load(text, Loader=PlainLoader)
    except yaml.YAMLError:
        raise
    except Exception as error:  # on text such as `!!bool foo` the loader raises other errors
        raise yaml.YAMLError(f"a value cannot be read: {error!r}") from error


def find_card_problems(text: str) -> list[str]:
    """Lists the reasons why the front matter of a card cannot be used."""
    match = FRONT_MATTER.match(text)
    if not match:
        return []
    if len(match[1]) > MAX_FRONT_MATTER:
        return [f"the front matter has {len(match[1])} characters; up to {MAX_FRONT_MATTER} are allowed"]
    try:
        values = load_yaml(match[1])
    except yaml.YAMLError as error:
        return [f"the front matter is not YAML: {error}"]
    return [] if isinstance(values, dict | None) else ["the front matter must be a list of `name: value`"]


def make_storable(value: Any, depth: int = 0) -> Any:
    """Converts a value to one that JSON and every database can store. What cannot be stored becomes None."""
    if depth > 20:
        return None
    if isinstance(value, dict):
        return {remove_bad_characters(str(name)): make_storable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [make_storable(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else None  # larger ones lose digits in JavaScript
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return remove_bad_characters(str(value))


def remove_bad_characters(text: str) -> str:
    """Removes null characters, and replaces what UTF-8 cannot encode."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def get_text(value: Any) -> str | None:
    """The first 100 characters of a text; None for anything else."""
    return value[:100] if isinstance(value, str) and value else None


def read_config(sizes: Mapping[str, int], read: Read) -> dict[str, Any]:
    if not 0 < sizes.get("config.json", 0) <= MAX_CARD_SIZE:
        return {}
    try:
        config = json.loads(read("config.json", 0, sizes["config.json"]))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(config, dict):
        return {}
    return make_storable({name: config[name] for name in ("model_type", "architectures") if name in config})


def find_task(config: Mapping[str, Any]) -> str | None:
    architectures = config.get("architectures")
    name = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    return next((task for ending, task in TASKS.items() if name.endswith(ending)), None)


def collect_tags(card: Mapping[str, Any], first_tags: list[str | None], *, has_weights: bool) -> list[str]:
    """The tags of a repository, from `first_tags` and the fields of its card."""
    tags = [tag for tag in first_tags if tag]
    tags += ["safetensors"] if has_weights else []
    for name, prefix in {
        "tags": "",
        "language": "",
        "datasets": "dataset:",
        "license": "license:",
        "base_model": "base_model:",
    }.items():
        values = card.get(name)
        values = values if isinstance(values, list) else [values]
        tags += [prefix + value for value in values if isinstance(value, str) and value]
    return list(dict.fromkeys(tag[:250] for tag in tags))[:MAX_TAGS]


def count_parameters(sizes: Mapping[str, int], read: Read) -> dict[str, Any] | None:
    """Counts the parameters of the weights for each dtype, by the headers of the safetensors files."""
    names = [name for name in sizes if name.endswith(".safetensors") and "/" not in name][:MAX_WEIGHT_FILES]
    counts: Counter[str] = Counter()
    for name in names:
        for tensor_name, tensor in (read_weight_header(name, sizes[name], read) or {}).items():
            if tensor_name != "__metadata__" and isinstance(tensor, dict):
                counts[remove_bad_characters(str(tensor.get("dtype")))[:20]] += count_elements(tensor.get("shape"))
    by_dtype = {dtype: min(count, MAX_COUNT) for dtype, count in counts.most_common(MAX_DTYPES)}
    return {"parameters": by_dtype, "total": min(sum(by_dtype.values()), MAX_COUNT)} if by_dtype else None


def count_elements(shape: Any) -> int:
    """The number of elements of a tensor of this shape; 0 if the shape is not valid."""
    is_shape = isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS
    if not is_shape or not all(isinstance(side, int) and 0 <= side < MAX_COUNT for side in shape):
        return 0
    return math.prod(shape)


def read_weight_header(name: str, size: int, read: Read) -> dict[str, Any] | None:
    """Reads the header of a safetensors file; None if it has no valid header."""
    if size < 8:
        return None
    (length,) = struct.unpack("<Q", read(name, 0, 8))
    if length > min(MAX_HEADER_SIZE, size - 8):
        return None
    try:
        header = json.loads(read(name, 8, 8 + length))
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None
