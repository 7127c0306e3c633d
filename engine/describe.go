package engine

import "github.com/quadrat-dev/quadrat/engine/column"

// describe writes into a row what its statistic asked, so that who has only the rows can estimate as the engine does.
func (s *statistic) describe(row *column.Report) {
	row.Kind = s.kind
	if b := s.bins; b != nil {
		row.Share, row.Low, row.High = b.Share, b.Edges[0], b.Edges[b.Categories]
		if b.Wholes {
			row.High = b.Edges[b.Categories-1]
		}
		return
	}
	if !s.bit && s.bounds.Validate() == nil {
		row.Low, row.High = s.bounds.Lo.Float64(), s.bounds.Hi.Float64()
	}
}
