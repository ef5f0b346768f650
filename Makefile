# Everything here needs Python 3.11 or later with venv and pip, and make. Each target sets up what it uses.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PYTEST := $(BIN)/python -m pytest
# Both cores: tests are spread by file, so that fixtures of a file are made once.
PYTEST_ARGS ?= -q -n 2 --dist loadfile
# Kernels are compiled anew for each run of the tests: numba's cache does not see a change in a function of another file.
KERNEL_CACHE := $(VENV)/kernels

# Where `make snapshot` reads and writes. With nothing given it makes and loads the example of the README.
EXAMPLE := $(CURDIR)/.dynamo2ch/example
EXPORT ?=
SCHEMA ?=
TO ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup snapshot test test-compiled test-pure test-bounds bench bench-quick test-exact test-faults test-servers test-security fuzz fuzz-brief fuzz-bounds test-parity guide docs test-wheel check format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make snapshot EXPORT=s3://bucket/prefix/AWSDynamoDB/01... SCHEMA=schemas/users.yaml TO=https://user@host:8443/db"

setup: $(STAMP) ## make .venv and install everything into it; does nothing when nothing has changed

# The candidates in order of preference: the first that is new enough and can make environments. PYTHON=... overrides.
$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	@set -eu; \
	if $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then exit 0; fi; \
	for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "making $(VENV) with $$("$$candidate" --version)"; exec "$$candidate" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "Python 3.11 or later with venv is needed; say which with PYTHON=/path/to/python3" >&2; exit 2
	@echo "installing the pinned packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

snapshot: setup ## load EXPORT with SCHEMA into TO; with none of them: make the example, load it, show its rows
ifeq ($(strip $(EXPORT)),)
	@ls '$(EXAMPLE)'/AWSDynamoDB/*/manifest-summary.json >/dev/null 2>&1 || { rm -rf '$(EXAMPLE)'; \
	  $(BIN)/dynamo2ch synth '$(EXAMPLE)' --shape users --items 1000 --files 2 --seed 1; }
	@$(BIN)/dynamo2ch snapshot '$(EXAMPLE)' --schema '$(or $(SCHEMA),schemas/users.yaml)' $(if $(TO),--to '$(TO)') $(ARGS)
	@$(BIN)/dynamo2ch query "SELECT * FROM users FINAL ORDER BY first_name = 'sally' DESC, id LIMIT 10" $(if $(TO),--to '$(TO)')
	@$(BIN)/dynamo2ch query 'SELECT count() AS users FROM users FINAL' $(if $(TO),--to '$(TO)')
else
	@$(BIN)/dynamo2ch snapshot '$(EXPORT)' $(if $(SCHEMA),--schema '$(SCHEMA)') $(if $(TO),--to '$(TO)') $(ARGS)
endif

test: test-compiled test-pure test-bounds ## all tests that fit in minutes; kernels also as pure Python and bounds-checked

test-compiled: setup ## every test that is not slow, kernels compiled as shipped
	@rm -rf $(KERNEL_CACHE)/compiled
	@NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/compiled $(BIN)/dynamo2ch warm
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/compiled $(PYTEST) $(PYTEST_ARGS) -m 'not slow'

test-pure: setup ## kernel tests as pure Python: what the compiler would forgive is an error
	NUMBA_DISABLE_JIT=1 HYPOTHESIS_PROFILE=few $(PYTEST) $(PYTEST_ARGS) -m 'kernel and not slow'

test-bounds: setup ## kernel tests with every index checked
	@rm -rf $(KERNEL_CACHE)/bounds
	@NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/bounds $(BIN)/dynamo2ch warm
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/bounds $(PYTEST) $(PYTEST_ARGS) -m 'kernel and not slow'

# One of its tests takes minutes, which is no hang.
test-exact: setup ## slow: a million items read back and compared in every column, and memory as the input grows
	@rm -rf $(KERNEL_CACHE)/exact
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/exact $(PYTEST) -q -s -m slow -o faulthandler_timeout=1200 tests/readback

test-parity: setup ## slow, 5 minutes: the landing view against the kernels over 200 schemas, and to the last depth
	@rm -rf $(KERNEL_CACHE)/parity
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/parity $(PYTEST) -q -m slow -o faulthandler_timeout=1200 tests/clickpipe

guide: setup ## half a minute: the five steps of ClickHouse's guide with doubles of AWS and of the Cloud API, and the proof
	@PYTHONPATH=tests $(BIN)/python tests/clickpipe_guide.py

# Older engines, each in an environment of its own: what the Arrow readers and defaults of older servers do with our inserts.
SERVERS := 3.1.2 3.7.2

test-servers: setup $(SERVERS:%=$(VENV)/servers/%/.complete) ## slow: load and read back over HTTP, into ClickHouse 24.8, 25.8, now, and CLICKHOUSE_URL if set
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/servers $(PYTEST) -q -m slow tests/servers

$(VENV)/servers/%/.complete: | setup
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check chdb==$*
	@touch $@

# As many interrupted loads as FAULT_ROUNDS says, 100 by default; FAULT_SEED draws others.
test-faults: setup ## slow, 30 to 60 minutes: a hundred interrupted loads, each resumed and verified in full
	@rm -rf $(KERNEL_CACHE)/faults
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/faults $(PYTEST) -q -s -m slow -o faulthandler_timeout=14400 tests/faults

test-security: setup ## slow, 8 min: gzip bombs, endless lines, an S3 store that misbehaves in every way
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/compiled $(PYTEST) -q -o faulthandler_timeout=1200 tests/security tests/store

# A seed of its own for each run, printed first; SEED=... repeats one. A failure is saved in .dynamo2ch/fuzz.
FUZZ = PYTHONPATH=tests nice -n 5 $(BIN)/python -m fuzz $(if $(SEED),--seed $(SEED))

fuzz: setup ## slow, 15-25 min: a million broken lines through kernels and twin; SEED=... repeats a run
	@rm -rf $(KERNEL_CACHE)/fuzz
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/fuzz $(FUZZ) --cases $(or $(CASES),1000000) $(ARGS)

fuzz-brief: setup ## 2 min: 60,000 of them
	@rm -rf $(KERNEL_CACHE)/fuzz
	NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/fuzz $(FUZZ) --cases $(or $(CASES),60000) $(ARGS)

fuzz-bounds: setup ## 4 min: 60,000 of them with every index of the kernels checked
	@rm -rf $(KERNEL_CACHE)/fuzz-bounds
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/$(KERNEL_CACHE)/fuzz-bounds $(FUZZ) --cases $(or $(CASES),60000) $(ARGS)

bench-quick: setup ## in less than 90 s: speed of each stage, of other tools on the same bytes, and of whole loads
	@$(BIN)/python -m bench.quick $(ARGS)

bench: setup ## some 15 minutes: the same with larger inputs and more rounds; writes docs/benchmarks.md and docs/charts
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-bench.txt || \
	  echo "orjson and DuckDB cannot be installed here: their comparisons are left out" >&2
	@$(BIN)/python -m bench.full $(ARGS)

docs: setup ## write the pages of docs/ that follow from the code (commands, errors, types, scale, the map)
	@$(BIN)/python docs/generate.py

test-wheel: setup ## 3 min: build wheel and sdist, install the wheel into an empty environment, load an export with it
	$(PYTEST) -q -s -m slow -o faulthandler_timeout=900 tests/packaging

check: setup ## lint, format, types, and the directions between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and builds; the example database in .dynamo2ch stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find transformer tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
