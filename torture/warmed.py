"""
Imported once by the process that warm servers are forked from: builds an application and drops it.

Half of a server's start is what its first application imports and works out.
"""

import tempfile
from pathlib import Path

from meterbook.app import create_app
from meterbook.settings import Settings

with tempfile.TemporaryDirectory(prefix="torture-warm-") as folder:
    create_app(Settings(data_dir=Path(folder)))
