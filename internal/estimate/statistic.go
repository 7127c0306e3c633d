package estimate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// statistic is one --stat.
type statistic struct {
	text      string
	kind      inference.Kind
	y, x      string // columns
	condition *tabular.Condition
	share     float64
}

var (
	call     = regexp.MustCompile(`^\s*([a-z]+)\s*\((.*)\)\s*$`)
	statKind = map[string]inference.Kind{
		"mean": inference.Mean, "total": inference.Total, "ratio": inference.Ratio, "proportion": inference.Proportion,
		"variance": inference.Variance, "quantile": inference.Quantile,
	}
)

const forms = "want mean(x), total(x), ratio(x,y), proportion(x='v'), proportion(x>3), quantile(x,p) or variance(x)"

func parseStatistic(text string) (statistic, error) {
	match := call.FindStringSubmatch(text)
	if match == nil {
		return statistic{}, fmt.Errorf("%q: %s", text, forms)
	}
	s := statistic{text: text, kind: statKind[match[1]]}
	inner := strings.TrimSpace(match[2])
	switch s.kind {
	case inference.Mean, inference.Total, inference.Variance:
		s.y = column(inner)
	case inference.Ratio, inference.Quantile:
		first, second, ok := strings.Cut(inner, ",")
		if !ok {
			return statistic{}, fmt.Errorf("%q: %s", text, forms)
		}
		s.y, s.x = column(first), column(second)
	case inference.Proportion:
		condition, err := tabular.Parse(inner)
		if err != nil {
			return statistic{}, fmt.Errorf("%q: %w", text, err)
		}
		s.condition = &condition
		return s, nil
	default:
		return statistic{}, fmt.Errorf("%q: %s", text, forms)
	}
	if s.y == "" || strings.Contains(s.y, ",") || (s.kind == inference.Ratio && s.x == "") {
		return statistic{}, fmt.Errorf("%q: %s", text, forms)
	}
	if s.kind == inference.Quantile {
		p, err := strconv.ParseFloat(s.x, 64)
		if err != nil || !(p > 0 && p < 1) {
			return statistic{}, fmt.Errorf("%q: the share must lie between 0 and 1", text)
		}
		s.share, s.x = p, ""
	}
	return s, nil
}

// column is a name, perhaps in double quotes.
func column(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}

// want adds the columns that it needs.
func (s *statistic) want(w *tabular.Want) {
	if s.condition != nil {
		s.condition.Want(w)
		return
	}
	w.Numbers = append(w.Numbers, s.y)
	if s.x != "" {
		w.Numbers = append(w.Numbers, s.x)
	}
}

// on makes the question for some rows of a table.
func (s *statistic) on(t *tabular.Table, rows []int32, noise []float64) inference.Statistic {
	q := inference.Statistic{Kind: s.kind, P: s.share, Noise: noise}
	if s.condition == nil {
		q.Y = pick(t.Number(s.y), rows)
		if s.x != "" {
			q.X = pick(t.Number(s.x), rows)
		}
		return q
	}
	y := make([]float64, t.Rows)
	for k, truth := range s.condition.Eval(t) {
		switch truth {
		case tabular.True:
			y[k] = 1
		case tabular.Unknown:
			y[k] = missing
		case tabular.False:
		}
	}
	q.Y = pick(y, rows)
	return q
}

// pick returns the values of some rows; of all when rows is nil.
func pick(values []float64, rows []int32) []float64 {
	if rows == nil {
		return values
	}
	out := make([]float64, len(rows))
	for i, row := range rows {
		out[i] = values[row]
	}
	return out
}
