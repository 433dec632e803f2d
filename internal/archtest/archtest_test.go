package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule forbids packages that match from to reach (directly, or with deep through others) packages that match to.
type rule struct {
	from, to string // regular expressions over import paths
	deep     bool
	except   string // packages to which the rule does not apply
	why      string
}

var rules = []rule{
	{from: `^attune/(data|kernels|engine|internal)`, to: `^attune/cmd`, deep: true, why: "a recipe is a program and cannot be imported"},
	{from: `^attune/data`, to: `^attune/(engine|kernels)|^gorgonia\.org`, deep: true, why: "text becomes batches without knowing what computes them"},
	{from: `^attune/kernels`, to: `^attune/(engine|data)|^gorgonia\.org`, deep: true, except: `^attune/kernels/cuda/emutest`, why: "a kernel is arithmetic; graphs are built from kernels, not the other way round"},
	{from: `^attune/engine/(nn|model|peft)`, to: `^attune/engine/exec`, deep: true, why: "models and executor meet at the graph only"},
	{from: `^attune/engine/exec`, to: `^attune/engine/(nn|model|peft)`, deep: true, why: "models and executor meet at the graph only"},
	{from: `^attune/engine/op$`, to: `^attune/engine/(nn|model|peft|exec|optim|session|train|eval|generate|checkpoint)`, deep: true, why: "operations are below everything that uses them"},
	{from: `^attune/engine/(nn|model|peft|exec)`, to: `^attune/engine/(optim|checkpoint|session|train|eval|generate)`, deep: true, why: "imports run one way"},
	{from: `^attune/engine/(optim|checkpoint)`, to: `^attune/engine/(train|eval|generate|session)`, deep: true, why: "imports run one way"},
	{from: `^attune/engine/(session|eval|generate)`, to: `^attune/engine/train`, deep: true, why: "judging and generating work without training"},
	{from: `^attune/internal/`, to: `^attune/(data|kernels|engine)`, deep: true, why: "internal packages are codecs and tools at the bottom"},
	{from: `^attune/`, to: `^github\.com/spf13/viper`, except: `^attune/internal/config`, why: "configuration has one door"},
	{from: `^attune/`, to: `^github\.com/spf13/cobra`, except: `^attune/cmd/`, why: "only programs have command lines"},
	{from: `^attune/`, to: `^go\.uber\.org/zap`, except: `^attune/(internal/obs|cmd/)`, why: "libraries return values and events; they do not log"},
	{from: `^attune/engine`, to: `^attune/internal/(config|obs)`, deep: true, why: "engine packages take their own options and report events"},
	{from: `^attune/`, to: `^attune/engine/(op/optest|exec/exectest|session/sessiontest|lawtest)|^attune/kernels/cuda/emutest`,
		except: `^attune/engine/(op/optest|exec/exectest|session/sessiontest|lawtest)|^attune/kernels/cuda/emutest`, why: "what tests stand on is no part of the program"},
	{from: `^attune/`, to: `^math/rand`, why: "its streams change between Go versions; runs must be repeatable"},
}

type pkg struct {
	ImportPath, Dir, Doc, Name string
	Imports, Deps              []string
	GoFiles, CgoFiles          []string
}

func load(t *testing.T, flags ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"list"}, flags...), "-json=ImportPath,Dir,Doc,Name,Imports,Deps,GoFiles,CgoFiles", "attune/...")...)
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatal(err)
	}
	var ps []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

func TestImports(t *testing.T) {
	ps := load(t)
	if len(ps) < 10 {
		t.Fatalf("only %d packages found", len(ps))
	}
	for _, r := range rules {
		from, to := regexp.MustCompile(r.from), regexp.MustCompile(r.to)
		for _, p := range ps {
			if !from.MatchString(p.ImportPath) || r.except != "" && regexp.MustCompile(r.except).MatchString(p.ImportPath) {
				continue
			}
			seen := p.Imports
			if r.deep {
				seen = p.Deps
			}
			for _, d := range seen {
				if to.MatchString(d) && d != p.ImportPath {
					t.Errorf("%s must not reach %s: %s", p.ImportPath, d, r.why)
				}
			}
		}
	}
}

// What is built with the tag gpu only: the driver has one door, and the rules hold there, too.
func TestOnlyOnePackageCallsTheDriver(t *testing.T) {
	const door = "attune/engine/exec/cuda"
	found := false
	for _, p := range load(t, "-tags", "gpu") {
		calls := slices.ContainsFunc(p.Imports, func(path string) bool { return strings.HasPrefix(path, "gorgonia.org/cu") })
		if found = found || calls && p.ImportPath == door; calls && p.ImportPath != door {
			t.Errorf("%s must not import gorgonia.org/cu: %s is where the driver is called", p.ImportPath, door)
		}
		if p.ImportPath == door {
			for _, d := range p.Deps {
				if regexp.MustCompile(`^attune/(engine/(nn|model|peft|optim|checkpoint|session|train|eval|generate)|data|cmd)`).MatchString(d) {
					t.Errorf("%s must not reach %s: imports run one way", door, d)
				}
			}
		}
	}
	if !found {
		t.Errorf("%s does not import gorgonia.org/cu", door)
	}
}

// A rule about a package that is not there, or no longer, holds nothing.
func TestRulesNameWhatIsThere(t *testing.T) {
	var own, all []string
	for _, p := range load(t) {
		own = append(own, p.ImportPath)
		all = append(append(all, p.ImportPath), p.Deps...)
	}
	for _, r := range rules {
		for pattern, paths := range map[string][]string{r.from: own, r.to: all, r.except: own} {
			for _, prefix := range prefixes(pattern) {
				if !slices.ContainsFunc(paths, func(path string) bool { return strings.HasPrefix(path, prefix) }) {
					t.Errorf("nothing begins with %s, which a rule names: %s", prefix, r.why)
				}
			}
		}
	}
}

// prefixes are the import paths that a pattern of the rules stands for: `^a/(b|c)|^d` is a/b, a/c and d.
func prefixes(pattern string) []string {
	var list []string
	for _, one := range regexp.MustCompile(`\^[^(|]*(\([^)]*\))?[^|]*`).FindAllString(pattern, -1) {
		before, group, _ := strings.Cut(one, "(")
		group, after, _ := strings.Cut(group, ")")
		for _, word := range strings.Split(group, "|") {
			list = append(list, strings.NewReplacer("^", "", "$", "", `\`, "").Replace(before+word+after))
		}
	}
	return list
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, p := range load(t) {
		if p.Doc == "" && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// gorgonia reads memory layouts of the Go runtime and panics at start with an older guard module.
func TestGorgoniasGuardIsPinned(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6") {
		t.Error("go.mod must keep go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6, or gorgonia panics at start")
	}
}

var mapEntry = regexp.MustCompile(`(?m)^    ([a-z][a-z0-9/_.-]*/)\s`)

// longFile is how many lines a source file may have.
const longFile = 500

// The README's map names folders that exist.
func TestTheMapIsTrue(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := mapEntry.FindAllStringSubmatch(string(b), -1)
	if len(entries) < 8 {
		t.Fatalf("the README's map has only %d folders", len(entries))
	}
	for _, e := range entries {
		if st, err := os.Stat(filepath.Join("..", "..", e[1])); err != nil || !st.IsDir() {
			t.Errorf("README names %s, which is not there", e[1])
		}
	}
}

// A file does one thing; one that grows past this is two.
func TestNoFileIsHuge(t *testing.T) {
	for _, p := range load(t) {
		files, err := os.ReadDir(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			switch filepath.Ext(f.Name()) {
			case ".go", ".c", ".h", ".cu":
				b, err := os.ReadFile(filepath.Join(p.Dir, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(string(b), "\n"); n > longFile {
					t.Errorf("%s/%s has %d lines; split it", p.ImportPath, f.Name(), n)
				}
			}
		}
	}
}
