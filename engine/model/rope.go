package model

import (
	"fmt"
	"math"

	"attune/engine/nn"
)

// rope computes the rotary frequencies as transformers does (modeling_rope_utils.py), rounding to float32 where it
// rounds, so that long positions agree to the last digit. Types: default; linear (kaiokendev: positions divided by
// factor); llama3 (Llama 3.1: only long wavelengths are divided, with a smooth passage).
func (c *Config) rope() (nn.RoPE, error) {
	p := Rope{}
	if c.RopeParameters != nil {
		p = *c.RopeParameters
	}
	if c.RopeScaling != nil { // as transformers: the old spelling wins where both are there
		p = *c.RopeScaling
		if p.RopeTheta == nil && c.RopeParameters != nil {
			p.RopeTheta = c.RopeParameters.RopeTheta
		}
	}
	kind, theta := p.RopeType, 10000.0
	if kind == "" {
		kind = p.Type
	}
	if kind == "" {
		kind = "default"
	}
	switch {
	case p.RopeTheta != nil:
		theta = *p.RopeTheta
	case c.RopeTheta != nil:
		theta = *c.RopeTheta
	}
	for _, f := range []*float64{p.PartialRotaryFactor, c.PartialRotaryFactor} {
		if f != nil && *f != 1 {
			return nn.RoPE{}, fmt.Errorf("partial_rotary_factor %g is %w", *f, ErrUnsupported)
		}
	}
	if !(theta > 0) || math.IsInf(theta, 0) {
		return nn.RoPE{}, fmt.Errorf("rope_theta is %g; it must be positive", theta)
	}
	inv := make([]float32, c.HeadDim/2)
	for i := range inv {
		e := float32(2*i) / float32(c.HeadDim)
		inv[i] = 1 / float32(math.Pow(theta, float64(e)))
	}
	switch kind {
	case "default":
	case "linear":
		factor, err := positive(p.Factor, "factor", kind)
		if err != nil {
			return nn.RoPE{}, err
		}
		for i := range inv {
			inv[i] /= float32(factor)
		}
	case "llama3":
		if err := llama3(inv, p, c.MaxPositionEmbeddings); err != nil {
			return nn.RoPE{}, err
		}
	default:
		return nn.RoPE{}, fmt.Errorf("rope type %q is %w; there are default, linear, llama3", kind, ErrUnsupported)
	}
	r := nn.RoPE{InvFreq: make([]float64, len(inv)), Scale: 1}
	for i, f := range inv {
		r.InvFreq[i] = float64(f)
	}
	return r, nil
}

// llama3 rescales the frequencies in place.
func llama3(inv []float32, p Rope, maxPositions int) error {
	if p.OriginalMaxPositionEmbeddings == nil {
		m := float64(maxPositions)
		p.OriginalMaxPositionEmbeddings = &m
	}
	var v [4]float64
	for i, f := range []struct {
		p    *float64
		name string
	}{{p.Factor, "factor"}, {p.LowFreqFactor, "low_freq_factor"}, {p.HighFreqFactor, "high_freq_factor"},
		{p.OriginalMaxPositionEmbeddings, "original_max_position_embeddings"}} {
		var err error
		if v[i], err = positive(f.p, f.name, "llama3"); err != nil {
			return err
		}
	}
	factor, low, high, original := v[0], v[1], v[2], v[3]
	if low >= high {
		return fmt.Errorf("rope type llama3: low_freq_factor (%g) must be below high_freq_factor (%g)", low, high)
	}
	for i, f := range inv {
		wavelength := float32(2*math.Pi) / f
		switch {
		case wavelength > float32(original/low):
			inv[i] = f / float32(factor)
		case wavelength >= float32(original/high):
			smooth := (float32(original)/wavelength - float32(low)) / float32(high-low)
			inv[i] = (1-smooth)*f/float32(factor) + smooth*f
		}
	}
	return nil
}

func positive(p *float64, name, kind string) (float64, error) {
	if p == nil {
		return 0, fmt.Errorf("rope type %s: %s is missing", kind, name)
	}
	if !(*p > 0) || math.IsInf(*p, 0) {
		return 0, fmt.Errorf("rope type %s: %s is %g; it must be positive", kind, name, *p)
	}
	return *p, nil
}
