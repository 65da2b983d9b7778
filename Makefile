# make demo · make test · make check · make bench: each builds .venv first when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
.PHONY: .venv demo test check bench tables clean

.venv: .venv/.complete

# The stamp is written last, so an interrupted installation is done again.
.venv/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Muybridge needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench,dev]'
	touch $@

demo: .venv
	$(BIN)/python examples/demo.py

test: .venv
	$(BIN)/pytest

check: .venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv
	$(BIN)/python -m benchmarks

# Writes the tables of README.md again from the registry and from benchmarks/results.
tables: .venv
	$(BIN)/python -m muybridge.tables README.md

clean:
	rm -rf .venv demo build dist src/*.egg-info .pytest_cache .ruff_cache .mypy_cache
