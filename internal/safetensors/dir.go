package safetensors

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"attune/internal/smallfile"
)

// Names of a model's weights in a Hugging Face directory.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// Set is the tensors of one or several files under one roof.
type Set struct {
	files   []*File
	tensors []Info
	where   map[string]*File
}

// OpenDir opens the weights of a model directory: model.safetensors, or every shard that
// model.safetensors.index.json names. A shard outside the directory, a tensor the index promises and the shard lacks,
// and one that two shards hold are errors.
func OpenDir(dir string) (*Set, error) {
	index := filepath.Join(dir, IndexName)
	b, err := smallfile.Read(index, maxIndex)
	if errors.Is(err, os.ErrNotExist) {
		f, err := Open(filepath.Join(dir, SingleName))
		if errors.Is(err, os.ErrNotExist) {
			hint := ""
			if old, _ := filepath.Glob(filepath.Join(dir, "pytorch_model*.bin*")); len(old) > 0 {
				hint = "; convert its pytorch_model.bin with transformers' save_pretrained"
			}
			return nil, fmt.Errorf("open weights: %s has neither %s nor %s%s: %w", dir, SingleName, IndexName, hint, os.ErrNotExist)
		}
		if err != nil {
			return nil, err
		}
		s := &Set{where: map[string]*File{}}
		return s, s.add(f)
	}
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, SingleName)); err == nil {
		return nil, fmt.Errorf("open weights: %s has both %s and %s; remove the one that is not meant", dir, SingleName, IndexName)
	}
	weightMap, err := parseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", index, ErrInvalid, err)
	}
	s, err := openShards(dir, weightMap)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", index, err)
	}
	return s, nil
}

// maxIndex bounds the index, in bytes.
const maxIndex = 32 << 20

// parseIndex gives the shard of every tensor.
func parseIndex(b []byte) (map[string]string, error) {
	var shards map[string]string
	s := &scanner{b: b}
	err := s.object("the index", func(key string) error {
		if key != "weight_map" {
			if err := s.skip(maxDepth); err != nil {
				return fmt.Errorf("%s: %w", quote(key), err)
			}
			return nil
		}
		if shards != nil {
			return errors.New("weight_map is there twice")
		}
		shards = map[string]string{}
		return s.object("weight_map", func(name string) error {
			if _, ok := shards[name]; ok {
				return fmt.Errorf("weight_map: tensor %s is there twice", quote(name))
			}
			if len(shards) == maxTensors {
				return fmt.Errorf("weight_map: more than %d tensors", maxTensors)
			}
			shard, err := s.text("a shard's name", maxName)
			if err != nil {
				return fmt.Errorf("weight_map: %s: %w", quote(name), err)
			}
			shards[name] = shard
			return nil
		})
	})
	switch s.peek(); {
	case err != nil:
		return nil, err
	case s.at < len(b):
		return nil, errors.New("text after the JSON object")
	case len(shards) == 0:
		return nil, errors.New("weight_map is missing or empty")
	}
	return shards, nil
}

// maxDepth bounds what an index says besides the map, which nobody reads.
const maxDepth = 100

func openShards(dir string, weightMap map[string]string) (_ *Set, err error) {
	s := &Set{where: map[string]*File{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, shard := range slices.Compact(slices.Sorted(maps.Values(weightMap))) {
		if !filepath.IsLocal(shard) {
			return nil, fmt.Errorf("%w: shard %s lies outside the directory", ErrInvalid, quote(shard))
		}
		f, err := Open(filepath.Join(dir, shard))
		if err != nil {
			return nil, err
		}
		if err := s.add(f); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weightMap)) {
		f := s.where[name]
		if want := filepath.Join(dir, weightMap[name]); f == nil || f.path != want {
			return nil, fmt.Errorf("%w: %s does not hold tensor %s, which the index says it does", ErrInvalid, want, quote(name))
		}
	}
	return s, nil
}

func (s *Set) add(f *File) error {
	s.files = append(s.files, f)
	for _, t := range f.tensors {
		if o := s.where[t.Name]; o != nil {
			return fmt.Errorf("%w: tensor %s is in %s and in %s", ErrInvalid, quote(t.Name), o.path, f.path)
		}
		s.where[t.Name] = f
		s.tensors = append(s.tensors, t)
	}
	return nil
}

// Tensors lists the tensors of all files, file by file in the order of their bytes.
func (s *Set) Tensors() []Info { return slices.Clone(s.tensors) }

// Info is the tensor called name.
func (s *Set) Info(name string) (Info, bool) {
	f := s.where[name]
	if f == nil {
		return Info{}, false
	}
	return f.Info(name)
}

// Data is the tensor's bytes, a view valid until Close; nil if there is no such tensor.
func (s *Set) Data(name string) []byte {
	f := s.where[name]
	if f == nil {
		return nil
	}
	return f.Data(name)
}

// Release lets go of the memory that reading a tensor took; see File.Release.
func (s *Set) Release(name string) {
	if f := s.where[name]; f != nil {
		f.Release(name)
	}
}

// Metadata is the first file's; the shards of a model say the same.
func (s *Set) Metadata() map[string]string { return s.files[0].Metadata() }

// Paths are the files, in order.
func (s *Set) Paths() []string {
	var ps []string
	for _, f := range s.files {
		ps = append(ps, f.path)
	}
	return ps
}

// Close unmaps all files.
func (s *Set) Close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
