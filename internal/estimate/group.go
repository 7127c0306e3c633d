package estimate

// group is a combination of --by inside --where.
type group struct {
	names map[string]string
	in    []bool // of the sample's rows; nil for all
}

// groups returns the combinations that occur among some rows.
func (r *runner) groups(rows []int32) ([]group, error) {
	n := count(r.table, rows)
	if len(r.By) == 0 {
		if r.inside == nil {
			return []group{{names: map[string]string{}}}, nil
		}
		in := make([]bool, n)
		for i := range in {
			in[i] = r.inside[rowOf(rows, i+1)-1]
		}
		return []group{{names: map[string]string{}, in: in}}, nil
	}
	seen := make(map[string]int)
	var groups []group
	var key []byte
	for i := range n {
		row := rowOf(rows, i+1) - 1
		if r.inside != nil && !r.inside[row] {
			continue
		}
		key = key[:0]
		whole := true
		for _, name := range r.By {
			code := r.table.Label(name).Codes[row]
			if code < 0 {
				if !r.DropMissing {
					return nil, r.table.At(name, row+1, "missing; --na drop leaves such rows out")
				}
				whole = false
			}
			key = append(key, byte(code>>24), byte(code>>16), byte(code>>8), byte(code))
		}
		if !whole {
			continue
		}
		at, ok := seen[string(key)]
		if !ok {
			at = len(groups)
			seen[string(key)] = at
			groups = append(groups, group{names: r.labels(row), in: make([]bool, n)})
		}
		groups[at].in[i] = true
	}
	return groups, nil
}

func (r *runner) labels(row int) map[string]string {
	names := make(map[string]string, len(r.By))
	for _, name := range r.By {
		l := r.table.Label(name)
		names[name] = l.Levels[l.Codes[row]]
	}
	return names
}
