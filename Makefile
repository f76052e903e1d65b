# Everything here needs Go, make and git alone, but for test-all and campaign.

export CGO_ENABLED = 0
export GOFLAGS ?= -buildvcs=false

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
PEERS := testdata/peers
FUZZED := ./consumer ./statemachine ./api
FUZZTIME ?= 20000x
CAMPAIGNS := ./cmd/faultd ./consumer
FIGURES := $(CURDIR)/bin/campaign.jsonl

.DEFAULT_GOAL := help
.PHONY: help build run test fuzz test-all campaign mutants vet format arch lint bench clean

help: ## print this
	@echo "faultd: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/faultd
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/faultd ./cmd/faultd

run: build ## start the daemon, publish the sample log, show a fault; Ctrl-C ends it
	@testdata/run.sh

# The peers' tests run the daemon as a program, of which Go's test cache knows nothing: they are never taken from it.
test: vet format arch fuzz ## run all tests that need Go, make and git alone
	go test ./...
	go test -count=1 -tags campaign -run '^TestCampaign_' $(CAMPAIGNS)
	cd $(PEERS) && go test -count=1 ./...

test-all: test ## run all tests, with those that need root on Linux or a Debian package (.ci/run installs it)
	go test -count=1 -tags campaign -run '^TestRootCampaign_' $(CAMPAIGNS)
	cd $(PEERS) && go test -count=1 -tags packages,campaign ./...

campaign: ## break everything as often as the README's figures say; within an hour, with all that test-all needs
	@mkdir -p $(dir $(FIGURES)) && rm -f $(FIGURES)
	@export CAMPAIGN=full CAMPAIGN_OUT=$(FIGURES); failed=0; \
		go test -count=1 -p 1 -timeout 45m -tags campaign -run 'Campaign_|^TestMutants' $(CAMPAIGNS) ./testdata/mutants || failed=1; \
		(cd $(PEERS) && go test -count=1 -p 1 -timeout 45m -tags campaign -run 'Campaign_' ./...) || failed=1; \
		cat $(FIGURES); exit $$failed

mutants: ## show that each of the seeded bugs makes some test fail
	go test -count=1 -timeout 30m -tags campaign ./testdata/mutants

fuzz: ## fuzz every decoder, and what decides, for FUZZTIME (20000 inputs) each
	@for package in $(FUZZED); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package || exit 1; \
		done; \
	done

vet:
	go vet ./...
	go vet -tags campaign $(CAMPAIGNS) ./consumer/alert ./testdata/campaign ./testdata/natsserver ./testdata/mutants
	cd $(PEERS) && go vet -tags packages,campaign ./...

format: ## check that gofmt would change nothing
	@changed=$$(gofmt -l .); test -z "$$changed" || { echo "gofmt would change:"; echo "$$changed"; exit 1; }

arch: ## compare the imports between our packages with the design
	go test -count=1 -run '^TestImports' ./cmd/faultd

lint: ## run golangci-lint
	go run $(GOLANGCI_LINT) run ./...

bench: ## measure everything beside what one would use instead, into testdata/bench.txt; about half an hour
	cd $(PEERS) && go run ./bench -out ../bench.txt $(BENCH)

clean: ## remove what was built; the data directory stays
	rm -rf bin
