package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

const (
	// planted is how many readings are planted, one a device.
	planted = 24
	// searchedMost and placeMost bound the bytes that are searched, in all and in one place, for the sake of the
	// probabilities below.
	searchedMost, placeMost = 8 << 20, 256 << 10
	// plantedLow and plantedHigh bound the readings, in units.
	plantedLow, plantedHigh = 1e9, 9e9
)

// plant draws readings of 16 digits, the last of which is not 0, so that no text of one is shorter than another.
//
// They are drawn evenly out of 7.2·10¹⁵, so whatever fixed bytes are searched, a long form of one of them begins at a given
// byte with a probability below 1.4·10⁻¹⁵ for the forms of text with 15 digits, and below 1.4·10⁻¹⁶ for the others. At
// most every 15th byte begins a number of 15 digits. With 24 readings, 2²³ bytes, 4 such forms of text and 11 others, a
// false alarm has a probability below 24·2²³·(4·1.4·10⁻¹⁵/15 + 11·1.4·10⁻¹⁶) < 4·10⁻⁷.
//
// A short form begins at a given byte with a probability below 1.4·10⁻⁷ (7 digits, or a float32: the step of 512 below 9·10⁹
// out of 8·10⁹), so in a place of 2¹⁸ bytes one reading shows it by chance with 0.037. Whoever leaks readings leaks those of
// many devices, so a short form counts when half of the readings show it in one place: for 10 such forms in 32 places of
// that size a probability below 32·10·2.8·10⁶·0.037¹² < 10⁻⁸.
func plant() []privacy.Micro {
	random := rand.New(rand.NewPCG(11, 23))
	readings := make([]privacy.Micro, planted)
	for i := range readings {
		readings[i] = privacy.Micro(plantedLow*1e6 + 10*random.Int64N((plantedHigh-plantedLow)*1e5) + 1 + random.Int64N(9))
	}
	return readings
}

// form is a way in which a reading may be written down.
type form struct {
	name  string
	short bool
	write func(privacy.Micro) []byte
}

func forms() []form {
	decimal := func(format byte, digits int) func(privacy.Micro) []byte {
		return func(m privacy.Micro) []byte { return strconv.AppendFloat(nil, m.Float64(), format, digits, 64) }
	}
	cut := func(write func(privacy.Micro) []byte, n int) func(privacy.Micro) []byte {
		return func(m privacy.Micro) []byte { return write(m)[:n] }
	}
	fixed := func(order binary.AppendByteOrder, of func(privacy.Micro) uint64) func(privacy.Micro) []byte {
		return func(m privacy.Micro) []byte { return order.AppendUint64(nil, of(m)) }
	}
	narrow := func(order binary.AppendByteOrder) func(privacy.Micro) []byte {
		return func(m privacy.Micro) []byte { return order.AppendUint32(nil, math.Float32bits(float32(m.Float64()))) }
	}
	micros := func(m privacy.Micro) uint64 { return uint64(m) }
	zigzag := func(m privacy.Micro) uint64 { return uint64(m)<<1 ^ uint64(m>>63) }
	unit := func(m privacy.Micro) uint64 { return math.Float64bits(m.Float64()) }
	scaled := func(m privacy.Micro) uint64 { return math.Float64bits(float64(m)) }
	return []form{
		// The first 5 decimals are in every longer text.
		{"text, 5 decimals cut", false, cut(func(m privacy.Micro) []byte { return fmt.Appendf(nil, "%d.%06d", m/1e6, m%1e6) }, 16)},
		{"text, 5 decimals rounded", false, decimal('f', 5)},
		{"text, scientific, cut", false, cut(decimal('e', 17), 16)},
		{"text, scientific, rounded", false, cut(decimal('e', 14), 16)},
		{"text, 4 decimals", true, decimal('f', 4)},
		{"text, 3 decimals", true, decimal('f', 3)},
		{"text, 2 decimals", true, decimal('f', 2)},
		{"text, 1 decimal", true, decimal('f', 1)},
		{"text, 0 decimals", true, decimal('f', 0)},
		{"text, 7 digits, scientific", true, cut(decimal('e', 6), 8)},
		{"text of float32", true, func(m privacy.Micro) []byte {
			return strconv.AppendFloat(nil, float64(float32(m.Float64())), 'f', -1, 64)
		}},
		{"text of float32, scientific", true, cut(func(m privacy.Micro) []byte {
			return strconv.AppendFloat(nil, float64(float32(m.Float64())), 'e', 15, 64)
		}, 8)},
		{"text, millionths", false, func(m privacy.Micro) []byte { return strconv.AppendInt(nil, int64(m), 10) }},
		{"float64, little-endian", false, fixed(binary.LittleEndian, unit)},
		{"float64, big-endian", false, fixed(binary.BigEndian, unit)},
		{"float64 of millionths, little-endian", false, fixed(binary.LittleEndian, scaled)},
		{"float64 of millionths, big-endian", false, fixed(binary.BigEndian, scaled)},
		{"float32, little-endian", true, narrow(binary.LittleEndian)},
		{"float32, big-endian", true, narrow(binary.BigEndian)},
		{"int64 of millionths, little-endian", false, fixed(binary.LittleEndian, micros)},
		{"int64 of millionths, big-endian", false, fixed(binary.BigEndian, micros)},
		{"zigzag of millionths, little-endian", false, fixed(binary.LittleEndian, zigzag)},
		{"zigzag of millionths, big-endian", false, fixed(binary.BigEndian, zigzag)},
		{"varint of millionths", false, func(m privacy.Micro) []byte { return binary.AppendUvarint(nil, uint64(m)) }},
		{"zigzag varint of millionths", false, func(m privacy.Micro) []byte { return binary.AppendVarint(nil, int64(m)) }},
	}
}

// traces names the forms in which a place shows readings.
func traces(place []byte, readings []privacy.Micro) (found []string) {
	for _, f := range forms() {
		shown := 0
		for _, m := range readings {
			if bytes.Contains(place, f.write(m)) {
				shown++
			}
		}
		if shown > 0 && !f.short || shown >= len(readings)/2 {
			found = append(found, fmt.Sprintf("%s (%d readings)", f.name, shown))
		}
	}
	return found
}

// TestTracesAreFound is the control of the search: it finds every form amid noise and text, and nothing where there is
// nothing.
func TestTracesAreFound(t *testing.T) {
	readings := plant()
	random := rand.NewChaCha8([32]byte{3})
	noise := make([]byte, 1<<17)
	if _, err := random.Read(noise); err != nil {
		t.Fatal(err)
	}
	numbers := rand.New(random)
	for i := range 2_000 {
		noise = fmt.Appendf(noise, "level=DEBUG n=%d x=%v y=%.4f\n", i, numbers.Float64()*1e10, numbers.Float64()*1e9)
	}
	if found := traces(noise, readings); len(found) > 0 {
		t.Errorf("found in noise: %q", found)
	}
	for _, f := range forms() {
		shown := readings[planted-1:]
		if f.short {
			shown = readings[:planted/2]
		}
		place := slices.Clone(noise)
		for i, m := range shown {
			place = slices.Insert(place, 1000*i+333, f.write(m)...)
		}
		found := traces(place, readings)
		if !slices.ContainsFunc(found, func(s string) bool { return len(s) > len(f.name) && s[:len(f.name)] == f.name }) {
			t.Errorf("%s is not found, but %q", f.name, found)
		}
	}
	for _, line := range []string{"reading=%v", `{"value":%v}`, "sensor says %.5f"} {
		if found := traces(fmt.Appendf(slices.Clone(noise), line, readings[5].Float64()), readings); len(found) == 0 {
			t.Errorf("a log line like %q is not found", line)
		}
	}
	if found := traces([]byte(readings[6].String()), readings); len(found) == 0 {
		t.Error("the text of the device is not found")
	}
}
