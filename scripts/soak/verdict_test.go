package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What grows during a run is found, what only wavers is not.
func TestJudge(t *testing.T) {
	for what, c := range map[string]struct {
		grow  func(s *sample, i int)
		slow  float64
		leaks int
	}{
		"flat":       {func(*sample, int) {}, 0, 0},
		"wavering":   {func(s *sample, i int) { s.anon += int64(i%3) << 20; s.fds += i % 2; s.Goroutines += i % 2 }, 0, 0},
		"memory":     {func(s *sample, i int) { s.anon += int64(i) << 20 }, 0, 1},
		"files":      {func(s *sample, i int) { s.fds += i / 10 }, 0, 1},
		"threads":    {func(s *sample, i int) { s.threads += i / 10 }, 0, 1},
		"goroutines": {func(s *sample, i int) { s.Goroutines += i / 10 }, 0, 1},
		"slower":     {func(*sample, int) {}, 0.01, 1},
	} {
		var samples []sample
		var steps []step
		var busy time.Duration
		for i := range 60 {
			s := sample{anon: 300 << 20, fds: 9, threads: 7, health: health{Goroutines: 5}}
			s.Step = i + 1
			st := step{Step: i + 1, Padded: 64 * (1 + i%4)}
			busy += time.Duration(float64(st.Padded) * 1e6 * (1 + c.slow*float64(i)))
			s.cpu = busy
			st.Seconds = float64(1 + i/10) // what else runs is none of the program's
			c.grow(&s, i)
			samples, steps = append(samples, s), append(steps, st)
		}
		if leaks, err := judge(samples, steps, 0.05); err != nil || leaks != c.leaks {
			t.Errorf("%s: %d leaks, want %d (%v)", what, leaks, c.leaks, err)
		}
	}
	if _, err := judge(make([]sample, 3), make([]step, 30), 0.05); err == nil {
		t.Error("three checkpoints are enough")
	}
}

// A line that is half written is read once it is whole.
func TestFollow(t *testing.T) {
	f := follow{path: filepath.Join(t.TempDir(), "log")}
	text := ""
	for _, c := range []struct {
		more string
		n    int
	}{{`{"msg":"health","step":1,"goroutines":4,"heap":9}` + "\n" + `{"msg":"hea`, 1}, {"", 0}, {`lth","step":2}` + "\n" + `{"msg":"other"}` + "\n", 1}} {
		text += c.more
		if err := os.WriteFile(f.path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if list, err := f.health(); err != nil || len(list) != c.n {
			t.Errorf("behind %q: %+v, %v", text, list, err)
		}
	}
	s, err := look(os.Getpid(), health{})
	for err == nil && s.cpu == 0 { // which looking takes, too
		s, err = look(os.Getpid(), health{})
	}
	if err != nil || s.anon < 1<<20 || s.fds < 3 || s.threads < 1 {
		t.Errorf("this process: %v, %v", s, err)
	}
}
