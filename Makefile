# attune: `make build` makes it, `make demo` shows it, `make test` checks it. Only Go is needed; with gcc the tuned kernels are built too.
.PHONY: build demo test lint clean

build: ## bin/attune
	go build -o bin/attune ./cmd/attune

demo: build ## the main job, small: a base model, an adapter, a verdict; about a minute on 2 cores, all in demo-out/
	rm -rf demo-out
	go run ./scripts/demo/rows demo-out/data
	bin/attune new-model demo-out/random --model-type qwen3 --hidden-size 96 --num-hidden-layers 2 --num-attention-heads 4 --head-dim 32 --initializer-range 0.08
	bin/attune train -c configs/demo-pretrain.yaml
	bin/attune train -c configs/demo-tune.yaml
	bin/attune generate --model demo-out/pretrain/model $(DEMO_ANSWERS) > demo-out/base.jsonl
	bin/attune generate --model demo-out/pretrain/model --adapter demo-out/tune/adapter $(DEMO_ANSWERS) > demo-out/tuned.jsonl
	bin/attune eval --model demo-out/pretrain/model --adapter demo-out/tune/adapter --data demo-out/data/held-out.jsonl --dtype float32 --json > demo-out/eval.json
	@go run ./scripts/demo/verdict demo-out

DEMO_ANSWERS = --prompts demo-out/data/prompts.jsonl --greedy --max-new-tokens 24 --dtype float32 --json

test: ## every test that needs nothing but Go
	go test ./...

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean:
	rm -rf bin demo-out
