package collector

import (
	"io/fs"
	"strings"
)

// machineFiles are where a board may tell who it is, the best first: the serial number of the board itself doesn't go
// along with a copied card; the identity of an installation goes along with a copy of the whole disk.
var machineFiles = []struct{ kind, path string }{
	{"serial", "sys/firmware/devicetree/base/serial-number"},
	{"machine-id", "etc/machine-id"},
}

// Machine returns what tells this machine from others, or nothing where there is nothing.
func Machine(root fs.FS) string {
	if root == nil {
		return ""
	}
	for _, f := range machineFiles {
		b, err := fs.ReadFile(root, f.path)
		if text := strings.Trim(string(b), "\x00 \n"); err == nil && strings.Trim(text, "0") != "" {
			return f.kind + " " + text
		}
	}
	return ""
}
