# cnnplan: `make demo` shows it, `make test` tests it. Both make their own environment in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

.PHONY: demo test check bench docs format clean nightly

demo: $(READY)
	$(BIN)/cnnplan check specs/vgg16.yaml
	mkdir -p build
	$(BIN)/cnnplan build specs/vgg16.yaml -o build/vgg16.py
	$(BIN)/python examples/forward.py build/vgg16.py
	rm -rf build/lenet5
	$(BIN)/cnnplan train specs/lenet5.yaml --data digits --epochs 15 --output build/lenet5

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS)

# Everything that has to hold before a commit: format, lint, types, fresh docs, the zoo itself.
check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/docs.py --check
	$(BIN)/cnnplan check specs

bench: $(READY)
	$(BIN)/python benchmarks/bench.py

docs: $(READY)
	$(BIN)/python tools/docs.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Thousands of random networks and inputs instead of hundreds.
nightly: $(READY)
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $(JOBS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Compiled beforehand: start-up is what people wait for. torch is named alone, so that the
# constraint's build is taken and no other package pulls in another.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group dev -e ".[train,profile,export]"
	$(BIN)/python -m compileall -q cnnplan
	touch $(READY)
