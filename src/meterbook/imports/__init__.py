"""The one path of a file into the books: parse, report, store; for command, API and page."""

from meterbook.imports.importer import Importer
from meterbook.imports.many import run_imports
from meterbook.imports.request import ImportRequest
from meterbook.imports.run import run_import

__all__ = ["ImportRequest", "Importer", "run_import", "run_imports"]
