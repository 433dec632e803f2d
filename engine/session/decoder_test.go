package session_test

import (
	"math"
	"slices"
	"testing"

	"attune/engine/session"
	"attune/engine/session/sessiontest"
)

func feed(t *testing.T, d *session.Decoder, ids ...int32) []float32 {
	t.Helper()
	logits, err := d.Feed(ids)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(logits)
}

// Two texts continued in turns, with caches of one length, are as each continued alone.
func TestDecodersApart(t *testing.T) {
	s, _ := sessiontest.Random(t)
	texts := [2][]int32{{80, 90, 100, 110}, {70, 65, 120, 99}}
	var alone [2][]float32
	for i, ids := range texts {
		d, err := s.NewDecoder(16)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			alone[i] = feed(t, d, id)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var both [2]*session.Decoder
	for i := range both {
		var err error
		if both[i], err = s.NewDecoder(16); err != nil {
			t.Fatal(err)
		}
		defer both[i].Close()
	}
	for at := range texts[0] {
		for i, d := range both {
			logits := feed(t, d, texts[i][at])
			if at == len(texts[i])-1 && !slices.Equal(logits, alone[i]) {
				t.Errorf("text %d: other logits than alone", i)
			}
		}
	}
}

// A cache takes what it has room for, says what it refuses, and starts anew after Reset.
func TestDecoderRoom(t *testing.T) {
	s, _ := sessiontest.Random(t)
	d, err := s.NewDecoder(3)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first := feed(t, d, 70, 71, 72)
	if _, err := d.Feed([]int32{73}); err == nil || d.Len() != 3 {
		t.Errorf("a fourth token in a cache of 3: error %v, length %d", err, d.Len())
	}
	d.Reset()
	if !slices.Equal(feed(t, d, 70, 71, 72), first) {
		t.Error("other logits after Reset")
	}
	if _, err := d.Feed(nil); err == nil {
		t.Error("no tokens were fed without an error")
	}
}

// What a conversation has in common with the text before it is not fed again, and what follows it is forgotten.
func TestKeepGoesOnAsIfFedAnew(t *testing.T) {
	s, _ := sessiontest.Random(t)
	d, err := s.NewDecoder(16)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first := []int32{70, 71, 72, 73, 74, 75}
	for _, c := range []struct {
		name string
		ids  []int32
		kept int
	}{
		{"longer", []int32{70, 71, 72, 73, 74, 75, 76, 77}, 6},
		{"other end", []int32{70, 71, 72, 90, 91}, 3},
		{"shorter", []int32{70, 71, 72}, 2},
		{"same", first, 5},
		{"other", []int32{90, 71, 72}, 0},
		{"none", nil, 0},
	} {
		d.Reset()
		feed(t, d, first...)
		rest := d.Keep(c.ids)
		if d.Len() != c.kept || !slices.Equal(rest, c.ids[c.kept:]) {
			t.Errorf("%s: %d kept and %v left to feed, want %d", c.name, d.Len(), rest, c.kept)
		}
		if len(rest) == 0 {
			continue
		}
		got := feed(t, d, rest...)
		d.Reset()
		for i, want := range feed(t, d, c.ids...) {
			if math.Abs(float64(got[i]-want)) > 1e-5 {
				t.Fatalf("%s: logit %d is %g, fed anew %g", c.name, i, got[i], want)
			}
		}
	}
}
