package flight

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"
	gen "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"
)

// sqlType is a type of the columns of tables, as JDBC and ODBC number and describe it.
type sqlType struct {
	name     string
	number   gen.XdbcDataType
	digits   int32 // or characters; 0 when there is no bound
	quoted   bool  // its literals stand in single quotes
	compares bool  // it can stand in WHERE
}

func sqlTypes() []sqlType {
	return []sqlType{
		{name: "BOOLEAN", number: gen.XdbcDataType_XDBC_BIT, digits: 1},
		{name: "BIGINT", number: gen.XdbcDataType_XDBC_BIGINT, digits: 19},
		{name: "DOUBLE", number: gen.XdbcDataType_XDBC_DOUBLE, digits: 15},
		{name: "VARCHAR", number: gen.XdbcDataType_XDBC_VARCHAR, quoted: true, compares: true},
		{name: "TIMESTAMP", number: gen.XdbcDataType_XDBC_TIMESTAMP, digits: 29, quoted: true, compares: true},
	}
}

// typeInfo lists the types, or those of one number.
func (t *tables) typeInfo(q *gen.CommandGetXdbcTypeInfo) *answer {
	return whole(schema_ref.XdbcTypeInfo, func() arrow.Record {
		b := array.NewRecordBuilder(t.cfg.Alloc, schema_ref.XdbcTypeInfo)
		defer b.Release()
		for _, s := range sqlTypes() {
			if q.DataType == nil || q.GetDataType() == int32(s.number) {
				s.row(b)
			}
		}
		return b.NewRecord()
	})
}

// row appends the type. Columns that say nothing here stay null.
func (s sqlType) row(b *array.RecordBuilder) {
	const nullable, unsearchable, searchable = 1, 0, 3
	search := int32(unsearchable)
	if s.compares {
		search = searchable
	}
	for i, field := range schema_ref.XdbcTypeInfo.Fields() {
		switch field.Name {
		case "type_name", "local_type_name":
			b.Field(i).(*array.StringBuilder).Append(s.name)
		case "data_type", "sql_data_type":
			b.Field(i).(*array.Int32Builder).Append(int32(s.number))
		case "nullable":
			b.Field(i).(*array.Int32Builder).Append(nullable)
		case "searchable":
			b.Field(i).(*array.Int32Builder).Append(search)
		case "case_sensitive":
			b.Field(i).(*array.BooleanBuilder).Append(s.quoted)
		case "unsigned_attribute", "fixed_prec_scale", "auto_increment":
			b.Field(i).(*array.BooleanBuilder).Append(false)
		case "literal_prefix", "literal_suffix":
			if s.quoted {
				b.Field(i).(*array.StringBuilder).Append("'")
				continue
			}
			b.Field(i).AppendNull()
		case "column_size":
			if s.digits > 0 {
				b.Field(i).(*array.Int32Builder).Append(s.digits)
				continue
			}
			b.Field(i).AppendNull()
		default:
			b.Field(i).AppendNull()
		}
	}
}
