"""The recipes are whole, say where the weights come from, and fit the source they name."""

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import torch

from muybridge.conversion import SOURCES
from muybridge.conversion.file_conversion import make_numbers, make_paper
from muybridge.conversion.recipe import FOLDER, load_recipes
from muybridge.data.labels import read_labels

KEYS = [
    "source",
    "architecture",
    "title",
    "address",
    "file_name",
    "size_mebibytes",
    "sha256_prefix",
    "licence",
    "datasets",
    "num_labels",
    "labels",
    "num_parameters",
    "gflops",
    "checked_by",
    "note",
    "command",
    "citation",
    "paper",
    "results",
]
OPTIONAL_KEYS = {"size_mebibytes", "sha256_prefix", "labels", "gflops", "results"}
HOSTS = {
    "caffe": "dl.caffe.berkeleyvision.org",
    **dict.fromkeys(("caffe/cnn_m_2048", "caffe/vgg16", "caffe/vgg19"), "www.robots.ox.ac.uk"),
    "torchvision": "download.pytorch.org",
    "kenshohara": "drive.google.com",
    "davidea": "imagelab.ing.unimore.it",
    "deepmind": "github.com",
    "hassony2": "github.com",
    "keras": "github.com",
    "piergiaj": "github.com",
}
GOLDENS = Path(__file__).parents[1] / "goldens"
# What each check needs: outputs that were recorded for the source itself, for another one, or for none.
CHECKS_WITH_A_GOLDEN = {"recorded outputs of the original code", "recorded outputs of the published description"}
CHECKS_WITHOUT = {"recorded outputs of a port", "names and shapes of its tensors"}
RECIPES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.toml"))}

each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def test_every_source_has_one_recipe_named_after_it():
    sources = [recipe["source"] for recipe in RECIPES.values()]
    assert set(sources) == set(SOURCES)
    assert [source.replace("/", "_") for source in sources] == list(RECIPES)


@each_recipe
def test_keys_are_known_and_stand_in_one_order(recipe: dict[str, Any]):
    assert list(recipe) == [key for key in KEYS if key in recipe]
    assert set(KEYS) - set(recipe) <= OPTIONAL_KEYS


@each_recipe
def test_texts_are_not_empty(recipe: dict[str, Any]):
    for key in ("title", "licence", "note", "command", "citation"):
        assert recipe[key].strip(), key
    assert recipe["datasets"]


@each_recipe
def test_address_is_the_publishers(recipe: dict[str, Any]):
    address = urlparse(recipe["address"])
    assert address.scheme in ("http", "https")
    project = recipe["source"].split("/")[0]
    assert address.hostname == HOSTS.get(recipe["source"], HOSTS[project])


@each_recipe
def test_command_converts_the_file_of_the_recipe(recipe: dict[str, Any]):
    *download, convert = recipe["command"].strip().splitlines()
    assert convert.startswith(f"muybridge convert {recipe['source']} {recipe['file_name']} --output ")
    is_direct = recipe["address"].endswith(recipe["file_name"])
    # Of a checkpoint in several files, the last that is fetched is the one that is named.
    assert download[-1:] == ([f"curl -LO {recipe['address']}"] if is_direct else [])
    folder = recipe["address"].rpartition("/")[0]
    assert all(line.startswith(f"curl -LO {folder}/") for line in download)


@each_recipe
def test_the_source_reads_its_own_recipe(recipe: dict[str, Any]):
    known = SOURCES[recipe["source"]].recipe
    assert (known.licence, known.datasets, known.labels) == (
        recipe["licence"],
        recipe["datasets"],
        recipe.get("labels"),
    )
    assert make_paper(known).title == recipe["paper"]["title"]
    assert len(make_numbers(known)) == len(recipe.get("results", []))
    assert load_recipes()[recipe["source"]] == known


@each_recipe
def test_network_has_the_stated_number_of_parameters(recipe: dict[str, Any]):
    source = SOURCES[recipe["source"]]
    with torch.device("meta"):
        config = source.architecture.config(**source.fields, num_labels=recipe["num_labels"])
        model = source.architecture.task_model(config)
    assert model.num_parameters() == recipe["num_parameters"]


@each_recipe
def test_labels_are_as_many_as_the_classifier_has(recipe: dict[str, Any]):
    if "labels" in recipe:
        assert len(read_labels(recipe["labels"])) == recipe["num_labels"]


@each_recipe
def test_sha256_prefix_stands_in_the_file_name(recipe: dict[str, Any]):
    if "sha256_prefix" in recipe:
        assert re.fullmatch("[0-9a-f]{8,64}", recipe["sha256_prefix"])
        names_it = recipe["source"].startswith("torchvision/")
        assert not names_it or recipe["sha256_prefix"] in recipe["file_name"]
    else:
        assert not recipe["source"].startswith("torchvision/")


@each_recipe
def test_paper_is_cited(recipe: dict[str, Any]):
    paper = recipe["paper"]
    assert list(paper) == ["title", "authors", "year", "url"]
    assert paper["url"].startswith(("https://arxiv.org/abs/", "https://papers.nips.cc/paper/"))
    assert f"title = {{{paper['title']}}}" in recipe["citation"]
    assert f"year = {{{paper['year']}}}" in recipe["citation"]
    assert recipe["citation"].count("{") == recipe["citation"].count("}")


@each_recipe
def test_results_name_their_protocol_and_where_they_were_read(recipe: dict[str, Any]):
    for result in recipe.get("results", []):
        assert list(result) == ["dataset", "metric", "value", "protocol", "where"]
        assert 0 < result["value"] < 100


@each_recipe
def test_what_is_said_to_be_checked_by_recorded_outputs_has_a_golden(recipe: dict[str, Any]):
    assert recipe["checked_by"] in CHECKS_WITH_A_GOLDEN | CHECKS_WITHOUT
    project = recipe["source"].split("/")[0]
    golden = GOLDENS / f"{recipe['source'].replace('/', '_')}.json"
    has_golden = golden.is_file() or (GOLDENS / project).is_dir()  # Keras has several in a folder
    assert has_golden == (recipe["checked_by"] in CHECKS_WITH_A_GOLDEN)
