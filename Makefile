# Every target makes and fills .venv as it needs, and uses it again until pyproject.toml changes. The installation
# in it is editable: what runs and is tested is this folder.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find tweann strategies plugins bridge -name '*.py' -o -name py.typed)

.PHONY: help demo test bench bench-quick lint clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo         evolve a controller for two poles on a cart, and say where it is'
	@echo 'make test         run the tests'
	@echo 'make bench        measure against neat-python; takes some minutes'
	@echo 'make bench-quick  the same in small, to see that it works'
	@echo 'make lint         ruff and mypy --strict'
	@echo 'make clean        delete .venv and all caches; runs stay'
	@echo 'Another Python than python3: make test PYTHON=python3.13'

demo: .venv/core.stamp
	$(BIN)/tweann run examples/double_pole_no_velocities.toml
	@echo
	@echo 'To look at it:'
	@echo '  $(BIN)/tweann show latest        how the run went, generation by generation'
	@echo '  $(BIN)/tweann export latest      the champion: its nodes and connections'
	@echo '  $(BIN)/tweann evaluate latest    test the champion once more'

test: .venv/test.stamp
	$(BIN)/pytest

bench: .venv/peers.stamp
	$(BIN)/python bench/peers.py

bench-quick: .venv/peers.stamp .venv/test.stamp
	$(BIN)/python bench/peers.py --quick
	$(BIN)/python bench/shares.py --generations 5
	$(BIN)/python bench/memory_tasks.py --quick
	$(BIN)/python bench/memory_long.py --quick
	$(BIN)/pytest bench --benchmark-disable

# mypy follows imports by folder, and tweann.strategies is not where its name says until it is installed for real;
# so it reads a copy that is.
lint: .venv/lint.stamp .venv/types.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .venv/types && ../bin/mypy --strict --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p tweann

clean:
	rm -rf .venv build tweann.egg-info .mypy_cache .ruff_cache .benchmarks
	find . -type d '(' -name __pycache__ -o -name .hypothesis ')' -prune -exec rm -rf {} +

.venv/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tweann needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv || { \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

.venv/core.stamp: pyproject.toml .venv/made.stamp
	@echo 'Installing into .venv ...'
	@$(PIP) install --editable .
	@touch $@

.venv/test.stamp .venv/peers.stamp .venv/lint.stamp: .venv/%.stamp: pyproject.toml .venv/made.stamp
	@echo 'Installing into .venv ...'
	@$(PIP) install --editable '.[$*]'
	@touch $@

# build/ would bring modules back that have been deleted since
.venv/types.stamp: pyproject.toml $(SOURCES) .venv/lint.stamp
	@rm -rf build .venv/types
	@$(PIP) install --no-deps --target .venv/types .
	@rm -rf build
	@touch $@
