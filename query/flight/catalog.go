package flight

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"
	gen "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	catalog   = "quadrat"
	tableType = "TABLE"
	// baseTable is what the standard's INFORMATION_SCHEMA calls tables that are no views, and Grafana's plugin asks for.
	baseTable = "BASE TABLE"
)

// tables answers for the catalog and for statements.
type tables struct {
	flightsql.BaseServer

	cfg Config
}

// kind is a sort of stored rows, and the schema of the catalog that holds a table of them for each kappa.
type kind struct {
	name   string
	schema func(kappa, ref string) *arrow.Schema
}

// kinds begins with results, which a table is of whose schema nobody names.
func kinds() []kind {
	return []kind{
		{"results", func(string, string) *arrow.Schema { return column.ResultSchema() }},
		{"reports", column.ReportSchema},
		{"strata", column.StratumSchema},
	}
}

// kindOf is the kind of a name, whatever its case, or nil.
func kindOf(name string) *kind {
	for _, k := range kinds() {
		if strings.EqualFold(k.name, name) {
			return &k
		}
	}
	return nil
}

// texts is an answer of rows of texts.
func (t *tables) texts(schema *arrow.Schema, rows ...[]string) *answer {
	return whole(schema, func() arrow.Record {
		b := array.NewRecordBuilder(t.cfg.Alloc, schema)
		defer b.Release()
		for _, row := range rows {
			for i, text := range row {
				// Serialised schemas are the only column that is binary.
				if binary, ok := b.Field(i).(*array.BinaryBuilder); ok {
					binary.AppendString(text)
					continue
				}
				b.Field(i).(*array.StringBuilder).Append(text)
			}
		}
		return b.NewRecord()
	})
}

func (t *tables) catalogs() *answer { return t.texts(schema_ref.Catalogs, []string{catalog}) }

func (t *tables) types() *answer { return t.texts(schema_ref.TableTypes, []string{tableType}) }

func (t *tables) schemas(q *gen.CommandGetDbSchemas) *answer {
	var rows [][]string
	for _, k := range kinds() {
		if inCatalog(q.Catalog) && matches(q.DbSchemaFilterPattern, k.name) {
			rows = append(rows, []string{catalog, k.name})
		}
	}
	slices.SortFunc(rows, slices.Compare)
	return t.texts(schema_ref.DBSchemas, rows...)
}

// listed lists the tables that a client asks for, by schema and name, results first: Grafana's plugin takes the columns of the first table
// of a name, and what it asks has no schema then.
func (t *tables) listed(ctx context.Context, q *gen.CommandGetTables) (*answer, error) {
	schema := schema_ref.Tables
	if q.GetIncludeSchema() {
		schema = schema_ref.TablesWithIncludedSchema
	}
	called := tableType
	if types := q.GetTableTypes(); len(types) > 0 && !slices.Contains(types, tableType) {
		called = baseTable
		if !slices.Contains(types, baseTable) {
			return none(schema), nil
		}
	}
	if !inCatalog(q.Catalog) {
		return none(schema), nil
	}
	list, err := t.cfg.Kappas.ListKappas(ctx, &quadratv1.ListKappasRequest{})
	if err != nil {
		return nil, err
	}
	kappas := list.GetKappas()
	slices.SortFunc(kappas, func(a, b *quadratv1.Kappa) int { return cmp.Compare(tableOf(a), tableOf(b)) })
	var rows [][]string
	for _, k := range kinds() {
		for _, kappa := range kappas {
			name := tableOf(kappa)
			if !matches(q.DbSchemaFilterPattern, k.name) || !matches(q.TableNameFilterPattern, name) {
				continue
			}
			row := []string{catalog, k.name, name, called}
			if q.GetIncludeSchema() {
				row = append(row, string(arrowflight.SerializeSchema(wholeCut(k.schema(kappa.GetName(), kappa.GetRef())).schema, t.cfg.Alloc)))
			}
			rows = append(rows, row)
		}
	}
	return t.texts(schema, rows...), nil
}

// tableOf is the name of a kappa's tables; its reference when it has no name.
func tableOf(k *quadratv1.Kappa) string { return cmp.Or(k.GetName(), k.GetRef()) }

// inCatalog tells whether a filter lets the one catalog through; an empty one asks for tables without a catalog.
func inCatalog(filter *string) bool { return filter == nil || *filter == catalog }

// matches tells whether a filter is absent or a pattern of LIKE that the name fits: % for any characters, _ for one, \ before a
// character that stands for itself. It takes time proportional to the product of both lengths, at most.
func matches(filter *string, name string) bool {
	if filter == nil {
		return true
	}
	pattern, text := []rune(*filter), []rune(name)
	// fits[j] tells whether the pattern so far fits the first j characters.
	fits := make([]bool, len(text)+1)
	fits[0] = true
	for i := 0; i < len(pattern); i++ {
		c, literal := pattern[i], false
		if c == '\\' && i+1 < len(pattern) {
			i++
			c, literal = pattern[i], true
		}
		if c == '%' && !literal {
			for j := range text {
				fits[j+1] = fits[j+1] || fits[j]
			}
			continue
		}
		for j := len(text); j > 0; j-- {
			fits[j] = fits[j-1] && (c == text[j-1] || c == '_' && !literal)
		}
		fits[0] = false
	}
	return fits[len(text)]
}
