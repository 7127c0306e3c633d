package engine

// cause is why reports were not counted; its text is the cause of their dead letter.
type cause uint8

const (
	causeMalformed cause = iota // the message is no StoredBatch
	causeKappa                  // no such kappa
	causeRevision               // the revision is not in force in that window
	causeFuture                 // the window begins too far in the future
	causeExpired                // the window is beyond retention, or was never open
	causeFrame                  // the device is not in the window's frame
	causeDue                    // the device was not due for that statistic in that window
	causeCode                   // no device sends that code
	causeDamaged                // the window's frame could not be made again
	causeGateway                // a release's device is not behind that gateway in the window's frame
	causeRelease                // a release's cells, units or values are not those of its cluster and statistic
	causes
)

// causeDuplicate makes no dead letter: the same was counted before.
const causeDuplicate = causes

// String is a short fixed word.
func (c cause) String() string {
	return [causes]string{
		"malformed", "unknown-kappa", "wrong-revision", "future", "expired", "not-in-frame", "not-due", "invalid-code",
		"frame-lost", "not-its-gateway", "invalid-release",
	}[c]
}
