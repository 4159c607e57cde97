# The commands of a checkout.  `make help` lists them.
export NETBOOT_DATA_DIR := $(or $(NETBOOT_DATA_DIR),$(CURDIR)/.data)
ARGS ?=

.PHONY: help demo desktop root-modes test fast test-appliance fuzz soak bench setup format lock clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## boot a diskless machine in a virtual network and watch it; ARGS="--keep" leaves it running
	@scripts/setup lab
	@.venv/bin/netboot demo $(ARGS)

desktop: ## boot a diskless desktop in a virtual network and keep a picture of it, docs/desktop.png: 20 minutes
	@scripts/setup lab
	@.venv/bin/netboot image build debian-desktop --if-missing
	@.venv/bin/netboot lab boot --image debian-desktop --memory 2048 --timeout 1500 --screenshot docs/desktop.png $(ARGS)

root-modes: ## boot clients in all twelve ways to a root (mode, firmware, initramfs), and have their servers fail them
	@scripts/setup dev
	@for image in debian-minimal debian-minimal-dracut; do .venv/bin/netboot image build $$image --if-missing; done
	@.venv/bin/python -m pytest tests/modes -n 2 $(ARGS)

test: ## set up and run every check and every test
	@scripts/setup dev
	@scripts/check all

fast: ## the checks and tests that need neither root nor minutes
	@scripts/check fast

test-appliance: ## the tests on a server in QEMU with Debian's own kernel: NFS, device-mapper; part of make test
	@scripts/setup dev
	@scripts/check appliance

fuzz: ## fuzz the codecs, five minutes a target; ARGS="tftp-name --minutes 60" for one of them and longer
	@scripts/setup dev
	@.venv/bin/python -m tests.fuzz $(ARGS)

soak: ## kill builds, imports, commits and gc at random and look at what is left: an hour; ARGS="commit --points 20" for less
	@scripts/setup dev
	@.venv/bin/python -m tests.soak $(ARGS)

bench: ## measure beside the field's own servers and write bench/RESULTS.md; ARGS="dhcp --rounds 3" for some rows
	@scripts/setup bench
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m bench $(ARGS)

setup: ## install what is needed, saying what and why
	@scripts/setup dev

format: ## format the code
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

lock: ## bring requirements/dev.lock up to date with pyproject.toml
	@scripts/lock

clean: ## remove what builds and tests left in the checkout, but neither .venv nor images
	@rm -rf .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
