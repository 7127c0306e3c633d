package script

import "strings"

// Words of the language that more than one place speaks of.
const (
	wordAvg        = "avg"
	wordCount      = "count"
	wordHistogram  = "histogram"
	wordQuantile   = "quantile"
	wordMedian     = "median"
	wordFrequency  = "frequency"
	wordShape      = "distribution"
	wordLast       = "last"
	wordProportion = "proportion"
	wordRatio      = "ratio"
	wordVariance   = "variance"
	opNot          = "not"
	opNotNull      = "not null"
)

// reserved are the words that can't be a name unless it stands in double quotes.
const reserved = " AS SELECT FROM WHERE GROUP BY SAMPLE WINDOW PRIVACY AND OR NOT IN LIKE IS NULL BETWEEN DISTINCT " +
	"STRATIFIED ALLOCATE CLUSTERED ROTATING FIXED EVERY GRACE EPSILON MARGIN CONFIDENCE "

func isReserved(text string) bool {
	return !strings.ContainsRune(text, ' ') && text != "" && strings.Contains(reserved, " "+strings.ToUpper(text)+" ")
}

// near is the word of the list that text is most likely meant to be, or "" when none is close.
func near(text string, list ...string) string {
	best, least := "", 3
	for _, w := range list {
		d := distance(strings.ToLower(text), strings.ToLower(w))
		limit := 2
		if len(w) <= 4 {
			limit = 1
		}
		if d <= limit && d < least {
			best, least = w, d
		}
	}
	return best
}

// didYouMean is a hint that names a near word, or the fallback.
func didYouMean(text, fallback string, list ...string) string {
	if w := near(text, list...); w != "" {
		return "did you mean " + w + "?"
	}
	return fallback
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b
// (the optimal string alignment distance: Damerau 1964, Levenshtein 1966).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	two, one, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range one {
		one[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(one[j+1]+1, row[j]+1, one[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], two[j-1]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(t)]
}

// anyOf joins words as "A, B or C".
func anyOf(list ...string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}
