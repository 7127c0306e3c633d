# Targets are described by the comment behind them; `make` lists them.
.DEFAULT_GOAL := help
TOOL := go tool -modfile=tools/go.mod

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## build both programs into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/...

test: ## pass all tests
	go test ./...

race: ## pass all tests under the race detector
	go test -race ./...

fuzz: ## run every fuzz target for ten seconds (FUZZTIME=10m)
	go run ./internal/rules/fuzzall -time $(or $(FUZZTIME),10s)

lint: ## check style
	$(TOOL) golangci-lint run ./...
	$(TOOL) buf lint

generate: ## make the generated code anew
	$(TOOL) buf generate

generated: ## check that the generated code is current
	$(TOOL) buf generate && git diff --exit-code -- proto query/service/openapi.swagger.json

cross: ## build quadrat-edge for every board and check its size
	go run ./internal/edgesize

soak: ## kill engine, broker and server for half an hour and look at what is left (SOAK=30m)
	go test -count=1 -timeout 24h ./internal/crash -run 'TestRounds$$' -soak $(or $(SOAK),30m)

flood: ## send twenty times what the engine can take for ten minutes and look at the server's memory (FLOOD=10m)
	go test -count=1 -timeout 24h -v ./internal/server -run 'TestFlood' -flood $(or $(FLOOD),10m)

many: ## deploy ten thousand kappas over REST, let a fleet answer all of them, and look at the server's memory (MANY=10000)
	go test -count=1 -timeout 2h -v ./internal/server -run 'TestManyKappas$$' -many $(or $(MANY),10000) -many-memory 2048 -many-window 5m

mutants: ## plant known bugs and demand that the tests kill each
	go run ./internal/mutants

verify: ## prove, sample and attack every mechanism, and run the whole system once
	go run ./cmd/quadrat privacy verify

coverage: ## run 200 windows of the demo and count the intervals that hold the truth
	go test -count=1 -tags demo -run Coverage -v ./internal/demo

study: ## count how often 95 % intervals hold the truth, in all cells; -update writes docs/coverage.md (ARGS=-update)
	go test -count=1 -timeout 30m -tags study -run 'TestStudy$$' -v ./internal/study $(ARGS)

external: ## read an export with DuckDB and re-compute its estimates in SQL
	cd internal/external && go test -count=1 ./...

ci: ## everything that CI runs
	.ci/run

bench-estimate: build ## measure quadrat estimate beside DuckDB and R on ten million rows
	cd bench && go run ./estimate -quadrat ../bin/quadrat

bench-query: ## ask twenty million stored reports beside DuckDB
	cd bench && go run ./query

bench-reports: ## time a report of each mechanism beside the Laplace noise of google/differential-privacy
	cd bench && go run ./reports

.PHONY: soak flood many bench-estimate bench-query bench-reports help build test race fuzz lint generate generated cross mutants verify coverage external ci
