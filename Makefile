# `make` alone prints what there is. The modules are found, not listed: the root
# and every folder below it that has a go.mod (.ci/tools, which only pins the
# linter, left out).

MODULES  = $(shell sh .ci/modules)
LINTER   = bin/golangci-lint

# What a run may override: `make fuzz FUZZTIME=5m`, `make race PKG=./l1 COUNT=20`,
# `make sim SEEDS=5000 FIRST=1001`, `make chaos ARGS="-seed 2"`.
FUZZTIME ?= 30s
PKG      ?= ./...
COUNT    ?= 1
BENCH    ?= .
SEEDS    ?= 1000
FIRST    ?= 1
ARGS     ?=

.DEFAULT_GOAL := help
.PHONY: help fmt lint test race model sim chaos outages fuzz bench tidy

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

fmt: $(LINTER) ## Format every module and group its imports
	@for m in $(MODULES); do (cd "$$m" && "$(CURDIR)/$(LINTER)" fmt --config "$(CURDIR)/.golangci.yml") || exit 1; done

lint: $(LINTER) ## Check every module: go mod tidy, gofmt, golangci-lint (builds the linter the first time)
	@sh .ci/lint "$(CURDIR)/$(LINTER)"

test: ## Test everything: installs redis-server if it may, then vet and go test -race in every module
	@sh .ci/prerequisites
	@sh .ci/test

race: ## Test the root module, or PKG, under the race detector, COUNT times, with the servers that are there
	go test -race -count=$(COUNT) -timeout 8m $(PKG)

model: ## Explore the long scenarios of the protocol's model: states, depth and time of each (a quarter of an hour)
	go run ./internal/model/check

sim: ## Simulate SEEDS (1000) fleets under faults, from seed FIRST (1) on, and check every read against the guarantees
	go test -race -count=1 -timeout 0 -run '^TestSeeds$$' ./internal/sim -first $(FIRST) -seeds $(SEEDS)

fuzz: ## Run each fuzz target of every module for FUZZTIME (30s)
	@sh .ci/fuzz $(FUZZTIME)

bench: ## Run the root's benchmarks (BENCH selects), each beside what it is built on
	go test -run '^$$' -bench '$(BENCH)' -benchmem .

outages: ## Break a real Redis in eight ways and print what callers notice: the table of docs/outages.md (6 min)
	@cd internal/trials/outages && go test -count=1 -timeout 30m -run '^TestTable$$' -table

chaos: ## Break real processes for three minutes and judge every read (ARGS, see ARGS=-help)
	@go -C internal/chaos build -o "$(CURDIR)/bin/chaos" .
	@bin/chaos $(ARGS)

tidy: ## Run go mod tidy in every module
	@for m in $(MODULES); do echo "==> module $$m"; go -C "$$m" mod tidy || exit 1; done

# The linter has a module of its own, so that its couple of hundred dependencies
# are pinned by a go.sum and none of them reaches the root's go.mod.
$(LINTER): .ci/tools/go.mod .ci/tools/go.sum
	@echo "==> building golangci-lint, pinned in .ci/tools/go.mod (a minute or two the first time)"
	@go -C .ci/tools build -o "$(CURDIR)/$@" github.com/golangci/golangci-lint/v2/cmd/golangci-lint
