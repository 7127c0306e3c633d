package sensor_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/sensor"
	"github.com/quadrat-dev/quadrat/privacy"
)

var board = fstest.MapFS{
	"sys/class/hwmon/hwmon0/name":                        {Data: []byte("cpu_thermal\n")},
	"sys/class/hwmon/hwmon0/temp1_input":                 {Data: []byte("48312\n")},
	"sys/class/hwmon/hwmon1/name":                        {Data: []byte("ina219\n")},
	"sys/class/hwmon/hwmon1/power1_input":                {Data: []byte("1234567\n")},
	"sys/class/hwmon/hwmon1/in1_input":                   {Data: []byte("-5012\n")},
	"sys/class/hwmon/hwmon1/fan1_input":                  {Data: []byte("1200\n")},
	"sys/class/hwmon/hwmon1/temp1_input":                 {Data: []byte("N/A\n")},
	"sys/class/thermal/thermal_zone0/type":               {Data: []byte("cpu-thermal\n")},
	"sys/class/thermal/thermal_zone0/temp":               {Data: []byte("51000\n")},
	"sys/bus/iio/devices/iio:device0/name":               {Data: []byte("bme280\n")},
	"sys/bus/iio/devices/iio:device0/in_temp_input":      {Data: []byte("21530\n")},
	"sys/bus/iio/devices/iio:device0/in_pressure_input":  {Data: []byte("101.325000\n")},
	"sys/bus/iio/devices/iio:device1/name":               {Data: []byte("sht21\n")},
	"sys/bus/iio/devices/iio:device1/in_temp_raw":        {Data: []byte("26020\n")},
	"sys/bus/iio/devices/iio:device1/in_temp_offset":     {Data: []byte("-17473.5\n")},
	"sys/bus/iio/devices/iio:device1/in_temp_scale":      {Data: []byte("2.681274414\n")},
	"sys/bus/iio/devices/iio:device1/in_illuminance_raw": {Data: []byte("300\n")},
	"data/rooms.csv": {Data: []byte("time,temperature,note\n2026-01-01T00:00:00Z,20.5,a\n2026-01-01T00:01:00Z,,b\n" +
		"2026-01-01T00:02:00Z,-21.0000005,c\n")},
	"data/empty.csv": {Data: []byte("time,temperature\n")},
	"data/bad.csv":   {Data: []byte("temperature\nwarm\n")},
}

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestReadings(t *testing.T) {
	for name, c := range map[string]struct {
		spec sensor.Spec
		want privacy.Micro
		err  error
	}{
		"hwmon temperature": {sensor.Spec{Source: sensor.Hwmon, Chip: "cpu_thermal", Input: "temp1"}, 48_312_000, nil},
		"hwmon by folder":   {sensor.Spec{Source: sensor.Hwmon, Chip: "hwmon0", Input: "temp1"}, 48_312_000, nil},
		"hwmon power":       {sensor.Spec{Source: sensor.Hwmon, Chip: "ina219", Input: "power1"}, 1_234_567, nil},
		"hwmon voltage":     {sensor.Spec{Source: sensor.Hwmon, Chip: "ina219", Input: "in1"}, -5_012_000, nil},
		"hwmon fan":         {sensor.Spec{Source: sensor.Hwmon, Chip: "ina219", Input: "fan1"}, 1_200_000_000, nil},
		"hwmon no number":   {sensor.Spec{Source: sensor.Hwmon, Chip: "ina219", Input: "temp1"}, 0, sensor.ErrNumber},
		"hwmon no chip":     {sensor.Spec{Source: sensor.Hwmon, Chip: "none", Input: "temp1"}, 0, sensor.ErrMissing},
		"thermal":           {sensor.Spec{Source: sensor.Thermal, Zone: "cpu-thermal"}, 51_000_000, nil},
		"thermal in kelvin": {sensor.Spec{Source: sensor.Thermal, Zone: "thermal_zone0", Scale: "2"}, 102_000_000, nil},
		"iio processed":     {sensor.Spec{Source: sensor.IIO, Device: "bme280", Channel: "in_temp"}, 21_530_000, nil},
		"iio pressure":      {sensor.Spec{Source: sensor.IIO, Device: "bme280", Channel: "in_pressure"}, 101_325_000, nil},
		// (26020 - 17473.5) · 2.681274414 / 1000 = 22.915511779251, exactly.
		"iio raw":          {sensor.Spec{Source: sensor.IIO, Device: "sht21", Channel: "in_temp"}, 22_915_512, nil},
		"iio bare":         {sensor.Spec{Source: sensor.IIO, Device: "sht21", Channel: "in_illuminance"}, 300_000_000, nil},
		"iio no channel":   {sensor.Spec{Source: sensor.IIO, Device: "sht21", Channel: "in_sound"}, 0, sensor.ErrMissing},
		"command":          {sensor.Spec{Source: sensor.Command, Argv: []string{"echo", "temp: -3.25 C, 40 %"}}, -3_250_000, nil},
		"command scaled":   {sensor.Spec{Source: sensor.Command, Argv: []string{"echo", "32"}, Scale: "0.5"}, 16_000_000, nil},
		"command silent":   {sensor.Spec{Source: sensor.Command, Argv: []string{"true"}}, 0, sensor.ErrNumber},
		"command fails":    {sensor.Spec{Source: sensor.Command, Argv: []string{"false"}}, 0, sensor.ErrCommand},
		"command missing":  {sensor.Spec{Source: sensor.Command, Argv: []string{"/no/such/file"}}, 0, sensor.ErrCommand},
		"command too slow": {sensor.Spec{Source: sensor.Command, Argv: []string{"sleep", "60"}, Timeout: time.Millisecond}, 0, sensor.ErrCommand},
		"csv no file":      {sensor.Spec{Source: sensor.CSV, File: "/data/none.csv", Column: "x"}, 0, sensor.ErrMissing},
		"csv no column":    {sensor.Spec{Source: sensor.CSV, File: "/data/rooms.csv", Column: "x"}, 0, sensor.ErrMissing},
		"csv no rows":      {sensor.Spec{Source: sensor.CSV, File: "/data/empty.csv", Column: "2"}, 0, sensor.ErrEnd},
		"csv no number":    {sensor.Spec{Source: sensor.CSV, File: "/data/bad.csv", Column: "1"}, 0, sensor.ErrNumber},
	} {
		if faults := c.spec.Faults(); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
		s, err := c.spec.Open(board)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := s.Read(t.Context(), now); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v, want %v, %v", name, got, err, c.want, c.err)
		}
	}
}

func TestReplay(t *testing.T) {
	read := func(s sensor.Sensor, after time.Duration, want privacy.Micro, wantErr error) {
		t.Helper()
		if got, err := s.Read(t.Context(), now.Add(after)); got != want || !errors.Is(err, wantErr) {
			t.Errorf("after %v: %v, %v, want %v, %v", after, got, err, want, wantErr)
		}
	}
	rows := sensor.Spec{Source: sensor.CSV, File: "/data/rooms.csv", Column: "temperature"}
	s, _ := rows.Open(board)
	for range 2 {
		read(s, 0, 20_500_000, nil)
		read(s, 0, 0, sensor.ErrNone)
		read(s, 0, -21_000_001, nil)
	}
	rows.AtEnd = sensor.Stop
	s, _ = rows.Open(board)
	read(s, 0, 20_500_000, nil)
	read(s, 0, 0, sensor.ErrNone)
	read(s, 0, -21_000_001, nil)
	read(s, 0, 0, sensor.ErrEnd)
	read(s, 0, 0, sensor.ErrEnd)

	rows.Timestamp = "time"
	s, _ = rows.Open(board)
	read(s, 0, 20_500_000, nil)
	read(s, 30*time.Second, 0, sensor.ErrNone)
	read(s, 119*time.Second, 0, sensor.ErrNone)
	read(s, 2*time.Minute, -21_000_001, nil)
	read(s, 3*time.Minute, 0, sensor.ErrEnd)

	rows.AtEnd = sensor.Wrap
	s, _ = rows.Open(board)
	read(s, 0, 20_500_000, nil)
	read(s, 5*time.Minute, -21_000_001, nil)
	read(s, 5*time.Minute, 20_500_000, nil)
	read(s, 6*time.Minute, 0, sensor.ErrNone)
	read(s, 7*time.Minute, -21_000_001, nil)
}

func TestFaults(t *testing.T) {
	for fields, spec := range map[string]sensor.Spec{
		"source":         {},
		"chip input":     {Source: sensor.Hwmon},
		"input":          {Source: sensor.Hwmon, Chip: "x", Input: "name"},
		"zone":           {Source: sensor.Thermal},
		"device channel": {Source: sensor.IIO},
		"argv timeout":   {Source: sensor.Command, Timeout: -1},
		"file column":    {Source: sensor.CSV},
		"at_end scale":   {Source: sensor.CSV, File: "x", Column: "y", AtEnd: "again", Scale: "1/3"},
	} {
		var got []string
		for _, f := range spec.Faults() {
			got = append(got, f.Field)
		}
		if strings.Join(got, " ") != fields {
			t.Errorf("%v, want %s", got, fields)
		}
	}
}

// The oracle is the parser of package privacy, on numbers of up to six decimals, through a command's scale of one.
func TestNumbersAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		text := privacy.Micro(int64(r.Uint64()) >> r.IntN(40)).String()
		want, err := privacy.ParseMicro(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := new(big.Rat).SetString(text); !ok {
			t.Fatal(text)
		}
		files := fstest.MapFS{"f.csv": {Data: []byte("x\n" + text + "\n")}}
		s, _ := sensor.Spec{Source: sensor.CSV, File: "f.csv", Column: "x"}.Open(files)
		if got, err := s.Read(t.Context(), now); got != want || err != nil {
			t.Fatalf("%s: %v, %v", text, got, err)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte("t,x\n1,2\n3,1e5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		files := fstest.MapFS{"f.csv": {Data: b}}
		for _, stamp := range []string{"", "1"} {
			s, err := sensor.Spec{Source: sensor.CSV, File: "f.csv", Column: "2", Timestamp: stamp}.Open(files)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				_, _ = s.Read(t.Context(), now.Add(time.Duration(i)*time.Second))
			}
		}
	})
}
