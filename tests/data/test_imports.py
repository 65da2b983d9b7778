"""What looks at lists of clips, and does not decode, starts without the libraries that take seconds to import."""

import json
import subprocess
import sys
from pathlib import Path

import muybridge

HEAVY = ("torch", "transformers", "datasets", "av", "pandas", "sklearn")

PROGRAM = """
import json, sys, types

package = types.ModuleType("muybridge")  # the folder alone, whatever else the package imports
package.__path__ = [sys.argv[1]]
sys.modules["muybridge"] = package

import muybridge.data
from muybridge.data import FORMATS, TARGETS, VideoRecords, check_labels, check_videos, load_videos, pack_videos

records = load_videos(sys.argv[2])
check_labels(records)
records.encode_targets(0, ["label", "boxes"])
heavy = [name for name in json.loads(sys.argv[3]) if name in sys.modules]
print(json.dumps([len(records), heavy]))
"""


def test_loading_and_describing_data_import_nothing_heavy(tmp_path):
    for name in ("x/a.mp4", "x/b.mp4", "y/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text(
        'path,label,boxes\nx/a.mp4,x,"[{""box"": [0, 0, 1, 1], ""frame"": 0}]"\ny/c.mp4,y,\n'
    )
    package = str(Path(muybridge.__file__).parent)
    for place, count in ((tmp_path, 3), (tmp_path / "list.csv", 2)):
        command = [sys.executable, "-c", PROGRAM, package, str(place), json.dumps(HEAVY)]
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert json.loads(finished.stdout) == [count, []]
