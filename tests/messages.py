"""
Collects what pages say into the catalogues: `make messages`.

Every `_()` and `{% trans %}` of the sources is put into each `web/locales/<code>.po`, what is
translated already stays. A new language: an empty file of its code, then this.
"""

from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from meterbook.web.languages import FOLDER

SOURCES = FOLDER.parents[1]
_KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "marked": None,
}
_METHODS = [("web/templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {"web/templates/**.html": {"trimmed": "true", "silent": "false"}}


def collected() -> Catalog:
    """Return a catalogue of everything the pages say, untranslated."""
    catalogue = Catalog(project="Meterbook", fuzzy=False)
    found = extract_from_dir(
        SOURCES, method_map=_METHODS, options_map=_OPTIONS, keywords=_KEYWORDS, comment_tags=()
    )
    for file, _line, message, comments, context in sorted(found, key=lambda item: item[:2]):
        catalogue.add(message, locations=[(file, 0)], auto_comments=comments, context=context)
    return catalogue


def catalogue_of(file: Path) -> Catalog:
    """Return a language's catalogue as it is written."""
    with file.open("rb") as written:
        return read_po(written, locale=file.stem)


def brought_up_to_date(file: Path) -> bytes:
    """Return what the language's file should say: all messages, nothing that is said no more."""
    catalogue = catalogue_of(file)
    catalogue.update(collected(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.project, catalogue.version, catalogue.fuzzy = "Meterbook", "1", False
    catalogue.header_comment = "# What the pages say in PROJECT, collected by `make messages`."
    out = BytesIO()
    write_po(out, catalogue, width=98, omit_header=False, include_lineno=False, sort_by_file=True)
    lines = out.getvalue().decode().splitlines()
    # Dates and tools would make every run a change.
    return "\n".join(line for line in lines if not _is_noise(line)).encode() + b"\n"


def _is_noise(line: str) -> bool:
    return line.startswith(
        ('"POT-Creation-Date', '"PO-Revision-Date', '"Generated-By', '"Last-Translator',
         '"Language-Team', '"Report-Msgid', "# FIRST AUTHOR", "# Copyright", "# This file is")
    )  # fmt: skip


def main() -> None:
    """Bring every language's file up to date."""
    for file in sorted(FOLDER.glob("*.po")):
        file.write_bytes(brought_up_to_date(file))


if __name__ == "__main__":
    main()
