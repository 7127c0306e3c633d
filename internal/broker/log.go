package broker

import (
	"fmt"
	"log/slog"
)

// logger passes the embedded server's own log on. Its notices are what an operator of Quadrat calls debugging; a fatal
// error is an error here, since a library never ends the process.
type logger struct {
	to     *slog.Logger
	health *health
}

func (l logger) Noticef(format string, v ...any) { l.to.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l logger) Warnf(format string, v ...any)   { l.to.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l logger) Fatalf(format string, v ...any)  { l.to.Error("nats: " + fmt.Sprintf(format, v...)) }

func (l logger) Debugf(string, ...any) {}
func (l logger) Tracef(string, ...any) {}

func (l logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.health.hear(text)
	l.to.Error("nats: " + text)
}
