"""Writes the commands and code that use a repository of this hub."""

import re
from typing import NamedTuple

from muybridge_hub.names import RepoName

TASK_NAME = re.compile(r"[a-z0-9-]+")


class Snippet(NamedTuple):
    """A few lines of shell or Python to copy."""

    title: str
    text: str


def write_setup(base_url: str, *, needs_token: bool) -> str:
    token = "\nexport HF_TOKEN=hf_…" if needs_token else ""
    return f"export HF_ENDPOINT={base_url}{token}"


def write_snippets(name: RepoName, *, library: str | None, task: str | None) -> list[Snippet]:
    """Writes the snippets for a repository. They assume that HF_ENDPOINT is set."""
    if name.kind == "dataset":
        loading = f'from datasets import load_dataset\n\nvideos = load_dataset("{name.id}")'
        return [Snippet("Load it", loading), Snippet("Download it", f"hf download {name.id} --repo-type dataset")]
    if name.kind == "space":
        return [Snippet("Download it", f"hf download {name.id} --repo-type space")]
    snippets = []
    if library in ("muybridge", "transformers"):
        import_line = "import muybridge\n" if library == "muybridge" else ""
        if task and TASK_NAME.fullmatch(task):
            snippets.append(Snippet("Use it", write_pipeline_code(name, task, import_line)))
        snippets.append(Snippet("Load it", write_load_code(name, task, import_line)))
    return [*snippets, Snippet("Download it", f"hf download {name.id}")]


def write_pipeline_code(name: RepoName, task: str, import_line: str) -> str:
    if task != "video-classification":
        return (
            f"{import_line}from transformers import pipeline\n\n"
            f'pipe = pipeline(\n    "{task}",\n    model="{name.id}",\n)'
        )
    return (
        f"{import_line}from transformers import pipeline\n\n"
        f'classify = pipeline(\n    "{task}",\n    model="{name.id}",\n)\nprint(classify("clip.mp4"))'
    )


def write_load_code(name: RepoName, task: str | None, import_line: str) -> str:
    auto_class = "AutoModelForVideoClassification" if task == "video-classification" else "AutoModel"
    return (
        f"{import_line}from transformers import {auto_class}\n\n"
        f'model = {auto_class}.from_pretrained(\n    "{name.id}"\n)'
    )
