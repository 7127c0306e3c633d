package coordinate

// Aligned is the strata of two windows side by side, with what they have in common, as [Between] and [BetweenClusters] take them.
type Aligned[S, O any] struct {
	First, Second []S
	Both          []O
}

// Align puts the strata of two windows side by side by name; both speaks of the later ones. One that the other window has not, for it was
// collapsed there otherwise or nobody was in it, stands beside an empty one: then what its devices have in common isn't used.
func Align[S, O any](first, second []S, both []O, name func(S) string) Aligned[S, O] {
	var out Aligned[S, O]
	var noStratum S
	var nothing O
	places := map[string]int{}
	for i, s := range first {
		places[name(s)] = i
	}
	for i, s := range second {
		at, known := places[name(s)]
		if !known {
			out.add(noStratum, s, nothing)
			continue
		}
		out.add(first[at], s, both[i])
		delete(places, name(s))
	}
	for i, s := range first {
		if at, left := places[name(s)]; left && at == i {
			out.add(s, noStratum, nothing)
		}
	}
	return out
}

func (a *Aligned[S, O]) add(first, second S, both O) {
	a.First, a.Second, a.Both = append(a.First, first), append(a.Second, second), append(a.Both, both)
}
