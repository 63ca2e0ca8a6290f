# Two commands: `make run` makes the shipped catalog, `make test` passes the tests. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test fast check screenshots clean

run: $(VENV)/run.stamp
	$(BIN)/dgconsole hosts.yml

test: $(VENV)/test.stamp
	$(BIN)/pytest -n 2 --dist loadfile

fast: $(VENV)/test.stamp
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

check: $(VENV)/test.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

screenshots: $(VENV)/test.stamp
	$(BIN)/python tools/screenshots.py

$(VENV)/run.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/test.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) runs
