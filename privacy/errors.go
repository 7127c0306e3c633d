package privacy

// Error is an error of this package. The values are constants, comparable with
// errors.Is, and carry neither readings nor codes.
type Error string

// Error returns the text of the error.
func (e Error) Error() string { return string(e) }

// The errors that this package and its mechanisms return.
const (
	// ErrEpsilon says that ε is not in (0, 20], or that a budget is not in
	// (0, MaxBudget].
	ErrEpsilon Error = "epsilon: out of range"
	// ErrNumber says that a text is no decimal number or doesn't fit.
	ErrNumber Error = "number: not a decimal that fits in millionths"
	// ErrBounds says that bounds are empty, reversed or too wide.
	ErrBounds Error = "bounds: lo must be below hi and the span must fit"
	// ErrInput says that an input is above the mechanism's levels.
	ErrInput Error = "input: above the levels of the mechanism"
	// ErrCategories says that a mechanism cannot have so many categories, or so few.
	ErrCategories Error = "categories: too few or too many for the mechanism"
	// ErrPairs says that how often a report supports two categories depends on
	// which two, so that there is no formula for their covariance.
	ErrPairs Error = "pairs: no formula for two categories of this mechanism"
	// ErrCode says that a code is not one that the mechanism can produce.
	ErrCode Error = "code: out of range"
	// ErrEntropy says that the source of randomness can't be trusted. Whoever
	// gets it sends nothing.
	ErrEntropy Error = "entropy: source failed"
	// ErrMechanism says that no mechanism has the name asked for.
	ErrMechanism Error = "mechanism: unknown name"
	// ErrOptIn says that a mechanism must be asked for in another way, because the
	// time that its reports take tells of their noise.
	ErrOptIn Error = "mechanism: it takes an opt-in, since its time tells of its noise"
	// ErrTooLarge says that a matrix is too large to enumerate.
	ErrTooLarge Error = "certificate: matrix too large to enumerate"
	// ErrCertificate says that a mechanism's integers are inconsistent.
	ErrCertificate Error = "certificate: integers are inconsistent"
)

// sourceError is ErrEntropy with its cause.
type sourceError struct{ cause error }

// Error returns ErrEntropy's text and the cause's, which is the reader's own.
func (e sourceError) Error() string { return string(ErrEntropy) + ": " + e.cause.Error() }

// Is makes errors.Is find ErrEntropy.
func (e sourceError) Is(target error) bool { return target == ErrEntropy }

// Unwrap returns the cause.
func (e sourceError) Unwrap() error { return e.cause }
