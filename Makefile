# Each target works as the only command after a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: install demo canary test test-slow test-mujoco4 lint docs clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/jepa-mpc run env=reach output=runs/demo

canary: $(INSTALLED)
	rm -rf runs/canary
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.canary output=runs/canary

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# The suite once more on MuJoCo 4.0, in an environment of its own.
test-mujoco4: .venv-mujoco4/.installed
	OMP_NUM_THREADS=1 .venv-mujoco4/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.venv-mujoco4/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-mujoco4
	sed 's/^mujoco==.*/mujoco==4.0.0/' constraints.txt > .venv-mujoco4/constraints.txt
	.venv-mujoco4/bin/python -m pip install --quiet --constraint .venv-mujoco4/constraints.txt --editable '.[dev]'
	touch $@

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .venv-mujoco4 site .mypy_cache .pytest_cache .ruff_cache
