package main

import (
	"runtime"
	"runtime/metrics"

	"go.uber.org/zap"
)

// logHealth writes down what a leak would make more of; scripts/soak reads it.
func logHealth(log *zap.Logger, step int) {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	log.Debug("health", zap.Int("step", step), zap.Int("goroutines", runtime.NumGoroutine()), zap.Uint64("heap", heap[0].Value.Uint64()))
}
