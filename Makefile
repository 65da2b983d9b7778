# make demo · make test · make check · make bench · make compare: each builds .venv first when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
# Clients that the hub is tested with besides the one in use: the oldest that works, and the last before version 1.
CLIENTS := 0.20.3 0.36.2
.PHONY: .venv demo test check bench compare tables clean

.venv: .venv/.complete

# The stamp is written last, so an interrupted installation is done again.
.venv/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Muybridge needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench,dev]'
	for version in $(CLIENTS); do $(BIN)/pip install --quiet --no-deps --target .venv/client-$$version huggingface_hub==$$version || exit 1; done
	touch $@

demo: .venv
	$(BIN)/python examples/demo.py

# Two at a time, a file's tests one after the other.
test: .venv
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: .venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv
	$(BIN)/python -m benchmarks

# Trains every classic network on made clips, for half an hour or more; stopped, it goes on where it was.
compare: .venv
	$(BIN)/python examples/compare_classics.py --output compare_classics
	cp compare_classics/results.json examples/results/compare_classics.json

# Writes the tables of README.md and docs/ again, from the code and from results.
tables: .venv
	$(BIN)/python -m benchmarks.tables README.md docs/*.md

clean:
	rm -rf .venv demo compare_classics build dist src/*.egg-info .pytest_cache .ruff_cache .mypy_cache
