// Package tabular reads tables from CSV and Parquet files, and from folders of them, into columns of numbers and of coded
// labels; and it evaluates conditions on their rows. It is what stands between files and package survey/design.
//
// Only the columns that are asked for are kept. A folder is read as one table: files in the order of their names, names
// that begin with a dot or an underscore passed over, and folders named key=value (hive partitions) as columns. Faults
// name file, column and row, never what stood there. A Parquet file may be damaged or hostile: it makes an error, not a
// panic.
//
//	t, err := tabular.Read("apistrat.csv", tabular.Want{Numbers: []string{"api00"}, Labels: []string{"stype"}})
package tabular
