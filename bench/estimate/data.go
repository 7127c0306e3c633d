package main

import (
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// stratum is a part of the population that the table is a sample of.
type stratum struct {
	name                 string
	share, weight        float64 // of the rows; N/n before rounding
	mean, deviation, fpc float64
}

var strata = []stratum{
	{name: "continental", share: 0.34, weight: 40, mean: 20.1, deviation: 3.1},
	{name: "mediterranean", share: 0.22, weight: 25, mean: 23.4, deviation: 2.6},
	{name: "oceanic", share: 0.19, weight: 32, mean: 19.2, deviation: 2.2},
	{name: "nordic", share: 0.13, weight: 12, mean: 18.7, deviation: 2.9},
	{name: "alpine", share: 0.09, weight: 8, mean: 17.5, deviation: 3.8},
	{name: "island", share: 0.03, weight: 3, mean: 24.6, deviation: 1.9},
}

// row is a row of the table, with Quadrat's encodings: by dictionary while that is small, else plain.
type row struct {
	Stratum string  `parquet:"stratum,dict"`
	Weight  float64 `parquet:"weight,dict"`
	FPC     int64   `parquet:"fpc,dict"`
	X       float64 `parquet:"x,dict"`
}

const (
	rowGroupRows  = 1 << 16
	dictionaryMax = 256 << 10
)

// makeTable writes a stratified sample in random order, the hardest for dictionaries: zstd, row groups and dictionaries
// as Quadrat's own files have them, the variable of full precision.
func makeTable(path string, rows int, seed uint64) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	w := parquet.NewGenericWriter[row](out, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}),
		parquet.DictionaryMaxBytes(dictionaryMax))
	random := rand.New(rand.NewPCG(seed, 0))
	left, parts := counts(rows), populations(rows)
	buffer := make([]row, 0, rowGroupRows)
	for made := range rows {
		at := random.IntN(rows - made)
		h := 0
		for at >= left[h] {
			at -= left[h]
			h++
		}
		left[h]--
		s := strata[h]
		buffer = append(buffer, row{
			Stratum: s.name, Weight: parts[h].weight, FPC: int64(parts[h].fpc), X: s.mean + s.deviation*random.NormFloat64(),
		})
		if len(buffer) < rowGroupRows && made < rows-1 {
			continue
		}
		if _, err := w.Write(buffer); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		buffer = buffer[:0]
	}
	return w.Close()
}

// counts returns the rows of each stratum.
func counts(rows int) []int {
	n, rest := make([]int, len(strata)), rows
	for h, s := range strata {
		n[h] = int(s.share * float64(rows))
		rest -= n[h]
	}
	n[0] += rest
	return n
}

// populations returns the strata with population sizes and the weights N/n.
func populations(rows int) []stratum {
	out := append([]stratum(nil), strata...)
	for h, n := range counts(rows) {
		out[h].fpc = float64(int(float64(n) * out[h].weight))
		out[h].weight = out[h].fpc / float64(n)
	}
	return out
}
