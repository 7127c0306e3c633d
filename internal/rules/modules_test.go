package rules_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The modules that stand in folders of this one build. bench uses this one and repeats the versions that it needs: a change of
// them leaves bench behind, which `go test ./...` would not see.
func TestModulesBesideThisOneAreCurrent(t *testing.T) {
	for _, dir := range []string{"bench", "internal/external"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-mod=readonly", "./...")
		cmd.Dir = filepath.Join("..", "..", dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: go list: %v; go mod tidy in that folder mends it\n%s", dir, err, out)
		}
	}
}
