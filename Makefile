# Everything a person or a machine runs here. `make help` lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: setup demo test check race arch vet lint tidy generate bench bench-go bench-compare torture soak fuzz cover help test-temporal matrix

# The tools have a module of their own, so that the library's go.mod stays its
# users' business. -modfile and a workspace exclude each other (docs/adr/0001).
TOOL  := GOWORK=off go tool -modfile="$(CURDIR)/tools/go.mod"
PG    := scripts/with-pg.sh
EACH  := scripts/each.sh
COVER := . ./pgerr ./breaker ./backoff ./perdurepgx

# PG_BIN=DIR is the bin directory of another server, for every target.
ifneq ($(PG_BIN),)
export PERDURE_PG_BIN := $(PG_BIN)
endif

setup: ## install or unpack what is missing (Go is not: it is only checked)
	@scripts/setup.sh

demo: ## run the flights pipeline while its server is killed
	@scripts/setup.sh demo
	@$(PG) go run ./cmd/perdure demo

test: setup check ## all that must be green: set-up, then check

test-temporal: ## flights on a real Temporal server, a worker killed, one frozen; compiles the server once, 12 minutes
	@echo 'temporal: the first build of its server takes minutes' >&2
	@cd perduretemporal/internal/temporalserver && GOWORK=off go build -o "$(CURDIR)/.tools/temporalserver" .
	@PERDURE_TEMPORAL_SERVER="$(CURDIR)/.tools/temporalserver" $(PG) go test -tags temporal -count=1 -timeout 30m -v ./perduretemporal/internal/servertest

check: vet lint tidy arch race ## vet, lint, tidy, architecture, race tests

race: ## tests of all modules under the race detector
	@$(PG) $(EACH) go test -race -count=1 -timeout 30m ./...

arch: ## allowed imports, file lengths, what must never be written
	@go test -count=1 ./internal/arch

vet: ## go vet on all modules
	@$(EACH) go vet ./...

lint: ## golangci-lint on all modules
	@echo 'golangci-lint: its first build takes minutes' >&2; $(TOOL) golangci-lint version
	@$(EACH) env $(TOOL) golangci-lint run

tidy: ## fail when a go.mod or go.sum is not tidy
	@$(EACH) go mod tidy -diff
	@cd tools && GOWORK=off go mod tidy -diff
	@cd perduretemporal/internal/temporalserver && GOWORK=off go mod tidy -diff

generate: ## write generated files anew
	@$(EACH) go generate ./...

bench: setup ## perdure beside its peers in one run, 5 minutes; writes docs/benchmarks.md and pictures
	@cd bench && ../$(PG) go test -run '^TestTables$$' -count=1 -timeout 20m -full -docs ../docs .

MATRIX := $(if $(ROW),-row '$(ROW)',-full -docs ../../docs $(if $(PG_BIN),-versioned))

matrix: setup ## every fault, over perdure and its peers; writes docs/fault-matrix.md; ROW=name runs one, PG_BIN=DIR on another server
	@cd bench/matrix && ../../$(PG) go test -run '^TestMatrix$$' -count=1 -timeout 40m -parallel 3 $(MATRIX) .

bench-go: ## Go's own benchmarks of the hot path, with allocations
	@go test -run '^$$' -bench . -benchmem . ./breaker ./perdureprom

bench-compare: ## the hot path of OLD (default: main) against this tree, in turns, by benchstat
	@$(TOOL) -n benchstat >/dev/null
	@scripts/bench-compare.sh "$(or $(OLD),main)" | $(TOOL) benchstat -col tree /dev/stdin

torture: setup ## the long torture of commits on a real server
	@$(PG) go test ./internal/torture -run TestTorture -torture=full -v -timeout 60m

soak: setup ## half an hour of work under mild chaos; SOAK=1h for another time
	@$(PG) go test ./internal/torture -run '^TestSoak$$' -soak="$(or $(SOAK),30m)" -v -count=1 -timeout 0

fuzz: ## every fuzz target in turn, FUZZTIME each (default: 1m)
	@$(PG) scripts/fuzz.sh "$(or $(FUZZTIME),1m)"

cover: setup ## statement coverage of the packages that decide
	@$(PG) go test -timeout 30m -cover $(COVER)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
