package storage

// Code says what kind of fault an [Error] is.
type Code string

// The codes of an [Error].
const (
	Malformed Code = "malformed" // rows that break the law of their columns
	Damaged   Code = "damaged"   // a file that can't be read, or of an unknown version
	Position  Code = "position"  // a position that this store can't go to
	Occupied  Code = "occupied"  // an export's target that holds something else
	Fenced    Code = "fenced"    // a share that a later owner has
	Replaced  Code = "replaced"  // a file that went while it was read; the same call, made again, reads what replaced it
)

// Error is the one error type of this package; faults of the file system come wrapped instead. Compare its Code after
// errors.As. It never holds a row's values.
type Error struct {
	Code   Code
	Detail string
}

// Error is the code and the detail.
func (e *Error) Error() string { return "storage: " + string(e.Code) + ": " + e.Detail }

// Again tells whether the same call, made again, may well succeed.
func (e *Error) Again() bool { return e.Code == Replaced }
