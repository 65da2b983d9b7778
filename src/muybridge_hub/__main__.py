"""`python -m muybridge_hub`."""

import sys

from muybridge_hub.cli import main

sys.exit(main())
