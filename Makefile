# Needs python3 (3.11 or newer) and make; everything else is installed into .venv on first use.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs check oldest coverage clean

demo: .venv/.stamp
	$(BIN)/python -m demo

test: .venv/.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

# Every method rests on the second group.
coverage: .venv/.stamp
	$(BIN)/python -m pytest -n 2 --cov=sktae --cov-report=term $(PYTEST_ARGS)
	$(BIN)/coverage report --format=total --fail-under=90
	$(BIN)/coverage report --fail-under=95 \
		--include="sktae/_engine/*,sktae/_outliers/*,sktae/_training/*,sktae/_transform.py,sktae/base.py"

lint: .venv/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.stamp
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -W --keep-going $(DOCS_ARGS) -b html docs docs/_build/html

check: lint test

# One estimator of each family is enough to hold the lower bounds: what they ask of other libraries
# is written once. Only what these tests import is installed, and compiled.
oldest: .venv-oldest/.stamp
	.venv-oldest/bin/python -m pytest -n 2 --dist worksteal tests/test_common.py tests/test_timeseries.py \
		-k "(Denoising or Variational or VectorQuantized or Autoregressive or ConvolutionalAuto \
		or PCA or nothing_is_missing) and not (test_detects or ConvolutionalV or SequenceV)"

# A stamp is newer than the files its environment was made from, or the environment is made again.
# Most of its modules are never imported, so they are not compiled; those that sktae imports
# are, before several processes ask for them at once.
.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -e ".[plot,test,docs,lint]"
	$(BIN)/python -c "import sktae"
	touch $@

.venv-oldest/.stamp: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install -qq --no-compile -c constraints-oldest.txt \
		-e . polars pytest pytest-xdist
	touch $@

clean:
	rm -rf .venv .venv-oldest .coverage* .*_cache demo.html dist
	rm -rf docs/_build docs/api docs/gallery docs/sg_execution_times.rst
