# attune: `make demo` shows it, `make test` checks it. Only Go is needed; with gcc the tuned kernels are built too.
.PHONY: build test demo bench lint clean

build: ## bin/attune
	go build -o bin/attune ./cmd/attune

test: ## every test that needs nothing but Go
	go test ./...

demo: build ## make, pre-train, tune and judge a small model (about a minute)
	bin/attune version
	./scripts/demo/run.sh bin/attune demo

bench: build ## tokens per second beside PyTorch + PEFT: MODEL=hf-dir ROWS=rows.jsonl PEER=folder of the peer scripts PYTHON=python
	./scripts/bench/run.sh bin/attune

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean:
	rm -rf bin demo
