# attune: `make build` makes it, `make test` checks it. Only Go is needed; with gcc the tuned kernels are built too.
.PHONY: build test lint clean

build: ## bin/attune
	go build -o bin/attune ./cmd/attune

test: ## every test that needs nothing but Go
	go test ./...

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean:
	rm -rf bin
