"""``python -m tweann`` is ``tweann``."""

from __future__ import annotations

import sys

from tweann.cli import main

sys.exit(main())
