package estimate

// groups is which rows of a sample belong to which combination of --by inside --where.
type groups struct {
	of    []int32             // of each row, −1 for none; nil when there is one group of all rows
	names []map[string]string // of each group
}

// mask sets in to the rows of a group, and returns nil when these are all.
func (g *groups) mask(group int, in []bool) []bool {
	if g.of == nil {
		return nil
	}
	for i, of := range g.of {
		in[i] = int(of) == group
	}
	return in
}

// groups returns the combinations that occur among some rows.
func (r *runner) groups(rows []int32) (*groups, error) {
	if len(r.By) == 0 && r.inside == nil {
		return &groups{names: []map[string]string{{}}}, nil
	}
	g := &groups{of: make([]int32, count(r.table, rows))}
	seen := make(map[string]int32)
	var key []byte
	for i := range g.of {
		g.of[i] = -1
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
		group, ok := seen[string(key)]
		if !ok {
			group = int32(len(g.names))
			seen[string(key)] = group
			g.names = append(g.names, r.labels(row))
		}
		g.of[i] = group
	}
	return g, nil
}

func (r *runner) labels(row int) map[string]string {
	names := make(map[string]string, len(r.By))
	for _, name := range r.By {
		l := r.table.Label(name)
		names[name] = l.Levels[l.Codes[row]]
	}
	return names
}
