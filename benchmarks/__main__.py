"""`python -m benchmarks [names…]`: runs the benchmarks named, or all, and writes `results/<name>.json`."""

import importlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command has it, before torch is loaded

from benchmarks.common import write_results

NOT_BENCHMARKS = {"__init__", "__main__", "clips", "common", "tables", "web_clients", "web_servers"}
BENCHMARKS = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - NOT_BENCHMARKS)


def main() -> None:
    names = sys.argv[1:] or BENCHMARKS
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for number, name in enumerate(names, start=1):
        print(f"[{number}/{len(names)}] {name} …", flush=True)
        start = time.perf_counter()
        results = importlib.import_module(f"benchmarks.{name}").run()
        path = write_results(name, results)
        print(json.dumps(results, indent=2, ensure_ascii=False))
        print(f"[{number}/{len(names)}] {name}: {time.perf_counter() - start:.0f} s, written to {path}", flush=True)


if __name__ == "__main__":
    main()
