"""Writes the tables of README.md and of docs/, from the code and from results: `python -m benchmarks.tables FILE …`."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from muybridge.cli.models import architecture_rows, source_rows
from muybridge.conversion.recipe import Recipe, load_recipes
from muybridge.data import FORMATS, TARGETS
from muybridge.evaluation import PROBES, PROTOCOLS
from muybridge.models.registry import get_architecture
from muybridge.text import make_markdown_table
from muybridge.training import TrainingSettings
from muybridge.types import HEADLINES, SHARES

Row = dict[str, str]


# What the code says of itself


def project_rows() -> list[Row]:
    """The sources of weights, grouped by project."""
    projects: dict[str, list[Recipe]] = {}
    for source, recipe in load_recipes().items():
        projects.setdefault(source.partition("/")[0], []).append(recipe)
    return [
        {
            "project": f"{project}, {count_things(len(recipes), 'source')}",
            "architectures": join_names(get_architecture(recipe.architecture).title for recipe in recipes),
            "trained on": join_names(name for recipe in recipes for name in recipe.datasets),
            "licence": join_names(recipe.licence for recipe in recipes),
            "how the converter is checked": describe_checks(recipes),
        }
        for project, recipes in projects.items()
    ]


def describe_checks(recipes: Sequence[Recipe]) -> str:
    """How the converters of a project are checked, with counts where not all are checked in the same way."""
    counts: dict[str, int] = {}
    for recipe in recipes:
        counts[recipe.checked_by] = counts.get(recipe.checked_by, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{check} ({count})" for check, count in counts.items())


def checked_source_rows() -> list[Row]:
    recipes = load_recipes()
    return [{**row, "checked by": recipes[row["source"]].checked_by} for row in source_rows()]


def format_rows() -> list[Row]:
    return [
        {"format": f"`{name}`", "what it is": form.title, "recognised": "yes" if form.is_recognised else "by its name"}
        for name, form in FORMATS.items()
    ]


def target_rows() -> list[Row]:
    return [
        {"kind": f"`{name}`", "what is known": target.title, "columns of a manifest": join_code(target.columns)}
        for name, target in TARGETS.items()
    ]


def setting_rows() -> list[Row]:
    return [
        {
            "setting": f"`{setting.name}`",
            "default": "" if setting.default is MISSING else f"`{setting.default}`",
            "meaning": setting.metadata.get("help", ""),
        }
        for setting in fields(TrainingSettings)
    ]


def protocol_rows() -> list[Row]:
    return [{"protocol": f"`{name}`", "what it is": str(protocol)} for name, protocol in PROTOCOLS.items()]


def metric_rows() -> list[Row]:
    return [
        {"metric": title, "key in `metrics`": f"`{name}`", "shown as": "percentage" if name in SHARES else "number"}
        for name, title in HEADLINES.items()
    ]


def probe_rows() -> list[Row]:
    return [{"probe": f"`{name}`", "what it is": find_summary(function)} for name, function in PROBES.items()]


def find_summary(thing: Any) -> str:
    """The first line of its docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def join_names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def join_code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def count_things(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


# What was measured


def forward_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "network": f"{network}, {batch}",
            "plain": f"{variants['plain']['ms']:.0f} ms",
            "`optimize(exact=True)`": times(variants["exact"]["times_faster"]),
            "`optimize`": times(variants["optimized"]["times_faster"]),
            "of the matrix product's speed": f"{variants['optimized']['share_of_matrix_product']:.0%}",
        }
        for network, batches in results["networks"].items()
        for batch, variants in batches.items()
        if batch.startswith("batch")
    ]


def network_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "network": name,
            "input": "×".join(map(str, values["input"])),
            "parameters": f"{values['parameters'] / 1e6:.1f} M",
            "GMACs": f"{values['gmacs']:.2f}",
            "plain": f"{values['plain']['ms']:.0f} ms, {values['plain']['gmacs_per_second']} GMAC/s",
            "`optimize`": f"{values['optimized']['ms']:.0f} ms, {values['optimized']['gmacs_per_second']} GMAC/s",
            "times": times(values["optimized"]["times_faster"]),
        }
        for name, values in results["networks"].items()
    ]


def decoding_rows(results: Mapping[str, Any]) -> list[Row]:
    measured = {name: values for name, values in results.items() if isinstance(values, dict) and "seconds" in values}
    others = dict.fromkeys(other for values in measured.values() for other in values["times_faster_than"])
    return [
        {
            "decoding": name,
            "ours": f"{1000 * values['seconds']['muybridge']:.0f} ms",
            **{f"than {other}": times(values["times_faster_than"].get(other)) for other in others},
        }
        for name, values in measured.items()
    ]


def end_to_end_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {"fifty clips to labels": name, "seconds": f"{seconds:.1f}", "times": times(results["times_faster"][name])}
        for name, seconds in results["seconds"].items()
    ]


def loading_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {"loader": name, "clips a second": f"{clips:.0f}", "seconds to the first batch": seconds_of(results, name)}
        for name, clips in results["clips_per_second"].items()
    ]


def startup_rows(results: Mapping[str, Any]) -> list[Row]:
    seconds, over = results["seconds"], results["loading_over_what_is_beneath"]
    *commands, beneath, loaded = seconds
    return [
        *({"started": name, "seconds": f"{seconds[name]:.2f}"} for name in (*commands, beneath)),
        {"started": loaded, "seconds": f"{seconds[loaded]:.2f}, {over:+.0%}"},
    ]


def seconds_of(results: Mapping[str, Any], name: str) -> str:
    seconds = results["seconds_to_first_batch"].get(name)
    return "–" if seconds is None else f"{seconds:.1f}"


def training_rows(results: Mapping[str, Any]) -> list[Row]:
    step, loop, frozen = (results[name] for name in ("step", "loop", "frozen_trunk"))
    rows = [
        {"training": f"{step['what'].split(',')[0]}, {name}", "time": f"{seconds:.1f} s",
         "against the plain one": times(step["times_faster"][name])}
        for name, seconds in step["seconds"].items()
    ]  # fmt: skip
    return [
        *rows,
        {"training": "small R(2+1)D, bare", "time": f"{loop['bare_ms']:.0f} ms", "against the plain one": "–"},
        {
            "training": "small R(2+1)D, in our loop",
            "time": f"{loop['ours_ms']:.0f} ms",
            "against the plain one": f"{loop['overhead']:+.1%}",
        },
        *(
            {
                "training": f"{frozen['what']}, features computed {name}",
                "time": f"{seconds:.1f} s",
                "against the plain one": times(frozen["seconds"]["every epoch"] / seconds),
            }
            for name, seconds in frozen["seconds"].items()
        ),
    ]


def real_video_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "video Hit@1 of three seeds": way,
            **{
                f"{data}, {results['num_videos'][data]['test']} videos": mean_and_deviation(ways[way]["video_hit_at_1"])
                for data, ways in results["results"].items()
            },
        }
        for way in next(iter(results["results"].values()))
    ]


def compare_classics_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "network": name,
            "sees": found["sees"],
            "motion": mean_and_deviation(found["motion"]["hits"]),
            "appearance": mean_and_deviation(found["appearance"]["hits"]),
            "parameters": f"{found['parameters']:,}",
            "GMACs": f"{found['gmacs']:.3f}",
            "clips/s": f"{found['clips_per_second']:.0f}",
        }
        for name, found in results["results"].items()
    ]


def hub_rows(results: Mapping[str, Any]) -> list[Row]:
    beside, uploads = results["beside"], results["upload_mb_per_second"]
    speeds = {
        "download of 100 MB": ("download_mb_per_second", "MB/s"),
        "file of 2 kB": ("requests_per_second", "requests/s"),
    }
    compared = [
        hub_row(
            f"{what}, {clients_of(count)}",
            f"{speed['hub']} {unit}",
            f"{beside}: {speed[beside]} {unit}, {times(speed['times_slower'])}",
        )
        for what, (name, unit) in speeds.items()
        for count, speed in results[name].items()
    ]
    limit = f"sha256, then the disk: {uploads['limits']['one after the other']} MB/s"
    sent = [hub_row(f"upload, {name}", f"{speed} MB/s", limit) for name, speed in uploads["hub"].items()]
    commits = results["commits_per_second"].items()
    lists = results["list_ms"].items()
    return [
        *compared,
        *sent,
        *(hub_row(f"small commits, {clients_of(count)}", f"{speed:.0f}/s") for count, speed in commits),
        *(hub_row(f"start with {name}", f"{value:.2f} s") for name, value in results["seconds_to_answer"].items()),
        *(hub_row(f"list, {name}", f"{ms['median']:.0f} ms, at worst {ms['worst']:.0f} ms") for name, ms in lists),
        *(hub_row(f"memory, {name}", f"{size} MB") for name, size in results["resident_mb"].items()),
    ]


def hub_row(what: str, hub: str, beside: str = "–") -> Row:
    return {"measured": what, "the hub": hub, "beside it": beside}


def clients_of(count: str) -> str:
    return f"{count} client{'s' * (count != '1')}"


def mean_and_deviation(number: Mapping[str, float | None]) -> str:
    """A share, and how far it deviates over several runs."""
    shown = f"{number['mean']:.1%}"
    return shown if number["deviation"] is None else f"{shown} ± {number['deviation']:.1%}"


def times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f}×"


TABLES: dict[str, Callable[[], list[Row]]] = {
    "architectures": architecture_rows,
    "formats": format_rows,
    "metrics": metric_rows,
    "probes": probe_rows,
    "projects": project_rows,
    "protocols": protocol_rows,
    "settings": setting_rows,
    "sources": checked_source_rows,
    "targets": target_rows,
}
MEASURED: dict[str, tuple[str, Callable[[Mapping[str, Any]], list[Row]]]] = {
    "forward": ("benchmarks/results/forward.json", forward_rows),
    "networks": ("benchmarks/results/networks.json", network_rows),
    "decoding": ("benchmarks/results/decoding.json", decoding_rows),
    "end_to_end": ("benchmarks/results/end_to_end.json", end_to_end_rows),
    "loading": ("benchmarks/results/loading.json", loading_rows),
    "training": ("benchmarks/results/training.json", training_rows),
    "startup": ("benchmarks/results/startup.json", startup_rows),
    "hub": ("benchmarks/results/hub.json", hub_rows),
    "real_video": ("examples/results/real_video.json", real_video_rows),
    "compare_classics": ("examples/results/compare_classics.json", compare_classics_rows),
}


def fill_tables(text: str, root: Path) -> str:
    """`text` with every table between `<!-- table: NAME -->` and `<!-- end -->` made anew.

    `root` is the folder under which the results of what was measured lie.
    """
    for name in re.findall(r"<!-- table: (\w+) -->", text):
        text = fill_table(text, name, make_rows(name, root))
    return text


def make_rows(name: str, root: Path) -> list[Row]:
    if name in TABLES:
        return TABLES[name]()
    if name not in MEASURED:
        raise ValueError(f"there is no table {name!r}; there are {', '.join([*TABLES, *MEASURED])}")
    place, rows_of = MEASURED[name]
    return rows_of(json.loads((root / place).read_text(encoding="utf-8")))


def fill_table(text: str, name: str, rows: Sequence[Row]) -> str:
    marker = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
    text, count = re.subn(marker, rf"\1{make_markdown_table(rows)}\n\2", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the text has {count} places for the table {name!r}; it needs one")
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        filled = fill_tables(path.read_text(encoding="utf-8"), Path.cwd())
        path.write_text(filled, encoding="utf-8")
