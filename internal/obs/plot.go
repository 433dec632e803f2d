package obs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"

	"attune/internal/disk"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// smooth is the weight of the past in the moving average drawn over the steps' losses.
const smooth = 0.9

// PlotLoss draws the losses of a metrics.jsonl as a PNG: each step, their moving average, and the held-out rows.
func PlotLoss(fs disk.FS, metrics, png string) error {
	train, held, err := readLosses(fs, metrics)
	if err != nil {
		return fmt.Errorf("plot %s: %w", fs.Path(metrics), err)
	}
	if len(train) == 0 {
		return fmt.Errorf("plot %s: no step in it", fs.Path(metrics))
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "step", "loss"
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	points, err := plotter.NewLine(train)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	points.Color = color.RGBA{R: 0xb8, G: 0xc8, B: 0xdc, A: 0xff}
	mean, err := plotter.NewLine(averaged(train))
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	mean.Color, mean.Width = color.RGBA{R: 0x1f, G: 0x4e, B: 0x8c, A: 0xff}, vg.Points(1.8)
	p.Add(points, mean)
	p.Legend.Add("training, moving average", mean)
	if len(held) > 0 {
		line, dots, err := plotter.NewLinePoints(held)
		if err != nil {
			return fmt.Errorf("plot: %w", err)
		}
		line.Color = color.RGBA{R: 0xc4, G: 0x4e, B: 0x1a, A: 0xff}
		dots.Color = line.Color
		p.Add(line, dots)
		p.Legend.Add("held-out rows", line, dots)
	}
	w, err := p.WriterTo(7*vg.Inch, 4*vg.Inch, "png")
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	err = disk.Create(fs, png, func(f io.Writer) error {
		_, err := w.WriteTo(f)
		return err
	})
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

// most is the largest number that is drawn: with others, and where steps are no longer apart, placing the axes' marks does
// not end.
const most = 1e15

func readLosses(fs disk.FS, name string) (train, held plotter.XYs, err error) {
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, maxLine)
	for sc.Scan() {
		var r struct {
			Step float64  `json:"step"`
			Loss *float64 `json:"loss"`
			Eval *float64 `json:"eval_loss"`
		}
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			return nil, nil, err
		}
		for _, v := range []*float64{&r.Step, r.Loss, r.Eval} {
			if v != nil && !(math.Abs(*v) <= most) {
				return nil, nil, fmt.Errorf("%g in it is too large to draw", *v)
			}
		}
		if r.Loss != nil {
			train = append(train, plotter.XY{X: r.Step, Y: *r.Loss})
		}
		if r.Eval != nil {
			held = append(held, plotter.XY{X: r.Step, Y: *r.Eval})
		}
	}
	return train, held, errors.Join(sc.Err())
}

// averaged is the exponential moving average, corrected for its start as Adam's moments are.
func averaged(xs plotter.XYs) plotter.XYs {
	out := make(plotter.XYs, len(xs))
	var sum, weight float64
	for i, x := range xs {
		sum = smooth*sum + (1-smooth)*x.Y
		weight = smooth*weight + (1 - smooth)
		out[i] = plotter.XY{X: x.X, Y: sum / weight}
	}
	return out
}
