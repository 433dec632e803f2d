package jinja

import "testing"

// BenchmarkRender reports the time of one short conversation.
func BenchmarkRender(b *testing.B) {
	for _, name := range []string{"chatml.jinja", "qwen3.jinja", "llama-3.1-instruct.jinja"} {
		b.Run(name, func(b *testing.B) {
			tmpl := compileFile(b, name)
			for _, c := range readCases(b) {
				if c.Template != name || c.Case != "multi-turn" {
					continue
				}
				vars, o := c.vars(b)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := tmpl.Render(vars, o); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
