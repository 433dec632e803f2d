package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameRequest is how long after the first signal another one is the same request: timeout(1) sends its own twice, a shell that
// ends a job may too. Nobody asks a second time as fast as that.
const sameRequest = 200 * time.Millisecond

// untilSignal is a context that the first SIGINT, SIGTERM or SIGHUP ends; the next SIGINT or SIGTERM ends the process at once,
// as the system does it. A signal that the process was started to ignore stays ignored: SIGHUP under nohup, SIGINT behind the
// & of a script. A second SIGHUP is none of these: of a terminal that closes, the shell and the system each send one. Nobody
// reading standard output or error any more is an error of the write there (EPIPE) and not the end of the process.
func untilSignal() (ctx context.Context, stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	var asks, again []os.Signal
	for _, s := range []os.Signal{syscall.SIGHUP, os.Interrupt, syscall.SIGTERM} {
		if signal.Ignored(s) {
			continue
		}
		asks = append(asks, s)
		if s != syscall.SIGHUP {
			again = append(again, s)
		}
	}
	if len(asks) == 0 { // to Notify, none are all
		return context.Background(), func() {}
	}
	ctx, stop = signal.NotifyContext(context.Background(), asks...)
	context.AfterFunc(ctx, func() {
		time.Sleep(sameRequest)
		if len(again) > 0 {
			signal.Reset(again...)
		}
	})
	return ctx, stop
}

// withGrace is a context that ends so long after ctx does: what is under way then is left rather than finished.
func withGrace(ctx context.Context, grace time.Duration) (hard context.Context, stop func()) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-ended:
		}
	})
	return hard, func() {
		undo()
		close(ended)
		cancel()
	}
}
