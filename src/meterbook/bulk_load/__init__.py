"""
The bulk loader: millions of readings straight into closed days.

It lies beside day close, below the doors: `intake.files` turns foreign bytes into columns, `cli`
hands the columns to the loader, and only the loader and day close write the ledger.
"""

from meterbook.bulk_load.by_meter import MeterTotals, load_by_meter, load_totals_by_meter
from meterbook.bulk_load.by_series import MeterSeries, load_by_series
from meterbook.bulk_load.loader import LoadReport, load

__all__ = [
    "LoadReport",
    "MeterSeries",
    "MeterTotals",
    "load",
    "load_by_meter",
    "load_by_series",
    "load_totals_by_meter",
]
