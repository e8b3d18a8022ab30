# `make demo` sets everything up in .venv and draws a picture; `make test` sets up and passes all checks.
PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
SOURCES := pyproject.toml constraints.txt
PHOTO := examples/kitchen.png
# A file's tests stay together: what they share is made once.
PARALLEL := -q -n 2 --dist loadfile --no-loadscope-reorder

# Debian packages, where they can be installed.
APT := [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	apt-get install -y -qq --no-install-recommends

.PHONY: demo test fast audit clean

demo: .venv/run.stamp .venv/renderer.stamp
	$(BIN)/egoframe generate $(PHOTO) "open the microwave" --out demo

test: .venv/test.stamp .venv/renderer.stamp .venv/browser.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest $(PARALLEL)

fast: .venv/test.stamp .venv/renderer.stamp .venv/browser.stamp
	$(BIN)/pytest $(PARALLEL) -m "not slow"

# Known vulnerabilities of what is installed; says what could not be looked up, and passes then.
audit: .venv/test.stamp
	@$(BIN)/pip-audit --local --skip-editable --progress-spinner off >.venv/audit.txt 2>&1; \
		status=$$?; grep -v "could not be audited" .venv/audit.txt; \
		skipped=$$(grep -c "could not be audited" .venv/audit.txt); \
		[ "$$skipped" = 0 ] || echo "not audited: $$skipped packages, of which the database here knows nothing"; \
		if grep -qE "ConnectionError|ServiceError|Max retries|Could not connect|timed out" .venv/audit.txt; then \
			echo "not audited: the database of vulnerabilities cannot be reached"; else exit $$status; fi

.venv/bin/python:
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || { $(APT) python3-venv; } || \
		{ echo "$(PYTHON) makes no virtual environments: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python $(SOURCES)
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

.venv/test.stamp: .venv/bin/python $(SOURCES)
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch .venv/run.stamp $@

# Debian's software renderer, where it can be installed; without one, rendering tests skip.
.venv/renderer.stamp: .venv/bin/python
	@/sbin/ldconfig -p | grep -q libEGL.so.1 || { $(APT) libegl1 libgl1 libgl1-mesa-dri; } || \
		echo "no renderer could be installed: rendering tests will skip"
	@touch $@

# Debian's browser, which tests of pages drive; without one, they skip.
.venv/browser.stamp: .venv/bin/python
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || \
		{ $(APT) chromium-headless-shell; } || echo "no browser could be installed: tests of pages will skip"
	@touch $@

clean:
	rm -rf .venv demo
