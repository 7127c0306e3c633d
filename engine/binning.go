package engine

import (
	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy/olh"
	"github.com/quadrat-dev/quadrat/privacy/subset"
)

// storeAnswer writes what a report about categories said into its row.
func storeAnswer(b *categories.Binning, row *column.Report, said uint64) {
	row.Categories, row.Include = uint32(b.Categories), b.Pure.Truth
	if b.Worded() {
		row.Answer, row.Size = said, uint32(b.How.Size)
		return
	}
	row.Coded, row.Code, row.Size, row.Other = true, said, 1, b.Pure.Other
	if b.Wave != nil {
		row.Size = b.Wave.Window()
		return
	}
	switch m := b.Set.(type) {
	case *subset.Mechanism:
		row.Size = m.Size()
	case *olh.Mechanism:
		row.Size, row.Seeds, row.Root = m.Hashes(), m.Seeds(), m.Root()
	}
}
