package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quadrat-dev/quadrat/internal/server"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"quadrat": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(run(ctx, os.Args[1:], &terminal{in: os.Stdin, out: os.Stdout, errs: os.Stderr}))
		},
	})
}

// patience is how long one command of a transcript may take; none takes a tenth of it.
const patience = 2 * time.Minute

// TestScripts runs the transcripts in testdata/script: what a person types, and what the program says.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "live": live, "curl": curl, "exits": exits, "say": say, "buried": buried,
		},
	})
}

// serve FLAGS… starts a server on free ports, waits for its line of JSON, and sets QUADRAT_SERVER. It ends with the
// script, orderly.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serve FLAGS…")
	}
	args = append([]string{"serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, args...)
	path, err := exec.LookPath("quadrat")
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			ts.Fatalf("the server did not end well: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	var a server.Addresses
	ts.Check(json.Unmarshal([]byte(line), &a))
	if a.HTTP == "" || a.GRPC == "" || !strings.HasPrefix(a.NATS, "nats://127.0.0.1:") {
		ts.Fatalf("the server says %s", line)
	}
	ts.Setenv("QUADRAT_SERVER", "http://"+a.HTTP)
	ts.Setenv("NATS", a.NATS)
}

// live FILE WINDOWS deploys a script that a fleet of 1,500 simulated devices answers for so many windows, and waits until all that was heard stands in
// results.
func live(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: live FILE WINDOWS")
	}
	path, err := exec.LookPath("quadrat")
	ts.Check(err)
	ask := func(into any, args ...string) bool {
		cmd := exec.Command(path, append(args, "--format", "json")...)
		cmd.Env = append(os.Environ(), "QUADRAT_SERVER="+ts.Getenv("QUADRAT_SERVER"))
		out, err := cmd.Output()
		return err == nil && json.Unmarshal(out, into) == nil
	}
	until := func(what string, done func() bool) {
		for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				ts.Fatalf("%s did not happen within %v", what, patience)
			}
		}
	}
	fleet := exec.Command(path, "simulate", "--nats", ts.Getenv("NATS"), "--devices", "1500", "--seed", "7", "--windows", args[1])
	fleet.Stderr = os.Stderr
	said, err := fleet.StdoutPipe()
	ts.Check(err)
	ts.Check(fleet.Start())
	until("the fleet's joining", func() bool {
		var devices struct{ Total int }
		return ask(&devices, "devices") && devices.Total == 1500
	})
	ts.Check(ts.Exec("quadrat", "put", args[0]))
	var end struct{ Summary struct{ Heard int } }
	ts.Check(json.NewDecoder(said).Decode(&end))
	ts.Check(fleet.Wait())
	until("the last result", func() bool {
		var got struct {
			Results []struct {
				Final   bool
				Cell    map[string]string
				Reports int
			}
		}
		reports := 0
		if !ask(&got, "get", "indoor", "--since", "2000-01-01T00:00:00Z") {
			return false
		}
		for _, r := range got.Results {
			if r.Final && len(r.Cell) == 0 {
				reports += r.Reports
			}
		}
		return end.Summary.Heard > 0 && reports == end.Summary.Heard
	})
}

// curl STATUS METHOD PATH [NAME:VALUE…] makes a request and checks its status.
func curl(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: curl STATUS METHOD PATH [NAME:VALUE…]")
	}
	req, err := http.NewRequestWithContext(context.Background(), args[1], ts.Getenv("QUADRAT_SERVER")+args[2], http.NoBody)
	ts.Check(err)
	for _, header := range args[3:] {
		name, value, _ := strings.Cut(header, ":")
		req.Header.Set(name, value)
	}
	reply, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer reply.Body.Close()
	if got := fmt.Sprint(reply.StatusCode); got != args[0] {
		ts.Fatalf("%s %s: status %s, want %s", args[1], args[2], got, args[0])
	}
}

// say SUBJECT TEXT makes a request of the broker, as a device does, and waits for the answer.
func say(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: say SUBJECT TEXT")
	}
	conn, err := nats.Connect(ts.Getenv("NATS"), nats.Timeout(patience))
	ts.Check(err)
	defer conn.Close()
	_, err = conn.Request(args[0], []byte(args[1]), patience)
	ts.Check(err)
}

// buried N waits until so many dead letters are kept: they are stored behind the answer.
func buried(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: buried N")
	}
	api, err := client.New(ts.Getenv("QUADRAT_SERVER"), client.Options{})
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		reply, err := api.Dead(ctx, &quadratv1.ListDeadRequest{})
		ts.Check(err)
		if fmt.Sprint(reply.GetTotal()) == args[0] {
			return
		}
	}
}

// exits CODE FILE ARGS… runs the program and checks its exit code; what it says goes to FILE.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE FILE ARGS…")
	}
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	defer out.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "quadrat", args[2:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, out
	cmd.Env = os.Environ()
	for _, name := range []string{"QUADRAT_SERVER", "QUADRAT_HTTP", "QUADRAT_RESPONSE_FLOOR"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	err = cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		ts.Check(err)
	}
	code := cmd.ProcessState.ExitCode()
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("quadrat %s exits with %d, want %s", strings.Join(args[2:], " "), code, args[0])
	}
}
