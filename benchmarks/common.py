"""What the benchmarks share: the machine described, callables timed in turn, results written as JSON.

Times are compared within one run alone: what is compared is timed in turn, A B A B, and the ratio is of the medians.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("av", "numpy", "torch", "transformers")


def machine() -> dict[str, Any]:
    """The processor and the versions that the times depend on."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "openmp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "as it is by default"),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def processor_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def time_in_turn(
    functions: Mapping[str, Callable[[], object]], *, rounds: int = 5, warmups: int = 1, settle: bool = False
) -> dict[str, float]:
    """The median seconds of each function, all of them called in turn in every round.

    `settle` calls each once more before its time is taken, so that it finds the memory as it left it itself.
    """
    for _ in range(warmups):
        for function in functions.values():
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if settle:
                function()
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def write_results(name: str, results: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps({"machine": machine(), **results}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return path
