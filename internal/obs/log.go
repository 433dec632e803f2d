// Package obs is what a person or a program sees of a run: zap's log (console lines and log.jsonl), metrics.jsonl and
// the progress of long work. Libraries never log; they return values and call events, which end here.
package obs

import (
	"io"

	"attune/internal/disk"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewLogger writes short console lines to console and, where name is not empty, every record as a JSON line appended to
// that file. Errors go to the file alone: one ends the command, which prints it. The returned function closes the file.
func NewLogger(console io.Writer, fs disk.FS, name string, debug bool) (*zap.Logger, func() error, error) {
	level := zapcore.InfoLevel
	if debug {
		level = zapcore.DebugLevel
	}
	ec := zap.NewDevelopmentEncoderConfig()
	ec.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05")
	ec.EncodeLevel = zapcore.LowercaseLevelEncoder
	ec.CallerKey, ec.StacktraceKey = "", ""
	said := zap.LevelEnablerFunc(func(l zapcore.Level) bool { return l >= level && l < zapcore.ErrorLevel })
	cores := []zapcore.Core{zapcore.NewCore(zapcore.NewConsoleEncoder(ec), zapcore.Lock(zapcore.AddSync(console)), said)}
	closeFile := func() error { return nil }
	if name != "" {
		f, err := openLog(fs, name)
		if err != nil {
			return nil, nil, err
		}
		jc := zap.NewProductionEncoderConfig()
		jc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		jc.StacktraceKey = ""
		cores = append(cores, zapcore.NewCore(zapcore.NewJSONEncoder(jc), zapcore.Lock(f), zapcore.DebugLevel))
		closeFile = f.Close
	}
	// a console that is gone is no reason to complain there
	return zap.New(zapcore.NewTee(cores...), zap.ErrorOutput(zapcore.AddSync(io.Discard))), closeFile, nil
}
