package cubin

import (
	"archive/zip"
	"bytes"
	"slices"
	"testing"
	"testing/fstest"
)

// Machine code of one major version runs on later minor ones, sm_90a on 9.0 alone, PTX on all that came later.
func TestFor(t *testing.T) {
	for cc, want := range map[int]string{75: "", 80: "sm_80", 86: "sm_86", 87: "sm_86", 89: "sm_89", 90: "sm_90a", 100: PTX, 103: PTX, 120: PTX} {
		if got, err := For(cc); got != want || (err == nil) == (want == "") {
			t.Errorf("%d: got %q, error %v; want %q", cc, got, err, want)
		}
	}
}

const ptx = ".version 8.8\n.target sm_80\n.visible .entry one(\n.param .u64 p)\n{ ret; }\n.visible .entry a_two()\n{ ret; }\n"

// An archive and a folder of the same files are the same modules; the folder is taken where both are there.
func TestLoad(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"z.ptx", "a.ptx", "note.txt"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(ptx)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := &fstest.MapFile{Data: []byte(ptx)}
	for name, dir := range map[string]fstest.MapFS{
		"archive": {PTX + ".zip": {Data: b.Bytes()}},
		"folder":  {PTX + "/z.ptx": file, PTX + "/a.ptx": file, PTX + "/note.txt": file, PTX + ".zip": {Data: []byte("not one")}},
	} {
		modules, err := load(dir, PTX)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(modules) != 2 || modules[0].Name != "a" || modules[1].Name != "z" {
			t.Fatalf("%s: got %+v", name, modules)
		}
		for _, m := range modules {
			if string(m.Image) != ptx+"\x00" || !slices.Equal(m.Functions, []string{"a_two", "one"}) {
				t.Errorf("%s: module %s has kernels %v in %q", name, m.Name, m.Functions, m.Image)
			}
		}
	}
	for name, dir := range map[string]fstest.MapFS{
		"nothing":       {},
		"no archive":    {PTX + ".zip": {Data: []byte("not one")}},
		"empty folder":  {PTX + "/note.txt": file},
		"no kernel":     {PTX + "/a.ptx": {Data: []byte(".version 8.8\n")}},
		"a broken file": {PTX + "/a.ptx": {Data: []byte("\x7fELF")}},
		"half a file":   {PTX + "/a.ptx": {Data: append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 60)...)}},
	} {
		if modules, err := load(dir, PTX); err == nil {
			t.Errorf("%s: got %+v", name, modules)
		}
	}
}
