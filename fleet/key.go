package fleet

import "github.com/quadrat-dev/quadrat/survey/panel"

// Partitions is the number of partitions of the stream REPORTS, fixed for a cluster's life.
const Partitions = 64

// identityMost is the longest identity, in characters.
const identityMost = 64

// Key is the pseudonym of a device: a keyed 64-bit hash of its identity. Behind the intake nothing else names a device.
type Key uint64

// String is the key as 16 hexadecimal digits.
func (k Key) String() string { return panel.Number(k).String() }

// Keyer makes keys. It is a value; copies make the same keys. It is safe for use by many goroutines.
type Keyer struct{ secret panel.Salt }

// NewKeyer takes the cluster's secret, 16 random bytes that never leave the servers.
func NewKeyer(secret [16]byte) Keyer { return Keyer{secret: panel.Salt(secret)} }

// Key is SipHash-2-4 of the identity under the secret.
func (k Keyer) Key(device string) Key { return Key(panel.NumberOf(k.secret, device)) }

// Partition is the partition of a key, key mod 64.
func Partition(k Key) uint32 { return uint32(k % Partitions) }

// ValidIdentity tells whether s is 1 to 64 characters of [A-Za-z0-9_-].
func ValidIdentity(s string) bool {
	if len(s) == 0 || len(s) > identityMost {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
