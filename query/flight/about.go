package flight

import (
	"context"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"
	gen "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"
)

// statementBytesMost is what query/script takes.
const statementBytesMost = 64 << 10

// about is what clients are told of the server. It names everything that the JDBC driver asks for, since that takes what is missing
// for a fault.
func about(version string) map[flightsql.SqlInfo]any {
	out := map[flightsql.SqlInfo]any{
		flightsql.SqlInfoFlightSqlServerName:         "Quadrat",
		flightsql.SqlInfoFlightSqlServerVersion:      version,
		flightsql.SqlInfoFlightSqlServerArrowVersion: arrow.PkgVersion,
		flightsql.SqlInfoIdentifierCase:              int64(flightsql.SqlCaseSensitivityCaseInsensitive),
		flightsql.SqlInfoQuotedIdentifierCase:        int64(flightsql.SqlCaseSensitivityCaseInsensitive),
		flightsql.SqlInfoIdentifierQuoteChar:         `"`,
		flightsql.SqlInfoSearchStringEscape:          `\`,
		flightsql.SqlInfoExtraNameChars:              "",
		flightsql.SqlInfoSchemaTerm:                  "schema",
		flightsql.SqlInfoCatalogTerm:                 "catalog",
		flightsql.SqlInfoProcedureTerm:               "",
		flightsql.SqlInfoNullOrdering:                int64(flightsql.SqlNullOrderingSortAtEnd),
		flightsql.SqlInfoMaxStatementLen:             int64(statementBytesMost),
		flightsql.SqlInfoMaxTablesInSelect:           int64(1),
		flightsql.SqlInfoDefaultTransactionIsolation: int64(0),
		flightsql.SqlInfoSupportsConvert:             map[int32][]int32{},
	}
	for value, ids := range map[any][]flightsql.SqlInfo{true: able(), false: unable(), int32(0): nothingOf(), int64(0): noBound()} {
		for _, id := range ids {
			out[id] = value
		}
	}
	for _, id := range []flightsql.SqlInfo{
		flightsql.SqlInfoKeywords, flightsql.SqlInfoNumericFunctions, flightsql.SqlInfoStringFunctions,
		flightsql.SqlInfoSystemFunctions, flightsql.SqlInfoDateTimeFunctions,
	} {
		out[id] = []string{}
	}
	return out
}

// able is what the server can do.
func able() []flightsql.SqlInfo {
	return []flightsql.SqlInfo{
		flightsql.SqlInfoFlightSqlServerReadOnly, flightsql.SqlInfoFlightSqlServerSql, flightsql.SqlInfoAllTablesAreASelectable,
		flightsql.SqlInfoSupportsColumnAliasing, flightsql.SqlInfoSupportsTableCorrelationNames, flightsql.SqlInfoNullPlusNullIsNull,
		flightsql.SqlInfoSupportsNonNullableColumns, flightsql.SqlInfoCatalogAtStart,
	}
}

// unable is what it can't.
func unable() []flightsql.SqlInfo {
	return []flightsql.SqlInfo{
		flightsql.SqlInfoFlightSqlServerSubstrait, flightsql.SqlInfoFlightSqlServerCancel, flightsql.SqlInfoFlightSqlServerBulkIngestion,
		flightsql.SqlInfoFlightSqlServerIngestTransactionsSupported, flightsql.SqlInfoDDLCatalog, flightsql.SqlInfoDDLSchema,
		flightsql.SqlInfoDDLTable, flightsql.SqlInfoSupportsDifferentTableCorrelationNames, flightsql.SqlInfoSupportsExpressionsInOrderBy,
		flightsql.SqlInfoSupportsOrderByUnrelated, flightsql.SqlInfoSupportsLikeEscapeClause,
		flightsql.SqlInfoSupportsIntegrityEnhancementFacility, flightsql.SqlInfoSelectForUpdateSupported,
		flightsql.SqlInfoStoredProceduresSupported, flightsql.SqlInfoCorrelatedSubqueriesSupported, flightsql.SqlInfoMaxRowSizeIncludesBlobs,
		flightsql.SqlInfoTransactionsSupported, flightsql.SqlInfoDataDefinitionCausesTransactionCommit,
		flightsql.SqlInfoDataDefinitionsInTransactionsIgnored, flightsql.SqlInfoBatchUpdatesSupported, flightsql.SqlInfoSavePointsSupported,
		flightsql.SqlInfoNamedParametersSupported, flightsql.SqlInfoLocatorsUpdateCopy,
	}
}

// nothingOf is sets of which the server has no member.
func nothingOf() []flightsql.SqlInfo {
	return []flightsql.SqlInfo{
		flightsql.SqlInfoFlightSqlServerTransaction, flightsql.SqlInfoFlightSqlServerStatementTimeout,
		flightsql.SqlInfoFlightSqlServerTransactionTimeout, flightsql.SqlInfoSupportedGroupBy, flightsql.SqlInfoSupportedGrammar,
		flightsql.SqlInfoANSI92SupportedLevel, flightsql.SqlInfoOuterJoinsSupportLevel, flightsql.SqlInfoSchemasSupportedActions,
		flightsql.SqlInfoCatalogsSupportedActions, flightsql.SqlInfoSupportedPositionedCommands, flightsql.SqlInfoSupportedSubqueries,
		flightsql.SqlInfoSupportedUnions, flightsql.SqlInfoSupportedTransactionsIsolationlevels, flightsql.SqlInfoSupportedResultSetTypes,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetUnspecified, flightsql.SqlInfoSupportedConcurrenciesForResultSetForwardOnly,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollSensitive,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollInsensitive,
	}
}

// noBound is sizes that have no bound of their own.
func noBound() []flightsql.SqlInfo {
	return []flightsql.SqlInfo{
		flightsql.SqlInfoMaxBinaryLiteralLen, flightsql.SqlInfoMaxCharLiteralLen, flightsql.SqlInfoMaxColumnNameLen,
		flightsql.SqlInfoMaxColumnsInGroupBy, flightsql.SqlInfoMaxColumnsInIndex, flightsql.SqlInfoMaxColumnsInOrderBy,
		flightsql.SqlInfoMaxColumnsInSelect, flightsql.SqlInfoMaxColumnsInTable, flightsql.SqlInfoMaxConnections,
		flightsql.SqlInfoMaxCursorNameLen, flightsql.SqlInfoMaxIndexLen, flightsql.SqlInfoDBSchemaNameLen, flightsql.SqlInfoMaxProcedureNameLen,
		flightsql.SqlInfoMaxCatalogNameLen, flightsql.SqlInfoMaxRowSize, flightsql.SqlInfoMaxStatements, flightsql.SqlInfoMaxTableNameLen,
		flightsql.SqlInfoMaxUsernameLen,
	}
}

// info is what is known of what a client asks for; what isn't known is left out.
func (t *tables) info(q *gen.CommandGetSqlInfo) *answer {
	known := about(t.cfg.Version)
	ids := slices.DeleteFunc(slices.Clone(q.GetInfo()), func(id uint32) bool { _, ok := known[flightsql.SqlInfo(id)]; return !ok })
	if len(ids) == 0 && len(q.GetInfo()) > 0 {
		return none(schema_ref.SqlInfo)
	}
	return &answer{schema_ref.SqlInfo, func(ctx context.Context) records {
		return func(yield func(arrow.Record, error) bool) {
			_, chunks, err := t.DoGetSqlInfo(ctx, &gen.CommandGetSqlInfo{Info: ids})
			if err != nil {
				yield(nil, err)
				return
			}
			more := true
			for chunk := range chunks { // to the end, since a goroutine of the library waits for that
				more = more && yield(chunk.Data, chunk.Err)
				if chunk.Data != nil {
					chunk.Data.Release()
				}
			}
		}
	}}
}
