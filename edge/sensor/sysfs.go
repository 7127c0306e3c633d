package sensor

import (
	"context"
	"io/fs"
	"math/big"
	"path"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// line reads a small file of sysfs.
func line(root fs.FS, name string) (string, error) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return "", ErrMissing
	}
	return strings.TrimSpace(string(b)), nil
}

// find returns the folder below parent that is called name, or whose file label says name.
func find(root fs.FS, parent, label, name string) (string, error) {
	entries, err := fs.ReadDir(root, parent)
	if err != nil {
		return "", ErrMissing
	}
	for _, e := range entries {
		folder := path.Join(parent, e.Name())
		if e.Name() == name {
			return folder, nil
		}
		if text, err := line(root, path.Join(folder, label)); err == nil && text == name {
			return folder, nil
		}
	}
	return "", ErrMissing
}

type hwmon struct {
	root        fs.FS
	chip, input string
	scale       *big.Rat
}

// hwmonUnit is the unit in which the kernel's hwmon interface gives a kind of input, as a part of the usual unit: °C, V,
// A, W, J, %, turns a minute, Hz. It is nil for other inputs.
func hwmonUnit(input string) *big.Rat {
	switch strings.TrimRight(input, "0123456789") {
	case "temp", "in", "curr", "humidity":
		return milli()
	case "power", "energy":
		return big.NewRat(1, million)
	case "fan", "freq", "pwm":
		return big.NewRat(1, 1)
	}
	return nil
}

func (h *hwmon) Read(context.Context, time.Time) (privacy.Micro, error) {
	folder, err := find(h.root, "sys/class/hwmon", "name", h.chip)
	if err != nil {
		return 0, err
	}
	name := h.input + "_input"
	if strings.HasPrefix(h.input, "pwm") {
		name = h.input
	}
	text, err := line(h.root, path.Join(folder, name))
	if err != nil {
		return 0, err
	}
	return scaled(text, h.scale)
}

type thermal struct {
	root  fs.FS
	zone  string
	scale *big.Rat
}

func (t *thermal) Read(context.Context, time.Time) (privacy.Micro, error) {
	folder, err := find(t.root, "sys/class/thermal", "type", t.zone)
	if err != nil {
		return 0, err
	}
	text, err := line(t.root, path.Join(folder, "temp"))
	if err != nil {
		return 0, err
	}
	return scaled(text, t.scale)
}

type iio struct {
	root            fs.FS
	device, channel string
	scale           *big.Rat
}

// iioUnit is the unit of a kind of channel as a part of °C, %, V, A or W; other kinds keep the kernel's unit, e.g. kPa for
// pressure and lux for illuminance.
func iioUnit(channel string) *big.Rat {
	for _, kind := range []string{"temp", "humidityrelative", "voltage", "current", "power"} {
		if strings.Contains(channel, "_"+kind) {
			return milli()
		}
	}
	return big.NewRat(1, 1)
}

// Read gives the processed value, or (raw + offset) · scale as the kernel's IIO interface defines it.
func (s *iio) Read(context.Context, time.Time) (privacy.Micro, error) {
	folder, err := find(s.root, "sys/bus/iio/devices", "name", s.device)
	if err != nil {
		return 0, err
	}
	file := path.Join(folder, s.channel)
	if text, err := line(s.root, file+"_input"); err == nil {
		return scaled(text, s.scale)
	}
	text, err := line(s.root, file+"_raw")
	if err != nil {
		return 0, err
	}
	value, err := rational(text)
	if err != nil {
		return 0, err
	}
	if text, err := line(s.root, file+"_offset"); err == nil {
		offset, err := rational(text)
		if err != nil {
			return 0, err
		}
		value.Add(value, offset)
	}
	if text, err := line(s.root, file+"_scale"); err == nil {
		scale, err := rational(text)
		if err != nil {
			return 0, err
		}
		value.Mul(value, scale)
	}
	return micro(value.Mul(value, s.scale))
}
