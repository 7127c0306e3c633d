package sensor

import (
	"context"
	"io/fs"
	"math/big"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Sensor gives one reading. A Sensor is not safe for concurrent use.
type Sensor interface {
	// Read returns the reading of this moment in millionths of its unit. ErrNone says that there is none now, ErrEnd that
	// there will never be one again.
	Read(ctx context.Context, now time.Time) (privacy.Micro, error)
}

// The sources.
const (
	Hwmon   = "hwmon"   // Chip and Input: /sys/class/hwmon
	Thermal = "thermal" // Zone: /sys/class/thermal
	IIO     = "iio"     // Device and Channel: /sys/bus/iio/devices
	Command = "command" // Argv and Timeout: the first number of its output
	CSV     = "csv"     // File and Column, optionally Timestamp, AtEnd
)

// What a CSV replay does after its last row.
const (
	Wrap = "wrap"
	Stop = "stop"
)

// Spec says what to read. Fields that belong to another source stay empty.
type Spec struct {
	Source    string
	Chip      string        // name of the hwmon chip, e.g. "coretemp", or its folder, e.g. "hwmon0"
	Input     string        // e.g. "temp1", "humidity1", "in0"
	Zone      string        // type of the thermal zone, e.g. "cpu-thermal", or its folder, e.g. "thermal_zone0"
	Device    string        // name of the IIO device, e.g. "bme280", or its folder, e.g. "iio:device0"
	Channel   string        // e.g. "in_temp", "in_humidityrelative", "in_pressure"
	Argv      []string      // command and arguments; no shell
	Timeout   time.Duration // of the command; 0 for ten seconds
	File      string        // absolute path
	Column    string        // name in the first row, or a number from 1
	Timestamp string        // column of RFC 3339 times or seconds since 1970; empty for one row a reading
	AtEnd     string        // Wrap (default) or Stop
	Scale     string        // decimal that every reading is multiplied by; empty for 1
}

// Error is an error of this package, comparable with errors.Is. None contains a reading.
type Error string

// Error returns the text of the error.
func (e Error) Error() string { return string(e) }

// The errors of this package.
const (
	// ErrNone says that there is no reading now.
	ErrNone Error = "sensor: no reading now"
	// ErrEnd says that a replay has ended.
	ErrEnd Error = "sensor: the file has ended"
	// ErrMissing says that there is no such chip, zone, device, channel or column.
	ErrMissing Error = "sensor: not found"
	// ErrNumber says that what was read is no number that fits.
	ErrNumber Error = "sensor: not a number in range"
	// ErrCommand says that the command failed or took too long.
	ErrCommand Error = "sensor: command failed"
)

// Fault is a field of a Spec and what is wrong with it.
type Fault struct{ Field, Text string }

// Faults returns everything that is wrong with a spec.
func (s Spec) Faults() []Fault {
	var out []Fault
	need := func(field, value string) {
		if value == "" {
			out = append(out, Fault{field, "is missing"})
		}
	}
	switch s.Source {
	case Hwmon:
		need("chip", s.Chip)
		need("input", s.Input)
		if s.Input != "" && hwmonUnit(s.Input) == nil {
			out = append(out, Fault{"input", "must begin with temp, in, curr, power, energy, humidity, fan, freq or pwm"})
		}
	case Thermal:
		need("zone", s.Zone)
	case IIO:
		need("device", s.Device)
		need("channel", s.Channel)
	case Command:
		if len(s.Argv) == 0 || s.Argv[0] == "" {
			out = append(out, Fault{"argv", "must name a command"})
		}
		if s.Timeout < 0 {
			out = append(out, Fault{"timeout", "must not be negative"})
		}
	case CSV:
		need("file", s.File)
		need("column", s.Column)
		if s.AtEnd != "" && s.AtEnd != Wrap && s.AtEnd != Stop {
			out = append(out, Fault{"at_end", "must be wrap or stop"})
		}
	default:
		out = append(out, Fault{"source", "must be hwmon, thermal, iio, command or csv"})
	}
	if _, err := s.scale(); err != nil {
		out = append(out, Fault{"scale", "must be a decimal number"})
	}
	return out
}

// Open makes a sensor that reads from the filesystem root, os.DirFS("/") on a board. It reads nothing yet.
func (s Spec) Open(root fs.FS) (Sensor, error) {
	scale, err := s.scale()
	if err != nil {
		return nil, err
	}
	switch s.Source {
	case Hwmon:
		unit := hwmonUnit(s.Input)
		if unit == nil {
			return nil, ErrMissing
		}
		return &hwmon{root: root, chip: s.Chip, input: s.Input, scale: unit.Mul(unit, scale)}, nil
	case Thermal:
		return &thermal{root: root, zone: s.Zone, scale: scale.Mul(scale, milli())}, nil
	case IIO:
		return &iio{root: root, device: s.Device, channel: s.Channel, scale: scale.Mul(scale, iioUnit(s.Channel))}, nil
	case Command:
		return newCommand(s, scale), nil
	case CSV:
		return &replay{root: root, spec: s, scale: scale}, nil
	}
	return nil, ErrMissing
}

func (s Spec) scale() (*big.Rat, error) {
	if s.Scale == "" {
		return big.NewRat(1, 1), nil
	}
	return rational(s.Scale)
}
