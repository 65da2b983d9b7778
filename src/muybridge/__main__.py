"""`python -m muybridge` is the command `muybridge`."""

import sys

from muybridge.cli import main

sys.exit(main())
