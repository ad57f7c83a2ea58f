# make demo       train on handwritten digits, from source to accuracy
# make test       format, lint, types, and every test but the slow ones
# make test-all   all tests; then again without the JIT, with bounds checks, without fusion, in tiny tiles, and on one thread
# make test-peers every op, its gradient, and training, beside PyTorch and JAX
# make docs       the documentation as a site, in out/docs; what its pages print is printed then
# make test-browser the page of f.to_html in Chromium: wants Debian's packages chromium and chromium-driver
# make bench      graphc beside NumPy, PyTorch, JAX and PyTensor, as far as they can be installed: an hour
# make sweep      graphc beside NumPy by hand for nets of many sizes; make compile-times, stability, estimators, copies: four more
# make check      format, lint and types alone
# make golden     rewrite the golden files; read the diff before you keep it
# make clean      remove everything that make made, the environment too
#
# The first target that runs makes its own environment in .venv; after that demo, test, check, golden, sweep, stability and
# estimators need no network. bench, compile-times and copies add PyTorch and JAX to it once, and make .venv-pytensor; test-peers makes
# .venv-peers, docs .venv-docs, test-browser .venv-browser.
# make PYTHON=python3.12 ...   chooses the interpreter of a new environment

PYTHON ?= python3

VENV := .venv
RUN := $(VENV)/bin/python
PEERS := .venv-peers
BROWSER := .venv-browser
PYTENSOR := .venv-pytensor
DOCS := .venv-docs
PIP := -m pip --quiet --disable-pip-version-check --no-input
PYTEST := $(RUN) -m pytest

.PHONY: demo test test-all test-peers test-browser docs bench sweep compile-times stability estimators copies check golden clean

demo: $(VENV)/installed
	@$(RUN) examples/digits.py

test: check
	$(PYTEST) -m "not slow"

test-all: check
	$(PYTEST)
	NUMBA_DISABLE_JIT=1 $(PYTEST) -m "not slow"
	NUMBA_BOUNDSCHECK=1 $(PYTEST) -m "not slow"
	GRAPHC_FUSION=0 $(PYTEST) -m "not slow"
	GRAPHC_SMALL_TILES=1 $(PYTEST) -m "not slow"
	GRAPHC_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(PYTEST) -m "not slow"

test-peers: $(PEERS)/installed
	$(PEERS)/bin/python -m pytest tests/peers

# -E -a: all pages anew, since what they print follows from the code.
docs: $(DOCS)/installed
	$(DOCS)/bin/python -m sphinx -W --keep-going -q -E -a -d out/doctrees docs out/docs
	@echo "The site: out/docs/index.html"

test-browser: $(BROWSER)/installed
	@test -x /usr/bin/chromium -a -x /usr/bin/chromedriver || \
		{ echo "The tests drive Chromium: apt-get install chromium chromium-driver"; exit 1; }
	$(BROWSER)/bin/python -m pytest tests/browser

# make bench ARGS="tiny mnist --quick"
bench: $(VENV)/contenders $(PYTENSOR)/installed
	@$(RUN) benchmarks/run.py race $(ARGS)

sweep: $(VENV)/installed
	@$(RUN) benchmarks/run.py sweep $(ARGS)

compile-times: $(VENV)/contenders $(PYTENSOR)/installed
	@$(RUN) benchmarks/run.py compile $(ARGS)

stability: $(VENV)/installed
	@$(RUN) benchmarks/run.py stability $(ARGS)

estimators: $(VENV)/installed
	@$(RUN) benchmarks/run.py sklearn $(ARGS)

copies: $(VENV)/contenders
	@$(RUN) benchmarks/run.py copies $(ARGS)

check: $(VENV)/installed
	$(RUN) -m ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m mypy

golden: $(VENV)/installed
	$(PYTEST) tests/test_golden.py --update-golden

clean:
	rm -rf $(VENV) $(PEERS) $(BROWSER) $(PYTENSOR) $(DOCS) docs/ops out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml
	@echo "Installing graphc and its tools into $(VENV) (once; a minute or so)"
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("graphc needs Python 3.10 or newer: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) $(PIP) install --editable '.[demo,test]'
	@touch $@

$(PEERS)/installed: pyproject.toml
	@echo "Installing graphc, torch and jax into $(PEERS) (once; some minutes)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python $(PIP) install --editable '.[demo,test]' torch jax
	@touch $@

$(DOCS)/installed: pyproject.toml
	@echo "Installing graphc and Sphinx into $(DOCS) (once)"
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python $(PIP) install --editable '.[demo,docs]'
	@touch $@

$(BROWSER)/installed: pyproject.toml
	@echo "Installing graphc and selenium into $(BROWSER) (once; a minute or so)"
	@$(PYTHON) -m venv $(BROWSER)
	@$(BROWSER)/bin/python $(PIP) install --editable '.[test]' selenium
	@touch $@

# Best effort, tried once: the benchmark says which contenders are missing.
$(VENV)/contenders: $(VENV)/installed
	@echo "Installing torch and jax into $(VENV), for comparison (once)"
	@for peer in torch jax; do \
		$(RUN) $(PIP) install $$peer || echo "$$peer cannot be installed here: the benchmark goes on without it"; \
	done
	@touch $@

# PyTensor wants an older Numba than graphc. Best effort, too: the benchmark looks whether it can be imported.
$(PYTENSOR)/installed:
	@echo "Installing pytensor into $(PYTENSOR), for comparison (once)"
	@$(PYTHON) -m venv $(PYTENSOR)
	@$(PYTENSOR)/bin/python $(PIP) install pytensor || echo "pytensor cannot be installed here: the benchmark goes on without it"
	@touch $@
