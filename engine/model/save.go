package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"attune/internal/disk"
	"attune/internal/safetensors"
	"attune/internal/smallfile"
	"attune/internal/wholedir"
	"attune/kernels"
)

// beside are the files of a model directory that are copied when its weights change.
var beside = []string{"generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
	"special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "LICENSE"}

// Save writes a model directory, whole or not at all: the checkpoint's config and tokenizer with new weights, all of
// the dtype that config.json then names. extra, where not nil, adds files (a README, say); metadata goes into the
// header of model.safetensors.
func Save(fs disk.FS, dir string, ck *Checkpoint, weights []Weight, metadata map[string]string, extra func(*wholedir.Dir) error) error {
	if len(weights) == 0 {
		return fmt.Errorf("save model %s: no weights", dir)
	}
	config, err := smallfile.Read(filepath.Join(ck.Dir, "config.json"), maxConfig)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if config, err = setDtype(config, weights[0].Dtype); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err = wholedir.Write(fs, dir, func(d *wholedir.Dir) error {
		for _, name := range beside {
			if err := copyFile(d, filepath.Join(ck.Dir, name), name); err != nil {
				return err
			}
		}
		if err := d.WriteFile("config.json", config); err != nil {
			return err
		}
		if err := writeWeights(d, weights, metadata); err != nil {
			return err
		}
		if extra != nil {
			return extra(d)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

// writeWeights writes model.safetensors; transformers asks for "format" in the metadata.
func writeWeights(d *wholedir.Dir, weights []Weight, metadata map[string]string) error {
	meta := map[string]string{"format": "pt"}
	for k, v := range metadata {
		meta[k] = v
	}
	var ts []safetensors.Tensor
	for _, w := range weights {
		if w.Dtype != weights[0].Dtype {
			return fmt.Errorf("%s is %s, %s is %s; one dtype is needed", weights[0].Name, weights[0].Dtype, w.Name, w.Dtype)
		}
		ts = append(ts, safetensors.Tensor{Name: w.Name, Dtype: spelling(w.Dtype), Shape: w.Shape, Data: w.Data})
	}
	return d.Write(safetensors.SingleName, func(w io.Writer) error { return safetensors.Encode(w, ts, meta) })
}

// spelling is the format's name of a dtype; "" for those weights do not have, which Write refuses.
func spelling(d kernels.Dtype) string {
	for s, k := range dtypes {
		if k == d {
			return s
		}
	}
	return ""
}

// setDtype puts the dtype into config.json under the spelling it uses already.
func setDtype(config []byte, d kernels.Dtype) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(config, &m); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	key := "torch_dtype"
	if _, ok := m["dtype"]; ok {
		delete(m, key)
		key = "dtype"
	}
	m[key] = json.RawMessage(`"` + d.String() + `"`)
	return indented(m)
}

// indented is JSON as transformers writes it: sorted keys, two spaces, a newline at the end.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// checkBeside opens the files that Save will copy: better to learn now than when all is trained that one is a pipe or a
// device.
func checkBeside(dir string) error {
	for _, name := range beside {
		f, err := smallfile.OpenRegular(filepath.Join(dir, name))
		if err == nil {
			err = f.Close()
		}
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// copyFile makes name of the file from, if that is there.
func copyFile(d *wholedir.Dir, from, name string) error {
	src, err := smallfile.OpenRegular(from)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	return d.Write(name, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
}
