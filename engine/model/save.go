package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
func Save(dir string, ck *Checkpoint, weights []Weight, metadata map[string]string, extra func(dir string) error) error {
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
	return wholedir.Write(dir, func(tmp string) error {
		for _, name := range beside {
			if err := copyFile(filepath.Join(ck.Dir, name), filepath.Join(tmp, name)); err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("save model: %w", err)
			}
		}
		if err := os.WriteFile(filepath.Join(tmp, "config.json"), config, 0o644); err != nil {
			return fmt.Errorf("save model: %w", err)
		}
		if err := writeWeights(tmp, weights, metadata); err != nil {
			return err
		}
		if extra != nil {
			return extra(tmp)
		}
		return nil
	})
}

// writeWeights writes model.safetensors; transformers asks for "format" in the metadata.
func writeWeights(dir string, weights []Weight, metadata map[string]string) error {
	meta := map[string]string{"format": "pt"}
	for k, v := range metadata {
		meta[k] = v
	}
	var ts []safetensors.Tensor
	for _, w := range weights {
		if w.Dtype != weights[0].Dtype {
			return fmt.Errorf("save model: %s is %s, %s is %s; one dtype is needed", weights[0].Name, weights[0].Dtype, w.Name, w.Dtype)
		}
		ts = append(ts, safetensors.Tensor{Name: w.Name, Dtype: spelling(w.Dtype), Shape: w.Shape, Data: w.Data})
	}
	return safetensors.Write(filepath.Join(dir, safetensors.SingleName), ts, meta)
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

func copyFile(from, to string) error {
	src, err := smallfile.OpenRegular(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	return err
}
