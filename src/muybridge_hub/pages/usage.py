"""How to use a repository: what to type, with this hub's address in it."""

import re
from typing import NamedTuple

from muybridge_hub.names import RepoName

TASK = re.compile(r"[a-z0-9-]+")


class Snippet(NamedTuple):
    title: str
    text: str


def write_setup(base_url: str, *, needs_token: bool) -> str:
    token = "\nexport HF_TOKEN=hf_…" if needs_token else ""
    return f"export HF_ENDPOINT={base_url}{token}"


def write_snippets(name: RepoName, *, library: str | None, task: str | None) -> list[Snippet]:
    """For a shell or Python in which HF_ENDPOINT is set."""
    if name.kind == "dataset":
        loading = f'from datasets import load_dataset\n\nvideos = load_dataset("{name.id}")'
        return [Snippet("Load it", loading), Snippet("Download it", f"hf download {name.id} --repo-type dataset")]
    if name.kind == "space":
        return [Snippet("Download it", f"hf download {name.id} --repo-type space")]
    snippets = []
    if library in ("muybridge", "transformers"):
        first = "import muybridge\n" if library == "muybridge" else ""
        if task and TASK.fullmatch(task):
            snippets.append(Snippet("Use it", write_pipeline(name, task, first)))
        snippets.append(Snippet("Load it", write_loading(name, task, first)))
    return [*snippets, Snippet("Download it", f"hf download {name.id}")]


def write_pipeline(name: RepoName, task: str, first: str) -> str:
    if task != "video-classification":
        return f'{first}from transformers import pipeline\n\npipe = pipeline(\n    "{task}",\n    model="{name.id}",\n)'
    return (
        f"{first}from transformers import pipeline\n\n"
        f'classify = pipeline(\n    "{task}",\n    model="{name.id}",\n)\nprint(classify("clip.mp4"))'
    )


def write_loading(name: RepoName, task: str | None, first: str) -> str:
    kind = "AutoModelForVideoClassification" if task == "video-classification" else "AutoModel"
    return f'{first}from transformers import {kind}\n\nmodel = {kind}.from_pretrained(\n    "{name.id}"\n)'
