# make demo    trains on real handwritten digits (sets up .venv by itself)
# make test    runs the tests
# Each target installs what it needs once; a stamp in the environment says so.

PYTHON      ?= python3
VENV        ?= .venv
DEMO_ARGS   ?=
TEST_ARGS   ?= -n auto --dist loadgroup
BENCH_ARGS  ?=
FUZZ_ARGS   ?=

# The library that lays out the graphs of `genesis explore`; `make vendor` fetches it.
DAGRE := 3.1.3

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz bench lint format types contracts vendor clean

help:
	@echo "make demo       train on handwritten digits, compiled"
	@echo "make test       run the tests"
	@echo "make fuzz       random training steps, compiled = eager = interpreted = PyTorch where it is installed"
	@echo "make bench      compare step times with what else is installed"
	@echo "make lint       ruff check, ruff format --check"
	@echo "make types      mypy"
	@echo "make contracts  import contracts between the packages"
	@echo "make vendor     fetch the JavaScript library of the pages again (needs npm)"
	@echo "make clean      remove the environment and the caches"

demo: $(VENV)/.stamp-demo
	$(BIN)/python examples/train_digits.py $(DEMO_ARGS)

test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest $(TEST_ARGS)

fuzz: $(VENV)/.stamp-dev
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

bench: $(VENV)/.stamp-dev
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.stamp-dev
	$(BIN)/mypy

contracts: $(VENV)/.stamp-dev
	$(BIN)/lint-imports

vendor: LIBRARY := genesis/explore/assets/vendor/dagre.min.js
vendor:
	mkdir -p build
	cd build && npm pack --silent @dagrejs/dagre@$(DAGRE) && tar xzf dagrejs-dagre-$(DAGRE).tgz
	{ echo '/* dagre $(DAGRE), https://github.com/dagrejs/dagre */'; cat build/package/dist/dagre.min.js.LEGAL.txt; \
	  grep -v -e '^//# sourceMappingURL' -e '^/\*! For license' build/package/dist/dagre.min.js; } > $(LIBRARY)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Genesis needs Python 3.10 or newer, and $(PYTHON) is "\
	+ sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python lacks its venv module (on Debian: apt install python3-venv)." >&2; exit 1; }
	@touch $@

$(VENV)/.stamp-demo: $(VENV)/.stamp-venv pyproject.toml
	$(PIP) -e '.[examples]'
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-venv pyproject.toml
	$(PIP) -e '.[dev]'
	@touch $@
