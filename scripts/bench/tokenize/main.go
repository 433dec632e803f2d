// Tokenize times data/tokenizer on one core: over the texts on its standard input, a JSON string a line, as
// ../shared/peer/tokenize_hf.py times the tokenizers library; or, with -doubling, over texts of one kind that double in
// length, which must take twice the time. Seconds are of CPU, all of the process's, the garbage collector's too.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"attune/data/tokenizer"
)

func main() {
	dir := flag.String("tokenizer", "", "folder with tokenizer.json")
	repeats := flag.Int("repeats", 5, "passes over all texts behind the first")
	doubling := flag.Bool("doubling", false, "time texts of one kind of 1, 2 and 4 MB instead")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	var result any
	var err error
	if *doubling {
		result, err = double(*dir)
	} else {
		result, err = texts(*dir, *repeats, os.Stdin)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tokenize:", err)
		os.Exit(1)
	}
}

type rates struct {
	Megabytes float64   `json:"megabytes"` // 10^6 bytes of UTF-8
	Tokens    int       `json:"tokens"`
	Load      float64   `json:"seconds_to_load"`
	Cold      float64   `json:"cold_megabytes_per_second"` // the first pass, with an empty cache of words
	Warm      []float64 `json:"megabytes_per_second"`      // the others, sorted
}

func texts(dir string, repeats int, in io.Reader) (*rates, error) {
	var all []string
	r := rates{}
	for d := json.NewDecoder(bufio.NewReader(in)); d.More(); {
		var s string
		if err := d.Decode(&s); err != nil {
			return nil, fmt.Errorf("read text %d: %w", len(all)+1, err)
		}
		all = append(all, s)
		r.Megabytes += float64(len(s)) / 1e6
	}
	begin := cpu()
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	r.Load = cpu() - begin
	runtime.GC() // what Load left behind is no part of the passes
	for pass := range repeats + 1 {
		r.Tokens = 0
		begin := cpu()
		for _, s := range all {
			enc, err := tok.Encode(s, tokenizer.Options{})
			if err != nil {
				return nil, err
			}
			r.Tokens += len(enc.IDs)
		}
		rate := r.Megabytes / (cpu() - begin)
		if pass == 0 {
			r.Cold = rate
		} else {
			r.Warm = append(r.Warm, rate)
		}
	}
	slices.Sort(r.Warm)
	return &r, nil
}

// double is the seconds for 1, 2 and 4 MB of each kind of text.
func double(dir string) (map[string][3]float64, error) {
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	result := map[string][3]float64{}
	for kind, unit := range map[string]string{"one word": "a", "blanks": " ", "digits": "7", "emoji": "🦙", "CJK": "漢字", "line breaks and blanks": "\n ", "capitals": "A"} {
		var seconds [3]float64
		for i := range seconds {
			text := strings.Repeat(unit, (1<<20<<i)/len(unit))
			for pass := range 3 {
				begin := cpu()
				if _, err := tok.Encode(text, tokenizer.Options{}); err != nil {
					return nil, err
				}
				if took := cpu() - begin; pass == 0 || took < seconds[i] {
					seconds[i] = took
				}
			}
		}
		result[kind] = seconds
	}
	return result, nil
}

// cpu is the seconds of CPU that the process has had.
func cpu() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // it has no way to fail for this process
	}
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}
