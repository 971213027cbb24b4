"""Languages: every message translated, in every plural form; the reader's choice is followed."""

import re
from pathlib import Path

import pytest

from messages import brought_up_to_date, catalogue_of
from meterbook.web.languages import FOLDER, best_language, languages

FILES = sorted(FOLDER.glob("*.po"))
_HOLE = re.compile(r"%\(\w+\)s|\{\w+\}")


def test_there_are_polish_and_german() -> None:
    assert list(languages()) == ["en", "de", "pl"]
    assert [one.name for one in languages().values()] == ["English", "Deutsch", "Polski"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_catalogue_holds_what_the_pages_say(file: Path) -> None:
    assert file.read_bytes() == brought_up_to_date(file), "run `make messages`"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_message_is_translated_in_every_form_with_its_holes(file: Path) -> None:
    catalogue = catalogue_of(file)
    for message in catalogue:
        asked, said = forms(message.id), forms(message.string)
        if asked == [""]:
            continue
        assert not message.fuzzy, asked
        assert len(said) == (catalogue.num_plurals if message.pluralizable else 1), asked
        assert all(said), asked
        for form in said:
            assert set(_HOLE.findall(form)) <= set(_HOLE.findall(asked[-1])), asked
        assert set(_HOLE.findall(said[-1])) == set(_HOLE.findall(asked[-1])), asked


def forms(written: object) -> list[str]:
    """Return what a catalogue says of one message: one text, or one for each plural form."""
    return [written] if isinstance(written, str) else [str(form) for form in written]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("chosen", "accepted", "spoken"),
    [
        pytest.param("", "", "en", id="nothing said"),
        pytest.param("pl", "de", "pl", id="the choice wins"),
        pytest.param("xx", "de", "de", id="a choice that is none"),
        pytest.param("", "de-AT,de;q=0.9,en;q=0.8", "de", id="a region of a language"),
        pytest.param("", "en;q=0.2, pl;q=0.7", "pl", id="by weight"),
        pytest.param("", "pl;q=0, *;q=0.1", "en", id="refused"),
        pytest.param("", "pl;q=x, ;;,", "en", id="nonsense"),
    ],
)
def test_the_language_is_the_one_asked_for(chosen: str, accepted: str, spoken: str) -> None:
    assert best_language(chosen=chosen, accepted=accepted) == spoken
