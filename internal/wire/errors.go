package wire

// Error is an error of this package: constants, comparable with errors.Is, that name no content.
type Error string

// Error returns the text of the error.
func (e Error) Error() string { return string(e) }

// The errors of this package.
const (
	// ErrMalformed says that bytes are no message of the kind that was asked for.
	ErrMalformed Error = "message: malformed"
	// ErrSize says that a message, a text or a list is longer than its limit.
	ErrSize Error = "message: too large"
	// ErrDevice says that an identity isn't 1 to 64 characters of [A-Za-z0-9_-].
	ErrDevice Error = "device: not 1 to 64 characters of A-Z a-z 0-9 _ -"
	// ErrReport says that a report lacks a reference or a revision, or has a negative window.
	ErrReport Error = "report: reference, revision or window missing or out of range"
	// ErrRelease says that a release lacks a reference, a revision or parts, has a negative window, or its parts are out of
	// order, of no unit or with different numbers of values.
	ErrRelease Error = "release: reference, revision, window or parts missing or out of range"
	// ErrHello says that a hello has too many entries, an empty name or no identity.
	ErrHello Error = "hello: attributes, capabilities or names out of range"
	// ErrPlan says that a plan breaks its law: windows, salt, strata, arcs or statistics.
	ErrPlan Error = "plan: windows, salt, strata, arcs or statistics out of range"
)
