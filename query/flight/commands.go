package flight

import (
	"context"

	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"
)

// GetFlightInfoCatalogs tells what a list of catalogs looks like.
func (t *tables) GetFlightInfoCatalogs(_ context.Context, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.Catalogs), nil
}

// GetFlightInfoSchemas tells what a list of schemas looks like.
func (t *tables) GetFlightInfoSchemas(_ context.Context, _ flightsql.GetDBSchemas, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.DBSchemas), nil
}

// GetFlightInfoTables tells what a list of tables looks like.
func (t *tables) GetFlightInfoTables(_ context.Context, q flightsql.GetTables, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	if q.GetIncludeSchema() {
		return t.told(desc, schema_ref.TablesWithIncludedSchema), nil
	}
	return t.told(desc, schema_ref.Tables), nil
}

// GetFlightInfoTableTypes tells what a list of sorts of tables looks like.
func (t *tables) GetFlightInfoTableTypes(_ context.Context, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.TableTypes), nil
}

// GetFlightInfoXdbcTypeInfo tells what a list of types looks like.
func (t *tables) GetFlightInfoXdbcTypeInfo(_ context.Context, _ flightsql.GetXdbcTypeInfo, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.XdbcTypeInfo), nil
}

// GetFlightInfoPrimaryKeys tells what a list of primary keys looks like; there are none.
func (t *tables) GetFlightInfoPrimaryKeys(_ context.Context, _ flightsql.TableRef, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.PrimaryKeys), nil
}

// GetFlightInfoExportedKeys tells what a list of foreign keys looks like; there are none.
func (t *tables) GetFlightInfoExportedKeys(_ context.Context, _ flightsql.TableRef, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.ExportedKeys), nil
}

// GetFlightInfoImportedKeys is as GetFlightInfoExportedKeys.
func (t *tables) GetFlightInfoImportedKeys(_ context.Context, _ flightsql.TableRef, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.ImportedKeys), nil
}

// GetFlightInfoCrossReference is as GetFlightInfoExportedKeys.
func (t *tables) GetFlightInfoCrossReference(_ context.Context, _ flightsql.CrossTableRef, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return t.told(desc, schema_ref.CrossReference), nil
}
