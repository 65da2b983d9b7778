"""`accelerate launch -m muybridge.training …`: the command `muybridge train`, in every process that is launched."""

import sys

from muybridge.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
