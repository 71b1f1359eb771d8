# make install · make demo · make test · make test-export · make wheel · make test-wheel · make lint · make types
# The packages of a lock file are built once in a cache outside the checkout; .venv is a thin layer over all of them that
# holds this checkout alone, so that several checkouts share one cache. `make demo` needs the base alone, without torch.

SHELL := /bin/bash
PYTHON ?= python3
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gracile
key = $(shell (sha256sum 2>/dev/null || shasum -a 256) < $(1) | cut -c1-16)
KEY := $(call key,requirements.lock)
PACKAGES := $(CACHE)/packages-$(KEY)
READY := $(PACKAGES)/.ready
BASE := $(CACHE)/base-$(call key,requirements-base.lock)
RUN := .venv/bin/python -m

.PHONY: install demo test test-export wheel test-wheel lint types check clean

install: .venv/.ready-$(KEY)

.venv/.ready-$(KEY): $(READY) pyproject.toml
	@rm -rf .venv && $(PYTHON) -m venv --without-pip .venv
	@site=$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	  "$(PACKAGES)/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$site/packages.pth"
	@$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch "$@"

$(READY): LOCK = requirements.lock
$(READY): SIZE = about 7 GB, a few minutes
$(BASE)/.ready: LOCK = requirements-base.lock
$(BASE)/.ready: SIZE = about 0.8 GB, a minute

$(READY) $(BASE)/.ready:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing: install it, or run make PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: run make PYTHON=/path/to/a/newer/python3."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: on Debian, apt-get install python3-venv."; exit 1; }
	@echo "Building the environment in $(@D): $(SIZE), once."
	@rm -rf "$(@D)" && mkdir -p "$(CACHE)" && $(PYTHON) -m venv "$(@D)"
	@"$(@D)/bin/python" -m pip install --quiet --disable-pip-version-check -r $(LOCK)
	@touch "$@"

demo: $(BASE)/.ready
	@PYTHONPATH=src "$(BASE)/bin/python" -m gracile demo --out demo-output

# Two processes take a core each: threads of both would wait for each other.
test: install
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 2

test-export: install
	@$(RUN) pytest -q -m export

wheel: install
	@rm -f dist/*.whl && $(RUN) hatchling build -t wheel
	@du -m dist/*.whl

# What comes with the wheel is as the lock file has it, so that it is tried as it was tested.
test-wheel: wheel
	@.venv/bin/python benchmarks/wheel.py dist/*.whl --constraints requirements.lock

lint: install
	@$(RUN) ruff check . && $(RUN) ruff format --check . && .venv/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

types: install
	@$(RUN) mypy

check: lint types test

clean:
	rm -rf .venv demo-output .pytest_cache .mypy_cache .ruff_cache
