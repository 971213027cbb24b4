"""Time zones that find mistakes, and days to try them on."""

from datetime import date

from hypothesis import strategies as st

ZONES = [
    "UTC",
    "Europe/London",
    "Europe/Warsaw",
    "Asia/Singapore",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Cairo",
    "Atlantic/Azores",
]
days = st.dates(min_value=date(1990, 1, 1), max_value=date(2037, 12, 31))
