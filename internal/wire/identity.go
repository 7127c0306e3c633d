package wire

// DeviceMost is the longest identity of a device, and the longest reference of a kappa, in bytes.
const DeviceMost = 64

// CheckDevice returns ErrDevice unless id is an identity of a device: 1 to 64 characters of [A-Za-z0-9_-].
func CheckDevice(id string) error {
	if !token(id) {
		return ErrDevice
	}
	return nil
}

// token says whether s has the form of an identity, which is also that of a reference.
func token(s string) bool {
	if s == "" || len(s) > DeviceMost {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
