# Every target does its own set-up; `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test check bench torture deploy-check format lock reference messages screenshots

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Meterbook needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

demo: setup
	$(BIN)/meterbook demo

test: setup
	$(BIN)/python tests/services.py
	$(BIN)/pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 0 tests/test_tidy.py tests/test_docs.py

# Builds and runs what deploy/ says, in containers of its own; as root, on Debian.
deploy-check: setup
	$(BIN)/python -m pip install --quiet podman-compose
	deploy/checks/run

bench: setup
	$(BIN)/python -m benchmarks

# Every fault a book must outlive, many times over; TORTURE="kills --cycles 100" for some of it.
torture: setup
	$(BIN)/python tests/services.py
	$(BIN)/python -m torture $(TORTURE)

# Writes docs/reference from the code.
reference: setup
	$(BIN)/python tests/reference.py

# Brings the catalogues of every language up to date with what the pages say.
messages: setup
	$(BIN)/python tests/messages.py

# Every page of the demo, narrow and wide, light and dark, into screenshots/.
screenshots: setup
	$(BIN)/python tests/browser/screenshots.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Pins what pyproject.toml asks for; uv comes from PyPI.
lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements/serve.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra dev pyproject.toml -o requirements/dev.txt
