# Every target works on a machine that has only Python 3.11+ with its venv module, and make.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed-from
TEST_STAMP := .venv/.installed-for-tests-from
WORKERS ?= 2
# Where it is set, each of the commands that tests type would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
# A test there mostly waits.
CLUSTER_WORKERS ?= 4

.PHONY: demo test test-engine test-cluster test-cluster-demo test-environment lint types contracts docs docs-check bench bench-verdict crash-matrix bench-rollout bench-releases clean environment

environment: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; try: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev --editable '.[local]'
	@touch $(STAMP)

# Tests, types and lint also see the platforms that a demo does not need.
test-environment: $(TEST_STAMP)

$(TEST_STAMP): $(STAMP)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev --editable '.[all]'
	@touch $(TEST_STAMP)

demo: environment
	@$(BIN)/backendctl demo

test: test-environment
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# Pulumi's real engine with an echo of AWS. Builds the pulumi program (Go).
test-engine: test-environment
	@$(BIN)/python -m tests.cluster engine -- -n $(WORKERS) --dist load tests/engine

# A real Kubernetes on this machine (root, Debian, Go), or the one of BACKENDCTL_TEST_KUBECONFIG.
test-cluster: test-environment
	@$(BIN)/python -m tests.cluster test -- -n $(CLUSTER_WORKERS) --dist loadgroup --no-loadscope-reorder --durations=25 --ignore tests/cluster/test_demo.py tests/cluster tests/conformance

# By itself: its releases are judged by how quickly they answer, and other tests take the cores.
test-cluster-demo: test-environment
	@$(BIN)/python -m tests.cluster test -- tests/cluster/test_demo.py

lint: test-environment
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: test-environment
	@$(BIN)/mypy

contracts: test-environment
	@$(BIN)/lint-imports

docs: test-environment
	@$(BIN)/python docs/generate.py

docs-check: test-environment
	@$(BIN)/python docs/generate.py --check

crash-matrix: environment
	@$(BIN)/python -m bench.crash_matrix

bench-rollout: environment
	@$(BIN)/python -m bench.rollout

bench-releases: environment
	@$(BIN)/python -m bench.releases

bench: environment
	@$(BIN)/python -m bench

bench-verdict: environment
	@$(BIN)/python -m bench.verdict

clean:
	rm -rf .venv
