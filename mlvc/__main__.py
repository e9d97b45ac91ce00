"""``python -m mlvc``."""

import sys

from mlvc.cli.main import main

sys.exit(main())
