# attune: `make build` makes it, `make demo` shows it, `make test` checks it. Only Go is needed; with gcc the tuned kernels are built too.
# `make cuda` makes it for NVIDIA GPUs and needs gcc, but neither a GPU nor a CUDA toolkit.
.PHONY: build cuda emu gpu-check demo test lint clean

# What both programs are made of, since a commit does not tell and is not always there: attune starts an attune-cuda of its own sources only.
sources := $(shell find cmd data engine internal kernels go.mod -name '*.go' -o -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name go.mod | LC_ALL=C sort | xargs cat | sha256sum | cut -c 1-12)
stamp := -X main.sources=$(sources)

build: ## bin/attune
	go build -ldflags '$(stamp)' -o bin/attune ./cmd/attune

cuda: build ## bin/attune-cuda beside it, which attune becomes on a GPU; kernels for four architectures, as kernels/cuda/cubin/report.tsv tells
	eval "$$(scripts/cuda-toolchain.sh)" && \
	go run ./kernels/cuda/compile && \
	go build -tags gpu -ldflags '-s -w $(stamp)' -o bin/attune-cuda ./cmd/attune

emu: ## .cache/emu: the kernels and the driver emulated on the processor (g++); tests use it by ATTUNE_TEST_EMU=.cache/emu
	$(MAKE) -j2 -f kernels/cuda/emu/build.mk

gpu-check: cuda ## gpu-check/, the folder that scripts/gpu-check.sh takes to a machine with a GPU
	scripts/gpu/folder.sh

demo: build ## the main job, small: a base model, an adapter, a verdict; about a minute on 2 cores, all in demo-out/
	rm -rf demo-out
	go run ./scripts/demo/rows demo-out/data
	bin/attune new-model demo-out/random --model-type qwen3 --hidden-size 96 --num-hidden-layers 2 --num-attention-heads 4 --head-dim 32 --initializer-range 0.08
	bin/attune train -c configs/demo-pretrain.yaml
	bin/attune train -c configs/demo-tune.yaml
	bin/attune eval -c configs/demo-tune.yaml --adapter demo-out/tune/adapter --answers --max-new-tokens 24 --json > demo-out/eval.json
	@go run ./scripts/demo/verdict demo-out

test: ## every test that needs nothing but Go
	go test -timeout 30m ./...

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean:
	rm -rf bin demo-out gpu-check kernels/cuda/cubin/report.tsv kernels/cuda/cubin/archives/*.zip
