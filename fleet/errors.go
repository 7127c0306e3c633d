package fleet

// Code says why a hello was refused or a store is unusable.
type Code string

// The codes of an [Error].
const (
	Malformed Code = "malformed" // the bytes are no Hello
	Identity  Code = "identity"  // the identity breaks its law, or isn't the subject's
	Size      Code = "size"      // too many or too long attributes, capabilities, counters
	Text      Code = "text"      // a name or value is empty, not UTF-8, or reserved
	Collision Code = "collision" // another identity has the same key
	Claimed   Code = "claimed"   // a gateway speaks for a device that isn't its own
	Format    Code = "format"    // stored bytes are damaged or of an unknown version
)

// Error is the one error type of this package. Compare its Code after errors.As. Its text names what is wrong and never
// repeats a value that a device sent.
type Error struct {
	Code   Code
	Detail string
}

// Error is the code and the detail.
func (e *Error) Error() string { return "fleet: " + string(e.Code) + ": " + e.Detail }
