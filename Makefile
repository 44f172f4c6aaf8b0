# What a newcomer types. Each target does all of its own set-up; docs/development.md says what it takes.
.PHONY: quickstart test test-fast soak peers bench check lock pictures clean help
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/.ready  ## Measure a real local engine beside an emulated API and build the site.
	@$(BIN)/observatory run quickstart --publish

test: $(VENV)/.ready-dev peers  ## Run all tests, live engines and a real browser included.
	@./.ci/test

test-fast: $(VENV)/.ready-dev  ## Run the tests that start no engine and no browser.
	@unset PYTHONDONTWRITEBYTECODE; $(BIN)/python -m pytest -q -n $$(nproc) --dist loadgroup --no-loadscope-reorder -m "not live and not slow and not alone"

soak: $(VENV)/.ready-dev peers  ## Run the tests with all their repeats; before a release.
	@./.ci/test --soak --timeout=7200 -o faulthandler_timeout=0

peers: $(VENV)/.ready-dev  ## Install the browser and the other tools that some tests use.
	@./.ci/browser
	@./.ci/peers vllm guidellm || echo "peers: the tests that need them will skip" >&2

bench: $(VENV)/.ready-dev  ## Measure the instrument itself (quiet machine, 17 minutes); docs/performance.md.
	@$(BIN)/python -m benchmarks all
	@$(BIN)/python -m benchmarks render

check: $(VENV)/.ready-dev  ## Static checks: format, lint, types, import contracts.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

pictures: $(VENV)/.ready-dev  ## Make the README's pictures from the last run in results/.
	@./.ci/browser
	@$(BIN)/python tools/pictures.py

lock: $(VENV)/.ready-dev  ## Resolve the locked requirements again.
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

clean:  ## Remove the virtual environment (results/ and site/dist stay).
	rm -rf $(VENV)

$(VENV)/.ready: requirements.lock pyproject.toml .ci/setup
	@./.ci/setup requirements.lock $@

$(VENV)/.ready-dev: requirements-dev.lock pyproject.toml .ci/setup
	@./.ci/setup requirements-dev.lock $@
