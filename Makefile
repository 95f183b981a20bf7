# Everything from a bare checkout: python3 (3.11 to 3.13, with venv), git and make.
#
#   make demo         compare the fallback strategies on the default experiment
#   make test         run the tests
#   make lint         ruff and mypy
#   make test-nojit   the tests without the JIT: debuggers and coverage see the bodies
#   make clean        remove the environments and everything that was built
#
# Another interpreter: PYTHON=python3.12 make test.

PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt

# Tests run on all CPUs, each in whatever process is free.
SPREAD := -n auto --dist worksteal

# An environment counts only if its stamp is there, which is written last; what was
# interrupted is made anew.  It is also made anew for another interpreter or folder.
WANTED := .env-stamp/wanted
TEST := .venv/complete
LINT := .venv/complete-dev
DEMO := .demo-venv/complete

.PHONY: demo test lint test-nojit env clean FORCE
.DEFAULT_GOAL := test

demo: $(DEMO)
	.demo-venv/bin/rmqueue compare

test: $(TEST)
	.venv/bin/python -m pytest $(SPREAD)

lint: $(LINT)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m tests.meta.lint_templates

test-nojit: $(TEST)
	NUMBA_DISABLE_JIT=1 .venv/bin/python -m pytest $(SPREAD) -m "not slow"

env: $(LINT)

clean:
	rm -rf .venv .demo-venv .env-stamp build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find core strategies plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:

$(WANTED): FORCE
	@command -v '$(PYTHON)' >/dev/null || { \
	    echo "rmqueue needs Python 3.11, 3.12 or 3.13: there is no '$(PYTHON)' here;" \
	         "name another with PYTHON=python3.12 make ..." >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or \
	    sys.exit("rmqueue needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d: name another with PYTHON=python3.12 make ..." % sys.version_info[:2])'
	@mkdir -p $(@D)
	@'$(PYTHON)' -c 'import os, sys; print(sys.version, sys.base_prefix, os.getcwd())' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(TEST): $(WANTED) pyproject.toml constraints.txt
	rm -rf .venv
	'$(PYTHON)' -m venv .venv
	.venv/bin/python -m pip install $(PIP_FLAGS) -e '.[test]'
	touch $@

$(LINT): $(TEST)
	rm -f $(TEST)
	.venv/bin/python -m pip install $(PIP_FLAGS) -e '.[dev]'
	touch $(TEST) $@

$(DEMO): $(WANTED) pyproject.toml constraints.txt
	rm -rf .demo-venv
	'$(PYTHON)' -m venv .demo-venv
	.demo-venv/bin/python -m pip install $(PIP_FLAGS) -e .
	touch $@
