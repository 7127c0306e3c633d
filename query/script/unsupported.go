package script

// Unsupported gives an [*UnsupportedError] about the first part of the script that the engine can't run yet, or nil. It
// is meant for a checked script.
func Unsupported(s *Script) error {
	for _, stat := range s.Select {
		if err := unsupportedStatistic(s, stat); err != nil {
			return err
		}
	}
	if a := s.Sample; a != nil {
		if err := unsupportedClusters(s, a); err != nil {
			return err
		}
	}
	return nil
}

// CategoriesMost is the most categories of a histogram or a frequency.
const CategoriesMost = 1024

func unsupportedStatistic(s *Script, stat *Statistic) error {
	if n := categoriesOf(s, stat); stat.Kind == wordFrequency && n > CategoriesMost {
		return unsupportedAt(s.Privacy.Lo.Pos, "a frequency of "+decimal(n)+" categories", "up to 1024 can")
	}
	return nil
}

// ClusteredMost is the most categories of a histogram or a frequency with clusters.
const ClusteredMost = 64

// unsupportedClusters is about what a sample of clusters can't be asked for: a ratio, a variance or a distribution, for which
// there is no estimator from clusters, more than 64 categories, a margin, whose promise would rest on a correlation that nobody has measured, two sizes at once, and an
// allocation by the spread of devices.
func unsupportedClusters(s *Script, a *Sample) error {
	if a.Clustered.Text == "" {
		return nil
	}
	with := " with CLUSTERED BY"
	if s.Privacy != nil && s.Privacy.Model == Gateway {
		with = " with PRIVACY GATEWAY"
	}
	for _, stat := range s.Select {
		if stat.Kind == wordRatio || stat.Kind == wordVariance || stat.Kind == wordShape {
			return unsupportedAt(stat.Pos, stat.Kind+with, "mean, total, proportion, count, histogram, frequency, quantile and median can")
		}
		if n := categoriesOf(s, stat); n > ClusteredMost {
			return unsupportedAt(stat.Pos, "a "+stat.Kind+" of "+decimal(n)+" categories"+with,
				"up to 64 can; beyond, a gateway's noise in all of them says more than its units do")
		}
	}
	switch {
	case a.Size == Margin:
		return unsupportedAt(a.Clustered.Pos, "MARGIN"+with, "SAMPLE ALL CLUSTERED BY … k CLUSTERS can")
	case a.Clusters != nil && a.Size != All:
		return unsupportedAt(a.Clusters.Pos, "k CLUSTERS with n DEVICES or x PERCENT", "one of them can; k CLUSTERS goes with SAMPLE ALL")
	case a.Allocate == Neyman || a.Allocate == Power:
		return unsupportedAt(a.AllocatePos, "ALLOCATE "+string(a.Allocate)+with, "PROPORTIONAL and EQUAL can")
	}
	return nil
}

// categoriesOf is how many categories a histogram or a frequency has; 0 for others.
func categoriesOf(s *Script, stat *Statistic) float64 {
	p := s.Privacy
	switch {
	case stat.Kind == wordHistogram && stat.Number != nil && stat.Number.Bound:
		return stat.Number.Value
	case stat.Kind == wordFrequency && p != nil && p.Lo != nil && p.Lo.Bound && p.Hi.Bound:
		return p.Hi.Value - p.Lo.Value + 1
	}
	return 0
}

func unsupportedAt(pos Pos, feature, hint string) *UnsupportedError {
	return &UnsupportedError{Line: pos.Line, Column: pos.Column, Feature: feature, Hint: hint}
}
