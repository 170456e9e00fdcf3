# Two words do all on a machine that has Python 3.11, gcc/g++, make and git: `make demo` and `make test`.
#
#   make demo    virtual environment, install, main job: writes demo-out/
#   make quick   virtual environment, install with the study runner, a small study; ends with the report's path
#   make test    virtual environment, install with the tools, format, lint, types, imports, all tests
#   make check   the same without the slow tests
#   make bench   the benchmarks
#   make format  rewrite the sources in the one format
#   make clean   remove what these words made
#
# Another interpreter: make PYTHON=/path/to/python3.11 test      Fewer or more test processes: make JOBS=1 test

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIN := -c constraints.txt

# Nothing falls back in silence: after each install, say which code will compute.
SAY := $(BIN)/python -c "from pocketrec.native import backend; print('kernels:', backend())"

# An editable install follows the Python files by itself; it must be made anew only when one of these changes.
NATIVE := pyproject.toml $(wildcard CMakeLists.txt) $(shell find csrc -type f -not -path '*/build/*' 2>/dev/null)

# One thread per test process: results do not depend on the machine's cores, and two processes do not fight.
export OMP_NUM_THREADS := 1

# Where a compiler works, a failed build is a mistake in csrc/ and must not pass as the pure-Python package.
export POCKETREC_NATIVE_REQUIRED := $(shell echo 'int main() {}' | $${CXX:-c++} -x c++ -fsyntax-only - 2>/dev/null && echo 1 || echo 0)

.PHONY: demo quick test check static bench format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/pocketrec demo --out demo-out

# The lines of a study that ran before are kept: what has a line is not run again.
quick: $(VENV)/.installed
	$(PIP) install -q $(PIN) 'optuna>=4'
	$(BIN)/pocketrec bench experiments/quick.toml --report quick.html

test: $(VENV)/.tools static
	$(BIN)/pytest -n $(JOBS)

check: $(VENV)/.tools static
	$(BIN)/pytest -n $(JOBS) -m "not slow"

static: $(VENV)/.tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Speed against peers, which makes docs/performance.md; then the claims that print their own verdicts.
OTHER_CLAIMS := cache_to_batches prepare_memory promised_held_file_bytes resume_after_kill step_cost_is_the_batch

bench: $(VENV)/.installed
	$(PIP) install -q --no-deps -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/performance.py
	@set -e; for name in $(OTHER_CLAIMS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

format: $(VENV)/.tools
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build demo-out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The stamps. torch comes first and by its exact version, so that no other build of it is pulled in by a dependency;
# then what builds us, so that the build too uses pinned versions and needs no second download.
$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or sys.exit("pocketrec needs Python 3.11, %s is %d.%d. Try: make PYTHON=/path/to/python3.11" % (sys.executable, *v))'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -q $(PIN) "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -q $(PIN) scikit-build-core nanobind cmake ninja
	@touch $@

$(VENV)/.installed: $(VENV)/.torch $(NATIVE)
	$(PIP) install -q $(PIN) --no-build-isolation -e .
	@$(SAY)
	@touch $@

$(VENV)/.tools: $(VENV)/.torch $(NATIVE)
	$(PIP) install -q $(PIN) --no-build-isolation -e '.[dev]'
	@$(SAY)
	@touch $(VENV)/.installed $@
