# Every target does its own set-up in .venv. PYTHON chooses the interpreter, TORCH_INDEX an index with builds of torch
# (for instance the one of PyTorch's install page for your machine).
PYTHON ?= python3
TORCH_INDEX ?=
LIMIT ?= 4

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
       $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: run test test-engines check bench lock clean

run: .venv/run.stamp  ## two models compared by a judge in 23 languages, on this machine
	$(BIN)/evalharness run --models gemma-3-270m,gemma-3-270m-sampled --task m-arenahard-mini --limit $(LIMIT)

test: .venv/dev.stamp  ## the tests, under 8 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not engines and not gpu"

test-engines: .venv/dev.stamp .venv-engines/stamp  ## the slow tests, on real engines: transformers, vLLM, Ray
	$(BIN)/python -m pytest -m engines --ignore tests/engines
	.venv-engines/bin/python -m pytest -m engines tests/engines

check: .venv/check.stamp  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/dev.stamp  ## the benchmarks; docs/benchmarks.md says what they measure
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/client.py
	$(BIN)/python benchmarks/sandbox.py
	$(BIN)/python benchmarks/stats.py
	$(BIN)/python benchmarks/coverage.py

lock: .venv/dev.stamp  ## constraints.txt anew, at the newest releases; run the tests before you commit it
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager $$(grep ^torch== constraints.txt) -e '.[hf,demo]' --group dev
	{ sed '/^[^#]/d' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv .venv-engines .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

.venv-engines/stamp: pyproject.toml tests/engines/requirements.txt
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	.venv-engines/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r tests/engines/requirements.txt -e .
	touch $@

.venv/run.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) -e '.[hf,demo]'
	touch $@

.venv/check.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e . --group check
	touch $@

.venv/dev.stamp: .venv/run.stamp
	$(PIP) -e . --group dev
	touch $@
