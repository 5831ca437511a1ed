"""`python -m agent.run.cli` is `jepa-mpc`."""

import sys

from agent.run.cli import main

sys.exit(main())
