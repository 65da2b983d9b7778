"""Processes that are launched together end well."""

import os
import subprocess
import sys

PROGRAM = """
from accelerate.utils import gather_object
from muybridge.processes import process_state

state = process_state()
for _ in range(3):
    assert gather_object([state.process_index]) == list(range(4))
"""


def test_processes_that_end_right_after_they_spoke_end_well(tmp_path):
    # Without leave_group, eleven of twelve such runs ended in "terminate called without an active exception".
    (tmp_path / "program.py").write_text(PROGRAM)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    run = subprocess.run(
        [sys.executable, *launcher, str(tmp_path / "program.py")],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
