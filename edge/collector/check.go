package collector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
)

// Finding is one thing that was tried.
type Finding struct {
	Subject string `json:"subject"`
	OK      bool   `json:"ok"`
	Text    string `json:"text"`
	// Reading is the sensor's reading, only when the owner asked to see it on this screen.
	Reading string `json:"reading,omitempty"`
}

// Checks is what to try with.
type Checks struct {
	Config       Config
	Data         disk.Folder
	Witness      disk.Folder // or nil
	Root         fs.FS
	Clock        clock.Clock
	ShowReadings bool          // put readings into the findings; they never go anywhere else
	Patience     time.Duration // with the server; 0 for 5 seconds
}

// Check reads every sensor once, looks at the ledger and tries the server, and says what Run would do. It changes
// nothing and announces nothing.
func Check(ctx context.Context, c Checks) []Finding {
	var out []Finding
	for i := range c.Config.Sensors {
		if c.Config.Sensors[i].Network == nil {
			out = append(out, c.sensor(ctx, &c.Config.Sensors[i]))
		}
	}
	return append(out, c.policy(), c.ledger(), c.server(ctx))
}

func (c *Checks) sensor(ctx context.Context, s *Sensor) Finding {
	f := Finding{Subject: strings.TrimSpace("sensor " + s.Capability + " " + s.Reading + " " + s.Unit)}
	source, err := s.Spec.Open(c.Root)
	var value privacy.Micro
	if err == nil {
		value, err = source.Read(ctx, c.Clock.Now())
	}
	if err != nil {
		f.Text = err.Error()
		return f
	}
	f.OK, f.Text = true, fmt.Sprintf("gives a reading; will be read every %v", s.Interval)
	if c.ShowReadings {
		f.Reading = value.String()
	}
	return f
}

func (c *Checks) policy() Finding {
	p := c.Config.Policy
	var may []string
	for _, k := range c.Config.Capabilities {
		name := k.Name
		if k.Open {
			name += " (open: it may leave the device without noise)"
		}
		may = append(may, name)
	}
	lifetime := "without a lifetime limit"
	if p.Limits.Lifetime != privacy.MaxBudget {
		lifetime = "epsilon " + p.Limits.Lifetime.String() + " ever"
	}
	text := fmt.Sprintf("a server may ask for %s, trust models %s, at most epsilon %s in any %s, %s",
		strings.Join(may, ", "), strings.Join(p.Models, " and "), p.Limits.PerPeriod, words(p.Limits.Period), lifetime)
	if slices.Contains(p.Models, agent.None) {
		return Finding{"policy", true, text, ""}
	}
	if n := len(c.Config.Units); n > 0 {
		text += fmt.Sprintf(", for each of %d units; nothing but sums with noise leaves the gateway", n)
		return Finding{"policy", true, text, ""}
	}
	return Finding{"policy", true, text + "; nothing leaves the device without noise", ""}
}

func (c *Checks) ledger() Finding {
	f := Finding{Subject: "ledger"}
	a, err := ReadAccount(Parts{Config: c.Config, Data: c.Data, Witness: c.Witness, Root: c.Root}, c.Clock.Now())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.OK, f.Text = true, "none yet; run begins one"
	case err != nil:
		f.Text = strings.TrimSpace(err.Error() + "; the device would stay silent. " + Explain(err))
	default:
		f.OK, f.Text = true, fmt.Sprintf("epsilon %s left now, %d reports so far", a.LeftInPeriod, a.Reports)
		if !a.Bound {
			f.Text += "; this machine tells no identity, so that a copied card can't be noticed here"
		}
	}
	return f
}

const patience = 5 * time.Second

func (c *Checks) server(ctx context.Context) Finding {
	f := Finding{Subject: "server"}
	limit := c.Patience
	if limit <= 0 {
		limit = patience
	}
	to := options(&c.Config, []nats.Option{nats.Timeout(limit), nats.Name("quadrat-edge check " + c.Config.Device)})
	conn, err := nats.Connect(c.Config.Server, to...)
	if err != nil {
		f.Text = fmt.Sprintf("can't be reached (%v); run would collect, spool up to %d bytes and go on trying", err, c.Config.SpoolBytes)
		return f
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := conn.FlushWithContext(ctx); err != nil {
		f.Text = "doesn't answer: " + err.Error()
		return f
	}
	f.OK = true
	f.Text = "answers; run would say hello on " + wire.HelloSubject(c.Config.Device)
	return f
}
