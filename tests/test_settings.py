"""Where settings come from: the environment, files of secrets, `meterbook.toml`, defaults."""

from pathlib import Path

import pytest

from meterbook.settings import FROM_FILES, SettingsError, load_settings, origins

URL = "postgresql+psycopg://meterbook:hidden@db.example.com/meterbook"


def test_a_secret_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "database"
    file.write_text(f"{URL}\n", encoding="utf-8")
    environment = {"METERBOOK_DATABASE_FILE": str(file)}
    assert load_settings(environment, directory=tmp_path).database == URL
    shown = {origin.name: origin for origin in origins(environment, directory=tmp_path)}
    assert "hidden" not in shown["database"].shown
    assert shown["database"].origin == "METERBOOK_DATABASE_FILE"


def test_a_file_wins_over_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "meterbook.toml").write_text('mqtt_url = "mqtt://old"\n', encoding="utf-8")
    (tmp_path / "url").write_text("mqtt://new", encoding="utf-8")
    environment = {"METERBOOK_MQTT_URL_FILE": str(tmp_path / "url")}
    assert load_settings(environment, directory=tmp_path).mqtt_url == "mqtt://new"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "does not hold a line of text"),
        (b"\n \n", "does not hold a line of text"),
        (b"\xff\xfe", "does not hold a line of text"),
        (b"k" * 100_000, "does not hold a line of text"),
    ],
    ids=["absent", "empty", "blank", "binary", "huge"],
)
@pytest.mark.parametrize("name", sorted(FROM_FILES))
def test_a_file_without_a_secret_is_refused_by_its_name(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    variable = f"METERBOOK_{name.upper()}_FILE"
    with pytest.raises(SettingsError, match=f"{variable}: {file}.*{said}"):
        load_settings({variable: str(file)}, directory=tmp_path)


def test_a_secret_in_two_places_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden", encoding="utf-8")
    environment = {
        "METERBOOK_SECRET_KEY": "hidden",
        "METERBOOK_SECRET_KEY_FILE": str(tmp_path / "secret"),
    }
    with pytest.raises(SettingsError, match="METERBOOK_SECRET_KEY is set too") as refused:
        load_settings(environment, directory=tmp_path)
    assert "hidden" not in str(refused.value)


def test_only_what_may_be_secret_is_read_from_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no setting 'timezone_file'"):
        load_settings({"METERBOOK_TIMEZONE_FILE": "x"}, directory=tmp_path)
