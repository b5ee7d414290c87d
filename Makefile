# One command a chore, the same in CI. Needs make and Python 3.11 or newer with venv; everything
# else goes into .venv.

# The first of these that really runs: the shims of a version manager may be there and fail.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Further arguments for pytest: make test ARGS="-k wait"
ARGS ?=
# How many tests run side by side; 0 is one after the other, where a debugger works too.
JOBS ?= auto

PIP_COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras \
	--no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	--no-emit-options --annotation-style=line
# Before 3.11.3, as in Debian 12, redis needs a package that newer Pythons would leave out.
PIN_FOR = pyproject.toml requirements/older-pythons.in

.PHONY: help run test lint format bench older ansible requirements wheel clean-build clean-venv \
	up down logs ps db-up migrate migrate-status migrate-create psql redis-cli \
	secrets certs rotate-secrets backup restore clean doctor

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

run: $(VENV)/ready ## bring up godel: its API on 127.0.0.1:7373, health on 127.0.0.1:7374
	@# A shell sees signals only between foreground commands: both are in the background, and it
	@# waits. Whichever ends first ends the other, and its exit code is the recipe's.
	@trap 'exit 130' INT; trap 'exit 143' TERM; \
	trap 'kill $$health $$api 2>/dev/null; wait' EXIT; \
	$(BIN)/bootstrapd serve --app godel & health=$$!; \
	$(BIN)/bootstrapd run --app godel -- $(BIN)/python -m bootstrap.apps.godel & api=$$!; \
	while kill -0 $$api 2>/dev/null && kill -0 $$health 2>/dev/null; do sleep 1 & wait $$!; done; \
	if kill -0 $$api 2>/dev/null; then wait $$health; else wait $$api; fi; exit $$?

test: $(VENV)/ready ## all tests but the benchmarks; REQUIRE_ALL=1: a skip is a failure
	$(BIN)/python -m pytest --numprocesses=$(JOBS) $(ARGS)

lint: $(VENV)/ready ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/ready ## what ruff can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/ready ## the benchmarks, as ratios to their peers
	$(BIN)/python -m pytest -m benchmark -s --timeout=1800 $(ARGS) tests/benchmarks

wheel: $(VENV)/ready ## the wheel, in dist/
	$(BIN)/python -m build --wheel --no-isolation

requirements: $(VENV)/ready ## pin the newest of everything anew
	$(PIP_COMPILE) --upgrade --output-file requirements/base.txt $(PIN_FOR)
	$(PIP_COMPILE) --upgrade --extra dev --constraint requirements/base.txt \
		--output-file requirements/dev.txt $(PIN_FOR)
	$(PIP_COMPILE) --upgrade --constraint requirements/dev.txt \
		--output-file requirements/build.txt requirements/build.in
	$(PIP_COMPILE) --upgrade --output-file requirements/older.txt requirements/older.in
	$(PIP_COMPILE) --upgrade --output-file requirements/ansible.txt requirements/ansible.in

clean-build: ## what builds and tests left behind
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-venv: ## the virtual environments
	rm -rf $(VENV) .venv-older .venv-ansible

# The stack of compose/. Its settings are in compose/.env, for which compose/env.example is the
# pattern; COMPOSE_PROFILES and COMPOSE_FILE there choose profiles and overlays.

# What speaks to the engine: make up COMPOSE='sudo docker compose'
COMPOSE ?= docker compose
IN_STACK = cd compose && $(COMPOSE)
export COMPOSE

up: secrets certs ## the whole stack, until it is ready
	@compose/scripts/up $(ARGS)

down: ## stop it; databases, backups and secrets stay
	$(IN_STACK) --profile '*' down --remove-orphans

logs: ## its logs, and those to come: make logs ARGS=app
	$(IN_STACK) logs --follow --tail 100 $(ARGS)

ps: ## its containers
	$(IN_STACK) ps --all

db-up: secrets certs ## PostgreSQL and Redis alone
	$(IN_STACK) up --wait postgres redis

doctor: $(VENV)/ready ## faults of this host, the compose files, what runs, and the volumes
	@$(BIN)/bootstrapd doctor --host
	@cd compose && ../$(BIN)/bootstrapd doctor $(ARGS)

migrate: secrets ## apply what is pending: make migrate ARGS=0021
	$(IN_STACK) run --rm bootstrap migrate $(ARGS)

migrate-status: secrets ## where the database is
	$(IN_STACK) run --rm bootstrap status

migrate-create: $(VENV)/ready ## write a revision file: make migrate-create NAME="add notes"
	@test -n "$(NAME)" || { echo 'wanted a name: make migrate-create NAME="add notes"'; exit 2; }
	compose/scripts/from-here $(BIN)/bootstrapd new "$(NAME)"

psql: ## psql on the app's database, as the app's role
	$(IN_STACK) exec postgres sh -c 'exec psql -U "$$APP_ROLE" -d "$$POSTGRES_DB"'

redis-cli: ## redis-cli as the app's user
	@compose/scripts/redis-cli $(ARGS)

secrets: ## passwords that are not there yet, in compose/secrets
	@compose/scripts/secrets

certs: ## certificates for compose.tls.yml that are missing or about to expire
	@if grep -qs '^COMPOSE_FILE=.*tls' compose/.env || [ "$${COMPOSE_FILE#*tls}" != "$$COMPOSE_FILE" ]; \
		then compose/scripts/certs $(ARGS); fi

rotate-secrets: ## new passwords, in the running servers and in their files
	@compose/scripts/rotate-secrets $(ARGS)

backup: ## dump the app's database now
	$(IN_STACK) run --rm --no-deps -T backup once

restore: ## bring a dump back, beside the present database: make restore FILE=...
	@compose/scripts/restore $(FILE)

clean: ## delete the stack with all its data, after its name was typed
	@compose/scripts/clean

older: .venv-older/ready ## an environment with SQLAlchemy 1.4 and an old Alembic, for tests of such apps

.venv-older/ready: requirements/older.txt
	rm -rf .venv-older
	$(PYTHON) -m venv .venv-older
	.venv-older/bin/python -m pip install --quiet --require-hashes --requirement $<
	touch $@

ansible: .venv-ansible/ready ## Ansible and its collections for the playbooks, in .venv-ansible

.venv-ansible/ready: requirements/ansible.txt
	rm -rf .venv-ansible
	$(PYTHON) -m venv .venv-ansible
	.venv-ansible/bin/python -m pip install --quiet --require-hashes --requirement $<
	touch $@

$(VENV)/pinned: requirements/dev.txt
	@test -n "$(PYTHON)" || { \
		echo "wanted Python 3.11 or newer with venv, found none; Debian: apt install python3-venv"; \
		exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	touch $@

$(VENV)/ready: $(VENV)/pinned pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
