// Package sensor reads what a Linux board can measure: hwmon chips, thermal zones, IIO devices, the output of a command,
// a column of a CSV file. It is where a reading begins: sensor, summary, agent.
//
// Readings are exact: text becomes millionths of a unit by integer and rational arithmetic, never through floating point.
// Nothing here logs a reading, and no error contains one, nor any output of a command.
//
//	s, err := sensor.Spec{Source: sensor.Thermal, Zone: "cpu-thermal"}.Open(os.DirFS("/"))
//	value, err := s.Read(ctx, now)
package sensor
