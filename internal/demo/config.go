package demo

import (
	"errors"
	"log/slog"
	"time"
)

// Script is what the demo deploys unless it is given another: DESIGN's first query.
const Script = `KAPPA indoor AS
SELECT   mean(temperature), proportion(temperature > 26)
FROM     sense.temperature
WHERE    building_type <> 'others'
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region ROTATING
WINDOW   1m GRACE 5s
PRIVACY  LOCAL EPSILON 4 PER 1h BETWEEN 10 AND 40
`

// epoch is when the simulated clock starts: the first hour of a year, so that laps begin with it.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Config says what to show.
type Config struct {
	// Data is the folder of the server; its content is the demo's. Required.
	Data string
	// HTTP is the address of the REST API while the demo runs; empty for a free port on loopback.
	HTTP string
	// Script is deployed; empty for Script.
	Script string
	// Devices is how many there are; 0 for all places, times Copies.
	Devices int
	// Copies is how many devices replay each place; 0 for 1.
	Copies int
	// Windows ends the demo after so many; 0 for never.
	Windows int
	// Speed is how many times as fast as a real clock the simulated one runs; 0 for as fast as it can.
	Speed float64
	// Offline is the share of devices that join and then stay silent.
	Offline float64
	// Seed fixes salts, noise and who is offline.
	Seed uint64
	// Logger takes what the server and the fleet have to say; nil for silence.
	Logger *slog.Logger
}

// Validate reports all faults at once, by the names of the flags.
func (c Config) Validate() error {
	var faults []error
	if c.Data == "" {
		faults = append(faults, errors.New("data: a folder is needed"))
	}
	if c.Devices < 0 || c.Devices > 1_000_000 {
		faults = append(faults, errors.New("--devices: 1 to 1,000,000, or 0 for all places"))
	}
	if c.Copies < 0 || c.Copies > 80 {
		faults = append(faults, errors.New("--copies: 1 to 80"))
	}
	if c.Windows < 0 {
		faults = append(faults, errors.New("--windows: 1 or more, or 0 to go on for ever"))
	}
	if c.Speed < 0 {
		faults = append(faults, errors.New("--speed: above 0, or 0 for as fast as it can"))
	}
	if c.Offline < 0 || c.Offline >= 1 {
		faults = append(faults, errors.New("--offline: a share from 0 to below 1"))
	}
	return errors.Join(faults...)
}
