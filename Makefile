# Two commands for a new machine: `make demo` and `make test`. Everything lives in .venv and $(LISHANG_HOME).
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8080
LISHANG_HOME ?= var
export PORT LISHANG_HOME
BIN := $(VENV)/bin

.PHONY: install install-test install-benchmark demo demo-stop test test-all lint lock clean

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test
install-benchmark: $(VENV)/.installed-benchmark

# pip's own resolver is off: the lock file with its hashes is the whole truth.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: requirements-test.lock $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-test.lock
	@touch $@

$(VENV)/.installed-benchmark: requirements-benchmark.lock $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-benchmark.lock
	@touch $@

demo: install
	$(BIN)/lishang demo

demo-stop:
	$(BIN)/lishang demo --stop

test: install-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: install-test
	$(BIN)/python -m pytest

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# New versions within the ranges of setup.cfg; needs uv.
lock:
	uv pip compile setup.cfg --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements.lock
	uv pip compile setup.cfg --python-version 3.11 --extra test --generate-hashes --no-emit-index-url --no-header -c requirements.lock -o requirements-test.lock
	uv pip compile setup.cfg --python-version 3.11 --extra benchmark --overrides benchmarks/overrides.txt --generate-hashes --no-emit-index-url --no-header -c requirements.lock -o requirements-benchmark.lock

clean:
	rm -rf $(VENV) $(LISHANG_HOME) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
