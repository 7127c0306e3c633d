package rules_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/quadrat-dev/quadrat"

// rule forbids the packages under a room from reaching, directly or through others, anything under forbidden.
type rule struct {
	room      string
	forbidden []string
	why       string
	except    string // a package of the room that has a rule of its own
	arch      string // the processor that the rule speaks of, empty for this one
}

var heavy = []string{
	"github.com/apache/arrow", "github.com/parquet-go", "google.golang.org/grpc", "google.golang.org/protobuf/proto",
	"google.golang.org/protobuf/reflect", "github.com/nats-io/nats-server",
}

// noisy is what a gateway adds noise with. It works on 64 bits only and has no place on a small board.
var noisy = []string{"gonum.org", "github.com/google/differential-privacy"}

var servers = []string{
	module + "/engine", module + "/query", module + "/storage", module + "/fleet", module + "/proto", module + "/console",
}

var rules = []rule{
	{room: "survey", forbidden: []string{module + "/"}, why: "survey is useful alone"},
	{room: "survey/panel", forbidden: []string{"gonum.org", "fmt"}, why: "the panel rule runs on microcontrollers"},
	{
		room: "privacy", forbidden: []string{module + "/", "gonum.org"}, why: "privacy is useful alone and runs on devices",
		except: "privacy/audit",
	},
	{
		room: "edge", forbidden: slices.Concat(servers, heavy, noisy), why: "a device has no room for servers",
		except: "edge/gateway",
	},
	{room: "edge/gateway", forbidden: slices.Concat(servers, heavy), why: "a gateway has no room for servers"},
	{room: "cmd/quadrat-edge", forbidden: slices.Concat(servers, heavy), why: "the collector is no server"},
	{
		room: "cmd/quadrat-edge", forbidden: slices.Concat(servers, heavy, noisy),
		why: "the collector fits in 8 MB", arch: "arm",
	},
	{room: "engine", forbidden: []string{module + "/query", module + "/storage", module + "/edge"}, why: "cmd connects the rooms"},
	{room: "storage", forbidden: []string{module + "/query", module + "/edge", module + "/fleet"}, why: "cmd connects the rooms"},
	{room: "query", forbidden: []string{module + "/storage", module + "/edge"}, why: "cmd connects the rooms"},
	{
		room: "fleet", forbidden: []string{module + "/engine", module + "/query", module + "/storage", module + "/edge"},
		why: "the frame knows nobody",
	},
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, r := range rules {
		for pkg, deps := range dependencies(t, r.room, r.arch) {
			if r.except != "" && strings.HasPrefix(pkg, module+"/"+r.except) {
				continue
			}
			for _, dep := range deps {
				if bad := broken(r, dep); bad != "" {
					t.Errorf("%s reaches %s, which %s may not: %s", pkg, dep, r.room, r.why)
				}
			}
		}
	}
}

func broken(r rule, dep string) string {
	own := module + "/" + strings.SplitN(r.room, "/", 2)[0]
	for _, f := range r.forbidden {
		inside := dep == f || strings.HasPrefix(dep, strings.TrimSuffix(f, "/")+"/")
		if inside && dep != own && !strings.HasPrefix(dep, own+"/") {
			return f
		}
	}
	return ""
}

// dependencies lists, for each package of a room, everything that it reaches.
func dependencies(t *testing.T, room, arch string) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}", "./"+room+"/...")
	cmd.Dir = filepath.Join("..", "..")
	if arch != "" {
		cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", room, err, out)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) > 0 && strings.HasPrefix(words[0], module) {
			found[words[0]] = words[1:]
		}
	}
	if len(found) == 0 {
		t.Fatalf("the room %s has no package", room)
	}
	return found
}
